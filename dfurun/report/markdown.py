"""Markdown that is made of data: tables, and the text of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    cells = [headings, ["---"] * len(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return [*(f"| {' | '.join(row)} |" for row in cells), ""]


def page_text(lines: Sequence[str]) -> str:
    """Return a page of these lines."""
    return "\n".join(lines).rstrip("\n") + "\n"
