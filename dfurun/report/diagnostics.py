"""Findings as people and tools read them: text with carets, JSON objects, GitHub annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dfurun.errors import Finding, Place, Severity
from dfurun.report.wrapping import fold_for, keep, keep_whole
from dfurun.text import escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_TAB_CELLS = 4
_LEAST_CELLS = 40
_FURTHER_IN = 4
_COLOUR = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


# Text ----------------------------------------------------------------------------------------------------------------


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print findings for people: place, code, message, the source line with carets, hints, and how many there are."""
    for finding in findings:
        for line in _finding_lines(finding, console):
            console.print(line, soft_wrap=True, highlight=False)
    if findings:
        console.print(count_findings(findings), soft_wrap=True, highlight=False, markup=False)


def count_findings(findings: Sequence[Finding]) -> str:
    """Return `2 errors, 1 warning`."""
    counts = [(severity, sum(finding.severity is severity for finding in findings)) for severity in Severity]
    return ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in counts if n) or "no findings"


def _finding_lines(finding: Finding, console: Console) -> Iterator[Text]:
    from rich.text import Text

    colour = _COLOUR[finding.severity]
    yield from _heading_lines(finding, console, colour)
    gutter = len(str(max([p.line for p in (finding.place, *(r.place for r in finding.related)) if p], default=0)))
    cells = max(console.width - gutter - 4, _LEAST_CELLS)
    if finding.place:
        yield from _excerpt(_parts(finding.place, cells), f" {finding.place.line:>{gutter}} | ", "^", colour)
    for related in finding.related:
        label = escape(related.message)
        if related.place:
            line_number = f" {related.place.line:>{gutter}} | "
            yield from _excerpt(_parts(related.place, cells), line_number, "-", "bold blue", label=label)
        else:
            margin = " " * (gutter + 4)
            yield from (Text(margin + line) for line in fold_for(console, label, beside=len(margin)))
    for label, words in (*(("", note) for note in finding.notes), ("hint: ", finding.hint)):
        if words:
            yield from _remark_lines(label, escape(words), console, margin=" " * (gutter + 2))


def _heading_lines(finding: Finding, console: Console, colour: str) -> Iterator[Text]:
    """Yield place, code and message. Place and code stay on one line."""
    from rich.text import Text

    place = f"{escape(str(finding.place))}: " if finding.place else ""
    code = f"{finding.severity}[{finding.code.label}]"
    head = keep(f"{place}{code}:")
    first, *rest = fold_for(console, f"{head} {keep_whole(escape(finding.message))}", beside=_FURTHER_IN)
    yield Text.assemble((place, "bold"), (code, colour), first[len(place) + len(code) :])
    yield from (Text(" " * _FURTHER_IN + line) for line in rest)


def _remark_lines(label: str, words: str, console: Console, *, margin: str) -> Iterator[Text]:
    """Yield a note or a hint, its further lines under its first word."""
    from rich.text import Text

    first, *rest = fold_for(console, keep(label) + keep_whole(words), beside=len(margin) + 2)
    yield Text.assemble((f"{margin}= ", "blue"), (label, "bold"), first[len(label) :])
    yield from (Text(f"{margin}  {line}") for line in rest)


def _excerpt(
    parts: tuple[str, str, str], line_number: str, mark: str, style: str, *, label: str = ""
) -> Iterator[Text]:
    """Yield the source line and the carets under it; nothing where there is no source line."""
    from rich.cells import cell_len
    from rich.text import Text

    before, marked, after = parts
    if not (before + marked + after).strip():
        return
    yield Text.assemble((line_number, "blue"), before, marked, after)
    gutter = " " * (len(line_number) - 2) + "| "
    carets = mark * max(1, cell_len(marked))
    yield Text.assemble((gutter, "blue"), " " * cell_len(before), (f"{carets} {label}".rstrip(), style))


def _parts(place: Place, cells: int) -> tuple[str, str, str]:
    """Return the source line as it is shown in that many cells: before, under and after the carets."""
    from rich.cells import cell_len

    line, start, end = place.source_line, place.column - 1, place.end_column - 1
    before, marked, after = _shown(line[:start]), _shown(line[start:end]), _shown(line[end:].rstrip())
    if cell_len(before) + cell_len(marked) + cell_len(after) <= cells:
        return before, marked, after
    marked = _clip(marked, cells * 2 // 3)
    room = cells - cell_len(marked)
    before = _clip(before[::-1], max(room // 2, room - cell_len(after)))[::-1]
    return before, marked, _clip(after, room - cell_len(before))


def _clip(text: str, cells: int) -> str:
    """Return the beginning of a text, with `...` at the end where it is cut to fit."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= cells else f"{set_cell_size(text, max(cells - 3, 0))}..."


def _shown(text: str) -> str:
    return escape(text.replace("\t", " " * _TAB_CELLS))


# JSON ----------------------------------------------------------------------------------------------------------------


def finding_object(finding: Finding) -> dict[str, Any]:
    """Return a finding as one object of the JSON Lines stream."""
    return {
        "event": "finding",
        "code": finding.code.label,
        "severity": str(finding.severity),
        "message": finding.message,
        "notes": list(finding.notes),
        "hint": finding.hint or None,
        **_place_object(finding.place),
        "related": [{"message": related.message, **_place_object(related.place)} for related in finding.related],
    }


def silenced_object(finding: Finding, reason: str) -> dict[str, Any]:
    """Return a finding that a recipe silences as one object of the JSON Lines stream: what it is, and why."""
    return {
        "event": "silenced",
        "code": finding.code.label,
        "reason": reason,
        "message": finding.message,
        **_place_object(finding.place),
    }


def _place_object(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"file": None, "line": None, "column": None, "end_column": None}
    return {"file": place.file, "line": place.line, "column": place.column, "end_column": place.end_column}


# GitHub --------------------------------------------------------------------------------------------------------------


def github_annotation(finding: Finding) -> str:
    """Return a finding as a workflow command, which GitHub shows beside the line in a pull request.

    # Ref: actions/toolkit, packages/core/src/command.ts (what is escaped)
    """
    properties: dict[str, str | int] = {}
    if finding.place:
        place = finding.place
        properties = {
            "file": escape(place.file),
            "line": place.line,
            "col": place.column,
            "endColumn": place.end_column - 1,
        }
    properties["title"] = finding.code.label
    listed = ",".join(f"{name}={_escape_property(str(value))}" for name, value in properties.items())
    also = [f"{related.message}: {related.place}" for related in finding.related if related.place]
    lines = [finding.message, *finding.notes, *also, *([f"hint: {finding.hint}"] if finding.hint else [])]
    message = "\n".join(escape(line) for line in "\n".join(lines).split("\n"))
    return f"::{finding.severity} {listed}::{_escape_data(message)}"


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
