"""Who a board is: what its system memory tells of ROM version, unique id and flash size.

# Ref: AN2606 tables 3 and 226; RM0091 section 33, RM0090 section 39. That a ROM lets all of it be read is to be confirmed on
# hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dfurun.chips import Chip
from dfurun.errors import AddressRefused
from dfurun.image import MemoryImage, Piece
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

    def bootloader_version(self, *chips: Chip) -> str | None:
        """Return the ROM's version by its id, `unknown (0x..)` where the data of none of the chips that it can be has it."""
        if self.bootloader_id is None:
            return None
        known = (chip.identity.bootloader_versions.get(self.bootloader_id) for chip in chips)
        return next((version for version in known if version), f"unknown (0x{self.bootloader_id:02X})")


def read_identity(session: Session, chip: Chip) -> BoardIdentity:
    """Read who the board is; what the ROM says it cannot read stays unknown. Raise DfurunError for a link that fails."""
    where = chip.identity
    memory = MemoryImage.of(piece for extent in where.reads if (piece := _read(session, extent)))

    def take(address: int | None, size_bytes: int) -> bytes | None:
        if address is None:
            return None
        extent = AddressRange(address, size_bytes)
        return next((piece.data for piece in memory.within(extent) if piece.extent == extent), None)

    size, rom = take(where.flash_size_address, 2), take(where.bootloader_id_address, 1)
    words = [take(word.start, word.size_bytes) for word in where.unique_id]
    unique_id = None if None in words else b"".join(word for word in words if word is not None)
    size_kib = 0 if size is None else int.from_bytes(size, "little")
    return BoardIdentity(
        flash_size_bytes=None if size_kib in UNREADABLE_SIZES else size_kib * KIBI,
        bootloader_id=None if rom is None else rom[0],
        unique_id=None if unique_id is None else unique_id.hex().upper(),
    )


def _read(session: Session, extent: AddressRange) -> Piece | None:
    try:
        return Piece(extent.start, session.read(extent))
    except AddressRefused:
        return None
