"""Makers of firmware files, good and broken: each writes what it is told, right or not."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

FLASH = 0x0800_0000
OPTION_BYTES = 0x1FFF_F800
VENDOR, PRODUCT = 0x0483, 0xDF11
ANY = 0xFFFF


def vector_table(stack: int = 0x2000_4000, reset: int = FLASH + 9) -> bytes:
    return struct.pack("<II", stack, reset)


FIRMWARE = vector_table() + bytes.fromhex("fee7") * 12  # a vector table, and branches to themselves


# Intel HEX -----------------------------------------------------------------------------------------------------------


def hex_record(address: int, kind: int, data: bytes) -> str:
    raw = struct.pack(">BHB", len(data), address, kind) + data
    return f":{(raw + bytes([-sum(raw) & 0xFF])).hex().upper()}"


def hex_base(address: int) -> str:
    return hex_record(0, 4, (address >> 16).to_bytes(2, "big"))


HEX_END = ":00000001FF"


def hex_data(address: int, data: bytes) -> list[str]:
    """A base address, and data within its 64 KiB."""
    lines = [hex_record((address + at) & 0xFFFF, 0, data[at : at + 16]) for at in range(0, len(data), 16)]
    return [hex_base(address), *lines]


def text(*lines: str, end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode("latin-1")


# Motorola S-records --------------------------------------------------------------------------------------------------

_ADDRESS_BYTES = {0: 2, 1: 2, 2: 3, 3: 4, 4: 4, 5: 2, 6: 3, 7: 4, 8: 3, 9: 2}


def s_record(kind: int, address: int, data: bytes = b"") -> str:
    body = address.to_bytes(_ADDRESS_BYTES[kind], "big") + data
    raw = bytes([len(body) + 1]) + body
    return f"S{kind}{raw.hex().upper()}{~sum(raw) & 0xFF:02X}"


def s_data(address: int, data: bytes, kind: int = 3) -> list[str]:
    return [s_record(kind, address + at, data[at : at + 16]) for at in range(0, len(data), 16)]


S_HEADER = s_record(0, 0, b"dfurun")
S_END = s_record(7, FLASH)


# ELF -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """A program header; its bytes are put behind the headers unless `offset` says where they are."""

    address: int
    data: bytes
    kind: int = 1
    virtual: int | None = None
    memory_bytes: int | None = None
    offset: int | None = None
    file_bytes: int | None = None


ELF_HEADER_BYTES, SEGMENT_BYTES = 52, 32


def elf(
    *segments: Segment, machine: int = 40, kind: int = 2, width: int = 1, order: int = 1,
    sections: tuple[int, int] = (0, 0), segment_bytes: int = SEGMENT_BYTES,
) -> bytes:  # fmt: skip
    """An ELF file without sections; `sections` is the offset and the number of section headers that it claims."""
    body_at = ELF_HEADER_BYTES + SEGMENT_BYTES * len(segments)
    headers, body = bytearray(), bytearray()
    for segment in segments:
        size = len(segment.data) if segment.file_bytes is None else segment.file_bytes
        headers += struct.pack(
            "<8I", segment.kind, body_at + len(body) if segment.offset is None else segment.offset,
            segment.address if segment.virtual is None else segment.virtual, segment.address,
            size, size if segment.memory_bytes is None else segment.memory_bytes, 5, 4,
        )  # fmt: skip
        body += segment.data
    identity = b"\x7fELF" + bytes([width, order, 1]) + bytes(9)
    header = struct.pack(
        "<HHIIIIIHHHHHH", kind, machine, 1, FLASH + 8, ELF_HEADER_BYTES, sections[0], 0x0500_0200,
        ELF_HEADER_BYTES, segment_bytes, len(segments), 40, sections[1], 0,
    )  # fmt: skip
    return identity + header + headers + body


# DFU -----------------------------------------------------------------------------------------------------------------


def suffixed(
    data: bytes,
    *,
    vendor: int = VENDOR,
    product: int = PRODUCT,
    version: int = 0x0100,
    length: int = 16,
    device: int = ANY,
) -> bytes:
    """Bytes with a DFU suffix, whose CRC is right."""
    whole = data + struct.pack("<HHHH3sB", device, product, vendor, version, b"UFD", length)
    return whole + struct.pack("<I", zlib.crc32(whole) ^ 0xFFFF_FFFF)


def element(address: int, data: bytes, *, size: int | None = None) -> bytes:
    return struct.pack("<II", address, len(data) if size is None else size) + data


def target(
    *elements: bytes, alternate: int = 0, name: str = "ST...", size: int | None = None, signature: bytes = b"Target"
) -> bytes:
    body = b"".join(elements)
    length = len(body) if size is None else size
    return struct.pack("<6sBI255sII", signature, alternate, bool(name), name.encode(), length, len(elements)) + body


def dfuse(
    *targets: bytes, version: int = 1, size: int | None = None, more: bytes = b"", dfu_version: int = 0x011A,
    vendor: int = VENDOR, product: int = PRODUCT, device: int = ANY,
) -> bytes:  # fmt: skip
    """A DfuSe file, whose CRC is right; `more` is between the last target and the suffix."""
    body = b"".join(targets) + more
    length = 11 + len(body) if size is None else size
    prefix = struct.pack("<5sBIB", b"DfuSe", version, length, len(targets))
    return suffixed(prefix + body, vendor=vendor, product=product, version=dfu_version, device=device)
