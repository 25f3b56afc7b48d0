"""Where things are in a recipe's text: spans of keys and values, and the places that findings show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from dfurun.errors import Finding, Place, RecipePath, Related


class Span(NamedTuple):
    """Part of one line; line and column count from 1, `end_column` is exclusive."""

    line: int
    column: int
    end_column: int


class Marks(NamedTuple):
    """Where an entry of the recipe stands: its key, where it has one, and its value."""

    key: Span | None
    value: Span
    collection: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A recipe's text and the index from paths to places in it."""

    path: Path
    sha256: str
    lines: tuple[str, ...]
    index: Mapping[RecipePath, Marks] = field(default_factory=dict)

    def place(self, span: Span) -> Place:
        """Return the place of a span of this text."""
        line = self.lines[span.line - 1] if span.line <= len(self.lines) else ""
        return Place(str(self.path), span.line, span.column, span.end_column, line)

    def find(self, path: RecipePath, *, on_key: bool = False) -> Place | None:
        """Return the place of the value (or the key) at `path`, or of its nearest parent; None for an empty text."""
        marks, wanted = self.index.get(path), path
        while marks is None and wanted:
            wanted = wanted[:-1]
            marks = self.index.get(wanted)
        if marks is None:
            return None
        if marks.key is not None and (on_key or wanted != path):
            return self.place(marks.key)
        return self.place(marks.value)

    def text_at(self, path: RecipePath) -> str:
        """Return the text of the value at `path` as it is written, quotes and all; empty where there is none."""
        marks = self.index.get(path)
        if marks is None or marks.collection:
            return ""
        return self.lines[marks.value.line - 1][marks.value.column - 1 : marks.value.end_column - 1]

    def attach(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the findings with their places filled in from their paths, in the order of the text.

        A place that is there already is kept. A related path that leads to a collection is shown by its key.
        """
        placed = [
            replace(
                finding,
                place=finding.place or self.find(finding.path, on_key=finding.on_key),
                related=tuple(self._attach_related(related) for related in finding.related),
            )
            for finding in findings
        ]
        return tuple(sorted(placed, key=_order))

    def _attach_related(self, related: Related) -> Related:
        marks = self.index.get(related.path)
        on_key = marks is not None and marks.collection
        return replace(related, place=related.place or self.find(related.path, on_key=on_key))


def _order(finding: Finding) -> tuple[int, int]:
    return (finding.place.line, finding.place.column) if finding.place else (0, 0)
