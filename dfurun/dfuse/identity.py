"""Who a board is: what its system memory tells of ROM version, unique id and flash size.

# Ref: AN2606 tables 3 and 226; RM0091 section 33. That a ROM lets all of it be read is to be confirmed on hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfurun.chips import Chip
from dfurun.units import KIBI, AddressRange

if TYPE_CHECKING:
    from dfurun.dfuse.session import Session

UNREADABLE_SIZES = (0x0000, 0xFFFF)


@dataclass(frozen=True, slots=True)
class BoardIdentity:
    """What a board told of itself; None where it could not be read (a protected chip reads nothing)."""

    flash_size_bytes: int | None = None
    bootloader_id: int | None = None
    unique_id: str | None = None

    def bootloader_version(self, chip: Chip) -> str | None:
        """Return the ROM's version by its id, `unknown (0x..)` where the data has none for it."""
        if self.bootloader_id is None:
            return None
        return chip.identity.bootloader_versions.get(self.bootloader_id, f"unknown (0x{self.bootloader_id:02X})")


def read_identity(session: Session, chip: Chip) -> BoardIdentity:
    """Read who the board is, in one transfer where it fits; raise DfurunError where it cannot be read."""
    where = chip.identity
    start = min(where.bootloader_id_address, where.unique_id.start, where.flash_size_address) & ~0xFFF
    end = max(where.bootloader_id_address + 1, where.unique_id.end, where.flash_size_address + 2)
    raw = session.read(AddressRange(start, (end - start + 3) & ~3))

    def take(address: int, size_bytes: int) -> bytes:
        return raw[address - start : address - start + size_bytes]

    size_kib = int.from_bytes(take(where.flash_size_address, 2), "little")
    return BoardIdentity(
        flash_size_bytes=None if size_kib in UNREADABLE_SIZES else size_kib * KIBI,
        bootloader_id=take(where.bootloader_id_address, 1)[0],
        unique_id=take(where.unique_id.start, where.unique_id.size_bytes).hex().upper(),
    )
