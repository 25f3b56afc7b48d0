"""Main flash as NOR: programming only works on erased units, erasing works on pages, and every erase wears.

# Ref: RM0091 section 3.2.2: the interface reads a half-word before it programs it and skips the program operation, with
# PGERR, unless the half-word is erased or the new value is 0x0000; a write-protected page skips with WRPRTERR.
# That the ROM reports neither to the host is AN3156 table 4's note for write protection and an inference for PGERR (to
# confirm on hardware).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from dfurun.chips import Flash
from dfurun.units import AddressRange


class FlashMemory:
    """The cells of main flash, with how often each page was erased, how many units were programmed, how often cells changed."""

    def __init__(self, layout: Flash) -> None:
        self.layout = layout
        self.erase_counts = [0] * layout.page_count
        self.programmed_units = 0
        self.changes = 0
        self._cells = bytearray([layout.erased]) * layout.extent.size_bytes

    @property
    def contents(self) -> bytes:
        """Every byte of the flash."""
        return bytes(self._cells)

    def replace(self, contents: bytes) -> None:
        """Take `contents` from the start of the flash on, as a debugger would leave it; the rest is erased.

        Raises ValueError for more than the flash holds. No wear.
        """
        if len(contents) > len(self._cells):
            raise ValueError(f"{len(contents)} bytes for a flash of {len(self._cells)}")
        self.changes += 1
        self._cells[:] = contents.ljust(len(self._cells), bytes([self.layout.erased]))

    def read(self, address: int, length: int) -> bytes:
        """Return `length` bytes; the caller has made sure that they lie inside."""
        offset = address - self.layout.extent.start
        return bytes(self._cells[offset : offset + length])

    def page_bytes(self, index: int) -> bytes:
        """Return the contents of one page."""
        page = self.layout.page(index)
        return self.read(page.start, page.size_bytes)

    def program(
        self, address: int, data: bytes, *, protected: Sequence[AddressRange] = (), unit_bytes: int | None = None
    ) -> None:
        """Program whole units from `address` on; units that are neither erased nor set to zero stay as they are.

        None for `unit_bytes` is the layout's own.
        """
        unit = unit_bytes or self.layout.program_unit_bytes
        erased, zero = bytes([self.layout.erased]) * unit, bytes(unit)
        offset = address - self.layout.extent.start
        for start in range(0, len(data) - len(data) % unit, unit):
            value = data[start : start + unit]
            place = slice(offset + start, offset + start + unit)
            if protected and any(sector.overlaps(AddressRange(address + start, unit)) for sector in protected):
                continue
            if value == zero or self._cells[place] == erased:
                self._cells[place] = value
                self.changes += 1
                self.programmed_units += 1

    def interrupt_program(self, address: int, value: bytes, *, protected: Sequence[AddressRange] = ()) -> None:
        """Leave one unit as a power cut during its programming does: some bits as in `value`, some as they were.

        No bit goes against the direction of programming. Which ones have gone is noise, the same on every run of the model.
        Where the whole of `value` would not be programmed, nothing is.
        """
        place = self.read(address, len(value))
        before = self.programmed_units
        self.program(address, value, protected=protected, unit_bytes=len(value))
        if self.programmed_units != before:
            left = interrupted(place, value, seed=f"unit 0x{address:08X}, program {before}")
            offset = address - self.layout.extent.start
            self._cells[offset : offset + len(left)] = left
            self.changes += 1

    def erase_page(self, index: int, *, protected: Sequence[AddressRange] = ()) -> None:
        """Set one page to the erased value, unless a protected sector shares a byte with it."""
        page = self.layout.page(index)
        if not any(sector.overlaps(page) for sector in protected):
            self._fill(index, bytes([self.layout.erased]) * page.size_bytes)

    def erase_all(self, *, protected: Sequence[AddressRange] = ()) -> None:
        """Erase every page; nothing at all where any sector is write-protected.

        That one protected sector stops the whole mass erase is documented for F2 and F4 (PM0059, WRPERR) and inferred here:
        to confirm on hardware.
        """
        if not protected:
            for index in range(self.layout.page_count):
                self.erase_page(index)

    def interrupt_erase(self, index: int) -> None:
        """Leave a page as a power cut during its erase does: neither old nor erased, the same on every run of the model."""
        noise = random.Random(f"page {index}, erase {self.erase_counts[index]}")
        self._fill(index, noise.randbytes(self.layout.page(index).size_bytes))

    def _fill(self, index: int, contents: bytes) -> None:
        offset = self.layout.page(index).start - self.layout.extent.start
        self._cells[offset : offset + len(contents)] = contents
        self.erase_counts[index] += 1
        self.changes += 1


def interrupted(old: bytes, new: bytes, *, seed: str) -> bytes:
    """Return cells on their way from `old` to `new`: of two or more bits that change some have changed, and some have not."""
    changing = int.from_bytes(old, "little") ^ int.from_bytes(new, "little")
    bits = [1 << bit for bit in range(changing.bit_length()) if changing >> bit & 1]
    noise = random.Random(seed)
    gone = sum(noise.sample(bits, noise.randint(1, len(bits) - 1))) if len(bits) > 1 else 0
    return (int.from_bytes(old, "little") ^ gone).to_bytes(len(old), "little")
