"""Main flash: what can be erased by itself, and what can be programmed at once."""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.units import AddressRange


@dataclass(frozen=True, slots=True)
class PageRun:
    """Equal pages in a row."""

    count: int
    page_size_bytes: int


@dataclass(frozen=True, slots=True)
class Flash:
    """Main flash. A *page* is what is erased at once; ST calls it a sector where sizes differ, and so does `unit`.

    `write_alignment_bytes` is the ROM's rule for address and length of a write (AN2606 table 7).
    """

    extent: AddressRange
    runs: tuple[PageRun, ...]
    unit: str
    erased: int
    program_unit_bytes: int
    write_alignment_bytes: int

    @property
    def granule_bytes(self) -> int:
        """What is written as a whole: a program unit that is written twice is spoiled, and the ROM asks for its alignment."""
        return max(self.program_unit_bytes, self.write_alignment_bytes)

    @property
    def page_count(self) -> int:
        """How many pages the flash has."""
        return sum(run.count for run in self.runs)

    @property
    def page_sizes_bytes(self) -> tuple[int, ...]:
        """The sizes that pages have, rising."""
        return tuple(sorted({run.page_size_bytes for run in self.runs}))

    def page(self, index: int) -> AddressRange:
        """Return the page with this number; raise IndexError where there is none."""
        start, first = self.extent.start, 0
        for run in self.runs:
            if first <= index < first + run.count:
                return AddressRange(start + (index - first) * run.page_size_bytes, run.page_size_bytes)
            start, first = start + run.count * run.page_size_bytes, first + run.count
        raise IndexError(f"the flash has the {self.unit}s 0 to {self.page_count - 1}, not {index}")

    def page_index(self, address: int) -> int:
        """Return the number of the page that holds `address`; raise IndexError for an address outside the flash."""
        start, first = self.extent.start, 0
        for run in self.runs:
            end = start + run.count * run.page_size_bytes
            if start <= address < end:
                return first + (address - start) // run.page_size_bytes
            start, first = end, first + run.count
        raise IndexError(f"0x{address:08X} is outside the flash, {self.extent}")

    def pages_of(self, covered: AddressRange) -> range:
        """Return the numbers of the pages that share a byte with `covered`, which lies inside the flash."""
        return range(self.page_index(covered.start), self.page_index(covered.end - 1) + 1)

    def is_page(self, extent: AddressRange) -> bool:
        """Say whether `extent` is exactly one page."""
        return (
            self.extent.start <= extent.start < self.extent.end and self.page(self.page_index(extent.start)) == extent
        )

    def blank(self, index: int) -> bytes:
        """Return what a page reads as when it is erased."""
        return bytes([self.erased]) * self.page(index).size_bytes

    def count(self, pages: int) -> str:
        """Return `1 page` or `3 sectors`, in the chip's own word."""
        return f"{pages} {self.unit}{'' if pages == 1 else 's'}"
