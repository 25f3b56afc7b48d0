"""A DFU program in main flash that looks like the ROM: ST's own example, as a board can have it for its application.

# Ref: STM32Cube's DFU examples, usbd_desc.c; its class, usbd_dfu.c, knows no Read Unprotect.
"""

from __future__ import annotations

from dataclasses import replace

from dfurun.chips import Chip, UsbIdentity
from dfurun.dfuse.protocol import Command
from dfurun.simulator.descriptors import serial_number
from dfurun.units import KIBI

USER_DFU_COMMANDS = (Command.GET_COMMANDS, Command.SET_ADDRESS, Command.ERASE)
_TRANSFER_SIZE_BYTES = 1024
_READ_ONLY_PAGES = 6


def user_dfu_image(chip: Chip) -> bytes:
    """Return a vector table that starts in flash: a program to be the user DFU."""
    return chip.ram.end.to_bytes(4, "little") + (chip.flash.extent.start + 0x101).to_bytes(4, "little")


def user_dfu_identity(chip: Chip, unique_id: bytes) -> UsbIdentity:
    """Return how ST's DFU example presents itself: bcdDevice 0x0200, its own pages read-only, a serial from the unique id.

    # Ref: STM32Cube's DFU examples, usbd_desc.c: "DFU in FS Mode".
    """
    first, *others = chip.flash.runs
    read_only = min(_READ_ONLY_PAGES, first.count - 1)
    parts = [
        _segment(read_only, first.page_size_bytes, "a"),
        _segment(first.count - read_only, first.page_size_bytes, "g"),
    ]
    parts += [_segment(run.count, run.page_size_bytes, "g") for run in others]
    layout = f"@Internal Flash  /0x{chip.flash.extent.start:08X}/{','.join(parts)}"
    return replace(
        chip.usb,
        release=0x0200,
        product="DFU in FS Mode",
        serial=serial_number(unique_id),
        transfer_size_bytes=_TRANSFER_SIZE_BYTES,
        alternates=(layout,),
    )


def _segment(count: int, size_bytes: int, access: str) -> str:
    return f"{count:02}*{size_bytes // KIBI:03}K{access}"
