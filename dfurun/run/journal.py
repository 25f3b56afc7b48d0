"""A port's journal: append-only JSON Lines, on the disk before anything destructive is sent.

A run that is killed leaves its entries behind, and the next run at the same port can say what was going on.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from dfurun.errors import Code, DfurunError, StepFailed
from dfurun.run.doubts import FlashRun, flash_runs
from dfurun.run.journal_lines import DAMAGED, Entry, Reading, known, line_of, read_lines
from dfurun.steps.files import replace_file

STATE_FOLDER_VARIABLE = "DFURUN_STATE_DIR"
KEPT_BYTES = 4 * 1024 * 1024
INCOMPLETE = "the journal is damaged, and what it knew is incomplete"


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


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a port's journal knows when a run takes it.

    `unfinished` is the run before, where it did not end; `kept` what runs have taken out of the flash and not put back, the
    oldest first; `cause` how the board may have come to be protected; `waits` whether option bytes wait for a power-on;
    `flash_runs` what each run did to flash; `damage` says in words what of the journal could not
    be read, empty where all could, `damage_hint` what to do.
    """

    unfinished: UnfinishedRun | None = None
    kept: tuple[KeptFile, ...] = ()
    cause: str | None = None
    waits: bool = False
    flash_runs: tuple[FlashRun, ...] = ()
    damage: str = ""
    damage_hint: str = ""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file in which a run has kept what it took out of the flash at `address` and has not put back; of which board."""

    file: Path
    address: int
    unique_id: str | None


class UnitJournal:
    """One run's entries. They wait in memory until the port is known, and go to the port's file from then on.

    `on_entry` hears all entries so far after every new one: the record is made from them. Where it is not `durable`, nothing
    waits for the disk: for a simulated board whose computer does not lose its power.
    """

    def __init__(
        self, folder: Path, on_entry: Callable[[list[Entry]], None] | None = None, *, durable: bool = True
    ) -> None:
        self._folder = folder
        self._durable = durable
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
        with reported(file):
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
            with reported(self._path):
                _append(self._path, [line], durable=durable and self._durable)
        if self._on_entry:
            self._on_entry(self.entries)

    def bind(self, port: str) -> Recollection:
        """Take the port's file, and write down what was kept; return what it knows. Raise StepFailed where that fails."""
        path = self.path_of(port)
        with reported(path, "read"):
            reading = read_lines(path)
        with reported(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            words, hint = self._mend(path, reading)
        with reported(path, "read"):
            recollection = _recollection(read_journal(_put_aside(path)), reading.entries, words, hint)
        with reported(path):
            if path.exists() and path.stat().st_size > KEPT_BYTES:
                path.replace(_put_aside(path))
            self._path = path
            _append(path, self.entries, durable=self._durable)
        return recollection

    def _mend(self, path: Path, reading: Reading) -> tuple[str, str]:
        """Have a journal that can be read as a whole, in which entries say where it could not be; return what to tell."""
        damage = reading.damage
        if damage is None:
            return "", ""
        hint = "`dfurun info` tells how the board is; "
        kept = sorted(file.name for file in path.parent.glob(f"{path.stem}-*-0x*.bin"))
        if damage.only_torn:
            words = (
                f"the last line of the journal {path} is torn, as by a power cut: the run before did more than it tells"
            )
        else:
            copy = path.with_name(f"{path.stem}-{self._run_id}.damaged")
            replace_file(copy, path.read_bytes())
            lines = "1 line" if damage.lines == 1 else f"{damage.lines} lines"
            words = f"the journal {path} is damaged, {lines} of it cannot be read: what it knew is incomplete"
            hint += f"the damaged journal is kept as {copy}; "
        hint += "a cause of protection, a power cycle that is due and what runs have kept may be missing from it"
        hint += f"; beside it are {', '.join(kept)}" if kept else ""
        replace_file(path, "".join(map(line_of, reading.entries)).encode())
        return words, hint

    def path_of(self, port: str) -> Path:
        """Return where the journal of this port is."""
        return journal_path(self._folder, port)


def read_journal(path: Path) -> list[Entry]:
    """Return the entries of a journal, empty where there is none. Raise OSError.

    Where a line is torn or damaged, an entry `damaged` stands in its place.
    """
    return list(read_lines(path).entries)


def _recollection(before: Sequence[Entry], entries: Sequence[Entry], damage: str, damage_hint: str) -> Recollection:
    """Return what a port's journal knows by its entries, and by those `before` them that were put aside."""
    every = [*before, *entries]
    return Recollection(
        _unfinished(entries),
        _kept(every),
        _cause(every),
        _waits_for_power_cycle(entries),
        flash_runs(every),
        damage,
        damage_hint,
    )


def unfinished_run(path: Path) -> UnfinishedRun | None:
    """Return the journal's last run where it has no end, else None. Raise OSError."""
    return _unfinished(read_journal(path))


def _unfinished(journal: Sequence[Entry]) -> UnfinishedRun | None:
    entries = known(journal)
    if not entries or entries[-1]["entry"] == "end":
        return None
    run = [entry for entry in entries if entry.get("run") == entries[-1].get("run")]
    step = next((e.get("step") for e in reversed(run) if e["entry"] == "step-started"), None)
    recipe = run[0].get("recipe")
    name = recipe.get("name") if isinstance(recipe, dict) else None
    let_go = {entry.get("file") for entry in run if entry["entry"] == "let-go"}
    kept = tuple(str(e.get("file")) for e in run if e["entry"] == "kept" and e.get("file") not in let_go)
    return UnfinishedRun(str(run[0].get("time")), f"{name or 'a recipe'}", run[-1]["entry"], step, kept)


def _kept(journal: Sequence[Entry]) -> tuple[KeptFile, ...]:
    """Return what the runs in a journal have kept, not put back and left where it was, the oldest first."""
    entries = known(journal)
    boards = {entry.get("run"): entry.get("unique_id") for entry in entries if entry["entry"] == "board"}
    let_go = {entry.get("file") for entry in entries if entry["entry"] == "let-go"}
    found = []
    for entry in entries:
        if entry["entry"] != "kept" or entry.get("file") in let_go:
            continue
        file, unique_id = Path(str(entry.get("file"))), boards.get(entry.get("run"))
        if file.is_file():
            found.append(
                KeptFile(file, int(str(entry.get("address")), 16), unique_id if isinstance(unique_id, str) else None)
            )
    return tuple(found)


def cause_of_protection(path: Path) -> str | None:
    """Return in words which run's option-byte write was probably interrupted, where the port's journal tells of one.

    Erased option bytes read as RDP level 1 (RM0091 section 4). A write whose step ended well, or a board that was seen open
    after it, explains nothing any more; nor does a journal that is damaged since, which is said. Raise OSError.
    """
    return _cause(read_journal(_put_aside(path)) + read_journal(path))


def _cause(entries: Sequence[Entry]) -> str | None:
    is_damaged = False
    for index in range(len(entries) - 1, -1, -1):
        entry = entries[index]
        if entry["entry"] == DAMAGED:
            is_damaged = True
            continue
        if _is_open_after(entry):
            return None if not is_damaged else f"cause unknown; {INCOMPLETE}"
        words = _interrupted_write(entry, entries[index:])
        if words is not None:
            return f"{words}; {INCOMPLETE}" if is_damaged else words
    return f"cause unknown; {INCOMPLETE}" if is_damaged else None


def _is_open_after(entry: Entry) -> bool:
    """Say whether the board was open, or its option bytes as they should be, when this was written."""
    if entry["entry"] == "board":
        return bool(entry.get("protection") == "not protected")
    is_of_option_bytes = entry.get("step") in ("set-option-bytes", "unprotect")
    return entry["entry"] == "step" and is_of_option_bytes and entry.get("outcome") in ("changed", "ok")


def _interrupted_write(entry: Entry, later: Sequence[Entry]) -> str | None:
    """Return what an entry about the option bytes explains; None for every other."""
    if entry["entry"] == "read-unprotect":
        return f"Read Unprotect was sent at {entry.get('time')}; it takes a power cycle to come into force"
    if entry["entry"] != "option-bytes":
        return None
    run = [other for other in later if other.get("run") == entry.get("run")]
    if run[-1]["entry"] == "end":
        return f"the run of {entry.get('time')} wrote option bytes and did not read them back"
    return f"probably interrupted by the run of {entry.get('time')}, which was writing option bytes"


def known_cause(name: str | None) -> str:
    """Return what the journal of this name knows of how its board came to be protected; None is a board without one."""
    if name is None:
        return "cause unknown"
    path = journal_path(journals_folder(), name)
    try:
        return cause_of_protection(path) or "cause unknown"
    except OSError as error:
        return f"cause unknown: the journal {path} cannot be read ({error.strerror or error})"


def _waits_for_power_cycle(entries: Sequence[Entry]) -> bool:
    """Say whether the port's last run left option bytes that come into force at the next power-on."""
    ends = [entry for entry in entries if entry["entry"] == "end"]
    return bool(ends) and ends[-1].get("power_cycle_needed") is True


@contextmanager
def reported(path: Path, what: str = "written") -> Iterator[None]:
    """Turn a journal that cannot be read or written into a failure of the unit: nothing is destroyed without its entry."""
    try:
        yield
    except DfurunError:  # an AccessDenied is an OSError as well
        raise
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"the journal {path} cannot be {what}: {error.strerror or error}",
            consequence="nothing was sent that would have been journaled",
            hint=f"{STATE_FOLDER_VARIABLE} names another folder for it",
        ) from None


def _put_aside(path: Path) -> Path:
    """Return where a journal goes when it has grown large."""
    return path.with_suffix(".old.jsonl")


def _append(path: Path, entries: Iterable[Entry], *, durable: bool) -> None:
    with path.open("ab+") as file:
        text = "".join(map(line_of, entries)).encode()
        file.write(b"\n" + text if _is_torn(file) else text)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _is_torn(file: BinaryIO) -> bool:
    """Say whether a file ends in the middle of a line, as a power cut leaves it. What is written goes to its end even so."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
