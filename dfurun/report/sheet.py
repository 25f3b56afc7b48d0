"""Rows of a name and a text beside it, folded on a terminal and whole on a pipe."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from dfurun.report.words import printable

if TYPE_CHECKING:
    from rich.console import Console

LEAST_WIDTH = 30


def print_row(console: Console, name: str, text: str, *, width: int, style: str = "", whole: bool = False) -> None:
    """Print a name in `width` cells, and a text beside it; `whole`: its lines are kept as they are."""
    from rich.text import Text

    lines = printable(text).split("\n")
    if console.is_terminal and not whole:
        room = max(console.width - width, LEAST_WIDTH)
        lines = [
            line for part in lines for line in textwrap.wrap(part, room, break_long_words=False, break_on_hyphens=False)
        ]
    for number, line in enumerate(lines):
        label = name.ljust(width) if number == 0 else " " * width
        console.print(Text.assemble((label, "bold"), (line, style)), soft_wrap=True)
