"""Pins a recipe: what its images' files hash to now, and the text with that in it, judged like any other recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfurun.errors import Code, Finding, Severity, StepFailed
from dfurun.files import read_file
from dfurun.image.reader import MAXIMUM_SIZE_BYTES as LARGEST_IMAGE_BYTES
from dfurun.plan.compile import Compiled, compile_loaded
from dfurun.plan.pin_places import Level, PinPlace, pin_places
from dfurun.plan.review import compile_for_review
from dfurun.recipe import Settings, Source, StandIns, load_text, repository_of
from dfurun.recipe.chain import real_path
from dfurun.recipe.opened import MAXIMUM_SIZE_BYTES
from dfurun.recipe.pins import IMAGES, FileFacts, NotInPlace, PinChange, with_pins

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class FileEdit:
    """One file of a recipe: its bytes before and after its pins were brought up to date. `files` are the images' files."""

    source: Source
    changes: tuple[PinChange, ...]
    before: bytes
    after: bytes
    files: Mapping[str, str]

    @property
    def outdated(self) -> tuple[Finding, ...]:
        """The changes as findings: what `--check` says of them."""
        return self.source.attach(map(_outdated, self.changes))

    @property
    def text(self) -> str:
        """The text afterwards, without a byte order mark."""
        return self.after.decode("utf-8").removeprefix(BYTE_ORDER_MARK)


@dataclass(frozen=True, slots=True)
class Unpinned:
    """An image that is not pinned where its entry stands, and why."""

    path: Path
    image: str
    why: str


@dataclass(frozen=True, slots=True)
class Pinning:
    """What pinning a recipe comes to: the files to be changed, its own and those of its bases.

    `pinned` are the images whose pins are right in them, or are when they are changed; `unpinned` are others, whose file or
    hash only a run knows. Where `errors` is not empty, the recipe cannot be used for another reason than its pins: there are
    no edits then.
    """

    path: Path
    errors: tuple[Finding, ...]
    edits: tuple[FileEdit, ...] = ()
    pinned: tuple[str, ...] = ()
    unpinned: tuple[Unpinned, ...] = ()


def pin_recipe(path: Path, *, allow_outside: bool = False) -> Pinning:
    """Return what would be changed in a recipe and its bases, so that the images are pinned to the files that are there.

    Nothing is written. Raises StepFailed where a file changes while this looks at it.
    """
    compiled = compile_for_review(path, allow_outside=allow_outside)
    loaded = compiled.loaded
    errors = _but_for_pins(compiled.findings)
    if errors or loaded is None:
        return Pinning(path, errors)
    inside = None if allow_outside else repository_of(path)
    levels = [_level(source, inside) for source in loaded.source.files]
    places = list(pin_places(levels))
    edits = []
    for level in levels:
        here = [place for place in places if place.level is level and not place.why_not]
        try:
            found = {place.image: facts for place in here if (facts := _facts(place, inside)) is not None}
            pinned = with_pins(level.text, found)
        except NotInPlace as error:
            return Pinning(path, level.source.attach([error.finding]))
        if pinned.changes:
            mark = BYTE_ORDER_MARK if level.data.startswith(BYTE_ORDER_MARK.encode()) else ""
            files = {place.image: place.file for place in here}
            after = (mark + pinned.text).encode("utf-8")
            edits.append(FileEdit(level.source, pinned.changes, level.data, after, files))
    wrong = _judged(compiled, levels, edits, allow_outside=allow_outside)
    if wrong:
        return Pinning(path, wrong)
    unpinned = tuple(Unpinned(p.level.source.path, p.image, p.why_not) for p in places if p.why_not)
    names = dict.fromkeys(place.image for place in places if not place.why_not and not place.is_shadowed)
    return Pinning(path, (), tuple(edits), tuple(names), unpinned)


def _but_for_pins(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the errors of a recipe that pins, or values that a run is given, do not mend; nor is a base to be run."""
    mended = (Code.PIN_MISMATCH, Code.VARIABLE_MISSING, Code.ABSTRACT_RECIPE)
    return tuple(f for f in findings if f.severity is Severity.ERROR and f.code not in mended)


def _level(source: Source, inside: Path | None) -> Level:
    data = _read(source.path, MAXIMUM_SIZE_BYTES, inside)
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise _changed_meanwhile(source.path)
    return Level.of(source, data.decode("utf-8").removeprefix(BYTE_ORDER_MARK), data)


def _judged(
    compiled: Compiled, levels: Sequence[Level], edits: Sequence[FileEdit], *, allow_outside: bool
) -> tuple[Finding, ...]:
    """Return what would be wrong with the recipe once all pins are up to date: nobody has read the new files so far."""
    loaded = compiled.loaded
    if not edits or loaded is None:
        return ()
    texts = {real_path(level.source.path): level.text for level in levels}
    texts |= {real_path(edit.source.path): edit.text for edit in edits}
    without = frozenset(loaded.declared) - frozenset(loaded.variables)
    path = loaded.source.path
    judged = compile_loaded(
        load_text(
            path,
            texts[real_path(path)],
            sha256="",
            allow_outside=allow_outside,
            settings=Settings(stand_ins=StandIns(compiled.stand_ins, without=without)),
            edited=texts,
        )
    )
    wrong = [f for f in judged.findings if f.severity is Severity.ERROR]
    wrong = [f for f in wrong if f.code not in (Code.VARIABLE_MISSING, Code.ABSTRACT_RECIPE)]
    return loaded.source.attach(map(_unplaced, wrong))


def _facts(place: PinPlace, inside: Path | None) -> FileFacts | None:
    """Return what an image's file is now; None where it is none of the recipe's own, and not there."""
    try:
        data = read_file(place.path, LARGEST_IMAGE_BYTES, inside=inside)
    except OSError as error:
        if place.is_shadowed:
            return None
        message = f"{place.path} cannot be read: {error.strerror or error}"
        finding = Finding(Code.IMAGE_MISSING, message, (IMAGES, place.image, "file"), "build it, or name another file")
        raise NotInPlace(finding) from None
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
