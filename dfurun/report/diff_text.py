"""A comparison of recipes as people read it on a terminal: how bad it is, each change with its reason, the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff
from typing import TYPE_CHECKING

from dfurun.diff import Change, Rank
from dfurun.diff.comparison import Comparison
from dfurun.report.diff_tables import Table, headline, tables
from dfurun.report.variables import compared_with
from dfurun.report.words import print_folded, printable

if TYPE_CHECKING:
    from rich.console import Console

A_BASE = "a base, whose changes show in the recipes that extend it"
STYLES = {
    Rank.CANNOT_BE_UNDONE: "bold red",
    Rank.LOSES_DATA: "bold red",
    Rank.WEAKENS: "bold yellow",
    Rank.ROUTINE: "bold",
}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what a change of a recipe means; where a side does not compile, which, and that nothing is compared."""
    difference = comparison.difference
    stand_ins = compared_with(comparison.stand_ins)
    if comparison.is_base:
        print_folded(console, f"{title(comparison)}: {A_BASE}", further_in=2)
        return
    if difference is None:
        sides = f"{' and '.join(comparison.broken_sides)} {do_not(comparison)}"
        print_folded(console, f"{title(comparison)}: not compared, {sides} compile", style="bold")
        return
    if not difference.changes:
        after = f"; {stand_ins}" if stand_ins else ""
        print_folded(console, f"{title(comparison)}: {headline(difference)}{after}", further_in=2)
        return
    print_folded(console, title(comparison), style="bold")
    print_folded(console, headline(difference), style=STYLES[difference.changes[0].rank])
    if stand_ins:
        print_folded(console, stand_ins)
    for rank in Rank:
        changes = [change for change in difference.changes if change.rank is rank]
        if changes:
            console.print()
            console.print(rank.words, style=STYLES[rank])
            for change in changes:
                _print_change(change, console)
    for table in tables(difference):
        console.print()
        _print_table(table, console)


def title(comparison: Comparison) -> str:
    """Return which recipe is compared, and from what to what."""
    if comparison.old_label == comparison.new_label:
        return comparison.name
    if comparison.name == comparison.new_label:
        return f"{comparison.old_label} -> {comparison.new_label}"
    was = f", was {comparison.old_name}" if comparison.old_name else ""
    return f"{comparison.name} ({comparison.old_label} -> {comparison.new_label}{was})"


def do_not(comparison: Comparison) -> str:
    """Return the verb for the sides that do not compile."""
    return "does not" if len(comparison.broken_sides) == 1 else "do not"


def words_of(change: Change) -> str:
    """Return a change in one line: what, before and after."""
    if change.before and change.after:
        return f"{change.what}: {change.before} -> {change.after}"
    return f"{change.what} ({change.before or change.after})" if change.before or change.after else change.what


def _print_change(change: Change, console: Console) -> None:
    from dfurun.report.words import wrapped

    for number, line in enumerate(wrapped(console, words_of(change), beside=4)):
        console.print(f"  {'  ' if number else ''}{line}", soft_wrap=True)
    for line in wrapped(console, change.why, beside=6):
        console.print(f"      {line}", soft_wrap=True)


def _print_table(table: Table, console: Console) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in table.headings:
        shown.add_column(Text(heading), overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table.title, style="bold")
    for line in console.render_lines(shown, pad=False):
        text = Text.assemble(*((part.text, part.style or "") for part in line))
        text.rstrip()
        console.print(text, soft_wrap=True)


def print_patch(name: str, old: Sequence[str], new: Sequence[str], console: Console) -> None:
    """Print how the lines of a recipe differ, as git does, for git calls a driver in place of its own."""
    for line in unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm=""):
        console.print(printable(line), soft_wrap=True)
