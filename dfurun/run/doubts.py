"""Pages that may read blank and not be erased: a run was perhaps cut short in their erase, or in their programming.

A run that did not pass leaves its pages in doubt, of its own board; one that passes takes away those that it has erased. A
board that could not be told is every board. What happened at another port, or by another program, no journal knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dfurun.run.journal_lines import DAMAGED, Entry

_ERASES = frozenset({"erase", "rewrite", "mass-erase", "read-unprotect"})
_CHANGES = _ERASES | {"write"}


@dataclass(frozen=True, slots=True)
class Doubts:
    """Some pages, by their numbers: `pages`, or with `but` all others."""

    pages: frozenset[int] = frozenset()
    but: bool = False

    def __contains__(self, page: object) -> bool:
        """Say whether this page is one of them."""
        return (page in self.pages) is not self.but

    def __or__(self, more: Doubts) -> Doubts:
        """Return these and more of them."""
        if more.but:
            return Doubts(more.pages - self.pages if not self.but else more.pages & self.pages, but=True)
        return Doubts(self.pages - more.pages if self.but else self.pages | more.pages, self.but)

    def __sub__(self, less: Doubts) -> Doubts:
        """Return these without others."""
        if less.but:
            return Doubts(frozenset(page for page in less.pages if page in self))
        return Doubts(self.pages | less.pages if self.but else self.pages - less.pages, self.but)


EVERY_PAGE = Doubts(but=True)


@dataclass(slots=True)
class FlashRun:
    """What one run began to do to the flash of a board: pages that it erased, and that it changed in any way."""

    unique_id: str | None = None
    erased: Doubts = field(default_factory=Doubts)
    changed: Doubts = field(default_factory=Doubts)
    passed: bool = False


def flash_runs(journal: Sequence[Entry]) -> tuple[FlashRun, ...]:
    """Return the runs of a journal that changed flash, in their order; where it could not be read, one that did everything."""
    return tuple(run for run in _runs(journal) if run.changed != Doubts())


def doubts_of(runs: Sequence[FlashRun], unique_id: str | None) -> Doubts:
    """Return the pages of this board that may read blank and not be erased; None: of one that could not be told."""
    doubts = Doubts()
    for run in runs:
        if run.passed and run.unique_id == unique_id:
            doubts -= run.erased
        elif not run.passed and (unique_id is None or run.unique_id in (None, unique_id)):
            doubts |= run.changed
    return doubts


def _runs(journal: Sequence[Entry]) -> Iterator[FlashRun]:
    run, number = FlashRun(), None
    for entry in journal:
        if entry["entry"] == DAMAGED:
            yield run
            yield FlashRun(changed=EVERY_PAGE)
            run, number = FlashRun(), None
            continue
        if entry.get("run") != number:
            yield run
            run, number = FlashRun(), entry.get("run")
        match entry["entry"]:
            case "board":
                unique_id = entry.get("unique_id")
                run.unique_id = unique_id if isinstance(unique_id, str) else None
            case "end":
                run.passed = entry.get("outcome") == "passed"
            case kind if kind in _CHANGES:
                run.changed |= _pages(entry)
                run.erased |= _pages(entry) if kind in _ERASES else Doubts()
            case _:
                pass
    yield run


def _pages(entry: Entry) -> Doubts:
    pages = entry.get("pages")
    told = isinstance(pages, list) and all(isinstance(page, int) for page in pages)
    return Doubts(frozenset(pages)) if isinstance(pages, list) and told else EVERY_PAGE
