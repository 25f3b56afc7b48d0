"""Whether a core could start from a vector table: its first two words, the initial stack pointer and the reset vector.

# Ref: ARMv6-M and ARMv7-M architecture reference manuals, section B1.5.5 (reset behaviour); AN2662 section 4.5.5.
"""

from __future__ import annotations

import struct

from dfurun.chips import Chip
from dfurun.image import ImageFile
from dfurun.units import AddressRange, format_address

TABLE_BYTES = 8
LINK_IT = "link the image for this chip and this address"


def objection(chip: Chip, table: bytes) -> str:
    """Return why no core can start from the 8 bytes of `table`, in words; empty where it can."""
    if table == bytes([chip.flash.erased]) * TABLE_BYTES:
        return "the vector table is erased"
    stack, reset = struct.unpack("<II", table)
    flash = chip.flash.extent
    found = []
    if not chip.takes_stack(stack):
        found.append(f"the initial stack pointer {format_address(stack)} is outside the RAM {chip.ram}")
    if not flash.start <= reset < flash.end:
        found.append(f"the reset vector {format_address(reset)} is outside the flash {flash}")
    elif not reset & 1:
        found.append(f"the reset vector {format_address(reset)} is even, which is no Thumb code")
    return ", ".join(found)


def implausible(chip: Chip, image: ImageFile, entry: int) -> str:
    """Return what is wrong with the vector table that the image puts at `entry`; empty where all is well, or it puts none."""
    extent = AddressRange(entry, TABLE_BYTES)
    if not any(piece.address == entry for piece in image.memory.within(extent)):
        return ""
    why = objection(chip, image.memory.overlay(extent, bytes([chip.flash.erased]) * TABLE_BYTES))
    return why and f"{image.title} cannot start at {format_address(entry)}: {why}"
