"""The suffix of a DFU file, which is not firmware, and raw binary that carries one.

# Ref: USB Device Firmware Upgrade 1.1, appendix B; UM0391 section 2.2 (bcdDFU 0x011A for DfuSe).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from dfurun.image.contents import Contents, Format, UsbIds
from dfurun.image.error import ImageError, Mark
from dfurun.image.memory import MemoryImage, Piece

SUFFIX_BYTES = 16
DFUSE_VERSION = 0x011A
_PLAIN_VERSIONS = (0x0100, 0x0110)
_SIGNATURE = b"UFD"  # "DFU" backwards, as is all of the suffix
_NEAR_THE_END = 2 * SUFFIX_BYTES


@dataclass(frozen=True, slots=True)
class DfuSuffix:
    """What a suffix says: the device that the file is for, and the specification that it keeps to."""

    usb: UsbIds
    dfu_version: int


def has_suffix(data: bytes) -> bool:
    """Say whether a file ends in a suffix, or in one that was cut or has something after it."""
    return data[-8:-5] == _SIGNATURE or _SIGNATURE + bytes([SUFFIX_BYTES]) in data[-_NEAR_THE_END:]


def parse_suffix(data: bytes) -> DfuSuffix:
    """Return what a file's suffix says; raise ImageError where it is not there or not whole, or its CRC is wrong."""
    start = len(data) - SUFFIX_BYTES
    if start < 0 or data[-8:-5] != _SIGNATURE:
        if _SIGNATURE in data[-_NEAR_THE_END:]:
            raise damaged(data.rindex(_SIGNATURE), "a DFU suffix that is cut short, or that something follows")
        hint = "a raw binary that was never a DFU file is called .bin, or gets a suffix from dfu-suffix --add"
        raise damaged(len(data), "no DFU suffix at the end: the file is cut short", hint=hint)
    _, product, vendor, version, _, length, crc = struct.unpack("<HHHH3sBI", data[start:])
    if length != SUFFIX_BYTES:
        raise damaged(start + 11, f"a DFU suffix of {length} bytes, where {SUFFIX_BYTES} are known")
    found = zlib.crc32(data[:-4]) ^ 0xFFFF_FFFF  # the CRC-32 of DFU goes without the last inversion
    if found != crc:
        raise damaged(start + 12, f"the CRC is 0x{found:08X}, the DFU suffix says 0x{crc:08X}: the file is damaged")
    return DfuSuffix(UsbIds(vendor, product), version)


def damaged(offset: int, message: str, *, hint: str = "take the file from its source again") -> ImageError:
    """Return the error for what is wrong at an offset."""
    return Mark.OFFSET.damaged(offset, message, hint=hint)


def _parse(data: bytes) -> Contents:
    suffix = parse_suffix(data)
    if suffix.dfu_version == DFUSE_VERSION:
        raise damaged(0, "the suffix is that of a DfuSe file, and the file does not begin with DfuSe")
    if suffix.dfu_version not in _PLAIN_VERSIONS:
        message = f"a DFU suffix of version 0x{suffix.dfu_version:04X}, where 0x0100, 0x0110 and 0x011A are known"
        raise damaged(len(data) - 10, message)
    return Contents(MemoryImage.of([Piece(0, data[:-SUFFIX_BYTES])]), usb=suffix.usb)


SUFFIXED_BINARY = Format("raw binary with a DFU suffix", (".dfu",), has_suffix, _parse, has_addresses=False)
