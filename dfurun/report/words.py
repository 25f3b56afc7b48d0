"""Text from devices and files, made safe to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfurun.report.wrapping import fold_for
from dfurun.text import disarm, escape
from dfurun.units import format_hex

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.chips import Chip

MAXIMUM_LENGTH = 1000
ROW_BYTES = 16


def printable(text: str) -> str:
    """Return the text with control characters escaped and its length capped; line breaks stay."""
    shown = "\n".join(disarm(escape(line)) for line in text.split("\n"))
    return shown if len(shown) <= MAXIMUM_LENGTH else shown[: MAXIMUM_LENGTH - 3] + "..."


def wrapped(console: Console, text: str, *, beside: int = 0) -> list[str]:
    """Return a text in lines that fit on a terminal beside something `beside` cells wide; elsewhere as it is.

    Only its first line is prose: what follows a line break is something to copy, and stays whole. Words stay whole as well, and
    what counts as one (`dfurun.report.wrapping`).
    """
    first, *rest = printable(text).split("\n")
    return [*fold_for(console, first, beside=beside), *rest]


def print_hint(console: Console, text: str) -> None:
    """Print what to do about the line before, a little further in."""
    for line in wrapped(console, text, beside=2):
        console.print(f"  {line}", soft_wrap=True)


def print_folded(console: Console, text: str, *, style: str = "", further_in: int = 0) -> None:
    """Print a text, on a terminal in lines that fit; what does not begin it stands a little further in."""
    for number, line in enumerate(wrapped(console, text, beside=further_in)):
        console.print((" " * further_in if number else "") + line, style=style, soft_wrap=True)


def count(number: int, one: str, many: str) -> str:
    """Return `1 page` or `3 pages`."""
    return f"{number} {one if number == 1 else many}"


def titles_of(chips: Sequence[Chip]) -> str:
    """Return the names of chips of which a board has one: `STM32F401xC or STM32F411xC`."""
    *others, last = [chip.title for chip in chips]
    return f"{', '.join(others)} or {last}" if others else last


def raw_rows(raw: bytes, beside: bytes | None = None) -> list[str]:
    """Return raw bytes in hex, 16 in a row, each row led by its offset where there are several.

    With `beside` only the rows that differ from it, where there are several.
    """
    if len(raw) <= ROW_BYTES:
        return [format_hex(raw, group=2)]
    offsets = range(0, len(raw), ROW_BYTES)
    return [
        f"{f'+{at}':<5}{format_hex(raw[at : at + ROW_BYTES], group=2)}"
        for at in offsets
        if beside is None or raw[at : at + ROW_BYTES] != beside[at : at + ROW_BYTES]
    ]
