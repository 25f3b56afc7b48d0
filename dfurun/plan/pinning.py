"""Pins a recipe: what its images' files hash to now, and the text with that in it, judged like any other recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dfurun.errors import Code, Finding, Severity, StepFailed
from dfurun.files import read_file
from dfurun.image.reader import MAXIMUM_SIZE_BYTES as LARGEST_IMAGE_BYTES
from dfurun.plan.compile import compile_loaded, compile_recipe
from dfurun.recipe import Source, load_text, repository_of
from dfurun.recipe.opened import MAXIMUM_SIZE_BYTES
from dfurun.recipe.pins import FileFacts, NotInPlace, PinChange, names_file, with_pins

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class FileEdit:
    """One file of a recipe: its bytes before and after its pins were brought up to date."""

    source: Source
    changes: tuple[PinChange, ...]
    before: bytes
    after: bytes

    @property
    def outdated(self) -> tuple[Finding, ...]:
        """The changes as findings: what `--check` says of them."""
        return self.source.attach(map(_outdated, self.changes))


@dataclass(frozen=True, slots=True)
class Pinning:
    """What pinning a recipe comes to: the files to be changed. `files` are the images' files by name, as the recipe has them.

    Where `errors` is not empty, the recipe cannot be used for another reason than its pins: there are no edits then.
    """

    path: Path
    errors: tuple[Finding, ...]
    edits: tuple[FileEdit, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def pin_recipe(path: Path, *, allow_outside: bool = False) -> Pinning:
    """Return what would be changed in a recipe, so that its images are pinned to the files that are there.

    Nothing is written. Raises StepFailed where a file changes while this looks at it.
    """
    compiled = compile_recipe(path, allow_outside=allow_outside)
    loaded = compiled.loaded
    errors = [f for f in compiled.findings if f.severity is Severity.ERROR and f.code is not Code.PIN_MISMATCH]
    if errors or loaded is None:
        return Pinning(path, tuple(errors))
    elsewhere = {*loaded.source.owners, *loaded.source.remarks}  # in a base, or from a variable: not this file's to pin
    images = loaded.values.get("images", {})
    files = {name: entry["file"] for name, entry in images.items() if ("images", name, "file") not in elsewhere}
    found = {name: _facts(path, file, allow_outside=allow_outside) for name, file in files.items()}
    edits = []
    for source in (loaded.source,):
        before = _read(source.path, MAXIMUM_SIZE_BYTES, None if allow_outside else repository_of(path))
        if hashlib.sha256(before).hexdigest() != source.sha256:
            raise _changed_meanwhile(source.path)
        text = before.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        here = {name: facts for name, facts in found.items() if names_file(text, name)}
        found = {name: facts for name, facts in found.items() if name not in here}
        try:
            pinned = with_pins(text, here)
        except NotInPlace as error:
            return Pinning(path, source.attach([error.finding]))
        if pinned.changes:
            mark = BYTE_ORDER_MARK if before.startswith(BYTE_ORDER_MARK.encode()) else ""
            edits.append(FileEdit(source, pinned.changes, before, (mark + pinned.text).encode("utf-8")))
    wrong = _judged(path, edits, allow_outside=allow_outside)
    return Pinning(path, wrong) if wrong else Pinning(path, (), tuple(edits), files)


def _judged(path: Path, edits: Sequence[FileEdit], *, allow_outside: bool) -> tuple[Finding, ...]:
    """Return what would be wrong with the recipe once its pins are up to date: nobody has read the new files so far."""
    for edit in edits:
        text = edit.after.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        judged = compile_loaded(load_text(path, text, sha256="", allow_outside=allow_outside))
        wrong = [_unplaced(finding) for finding in judged.findings if finding.severity is Severity.ERROR]
        if wrong:
            return edit.source.attach(wrong)
    return ()


def _facts(recipe: Path, file: str, *, allow_outside: bool) -> FileFacts:
    data = _read(recipe.parent / file, LARGEST_IMAGE_BYTES, None if allow_outside else repository_of(recipe))
    return FileFacts(hashlib.sha256(data).hexdigest(), len(data))


def _read(path: Path, maximum_bytes: int, inside: Path | None) -> bytes:
    try:
        return read_file(path, maximum_bytes, inside=inside)
    except OSError:  # it was read a moment ago
        raise _changed_meanwhile(path) from None


def _changed_meanwhile(path: Path) -> StepFailed:
    return StepFailed(
        Code.FILE_UNWRITABLE,
        f"{path} has changed while it was looked at",
        consequence="nothing was written",
        hint="wait until what writes it is done, and pin again",
    )


def _unplaced(finding: Finding) -> Finding:
    """Return a finding without its places: they are in a text that nobody has, a line longer than the one that people see."""
    return replace(finding, place=None, related=tuple(replace(related, place=None) for related in finding.related))


def _outdated(change: PinChange) -> Finding:
    hint = "if the file is the one that is meant, `dfurun pin` names it"
    if not change.old:
        return Finding(Code.PIN_OUTDATED, f"image `{change.image}` has no {change.key}", change.path, hint, on_key=True)
    message = f"image `{change.image}` has another {change.key} than its file"
    notes = (f"pinned: {change.old}", f"found:  {change.new}")
    return Finding(Code.PIN_OUTDATED, message, change.path, hint, notes=notes)
