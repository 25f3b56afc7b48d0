"""DfuSe files as a sparse memory image: targets, one for an alternate setting of the bootloader, made of elements.

# Ref: ST UM0391, DfuSe file format specification, section 2. Its "big endian" is little endian in every file there is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dfurun.image.contents import ADDRESS_SPACE, Contents, Format, Target, join
from dfurun.image.dfu_suffix import DFUSE_VERSION, SUFFIX_BYTES, damaged, parse_suffix
from dfurun.image.error import Mark
from dfurun.image.memory import Piece

_SIGNATURE = b"DfuSe"
_PREFIX = struct.Struct("<5sBIB")
_TARGET = struct.Struct("<6sBI255sII")
_ELEMENT = struct.Struct("<II")
_VERSION_OFFSET, _SIZE_OFFSET = 5, 6

_Placed = tuple[int, Piece]


def parse_dfuse(data: bytes) -> Contents:
    """Return what the file holds; raise ImageError, with the offset, for what is damaged, cut short or contradictory."""
    if len(data) < _PREFIX.size:
        raise damaged(len(data), "the DfuSe prefix is cut short")
    _, version, size, count = _PREFIX.unpack_from(data)
    if version != 1:
        raise damaged(_VERSION_OFFSET, f"DfuSe version {version}, where 1 is known")
    suffix = parse_suffix(data)
    end = len(data) - SUFFIX_BYTES
    if suffix.dfu_version != DFUSE_VERSION:
        raise damaged(end + 6, f"a DfuSe file whose suffix says version 0x{suffix.dfu_version:04X}, not 0x011A")
    if size not in (
        end,
        len(data),
    ):  # the second is what dfuse-pack of dfu-util 0.11 writes, the first what ST's tool does
        raise damaged(_SIZE_OFFSET, f"the prefix says {size} bytes, {end} are before the suffix: the file is cut short")
    cursor = _Cursor(data, _PREFIX.size, end)
    targets: list[Target] = []
    placed: list[_Placed] = []
    for _ in range(count):
        alternate, name, elements = _target(cursor)
        targets.append(Target(alternate, name, join(elements, Mark.OFFSET)))
        placed += elements
    if cursor.offset != end:
        raise damaged(cursor.offset, f"{end - cursor.offset} bytes after the last of {count} targets")
    return Contents(join(placed, Mark.OFFSET), suffix.usb, tuple(targets))


@dataclass(slots=True)
class _Cursor:
    """Where reading is, and where the suffix begins."""

    data: bytes
    offset: int
    end: int

    def take(self, size_bytes: int, what: str) -> bytes:
        """Return the next bytes and go on; raise ImageError where there are not so many."""
        if size_bytes > self.end - self.offset:
            left = self.end - self.offset
            raise damaged(self.offset, f"{what} has {size_bytes} bytes, {left} are left before the suffix")
        self.offset += size_bytes
        return self.data[self.offset - size_bytes : self.offset]


def _target(cursor: _Cursor) -> tuple[int, str, list[_Placed]]:
    """Return alternate setting, name and elements of the target that begins here."""
    start = cursor.offset
    signature, alternate, named, name, size, count = _TARGET.unpack(cursor.take(_TARGET.size, "a target's prefix"))
    if signature != b"Target":
        raise damaged(start, "no target begins here")
    body = cursor.offset
    elements = list(_elements(cursor, count))
    if cursor.offset - body != size:
        raise damaged(start, f"a target of {size} bytes has elements of {cursor.offset - body}")
    words = name.split(b"\0", 1)[0].decode("ascii", errors="replace") if named else ""
    return alternate, words, elements


def _elements(cursor: _Cursor, count: int) -> Iterator[_Placed]:
    for _ in range(count):
        start = cursor.offset
        address, size = _ELEMENT.unpack(cursor.take(_ELEMENT.size, "an element's header"))
        if address + size > ADDRESS_SPACE:
            raise damaged(start, f"data at 0x{address:08X}, past the 32-bit address space")
        yield start, Piece(address, cursor.take(size, f"the element for 0x{address:08X}"))


DFUSE = Format("a DfuSe file", (), lambda data: data.startswith(_SIGNATURE), parse_dfuse)
