"""A port's journal: append-only JSON Lines, on the disk before anything destructive is sent.

A run that is killed leaves its entries behind, and the next run at the same port can say what was going on.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dfurun.errors import Code, StepFailed
from dfurun.steps.files import replace_file

Entry = Mapping[str, Any]
STATE_FOLDER_VARIABLE = "DFURUN_STATE_DIR"
KEPT_BYTES = 4 * 1024 * 1024


def state_folder() -> Path:
    """Return where this user's journals are: DFURUN_STATE_DIR, else the system's own place for such files."""
    override = os.environ.get(STATE_FOLDER_VARIABLE)
    if override:
        return Path(override)
    from platformdirs import user_state_path

    return user_state_path("dfurun", appauthor=False)


def journals_folder() -> Path:
    """Return the folder of this user's journals."""
    return state_folder() / "journals"


def journal_path(folder: Path, name: str) -> Path:
    """Return where in `folder` the journal of this name is; a real port's is called like the port."""
    return folder / f"{name}.jsonl"


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """The last run at a port, where it did not end: when it began, which recipe, its last entry, the files it has kept."""

    started: str
    recipe: str
    last_entry: str
    step: str | None
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f", in step {self.step}" if self.step else ""
        kept = f"; what it would have put back is kept in {', '.join(self.kept)}" if self.kept else ""
        return f"the run of {self.recipe} that began at {self.started} did not end{where}{kept}"


class UnitJournal:
    """One run's entries. They wait in memory until the port is known, and go to the port's file from then on.

    `on_entry` hears all entries so far after every new one: the record is made from them.
    """

    def __init__(self, folder: Path, on_entry: Callable[[list[Entry]], None] | None = None) -> None:
        self._folder = folder
        self._on_entry = on_entry
        self._path: Path | None = None
        self._run_id = uuid.uuid4().hex[:12]
        self.entries: list[Entry] = []

    @property
    def run_id(self) -> str:
        """What tells this run's entries from others'."""
        return self._run_id

    def write(self, entry: str, **details: Any) -> None:
        """Append an entry: a killed process leaves it behind, a power cut perhaps not. Raise StepFailed where that fails."""
        self._add(entry, details, durable=False)

    def before_destruction(self, entry: str, **details: Any) -> None:
        """Append an entry and have all of them on the disk when this returns. Raise StepFailed where that fails."""
        self._add(entry, details, durable=True)

    def keep(self, address: int, data: bytes) -> Path | None:
        """Have `data`, which belongs at `address`, in a file on the disk when this returns, and return the file.

        None where the unit has no journal on a disk. Raises StepFailed where the file cannot be written.
        """
        if self._path is None:
            return None
        file = self._path.with_name(f"{self._path.stem}-{self._run_id}-0x{address:08X}.bin")
        with _reported(file):
            replace_file(file, data)
        self._add("kept", {"file": str(file), "address": f"0x{address:08X}"}, durable=True)
        return file

    def let_go(self, file: Path) -> None:
        """Remove a file that `keep` has made."""
        file.unlink(missing_ok=True)
        self._add("let-go", {"file": str(file)}, durable=False)

    def _add(self, entry: str, details: Mapping[str, Any], *, durable: bool) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "run": self._run_id,
            "entry": entry,
            **details,
        }
        self.entries.append(line)
        if self._path is not None:
            with _reported(self._path):
                _append(self._path, [line], durable=durable)
        if self._on_entry:
            self._on_entry(self.entries)

    def bind(self, port: str) -> UnfinishedRun | None:
        """Take the port's file, and write down what was kept; return the run before where it did not end."""
        path = self.path_of(port)
        with _reported(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            before = unfinished_run(path)
            if path.exists() and path.stat().st_size > KEPT_BYTES:
                path.replace(_put_aside(path))
            self._path = path
            _append(path, self.entries, durable=True)
        return before

    def path_of(self, port: str) -> Path:
        """Return where the journal of this port is."""
        return journal_path(self._folder, port)


def read_journal(path: Path) -> list[Entry]:
    """Return the entries of a journal, empty where there is none; a line that a power cut has torn is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    entries: list[Entry] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("entry"), str):
            entries.append(entry)
    return entries


def unfinished_run(path: Path) -> UnfinishedRun | None:
    """Return the journal's last run where it has no end, else None."""
    entries = read_journal(path)
    if not entries or entries[-1]["entry"] == "end":
        return None
    run = [entry for entry in entries if entry.get("run") == entries[-1].get("run")]
    step = next((e.get("step") for e in reversed(run) if e["entry"] == "step-started"), None)
    recipe = run[0].get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    let_go = {entry.get("file") for entry in run if entry["entry"] == "let-go"}
    kept = tuple(str(e.get("file")) for e in run if e["entry"] == "kept" and e.get("file") not in let_go)
    return UnfinishedRun(str(run[0].get("time")), f"{name or 'a recipe'}", run[-1]["entry"], step, kept)


def cause_of_protection(path: Path) -> str | None:
    """Return in words which run's option-byte write was probably interrupted, where the port's journal tells of one.

    Erased option bytes read as RDP level 1 (RM0091 section 4). A write whose step ended well, or a board that was seen open
    after it, explains nothing any more.
    """
    steps = ("set-option-bytes", "unprotect")
    entries = read_journal(_put_aside(path)) + read_journal(path)
    for index in range(len(entries) - 1, -1, -1):
        entry = entries[index]
        match entry["entry"]:
            case "board" if entry.get("protection") == "not protected":
                return None
            case "step" if entry.get("step") in steps and entry.get("outcome") in ("changed", "ok"):
                return None
            case "read-unprotect":
                return f"Read Unprotect was sent at {entry.get('time')}; it takes a power cycle to come into force"
            case "option-bytes":
                run = [later for later in entries[index:] if later.get("run") == entry.get("run")]
                if run[-1]["entry"] == "end":
                    return f"the run of {entry.get('time')} wrote option bytes and did not read them back"
                return f"probably interrupted by the run of {entry.get('time')}, which was writing option bytes"
    return None


def known_cause(name: str | None) -> str:
    """Return what the journal of this name knows of how its board came to be protected; None is a board without one."""
    known = None if name is None else cause_of_protection(journal_path(journals_folder(), name))
    return known or "cause unknown"


def waits_for_power_cycle(path: Path) -> bool:
    """Say whether the port's last run left option bytes that come into force at the next power-on."""
    ends = [entry for entry in read_journal(path) if entry["entry"] == "end"]
    return bool(ends) and ends[-1].get("power_cycle_needed") is True


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn a journal that cannot be written into a failure of the unit: nothing is destroyed without its entry."""
    try:
        yield
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"the journal {path} cannot be written: {error.strerror or error}",
            consequence="nothing was sent that would have been journaled",
            hint=f"{STATE_FOLDER_VARIABLE} names another folder for it",
        ) from None


def _put_aside(path: Path) -> Path:
    """Return where a journal goes when it has grown large."""
    return path.with_suffix(".old.jsonl")


def _is_torn(path: Path) -> bool:
    """Say whether the file ends in the middle of a line, as a power cut leaves it."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _append(path: Path, entries: list[Entry], *, durable: bool) -> None:
    with path.open("a", encoding="utf-8") as file:
        if _is_torn(path):
            file.write("\n")
        file.writelines(json.dumps(entry) + "\n" for entry in entries)
        file.flush()
        if durable:
            os.fsync(file.fileno())
