"""One side of a comparison: a compiled recipe, and the pages that it erases and writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dfurun.chips import Chip, FieldValue
from dfurun.plan import Compiled, Interpretation
from dfurun.recipe import Recipe
from dfurun.steps.board import AbstractBoard
from dfurun.units import AddressRange


@dataclass(frozen=True, slots=True)
class Side:
    """A recipe and its abstract boards."""

    recipe: Recipe
    interpretation: Interpretation

    @classmethod
    def of(cls, compiled: Compiled) -> Side:
        """Return the side of a recipe whose own parts are sound; raise ValueError for another."""
        recipe = compiled.to_compare
        if recipe is None or compiled.interpretation is None:
            raise ValueError("a recipe that does not compile cannot be compared")
        return cls(recipe, compiled.interpretation)

    @property
    def chip(self) -> Chip:
        """The recipe's chip."""
        return self.recipe.chip

    @property
    def final(self) -> AbstractBoard:
        """The board that the recipe leaves behind."""
        return self.interpretation.boards[-1]

    @property
    def known_fields(self) -> Mapping[str, FieldValue]:
        """The option-byte fields that the recipe gives a value, at its end."""
        return {name: given.value for name, given in self.final.option_fields.items()}

    @property
    def written_pages(self) -> frozenset[int]:
        """The pages that hold what the recipe has written, at its end."""
        return pages_of(self.chip, (extent for written in self.final.written for extent in written.extents))

    @property
    def touched_pages(self) -> frozenset[int]:
        """The pages of which nothing is left that was there before: erased or written by some step."""
        extents = (e for board in self.interpretation.boards for written in board.written for e in written.extents)
        return self.final.erased_pages | pages_of(self.chip, extents)


def pages_of(chip: Chip, extents: Iterable[AddressRange]) -> frozenset[int]:
    """Return the numbers of the pages that share a byte with `extents`, as far as they lie in main flash."""
    flash = chip.flash
    return frozenset(page for extent in extents if flash.extent.contains(extent) for page in flash.pages_of(extent))


def newly_lost(old: Side, new: Side) -> frozenset[int]:
    """Return the pages that the new recipe erases or writes and the old one kept; none where the chips' pages differ."""
    if old.chip.flash != new.chip.flash:
        return frozenset()
    return new.touched_pages - old.touched_pages
