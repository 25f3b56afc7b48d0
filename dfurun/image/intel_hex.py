"""Intel HEX as a sparse memory image.

# Ref: Intel, Hexadecimal Object File Format Specification, revision A.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import intelhex

from dfurun.errors import Code
from dfurun.image.error import ImageError
from dfurun.image.memory import MemoryImage, Piece

_FIRST_RECORD = re.compile(rb"\s*:[0-9A-Fa-f]{2}")
_END_OF_FILE = "01"
_SECTION_STARTS = ("02", "04")
_ADDRESS_SPACE = 1 << 32

Line = tuple[int, str]


def looks_like_intel_hex(data: bytes) -> bool:
    """Say whether a file's content begins like Intel HEX."""
    return _FIRST_RECORD.match(data) is not None


def parse_intel_hex(data: bytes) -> MemoryImage:
    """Return the image; raise ImageError, with the line, for whatever is damaged, cut short or contradictory."""
    lines = _lines(data)
    pieces: list[Piece] = []
    for section in _sections(_until_end(lines)):
        for piece in _section_pieces(section):
            if piece.extent.end > _ADDRESS_SPACE:
                raise _damaged(section[0][0], f"data at 0x{piece.address:X}, past the 32-bit address space")
            pieces.append(piece)
    _check_end(lines)
    try:
        return MemoryImage.of(pieces)
    except ValueError as error:
        raise ImageError(Code.IMAGE_INVALID, str(error), hint="link or convert the image again") from None


def _lines(data: bytes) -> list[Line]:
    """Return the lines that hold anything, with their numbers."""
    numbered = enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1)
    lines: list[Line] = []
    for number, raw in numbered:
        line = raw.strip(b" \t")
        if not line:
            continue
        if not line.isascii():
            raise _damaged(number, "a byte that is not ASCII")
        lines.append((number, line.decode("ascii")))
    return lines


def _type_of(line: str) -> str:
    return line[7:9]


def _until_end(lines: list[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        if _type_of(line[1]) == _END_OF_FILE:
            return


def _check_end(lines: list[Line]) -> None:
    ends = [index for index, (_, line) in enumerate(lines) if _type_of(line) == _END_OF_FILE]
    if not ends:
        raise _damaged(lines[-1][0] if lines else 1, "no end-of-file record: the file is cut short")
    if ends[0] + 1 < len(lines):
        raise _damaged(lines[ends[0] + 1][0], "something after the end-of-file record")


def _sections(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Yield runs of lines under one base address, at most 64 KiB of data each: intelhex keeps a dict of single bytes."""
    section: list[Line] = []
    for line in lines:
        if _type_of(line[1]) in _SECTION_STARTS and section:
            yield section
            section = []
        section.append(line)
    if section:
        yield section


def _section_pieces(section: list[Line]) -> Iterator[Piece]:
    records = intelhex.IntelHex()
    try:
        records.loadhex(io.StringIO("\n".join(line for _, line in section)))
    except intelhex.HexReaderError as error:
        raise _damaged(section[error.line - 1][0], _explain(error)) from None
    for start, end in records.segments():
        yield Piece(start, records.tobinstr(start=start, end=end - 1))


def _explain(error: intelhex.HexReaderError) -> str:
    match error:
        case intelhex.RecordChecksumError():
            return "the checksum is wrong"
        case intelhex.RecordLengthError():
            return "the record is longer or shorter than it says"
        case intelhex.RecordTypeError():
            return "an unknown record type"
        case intelhex.AddressOverlapError():
            return f"a second value for 0x{error.address:08X}"
        case intelhex.DuplicateStartAddressRecordError():
            return "a second start address"
        case _ if type(error) is intelhex.HexRecordError:
            return "not an Intel HEX record"
        case _:
            return "an invalid record"


def _damaged(line: int, message: str) -> ImageError:
    hint = "the file is damaged: take it from its source again"
    return ImageError(Code.IMAGE_INVALID, message, line=line, hint=hint)
