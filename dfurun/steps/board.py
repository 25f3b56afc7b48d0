"""The abstract board: what is known of a board from the recipe alone, as the steps go on. Rules are judged on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from dfurun.chips import Chip, FieldValue
from dfurun.errors import RecipePath
from dfurun.image import ImageFile
from dfurun.units import AddressRange


class Presence(Enum):
    """Where the board is, as the recipe has it."""

    NOT_CONNECTED = "not connected yet"
    CONNECTED = "connected"
    LEFT = "running its application"
    UNKNOWN = "not known, after a step that could not be read"


@dataclass(frozen=True, slots=True)
class Written:
    """One earlier write: who wrote, which image, which bytes."""

    path: RecipePath
    image: ImageFile
    extents: tuple[AddressRange, ...]

    @property
    def named_at(self) -> RecipePath:
        """Where the step names what it writes."""
        return (*self.path, "data" if self.image.inline else "image")


@dataclass(frozen=True, slots=True)
class FieldSet:
    """The value that an earlier step gave an option-byte field; `named`: the step names the field itself."""

    value: FieldValue
    path: RecipePath
    named: bool


@dataclass(frozen=True, slots=True)
class AbstractBoard:
    """What the recipe's steps so far leave behind. Nothing is known at first: no page counts as erased.

    `in_doubt`: a step so far could not be read, and nothing that it may have done is held against the steps after it.
    `perhaps_verified`: one of those may have been the `verify` that an image lacks.
    """

    chip: Chip
    allow: frozenset[str] = frozenset()
    presence: Presence = Presence.NOT_CONNECTED
    erased_pages: frozenset[int] = frozenset()
    written: tuple[Written, ...] = ()
    verified: frozenset[str] = frozenset()
    sealed_by: RecipePath | None = None
    write_protected: tuple[AddressRange, ...] = ()
    write_protected_by: RecipePath | None = None
    option_fields: Mapping[str, FieldSet] = field(default_factory=dict)
    in_doubt: bool = False
    perhaps_verified: bool = False

    def with_erased(self, pages: range) -> AbstractBoard:
        """Return the board after these pages were erased: what was written there is gone."""
        gone = [self.chip.flash.page(page) for page in pages]
        kept = tuple(w for w in self.written if not any(e.overlaps(page) for e in w.extents for page in gone))
        return replace(self, erased_pages=self.erased_pages | set(pages), written=kept)

    def with_all_erased(self) -> AbstractBoard:
        """Return the board after the whole flash was erased."""
        return self.with_erased(range(self.chip.flash.page_count))

    def doubted(self) -> AbstractBoard:
        """Return the board after a step that could not be read and that may have done anything but connect or leave."""
        return replace(
            self.with_all_erased(),
            sealed_by=None,
            write_protected=(),
            write_protected_by=None,
            option_fields={},
            in_doubt=True,
            perhaps_verified=True,
        )

    def write_of(self, image: ImageFile) -> Written | None:
        """Return the write of this image that still stands, or None."""
        return next((written for written in self.written if written.image.name == image.name), None)
