"""The doctor's checks as people and tools read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dfurun.report.words import count, printable
from dfurun.usb.doctor import Check, Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
        "details": list(check.details),
    }


def print_checks(console: Console, checks: Sequence[Check], *, quiet: bool = False) -> None:
    """Print checks, a block each, and what they come to; `quiet` leaves out what is well."""
    for check in checks:
        if not (quiet and check.verdict is Verdict.OK):
            for line in _lines(check):
                console.print(line, soft_wrap=True)
    problems = sum(check.verdict is Verdict.PROBLEM for check in checks)
    if problems:
        console.print(
            f"{count(problems, 'problem', 'problems')}: until that is mended nothing can be flashed", style="bold red"
        )
    elif not quiet:
        console.print("nothing prevents flashing", style="bold green")


def _lines(check: Check) -> Iterator[Text]:
    from rich.text import Text

    indent = " " * (NAME_WIDTH + VERDICT_WIDTH)
    line = Text(check.name.ljust(NAME_WIDTH))
    line.append(check.verdict.value.ljust(VERDICT_WIDTH), style=STYLES[check.verdict])
    line.append((f"error[{check.code}]: " if check.code else "") + printable(check.message))
    yield line
    for detail in check.details:
        yield Text(indent + printable(detail), style="dim")
    if check.hint:
        yield Text(f"{indent}what to do: {printable(check.hint)}")
