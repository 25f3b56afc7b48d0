"""A DFU program in main flash that looks like the ROM: ST's own example, as a board can have it for its application.

# Ref: STM32Cube's DFU examples, usbd_desc.c; its class, usbd_dfu.c, knows no Read Unprotect.
"""

from __future__ import annotations

from dataclasses import replace

from dfurun.chips import Chip, UsbIdentity
from dfurun.dfuse.protocol import Command

USER_DFU_COMMANDS = (Command.GET_COMMANDS, Command.SET_ADDRESS, Command.ERASE)
_TRANSFER_SIZE_BYTES = 1024


def user_dfu_image(chip: Chip) -> bytes:
    """Return a vector table that starts in flash: a program to be the user DFU."""
    return chip.ram.end.to_bytes(4, "little") + (chip.flash.extent.start + 0x101).to_bytes(4, "little")


def user_dfu_identity(chip: Chip, unique_id: bytes) -> UsbIdentity:
    """Return how ST's DFU example presents itself: bcdDevice 0x0200, its own pages read-only, a serial from the unique id.

    # Ref: STM32Cube's DFU examples, usbd_desc.c: "DFU in FS Mode"; the serial number is UID word 0 + word 2, then the upper
    # half of word 1 (the formula checked against two pairs of unique id and serial number in libopencm3#760).
    """
    read_only = 6
    pages, size_kib = chip.flash.page_count, chip.flash.page_size_bytes // 1024
    layout = (
        f"@Internal Flash  /0x{chip.flash.extent.start:08X}"
        f"/{read_only:02}*{size_kib:03}Ka,{pages - read_only:02}*{size_kib:03}Kg"
    )
    words = [int.from_bytes(unique_id[i : i + 4], "little") for i in (0, 4, 8)]
    return replace(
        chip.usb,
        release=0x0200,
        product="DFU in FS Mode",
        serial=f"{words[0] + words[2] & 0xFFFF_FFFF:08X}{words[1] >> 16:04X}",
        transfer_size_bytes=_TRANSFER_SIZE_BYTES,
        alternates=(layout,),
    )
