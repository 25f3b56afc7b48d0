"""The abstract board: what is known of a board from the recipe alone, as the steps go on. Rules are judged on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from dfurun.chips import Chip
from dfurun.errors import RecipePath
from dfurun.image import ImageFile
from dfurun.units import AddressRange


class Presence(Enum):
    """Where the board is, as the recipe has it."""

    NOT_CONNECTED = "not connected yet"
    CONNECTED = "connected"
    LEFT = "running its application"


@dataclass(frozen=True, slots=True)
class Written:
    """One earlier write: who wrote, which image, which bytes."""

    path: RecipePath
    image: ImageFile
    extents: tuple[AddressRange, ...]


@dataclass(frozen=True, slots=True)
class AbstractBoard:
    """What the recipe's steps so far leave behind. Nothing is known at first: no page counts as erased."""

    chip: Chip
    allow: frozenset[str] = frozenset()
    presence: Presence = Presence.NOT_CONNECTED
    erased_pages: frozenset[int] = frozenset()
    written: tuple[Written, ...] = ()
    verified: frozenset[str] = frozenset()
    sealed_by: RecipePath | None = None
    write_protected: tuple[AddressRange, ...] = ()
    write_protected_by: RecipePath | None = None

    def with_erased(self, pages: range) -> AbstractBoard:
        """Return the board after these pages were erased: what was written there is gone."""
        gone = [self.chip.flash.page(page) for page in pages]
        kept = tuple(w for w in self.written if not any(e.overlaps(page) for e in w.extents for page in gone))
        return replace(self, erased_pages=self.erased_pages | set(pages), written=kept)

    def with_all_erased(self) -> AbstractBoard:
        """Return the board after the whole flash was erased."""
        return self.with_erased(range(self.chip.flash.page_count))

    def write_of(self, image: ImageFile) -> Written | None:
        """Return the write of this image that still stands, or None."""
        return next((written for written in self.written if written.image.name == image.name), None)
