"""The page of all lines: what is proven by a log, what is predicted, and how sure each block is. `make docs` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfurun.chips.clones import Clone, known_clones
from dfurun.chips.database import read_facts
from dfurun.chips.errata import known_errata
from dfurun.chips.family import BLOCKS, WIDTH
from dfurun.chips.index import Entry, entries
from dfurun.chips.left_out import LeftOut, lines_left_out
from dfurun.chips.part_number import stem_of, title_of
from dfurun.chips.search import Line, found_lines
from dfurun.chips.without_dfu import lines_without_dfu
from dfurun.report.markdown import page_text, table
from dfurun.report.words import count
from dfurun.units import format_brief_size, parse_size

ABOUT = """# The chips

dfurun knows {lines} with {chips}, in {sizes} of a line each. The layout string of {proven} of
these is proven by a log of a real board, that of {predicted} is predicted.

`dfurun chips WORD` finds lines in this table, `dfurun chips show NAME` tells all of one chip, with the document of each
block. Part numbers are understood as they are ordered: [guide/chips.md](guide/chips.md).

## Coverage

Of a flash size that is proven, a log of a real board shows the layout string; of the others it follows from those. The
option bytes are stored by one of five rules; `in force` is when what is written counts.
"""
HOW_SURE = """## How sure

`high` was read in ST's own document or code, or in a real log; `medium` is a consistent inference, or one log; `low` is
a model, to be confirmed on hardware ([hardware.md](hardware.md)). Of guards the least sure one counts. A line
without guards, or without a width that can be chosen, has no mark there.
"""
LEFT_OUT = """## Left out

These have a USB DFU bootloader in ROM, and dfurun does nothing with them by guess.
"""
WITHOUT_DFU = """## Without a USB DFU bootloader in ROM

dfurun cannot reach these ({source}).
"""
CLONES = """## Clones

Devices in DFU mode that look like an STM32 and are none. dfurun names them, and sends them nothing: it has no data of
their pages, option bytes and times.
"""
COVERAGE = ("device id", "parts", "core", "proven", "predicted", "option bytes", "in force", "known trouble")


def chips_page() -> str:
    """Return the page of all lines."""
    lines = found_lines()
    facts = {line.first.names[0]: read_facts(line.first.names[0]) for line in lines}
    without = lines_without_dfu()
    return page_text(
        [
            _about(lines),
            *table(COVERAGE, (_coverage(line, facts[line.first.names[0]]) for line in lines)),
            HOW_SURE,
            *table(
                ("device id", "parts", *BLOCKS, WIDTH, "guards"),
                (_sureness(line, facts[line.first.names[0]]) for line in lines),
            ),
            *_errata(),
            LEFT_OUT,
            *table(("device id", "chips", "why", "source"), map(_left_out, lines_left_out())),
            WITHOUT_DFU.format(source=without[0].source),
            *table(("device id", "chips"), ((f"0x{line.device_id:03X}", _short(line.names)) for line in without)),
            CLONES,
            *table(("clone", "ids", "layout", "what is known of it", "source"), map(_clone, known_clones())),
        ]
    )


def _about(lines: Sequence[Line]) -> str:
    known = entries()
    proven = sum(not entry.predicted for entry in known)
    return ABOUT.format(
        lines=count(len(lines), "line", "lines"),
        chips=count(sum(len(entry.names) for entry in known), "chip", "chips"),
        sizes=count(len(known), "flash size", "flash sizes"),
        proven=proven,
        predicted=len(known) - proven,
    )


def _coverage(line: Line, facts: Mapping[str, Any]) -> Sequence[str]:
    option_bytes = facts["option-bytes"]
    return (
        f"0x{line.first.device_id:03X}",
        ", ".join(line.parts),
        line.first.core,
        _sizes(line, predicted=False),
        _sizes(line, predicted=True),
        _storage(option_bytes),
        option_bytes.get("in-force", ""),
        ", ".join(line.first.errata),
    )


def _storage(facts: Mapping[str, Any]) -> str:
    if "storage" not in facts or not facts.get("blocks"):
        return "not established"
    return f"{facts['storage']}, {sum(parse_size(block['size']) for block in facts['blocks'])} bytes"


def _sizes(line: Line, *, predicted: bool) -> str:
    def shown(entry: Entry) -> str:
        seen = read_facts(entry.names[0])["usb"].get("seen")
        return format_brief_size(entry.flash[1]) + (f" ({seen})" if seen else "")

    return ", ".join(shown(entry) for entry in line.entries if entry.predicted is predicted)


def _sureness(line: Line, facts: Mapping[str, Any]) -> Sequence[str]:
    marks = [guard["confidence"] for guard in facts["guards"]]
    least = next(mark for mark in ("low", "medium", "high") if mark in marks) if marks else ""
    blocks = (facts[block]["confidence"] if block in facts else "" for block in (*BLOCKS, WIDTH))
    return f"0x{line.first.device_id:03X}", ", ".join(line.parts), *blocks, least


def _errata() -> Iterator[str]:
    used = {name for entry in entries() for name in entry.errata}
    known = [erratum for name, erratum in known_errata().items() if name in used]
    if known:
        yield from ("## Known trouble", "")
        yield from table(
            ("name", "what it means", "what to do", "source"),
            ((f"`{erratum.name}`", erratum.means, erratum.advice_direct, erratum.source) for erratum in known),
        )


def _clone(clone: Clone) -> Sequence[str]:
    layouts = "<br>".join(f"`{name}`" for name in clone.alternates)
    return str(clone), f"{clone.vendor_id:04x}:{clone.product_id:04x}", layouts, clone.known, clone.source


def _left_out(line: LeftOut) -> Sequence[str]:
    return f"0x{line.device_id:03X}", _short(line.names), line.why, line.source


def _short(names: Sequence[str]) -> str:
    """Return chips by their lines: `STM32F103x8/B`."""
    stems = dict.fromkeys(stem_of(name) for name in names)
    return ", ".join(
        title_of(next(name for name in names if stem_of(name) == stem))[:-1]
        + "/".join(name[-1].upper() for name in names if stem_of(name) == stem)
        for stem in stems
    )
