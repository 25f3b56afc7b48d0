"""Which file each pin of a recipe belongs into, where the recipe is laid over bases: the one that says which file is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfurun.recipe import Source
from dfurun.recipe.chain import real_path
from dfurun.recipe.document import read_document
from dfurun.recipe.pins import IMAGES, VARIABLE

KEYS = ("file", "sha256", "size")


@dataclass(frozen=True, slots=True)
class Level:
    """One file of a recipe: its text, without its byte order mark, its bytes, and what it says itself."""

    source: Source
    text: str
    data: bytes
    values: Mapping[str, Any]

    @classmethod
    def of(cls, source: Source, text: str, data: bytes) -> Level:
        """Return a level from its text."""
        found = read_document(text, str(source.path)).value
        return cls(source, text, data, found if isinstance(found, dict) else {})

    @property
    def images(self) -> Mapping[str, Mapping[str, Any]]:
        """Its own entries of images."""
        entries = self.values.get(IMAGES)
        named = entries.items() if isinstance(entries, dict) else ()
        return {name: entry for name, entry in named if isinstance(entry, dict)}

    def inherits(self, image: str) -> bool:
        """Say whether what a base says of an image is kept."""
        removed = self.values.get("remove")
        names = [name for name in removed if isinstance(name, str)] if isinstance(removed, list) else []
        return not any(name == IMAGES or f"{name}.".startswith(f"{IMAGES}.{image}.") for name in names)


@dataclass(frozen=True, slots=True)
class PinPlace:
    """An image's entry in one of a recipe's files, and the image's file: as it is written, and where it is.

    `why_not` says what keeps it from being pinned there. `is_shadowed`: the recipe takes another file for this image.
    """

    level: Level
    image: str
    file: str
    path: Path
    is_shadowed: bool
    why_not: str = ""


def pin_places(levels: Sequence[Level]) -> Iterator[PinPlace]:
    """Yield where the images of a recipe are pinned, the nearest file first; of an image without any pin where one goes."""
    names = dict.fromkeys(name for level in levels for name in level.images)
    for name in names:
        meant = _file(levels, 0, name)
        pinned: set[str] = {
            real_path(found[1])
            for at, level in enumerate(levels)
            if "sha256" in level.images.get(name, {}) and (found := _file(levels, at, name))
        }
        for at, level in enumerate(levels):
            entry, found = level.images.get(name, {}), _file(levels, at, name)
            if not any(key in entry for key in KEYS) or found is None:
                continue
            file, path = found
            is_pinned_elsewhere = "sha256" not in entry and "size" not in entry and real_path(path) in pinned
            if is_pinned_elsewhere and VARIABLE not in file:
                continue
            pinned.add(real_path(path))
            is_shadowed = meant is None or real_path(meant[1]) != real_path(path)
            yield PinPlace(level, name, file, path, is_shadowed, _why_not(entry, file))


def _file(levels: Sequence[Level], first: int, image: str) -> tuple[str, Path] | None:
    """Return the file of an image in the recipe that one of the levels is, with its bases."""
    for level in levels[first:]:
        file = level.images.get(image, {}).get("file")
        if isinstance(file, str):
            return file, level.source.path.parent / file
        if not level.inherits(image):
            return None
    return None


def _why_not(entry: Mapping[str, Any], file: str) -> str:
    if VARIABLE in file:
        return f"its file is `{file}`, another one for each value"
    given = next((key for key in ("sha256", "size") if VARIABLE in str(entry.get(key, ""))), None)
    return f"its `{given}` is `{entry[given]}`, which a run is given" if given else ""
