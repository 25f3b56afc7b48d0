"""Rows of a name and a text beside it, folded on a terminal and whole on a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfurun.report.words import printable, wrapped

if TYPE_CHECKING:
    from rich.console import Console


def print_row(console: Console, name: str, text: str, *, width: int, style: str = "", whole: bool = False) -> None:
    """Print a name in `width` cells, and a text beside it; `whole`: its lines are kept as they are."""
    from rich.text import Text

    lines = printable(text).split("\n") if whole else wrapped(console, text, beside=width)
    for number, line in enumerate(lines):
        label = name.ljust(width) if number == 0 else " " * width
        console.print(Text.assemble((label, "bold"), (line, style)), soft_wrap=True)
