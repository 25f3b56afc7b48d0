"""Text from devices and files, made safe to print."""

from __future__ import annotations

from dfurun.report.diagnostics import escape

MAXIMUM_LENGTH = 1000


def printable(text: str) -> str:
    """Return the text with control characters escaped and its length capped; line breaks stay."""
    shown = "\n".join(escape(line) for line in text.split("\n"))
    return shown if len(shown) <= MAXIMUM_LENGTH else shown[: MAXIMUM_LENGTH - 3] + "..."


def count(number: int, one: str, many: str) -> str:
    """Return `1 page` or `3 pages`."""
    return f"{number} {one if number == 1 else many}"
