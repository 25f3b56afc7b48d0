"""Write protection as pages: which pages the option bytes protect, and which fields protect given pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from dfurun.chips.flash import Flash


class WriteProtection(Protocol):
    """A rule that says which pages are protected. Fields are given and returned as numbers."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that hold which pages are protected."""
        ...

    @property
    def decided_by(self) -> tuple[str, ...]:
        """All fields that have a say in it."""
        ...

    def pages(self, numbers: Mapping[str, int], flash: Flash) -> tuple[range, ...]:
        """Return the protected pages in rising order, in the groups that are protected together."""
        ...

    def protecting(self, pages: Collection[int], flash: Flash) -> dict[str, int]:
        """Return the fields that protect these pages and no others; raise ValueError, saying what can be protected."""
        ...


@dataclass(frozen=True, slots=True)
class ProtectionBits:
    """Bit n of `fields`, in order, covers `pages_a_bit` pages from n * that on.

    `widths` are the fields'; `protected` is the level of a bit that protects, and where the field `inverted_by` is 1, the
    other level is (SPRMOD of F4: a bit of nWRP that is 1 then keeps its sector from being read, and from being written).
    `last_has_rest`: the last bit covers all pages that are left as well; where it does not, those cannot be protected.
    """

    fields: tuple[str, ...]
    pages_a_bit: int
    protected: int
    widths: tuple[int, ...]
    inverted_by: str | None = None
    last_has_rest: bool = True

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The fields of the bits, and the one that turns them round."""
        return (*self.fields, *([self.inverted_by] if self.inverted_by else []))

    def pages(self, numbers: Mapping[str, int], flash: Flash) -> tuple[range, ...]:
        """Return the protected pages, a group a bit."""
        protected = self.protected ^ (numbers[self.inverted_by] if self.inverted_by else 0)
        return tuple(
            group for name, bit, group in self._groups(flash) if numbers[name] >> bit & 1 == protected and group
        )

    def protecting(self, pages: Collection[int], flash: Flash) -> dict[str, int]:
        """Return the fields; pages of one bit are protected together. A field that turns the bits round is 0."""
        wanted = set(pages)
        numbers = {
            name: 0 if self.protected else (1 << width) - 1
            for name, width in zip(self.fields, self.widths, strict=True)
        }
        for name, bit, group in self._groups(flash):
            inside = wanted & set(group)
            if inside and len(inside) < len(group):
                raise ValueError(
                    f"{flash.unit}s {group[0]} to {group[-1]} are protected together, by bit {bit} of {name}"
                )
            if inside:
                numbers[name] ^= 1 << bit
            wanted -= inside
        _require_none_left(wanted, flash)
        return numbers | ({self.inverted_by: 0} if self.inverted_by else {})

    def _groups(self, flash: Flash) -> Iterator[tuple[str, int, range]]:
        places = [(name, bit) for name, width in zip(self.fields, self.widths, strict=True) for bit in range(width)]
        page_count = flash.page_count
        for index, (name, bit) in enumerate(places):
            first = index * self.pages_a_bit
            is_rest = self.last_has_rest and index == len(places) - 1
            end = page_count if is_rest else first + self.pages_a_bit
            yield name, bit, range(min(first, page_count), min(end, page_count))


@dataclass(frozen=True, slots=True)
class Area:
    """One range of pages: from the field `start` to the field `end`, both included, counted within `bank` (from 1).

    `last` is the greatest number that `start` takes: with an `end` of 0 it protects nothing.
    """

    start: str
    end: str
    bank: int
    last: int


@dataclass(frozen=True, slots=True)
class ProtectionRanges:
    """Ranges of pages, `banks` banks with the same number each; a start behind its end protects nothing."""

    areas: tuple[Area, ...]
    banks: int

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of all areas."""
        return tuple(name for area in self.areas for name in (area.start, area.end))

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The fields of all areas."""
        return self.fields

    def pages(self, numbers: Mapping[str, int], flash: Flash) -> tuple[range, ...]:
        """Return the protected pages, a group an area."""
        found = []
        for area in self.areas:
            first, a_bank = self._bank(area, flash)
            start, end = numbers[area.start], min(numbers[area.end], a_bank - 1)
            if start <= end:
                found.append(range(first + start, first + end + 1))
        return tuple(sorted(found, key=lambda pages: pages.start))

    def protecting(self, pages: Collection[int], flash: Flash) -> dict[str, int]:
        """Return the fields; there are as many ranges as areas."""
        numbers: dict[str, int] = {}
        left = sorted(set(pages))
        for bank in sorted({area.bank for area in self.areas}):
            areas = [area for area in self.areas if area.bank == bank]
            first, a_bank = self._bank(areas[0], flash)
            here = [page for page in left if first <= page < first + a_bank]
            runs = list(_runs([page - first for page in here]))
            left = [page for page in left if page not in here]
            if len(runs) > len(areas):
                count = f"{len(areas)} range{'' if len(areas) == 1 else 's'}"
                where = f" of bank {bank}" if self.banks > 1 else ""
                raise ValueError(f"{count} of {flash.unit}s{where} can be protected, not {len(runs)}")
            for area, run in zip(areas, [*runs, *[None] * (len(areas) - len(runs))], strict=True):
                numbers[area.start], numbers[area.end] = (run[0], run[-1]) if run else (area.last, 0)
        _require_none_left(left, flash)
        return numbers

    def _bank(self, area: Area, flash: Flash) -> tuple[int, int]:
        """Return the first page of an area's bank, and how many a bank has."""
        a_bank = flash.page_count // self.banks
        return (area.bank - 1) * a_bank, a_bank


def _require_none_left(pages: Collection[int], flash: Flash) -> None:
    """Raise ValueError for pages that none of the option bytes protects which the ROM reaches."""
    if pages:
        raise ValueError(
            f"{flash.unit} {min(pages)} cannot be protected: no option byte that the ROM reaches covers it"
        )


def _runs(pages: list[int]) -> Iterator[range]:
    for _, group in groupby(enumerate(pages), key=lambda place: place[1] - place[0]):
        run = [page for _, page in group]
        yield range(run[0], run[-1] + 1)
