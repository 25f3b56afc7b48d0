"""Part numbers as people write them: which chips one can mean.

A part number is a stem (the line), a letter for the pins, one for the flash size, then the package, the temperature range and
the packing: of all that a chip's name in the data has the stem and the flash size, with an `x` for the pins.

# Ref: the section on ordering information at the end of every STM32 datasheet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

VENDOR_PREFIX = "stm32"
ANY = "x"  # stands for every letter, as in the data's own names

_WRITTEN = re.compile(r"[a-z0-9]{2,24}")
_BEHIND_STEM = re.compile(r"(?:[a-z](?P<size>[a-z0-9])?(?:[a-z](?:[0-9x][a-z0-9]{0,6})?)?)?")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a part number can mean: the chips' names, sorted. `stem`: the line is named in full, `size`: so is its flash."""

    names: tuple[str, ...]
    stem: str = ""
    size: str = ""


def meant_by(text: str, names: Collection[str]) -> Meant:
    """Return which of the chips in `names` a part number means, whole or begun, with the vendor's prefix or without.

    None where no line begins so, where the flash size is one that the line does not have (then the stem is told), and where
    what follows it is no package. A name is a part number as well.
    """
    written = text.strip().casefold().removeprefix(VENDOR_PREFIX)
    if not _WRITTEN.fullmatch(written):
        return Meant(())
    stems = {name: stem_of(name).removeprefix(VENDOR_PREFIX) for name in names}
    stem = max((stem for stem in stems.values() if written.startswith(stem)), key=len, default="")
    if not stem:
        return Meant(tuple(sorted(name for name, of in stems.items() if of.startswith(written))))
    of_the_line = sorted(name for name, of in stems.items() if of == stem)
    behind = _BEHIND_STEM.fullmatch(written[len(stem) :])
    if behind is None:
        return Meant((), VENDOR_PREFIX + stem)
    size = behind["size"] or ""
    if size not in ("", ANY):
        of_the_line = [name for name in of_the_line if name.endswith(size)]
    return Meant(tuple(of_the_line), VENDOR_PREFIX + stem, size)


def stem_of(name: str) -> str:
    """Return what a chip's name begins with: all but the `x` for its pins and the letter of its flash size."""
    return name[:-2]


def names_of(parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the names of chips of which a file of the data gives the stems, and to each the letters of its flash sizes."""
    for stem, letters in parts.items():
        yield from (f"{stem}{ANY}{letter}".lower() for letter in letters)


def title_of(name: str) -> str:
    """Return a chip's name as its vendor writes it."""
    return f"{stem_of(name).upper()}{ANY}{name[-1].upper()}"
