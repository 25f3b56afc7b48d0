"""Pins in a recipe's text: `sha256` and `size` of its images brought up to date, and not one other character changed.

One text is edited at a time, by its own places: an image's pin belongs to the file in which its entry stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dfurun.errors import Code, Finding, RecipePath
from dfurun.recipe.document import read_document
from dfurun.recipe.positions import Marks, Span
from dfurun.recipe.scalars import AmbiguousScalar, resolve_plain
from dfurun.recipe.schema import ON_ONE_LINE
from dfurun.units import KIBI, parse_size

IMAGES = "images"
VARIABLE = "${"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_LINE_END = re.compile(r"[\r\n]+$")
_QUOTES = ("'", '"')


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a pin says of an image file: the SHA-256 of its bytes in hexadecimal, and how many they are."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PinChange:
    """One scalar to be changed; `old` is its text in the recipe, empty where the image has no such key yet."""

    image: str
    key: str
    old: str
    new: str

    @property
    def path(self) -> RecipePath:
        """Where the scalar is in the recipe; the image's entry where it is not there yet."""
        return (IMAGES, self.image, self.key) if self.old else (IMAGES, self.image)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A recipe's text with its pins up to date, and what was changed in it."""

    text: str
    changes: tuple[PinChange, ...]


class NotInPlace(ValueError):
    """A pin that cannot be changed without touching more than its own scalar; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def with_pins(text: str, found: Mapping[str, FileFacts]) -> Pinned:
    """Return a recipe's text, without its byte order mark, in which these images are pinned to what was found.

    An image that this text says nothing of is left to the file that does. Raises NotInPlace.
    """
    document = read_document(text, "")
    entries = document.value.get(IMAGES) if isinstance(document.value, dict) else None
    lines = _LINE.findall(text)[:-1] or [""]
    changes: list[PinChange] = []
    edits: list[tuple[Span, str]] = []
    for image, facts in found.items():
        entry = entries.get(image) if isinstance(entries, dict) else None
        for change, edit in _of_image(lines, document.index, image, entry, facts) if isinstance(entry, dict) else ():
            changes.append(change)
            edits.append(edit)
    for span, new in sorted(
        edits, key=lambda edit: edit[0], reverse=True
    ):  # from the end: the others keep their places
        line = lines[span.line - 1]
        lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    edited = "".join(lines)
    if changes:
        _require_nothing_else(text, edited, changes, found)
    return Pinned(edited, tuple(changes))


def _of_image(
    lines: list[str], index: Mapping[RecipePath, Marks], image: str, entry: Mapping[str, Any], facts: FileFacts
) -> Iterator[tuple[PinChange, tuple[Span, str]]]:
    """Yield the changes of one image, each with the part of a line that is replaced, and by what."""
    path = (IMAGES, image)
    if "sha256" in entry:
        if entry["sha256"] != facts.sha256:
            yield _replaced(lines, index, path, "sha256", facts.sha256)
    elif "file" in entry:
        yield PinChange(image, "sha256", "", facts.sha256), _insertion(lines, index, path, facts.sha256)
    if "size" in entry and not _is_size(entry["size"], facts.size_bytes):
        yield _replaced(lines, index, path, "size", _size_like(entry["size"], facts.size_bytes))


def _is_size(value: Any, size_bytes: int) -> bool:
    try:
        return parse_size(value) == size_bytes
    except (ValueError, TypeError):  # a variable, say
        return False


def _replaced(
    lines: list[str], index: Mapping[RecipePath, Marks], path: RecipePath, key: str, new: str
) -> tuple[PinChange, tuple[Span, str]]:
    span = index[(*path, key)].value
    old = lines[span.line - 1][span.column - 1 : span.end_column - 1]
    if VARIABLE in old:
        raise NotInPlace(
            Finding(
                Code.BAD_VALUE,
                f"`{key}` of image `{path[1]}` comes from a variable, and cannot be pinned in place",
                (*path, key),
                hint="write the hash itself, or pin where the variable gets its value",
            )
        )
    if old[:1] in _QUOTES:
        new = f"{old[0]}{new}{old[0]}"
    elif key == "sha256" and not _is_text(new):
        new = f'"{new}"'
    return PinChange(str(path[1]), key, old, new), (span, new)


def _is_text(scalar: str) -> bool:
    """Say whether every reader takes a plain scalar for text; a hash may be all digits, or have one `e` among them."""
    try:
        return isinstance(resolve_plain(scalar), str)
    except AmbiguousScalar:
        return False


def _size_like(old: int | str, size_bytes: int) -> str:
    """Return a size as people wrote the one before: in K where it is whole, in hexadecimal."""
    text = str(old)
    if text.endswith("K") and size_bytes % KIBI == 0:
        return f"{size_bytes // KIBI}K"
    return f"0x{size_bytes:X}" if text.startswith("0x") else str(size_bytes)


def _insertion(lines: list[str], index: Mapping[RecipePath, Marks], path: RecipePath, sha256: str) -> tuple[Span, str]:
    """Return where `sha256` goes behind `file`, as an empty span, and what goes there."""
    file = index[(*path, "file")]
    entry, key, value = index[path].value, file.key or file.value, file.value
    quote = lines[key.line - 1][key.column - 1]
    name = f"{quote}sha256{quote}" if quote in _QUOTES else "sha256"
    if lines[entry.line - 1][entry.column - 1] == "{":
        at = Span(value.line, value.end_column, value.end_column)
        return at, f', {name}: "{sha256}"'
    line = lines[value.line - 1]
    ends = _LINE_END.search(line)
    last = ends.start() if ends else len(line)
    usual = next((found.group() for other in lines if (found := _LINE_END.search(other))), "\n")
    indent = lines[key.line - 1][: key.column - 1]
    at = Span(value.line, last + 1, last + 1)
    return at, f'{ends.group() if ends else usual}{indent}{name}: "{sha256}"'


def _require_nothing_else(
    before: str, after: str, changes: Sequence[PinChange], found: Mapping[str, FileFacts]
) -> None:
    """Read what was edited: the pins are as found and all else is as it was. Raise NotInPlace."""
    document = read_document(after, "")
    if document.findings or _without_pins(document.value, changes) != _without_pins(
        read_document(before, "").value, changes
    ):
        raise NotInPlace(_not_in_place(changes[0]))
    for change in changes:
        value, facts = document.value[IMAGES][change.image].get(change.key), found[change.image]
        is_right = value == facts.sha256 if change.key == "sha256" else _is_size(value, facts.size_bytes)
        if not is_right:
            raise NotInPlace(_not_in_place(change))


def _without_pins(values: Any, changes: Sequence[PinChange]) -> Any:
    """Return a recipe's values less what is changed in it; None where it is no recipe any more."""
    try:
        images = dict(values[IMAGES])
        for change in changes:
            images[change.image] = {key: value for key, value in images[change.image].items() if key != change.key}
    except (TypeError, KeyError, AttributeError):
        return None
    return {**values, IMAGES: images}


def _not_in_place(change: PinChange) -> Finding:
    where = f"`{change.key}` of image `{change.image}`" if change.old else f"image `{change.image}`"
    message = f"{where} is written so that its pin cannot be put in place"
    return Finding(Code.BAD_VALUE, message, change.path, hint=f"{ON_ONE_LINE}; then pin again")
