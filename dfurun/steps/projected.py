"""A board as far as it is known at one point of a plan: bytes of flash, option bytes, whether reading is refused.

The abstract board (`dfurun.steps.board`) serves the rules of the recipe language, and knows what the recipe alone tells; this
one holds contents, of which a live board tells all and no board none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

from dfurun.chips import BootTarget, Chip, FieldValue
from dfurun.chips.page_geometry import moved_in_words
from dfurun.image import MemoryImage, Piece
from dfurun.units import AddressRange, format_size

OPEN_LEVEL = "level-0"
WORD_BYTES = 4
MOST_BOOT_CASES = 4096


@dataclass(frozen=True, slots=True)
class ProjectedBoard:
    """What is known of a board: `flash` is the known bytes of each page by its number, a page that it lacks is not known.

    `raw` are the option bytes as they are stored, where all are known; else `named` are the fields that are. `protected` says
    whether reading is refused, None: not known. `bootloader_id` is None where it was not read.
    """

    chip: Chip
    flash: Mapping[int, MemoryImage] = field(default_factory=dict)
    raw: bytes | None = None
    named: Mapping[str, FieldValue] = field(default_factory=dict)
    protected: bool | None = None
    bootloader_id: int | None = None

    # Flash ------------------------------------------------------------------------------------------------------------

    def page(self, index: int) -> bytes | None:
        """Return what a page holds; None where not all of it is known."""
        extent, known = self.chip.flash.page(index), self.flash.get(index)
        whole = known is not None and len(known.pieces) == 1 and known.pieces[0].extent == extent
        return known.pieces[0].data if known is not None and whole else None

    def seen_at(self, extent: AddressRange) -> bytes:
        """Return what stands in a part of the flash; what is not known is taken for erased."""
        flash, seen = self.chip.flash, bytes([self.chip.flash.erased]) * extent.size_bytes
        for page in flash.pages_of(extent):
            seen = self.flash.get(page, MemoryImage(())).overlay(extent, seen)
        return seen

    def contents(self) -> bytes | None:
        """Return all of the flash; None where not all of it is known."""
        pages = [self.page(index) for index in range(self.chip.flash.page_count)]
        return None if None in pages else b"".join(page for page in pages if page is not None)

    def is_blank(self, index: int) -> bool | None:
        """Say whether a page is erased; None where that is not known."""
        page, erased = self.page(index), bytes([self.chip.flash.erased])
        if page is not None:
            return page == self.chip.flash.blank(index)
        known = self.flash.get(index)
        spoiled = known is not None and any(piece.data.strip(erased) for piece in known.pieces)
        return False if spoiled else None

    def holds(self, memory: MemoryImage, index: int) -> bool | None:
        """Say whether a page holds an image's bytes; None where that is not known."""
        known, sure = self.flash.get(index, MemoryImage(())), True
        for wanted in memory.within(self.chip.flash.page(index)):
            found = tuple(known.within(wanted.extent))
            if any(wanted.data[p.address - wanted.address :][: len(p.data)] != p.data for p in found):
                return False
            sure &= sum(len(piece.data) for piece in found) == len(wanted.data)
        return True if sure else None

    def erased(self, pages: Iterable[int]) -> ProjectedBoard:
        """Return the board after these pages were erased."""
        flash = self.chip.flash
        blank = {page: MemoryImage((Piece(flash.page(page).start, flash.blank(page)),)) for page in pages}
        return replace(self, flash={**self.flash, **blank})

    def written(self, pieces: Sequence[Piece]) -> ProjectedBoard:
        """Return the board after these bytes were written; what lies beside them stays, known or not."""
        changed: dict[int, MemoryImage] = {}
        image = MemoryImage.of(pieces)
        for page in {page for piece in pieces for page in self.chip.flash.pages_of(piece.extent)}:
            known = self.flash.get(page, MemoryImage(()))
            new = tuple(image.within(self.chip.flash.page(page)))
            for piece in new:
                known = known.without(piece.extent)
            changed[page] = MemoryImage.of((*known.pieces, *new))
        return replace(self, flash={**self.flash, **changed})

    def loss(self, pages: Sequence[int]) -> str:
        """Say what an erase of these pages loses; empty where they are blank for certain."""
        flash = self.chip.flash
        blank = {page: self.is_blank(page) for page in pages}
        unknown = [page for page in pages if blank[page] is None]
        held = [page for page in pages if blank[page] is False]
        size_bytes = sum(flash.page(page).size_bytes for page in held)
        words = [
            f"what {flash.count(len(held))} hold{'s' if len(held) == 1 else ''} ({format_size(size_bytes)})"
        ] * bool(held)
        if unknown:
            all_of_it = len(unknown) == flash.page_count
            words.append("whatever is in the flash" if all_of_it else f"whatever is in {flash.count(len(unknown))}")
        return " and ".join(words)

    # Option bytes -----------------------------------------------------------------------------------------------------

    @property
    def protects(self) -> bool:
        """Whether the option bytes that are stored protect the chip from being read, once they are in force."""
        return self.fields.get("RDP", OPEN_LEVEL) != OPEN_LEVEL

    @property
    def moved_pages(self) -> str:
        """Say which option bytes that are stored give the flash other pages than are known; empty where none does."""
        return moved_in_words(self.chip.moved_pages(self.fields), self.fields)

    @property
    def fields(self) -> Mapping[str, FieldValue]:
        """The option-byte fields whose values are known."""
        return self.named if self.raw is None else self.chip.option_bytes.decode(self.raw)

    def with_options(self, raw: bytes | None, named: Mapping[str, FieldValue] | None = None) -> ProjectedBoard:
        """Return the board with these option bytes stored: all of them, or where not all are known the fields that are."""
        return replace(self, raw=raw, named={} if named is None else dict(named))

    def starts(self, *, boot0: int) -> BootTarget | None:
        """Return what the board starts at power-on with BOOT0 at this level; None where it hangs on what is not known."""
        fields, layout = self.fields, self.chip.option_bytes
        open_fields = [layout.fields[name] for name in sorted(self.chip.boot.fields - fields.keys())]
        if prod(1 << known.width for known in open_fields) > MOST_BOOT_CASES:
            return None
        cases = product(*([known.name_of(number) for number in range(1 << known.width)] for known in open_fields))
        empty = self._starts_empty()
        found = {
            self.chip.starts(
                {**fields, **dict(zip((f.name for f in open_fields), case, strict=True))}, boot0=boot0, flash_empty=e
            )
            for case in cases
            for e in ([True, False] if empty is None else [empty])
        }
        return found.pop() if len(found) == 1 else None

    def _starts_empty(self) -> bool | None:
        """Say whether the first word of the flash is erased; None where that is not known."""
        if not self.chip.checks_for_empty_flash:
            return False
        start, erased = self.chip.flash.extent.start, bytes([self.chip.flash.erased])
        known = tuple(self.flash.get(0, MemoryImage(())).within(AddressRange(start, WORD_BYTES)))
        if any(piece.data.strip(erased) for piece in known):
            return False
        return True if sum(len(piece.data) for piece in known) == WORD_BYTES else None
