"""The lines of the chip data as a list: one row a line, from the index alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dfurun.chips.index import Entry
from dfurun.chips.part_number import title_of
from dfurun.chips.search import Line
from dfurun.report.sheet import print_row
from dfurun.report.words import count, print_folded
from dfurun.units import format_brief_size

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("id", "core", "flash", "layout")
MOST_SIZES = 3  # of a line in a row, so that the row has room for the parts
FEW = 4  # lines, of which the chips' names are shown as well
SEEN, PREDICTED, IN_PART = "seen", "predicted", "in part"


def chip_object(entry: Entry, name: str) -> dict[str, Any]:
    """Return one chip as JSON values."""
    return {
        "event": "chip",
        "name": name,
        "title": title_of(name),
        "family": entry.family,
        "core": entry.core,
        "device_id": entry.device_id,
        "lines": [title_of(other) for other in entry.names],
        "flash_size_bytes": entry.flash[1],
        "ram_size_bytes": entry.ram_size_bytes,
        "vendor_id": entry.vendor_id,
        "product_id": entry.product_id,
        "product": entry.product,
        "layout": list(entry.alternates),
        "predicted": entry.predicted,
        "errata": list(entry.errata),
    }


def layout_is(line: Line) -> str:
    """Say whether a log shows the layout string of a line's chips, of all its flash sizes or of some."""
    predicted = {entry.predicted for entry in line.entries}
    return IN_PART if len(predicted) == 2 else PREDICTED if True in predicted else SEEN


def sizes_of(line: Line) -> str:
    """Return the flash sizes of a line, rising: `64K 128K`; of many the least and the most."""
    sizes = list(dict.fromkeys(format_brief_size(entry.flash[1]) for entry in line.entries))
    return " ".join(sizes if len(sizes) <= MOST_SIZES else [sizes[0], "..", sizes[-1]])


def print_lines(console: Console, lines: Sequence[Line], *, asked: bool) -> None:
    """Print a row a line; where few were asked for, the chips' names under each."""
    rows = [(f"0x{line.first.device_id:03X}", line.first.core, sizes_of(line), layout_is(line)) for line in lines]
    widths = [max(map(len, column)) + 2 for column in zip(HEADINGS, *rows, strict=True)]
    width = sum(widths)

    def cells(row: Sequence[str]) -> str:
        return "".join(cell.ljust(place) for cell, place in zip(row, widths, strict=True))

    print_row(console, cells(HEADINGS), "parts", width=width)
    for line, row in zip(lines, rows, strict=True):
        print_row(console, cells(row), " ".join(line.parts), width=width)
        if asked and len(lines) <= FEW:
            print_row(console, "", " ".join(line.names), width=2)
    chips = sum(len(line.names) for line in lines)
    console.print()
    found = f"{count(len(lines), 'line', 'lines')}, {count(chips, 'chip', 'chips')}"
    more = "" if asked else "; `dfurun chips WORD` finds some of them"
    print_folded(console, f"{found}{more}. `dfurun chips show NAME` tells all of one chip.")
    if not asked:
        print_folded(console, "Layout: seen in a log of a real board, or predicted; in part: of some flash sizes.")
