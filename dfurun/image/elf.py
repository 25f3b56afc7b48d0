"""ELF as a sparse memory image: what its segments put where by their physical addresses.

Only the header and the segments are read. Sections and symbols are for debuggers; a stripped file has none.
# Ref: Tool Interface Standard, ELF specification 1.2, book I (header, program header); book III for the types.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfurun.image.contents import ADDRESS_SPACE, Contents, Format, join
from dfurun.image.error import ImageError, Mark
from dfurun.image.memory import MemoryImage, Piece

if TYPE_CHECKING:
    from elftools.elf.structs import ELFStructs

_MAGIC = b"\x7fELF"
_HEADER_BYTES = 52
_SEGMENT_BYTES = 32
_CLASS_OFFSET, _DATA_OFFSET, _TYPE_OFFSET, _MACHINE_OFFSET, _SEGMENT_COUNT_OFFSET = 4, 5, 0x10, 0x12, 0x2C
_REBUILD = "build it for the chip's core, and give the linked program"
_TYPES = {"ET_REL": "an object file that is not linked", "ET_DYN": "a shared object", "ET_CORE": "a core dump"}


@dataclass(frozen=True, slots=True)
class _Segment:
    """A loadable segment: where its header is in the file, where its bytes are, where they go."""

    header: int
    offset: int
    address: int
    size_bytes: int


def parse_elf(data: bytes) -> MemoryImage:
    """Return the image; raise ImageError, with the offset, for what is damaged, cut short or no program for an ARM core."""
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=True, elfclass=32)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    header = _header(data, structs)
    segments = list(_segments(data, header, structs))
    return join((_piece(data, segment) for segment in segments), Mark.OFFSET)


def _header(data: bytes, structs: ELFStructs) -> Any:
    """Return the header of what is a linked 32-bit little-endian program for ARM."""
    if data[_CLASS_OFFSET : _CLASS_OFFSET + 1] == b"\x02":
        raise _damaged(_CLASS_OFFSET, "a 64-bit ELF, no program for a Cortex-M", hint=_REBUILD)
    if data[_DATA_OFFSET : _DATA_OFFSET + 1] == b"\x02":
        raise _damaged(_DATA_OFFSET, "a big-endian ELF, no program for an STM32", hint=_REBUILD)
    if len(data) < _HEADER_BYTES:
        raise _damaged(len(data), "the ELF header is cut short")
    header = _parsed(structs.Elf_Ehdr, data, 0)
    identity = header["e_ident"]
    if (identity["EI_CLASS"], identity["EI_DATA"]) != ("ELFCLASS32", "ELFDATA2LSB"):
        raise _damaged(_CLASS_OFFSET, "no ELF of 32 bits, little-endian", hint=_REBUILD)
    if header["e_machine"] != "EM_ARM":
        raise _damaged(_MACHINE_OFFSET, f"a program for {_words(header['e_machine'])}, not for ARM", hint=_REBUILD)
    if header["e_type"] != "ET_EXEC":
        what = _TYPES.get(header["e_type"], f"an ELF of the type {header['e_type']}")
        raise _damaged(_TYPE_OFFSET, f"{what}, no program", hint=_REBUILD)
    sections_end = header["e_shoff"] + header["e_shnum"] * header["e_shentsize"]
    if sections_end > len(data):
        raise _damaged(len(data), f"the file is cut short: its section headers end at 0x{sections_end:X}")
    return header


def _segments(data: bytes, header: Any, structs: ELFStructs) -> Iterator[_Segment]:
    """Yield the loadable segments that have bytes in the file."""
    first, count = header["e_phoff"], header["e_phnum"]
    if not count:
        raise _damaged(_SEGMENT_COUNT_OFFSET, "no segments: nothing says what goes where", hint=_REBUILD)
    if header["e_phentsize"] != _SEGMENT_BYTES:
        raise _damaged(
            _SEGMENT_COUNT_OFFSET - 2, f"program headers of {header['e_phentsize']} bytes, not {_SEGMENT_BYTES}"
        )
    if first + count * _SEGMENT_BYTES > len(data):
        raise _damaged(first, "the program headers are cut short")
    total = 0
    for offset in range(first, first + count * _SEGMENT_BYTES, _SEGMENT_BYTES):
        if data[offset : offset + 4] != b"\x01\0\0\0":  # PT_LOAD; the others are for loaders of other systems
            continue
        parsed = _parsed(structs.Elf_Phdr, data, offset)
        if parsed["p_filesz"]:
            segment = _Segment(offset, parsed["p_offset"], parsed["p_paddr"], parsed["p_filesz"])
            _check(segment, parsed["p_memsz"], len(data))
            total += segment.size_bytes
            if total > len(data):
                raise _damaged(offset, "the segments together hold more than the whole file")
            yield segment


def _check(segment: _Segment, memory_bytes: int, file_bytes: int) -> None:
    if segment.offset + segment.size_bytes > file_bytes:
        end = segment.offset + segment.size_bytes
        message = f"a segment runs to offset 0x{end:X}, the file has 0x{file_bytes:X} bytes: it is cut short"
        raise _damaged(segment.header, message)
    if segment.size_bytes > memory_bytes:
        raise _damaged(segment.header, "a segment is larger in the file than in memory")
    if segment.offset < _HEADER_BYTES:
        # raspberrypi/pico-sdk#573, tock/elf2tab#75: linkers round a segment down to a page, and take the ELF's headers in
        message = f"the segment for 0x{segment.address:08X} takes in the ELF's own headers, which are no firmware"
        raise _damaged(segment.header, message, hint="link with -Wl,--nmagic, or convert with objcopy -O ihex")
    if segment.address + segment.size_bytes > ADDRESS_SPACE:
        raise _damaged(segment.header, f"data at 0x{segment.address:08X}, past the 32-bit address space")


def _piece(data: bytes, segment: _Segment) -> tuple[int, Piece]:
    return segment.header, Piece(segment.address, data[segment.offset : segment.offset + segment.size_bytes])


def _parsed(struct: Any, data: bytes, offset: int) -> Any:
    """Return a header as pyelftools reads it; raise ImageError where a value in it is none that ELF has."""
    from elftools.common.exceptions import ELFParseError
    from elftools.common.utils import struct_parse

    try:
        return struct_parse(struct, io.BytesIO(data[offset : offset + _HEADER_BYTES]))
    except ELFParseError:
        raise _damaged(offset, "a header with a value that ELF does not have") from None


def _words(machine: str | int) -> str:
    return machine.removeprefix("EM_") if isinstance(machine, str) else f"machine 0x{machine:X}"


def _damaged(offset: int, message: str, *, hint: str = "take the file from its source again") -> ImageError:
    return Mark.OFFSET.damaged(offset, message, hint=hint)


def _parse(data: bytes) -> Contents:
    return Contents(parse_elf(data))


ELF = Format("an ELF file", (".elf", ".axf"), lambda data: data.startswith(_MAGIC), _parse)
