"""What option bytes a board has, or will have when the steps ahead are done: as stored, and as they may be in force.

An STM32F0 loads its option bytes at power-on, and perhaps at its ROM's reset (RM0091 section 4; docs/hardware.md). Until a
power cycle both the bytes before a change and the bytes after it may be what the chip obeys.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.chips import Chip, Flash, InForce, OptionLayout
from dfurun.units import AddressRange


@dataclass(frozen=True, slots=True)
class OptionForecast:
    """Raw option bytes: what is stored, and every image that may be in force."""

    stored: bytes
    in_force: frozenset[bytes]

    @classmethod
    def settled(cls, stored: bytes) -> OptionForecast:
        """Return the forecast of a board that has loaded what it stores."""
        return cls(stored, frozenset({stored}))

    @property
    def is_settled(self) -> bool:
        """Whether what is stored is in force for certain."""
        return self.in_force == {self.stored}

    @property
    def images(self) -> frozenset[bytes]:
        """What is stored, and all that may be in force."""
        return self.in_force | {self.stored}

    def written(self, raw: bytes, layout: OptionLayout) -> OptionForecast:
        """Return the forecast after these bytes were written, and the ROM has reset the chip."""
        if layout.in_force_at is InForce.RESET:
            return OptionForecast.settled(raw)
        return OptionForecast(raw, self.in_force | {raw})

    def power_cycled(self) -> OptionForecast:
        """Return the forecast after a power cycle."""
        return OptionForecast.settled(self.stored)

    def moves_pages(self, chip: Chip) -> bool:
        """Say whether the flash may have other pages than the chip's data has."""
        return bool(chip.page_fields) and any(chip.moved_pages(chip.option_bytes.decode(raw)) for raw in self.images)

    def write_protected(self, layout: OptionLayout, flash: Flash) -> list[AddressRange]:
        """Return the sectors that may be write-protected."""
        return sorted({sector for raw in self.images for sector in layout.write_protected(raw, flash)})
