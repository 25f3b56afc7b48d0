"""The doctor's checks as people and tools read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dfurun.report.words import count, printable, wrapped
from dfurun.usb.doctor import Check, Verdict

if TYPE_CHECKING:
    from rich.console import Console

NAME_WIDTH = 14
VERDICT_WIDTH = 9
STYLES = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.PROBLEM: "bold red"}


def check_object(check: Check) -> dict[str, Any]:
    """Return a check as JSON values."""
    return {
        "event": "check",
        "name": check.name,
        "verdict": check.verdict.value,
        "code": None if check.code is None else str(check.code),
        "message": check.message,
        "hint": check.hint or None,
        "command": check.command or None,
        "details": list(check.details),
    }


def print_checks(console: Console, checks: Sequence[Check], *, quiet: bool = False) -> None:
    """Print checks, a block each, and what they come to; `quiet` leaves out all but problems."""
    for check in checks:
        if not quiet or check.verdict is Verdict.PROBLEM:
            _print(console, check)
    problems = sum(check.verdict is Verdict.PROBLEM for check in checks)
    if problems:
        words = f"{count(problems, 'problem', 'problems')}: nothing can be flashed before that is mended"
        console.print(words, style="bold red", soft_wrap=True)
    elif not quiet:
        console.print("nothing prevents flashing", style="bold green")


def _print(console: Console, check: Check) -> None:
    from rich.text import Text

    indent = " " * (NAME_WIDTH + VERDICT_WIDTH)
    first, *rest = wrapped(
        console, (f"error[{check.code}]: " if check.code else "") + check.message, beside=len(indent)
    )
    line = Text(check.name.ljust(NAME_WIDTH))
    line.append(check.verdict.value.ljust(VERDICT_WIDTH), style=STYLES[check.verdict])
    line.append(first)
    console.print(line, soft_wrap=True)
    for text in rest:
        console.print(indent + text, soft_wrap=True)
    for detail in check.details:
        for text in wrapped(console, detail, beside=len(indent)):
            console.print(indent + text, style="dim", soft_wrap=True)
    if check.hint:
        for text in wrapped(console, f"what to do: {check.hint}", beside=len(indent)):
            console.print(indent + text, soft_wrap=True)
    if check.command:  # whole and at the margin, to be copied
        console.print(printable(check.command), style="bold", soft_wrap=True)
