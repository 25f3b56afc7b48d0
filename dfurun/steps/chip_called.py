"""Which chip somebody means by a name or a part number, and what to say where that is none, or several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from dfurun.chips import Chip, chip_names, load_chip
from dfurun.chips.index import by_name
from dfurun.chips.left_out import lines_left_out
from dfurun.chips.part_number import Meant, meant_by, stem_of, title_of
from dfurun.chips.without_dfu import lines_without_dfu
from dfurun.steps.step import did_you_mean
from dfurun.units import format_size

MOST_LINES = 6  # in a hint; `dfurun chips` lists the rest
BEGINS = re.compile(r"[A-Za-z0-9]+")  # a part number, before a dealer's own `-ND` or a blank
NEAR = 0.83  # chips of other lines have names that differ in one digit: none of them is meant


class NoOneChip(LookupError):
    """A name that means no chip, or several: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def chip_called(text: str) -> Chip:
    """Return the one chip that a name or a part number means; raise NoOneChip.

    Reads the index, and the file of that chip's family.
    """
    meant = meant_by(text, chip_names())
    if len(meant.names) == 1:
        return load_chip(meant.names[0])
    if meant.names:
        raise NoOneChip(f"`{text}` can mean {len(meant.names)} chips", several(text, meant.names))
    raise NoOneChip(*_none(text, meant))


def several(text: str, names: Sequence[str]) -> str:
    """Return which chips something can mean: by their flash sizes where they are of one line, else line by line, not all."""
    stems = [(stem, list(members)) for stem, members in groupby(sorted(names), key=stem_of)]
    if len(stems) == 1:
        return f"name the flash size: {_by_size(stems[0][1])}"
    shown = ", ".join(_short(members) for _, members in stems[:MOST_LINES])
    more = len(stems) - MOST_LINES
    rest = f" and {more} more line{'' if more == 1 else 's'}" if more > 0 else ""
    return f"name one: {shown}{rest}; `dfurun chips {text}` lists them"


def _none(text: str, meant: Meant) -> tuple[str, str]:
    """Return message and hint for a part number that no chip of the data has."""
    message = f"no chip is called `{text}`"
    for line in lines_without_dfu():
        found = meant_by(text, line.names).names
        if found:
            title = title_of(found[0]) if len(found) == 1 else stem_of(found[0]).upper()
            message = f"{title} has no USB DFU bootloader in its ROM"
            return message, f"a debugger or its serial bootloader flashes it, dfurun cannot ({line.source})"
    for left_out in lines_left_out():
        found = meant_by(text, left_out.names).names
        if found:
            titles = " and ".join(title_of(name) for name in found)
            message = f"{titles}: not in the chip data, {left_out.why}"
            return (
                message,
                f"`dfurun devices` with such a board shows it; reported, that would settle it ({left_out.source})",
            )
    if meant.stem:
        of_the_line = [name for name in chip_names() if stem_of(name) == meant.stem]
        return message, f"{meant.stem.upper()} is {_by_size(of_the_line)}"
    begins = BEGINS.match(text.strip())
    if begins and begins[0] != text.strip() and (names := meant_by(begins[0], chip_names()).names):
        return message, f"did you mean {names[0]!r}?" if len(names) == 1 else several(begins[0], names)
    near = did_you_mean(text.strip(), chip_names(), cutoff=NEAR)
    return message, near if near.startswith(
        "did"
    ) else "`dfurun chips` lists the chips, `dfurun chips WORD` some of them"


def _by_size(names: Sequence[str]) -> str:
    words = [f"{name} ({format_size(by_name()[name].flash[1])})" for name in names]
    return " or ".join(words)


def _short(names: Sequence[str]) -> str:
    """Return the chips of one line as one word: `stm32f072x8/xb`."""
    return "/".join([names[0], *(name[-2:] for name in names[1:])])
