"""Where things are in a recipe's texts: spans of keys and values, and the places that findings show."""

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
    """A recipe's text and the index from paths to places in it.

    Of a recipe that is made of several files, `path`, `sha256` and `lines` are those of the one that was asked for; `owners`
    has the file of every value that stands in another one, `bases` these files, the nearest first. `remarks` are facts about
    values, a line each: which variable one comes from.
    """

    path: Path
    sha256: str
    lines: tuple[str, ...]
    index: Mapping[RecipePath, Marks] = field(default_factory=dict)
    owners: Mapping[RecipePath, Source] = field(default_factory=dict)
    bases: tuple[Source, ...] = ()
    remarks: Mapping[RecipePath, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Source, ...]:
        """All files that the recipe is made of: itself, then its bases, the nearest first."""
        return (self, *self.bases)

    def owner(self, path: RecipePath) -> Source:
        """Return the file in which the value at `path`, or its nearest parent, stands."""
        while path not in self.index and path:
            path = path[:-1]
        return self.owners.get(path, self)

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
        owner = self.owners.get(wanted, self)
        if marks.key is not None and (on_key or wanted != path):
            return owner.place(marks.key)
        return owner.place(marks.value)

    def text_at(self, path: RecipePath) -> str:
        """Return the text of the value at `path` as it is written, quotes and all; empty where there is none.

        It is empty as well where a variable gave the value: nobody has written that here.
        """
        marks = self.index.get(path)
        if marks is None or marks.collection or path in self.remarks:
            return ""
        return self.owners.get(path, self).slice(marks.value)

    def slice(self, span: Span) -> str:
        """Return what stands in a span of this text."""
        return self.lines[span.line - 1][span.column - 1 : span.end_column - 1]

    def attach(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the findings with their places filled in from their paths, in the order of the texts.

        A place that is there already is kept. A related path that leads to a collection is shown by its key.
        """
        placed = [
            replace(
                finding,
                place=finding.place or self.find(finding.path, on_key=finding.on_key),
                related=tuple(self._attach_related(related) for related in finding.related),
                notes=self._with_remark(finding),
            )
            for finding in findings
        ]
        ranks = {str(file.path): rank for rank, file in enumerate(self.files)}
        return tuple(sorted(placed, key=lambda finding: _order(finding, ranks)))

    def _with_remark(self, finding: Finding) -> tuple[str, ...]:
        remark = self.remarks.get(finding.path)
        return finding.notes if remark is None or remark in finding.notes else (*finding.notes, remark)

    def _attach_related(self, related: Related) -> Related:
        marks = self.index.get(related.path)
        on_key = marks is not None and marks.collection
        return replace(related, place=related.place or self.find(related.path, on_key=on_key))


def _order(finding: Finding, ranks: Mapping[str, int]) -> tuple[int, int, int]:
    place = finding.place
    return (ranks.get(place.file, len(ranks)), place.line, place.column) if place else (-1, 0, 0)
