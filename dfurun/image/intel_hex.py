"""Intel HEX as a sparse memory image.

intelhex judges every record and says what is wrong with it. It takes a microsecond a byte; sections of which each record is
plain and sound are joined without it, so that 2 MiB load in half a second.

# Ref: Intel, Hexadecimal Object File Format Specification, revision A.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dfurun.image.contents import ADDRESS_SPACE, Contents, Format, join
from dfurun.image.error import Mark
from dfurun.image.memory import MemoryImage, Piece
from dfurun.image.text import Line, damaged, holds_record, numbered_lines

if TYPE_CHECKING:
    from intelhex import HexReaderError

_RECORD = re.compile(rb":(?:[0-9A-Fa-f]{2}){1,260}")
_DATA = "00"
_DATA_HEAD = re.compile(rf":(?P<length>[0-9A-Fa-f]{{2}})(?P<address>[0-9A-Fa-f]{{4}}){_DATA}")
_END_OF_FILE = "01"
_SECTION_STARTS = {"02": 4, "04": 16}  # how far the base address in such a record is shifted
_ENTRY_POINTS = ("03", "05")  # of no matter for flashing: the vector table says where a core starts
_SEGMENT_BYTES = 1 << 16
_SHORTEST = 5  # length, address, type, checksum


def looks_like_intel_hex(data: bytes) -> bool:
    """Say whether a file's content is a text with Intel HEX records."""
    return holds_record(data, _RECORD, _is_sound)


def parse_intel_hex(data: bytes) -> MemoryImage:
    """Return the image; raise ImageError, with the line, for whatever is damaged, cut short or contradictory."""
    lines = numbered_lines(data)
    pieces: list[Piece] = []
    for section in _sections(_until_end(lines)):
        for piece in _section_pieces(section):
            if piece.extent.end > ADDRESS_SPACE:
                number = next(n for n, part in _records(section) if part.extent.end > ADDRESS_SPACE)
                raise damaged(number, "data past the 32-bit address space")
            pieces.append(piece)
    _check_end(lines)
    try:
        return MemoryImage.of(pieces)
    except ValueError:
        return join(_records(lines), Mark.LINE)  # it knows the lines, and raises


def _is_sound(record: bytes) -> bool:
    raw = bytes.fromhex(record[1:].decode())
    return len(raw) == raw[0] + 5 and sum(raw) & 0xFF == 0


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
        raise damaged(lines[-1][0] if lines else 1, "no end-of-file record: the file is cut short")
    if ends[0] + 1 < len(lines):
        raise damaged(lines[ends[0] + 1][0], "something after the end-of-file record")


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


def _section_pieces(section: list[Line]) -> Iterable[Piece]:
    plain = _plain_pieces(section)
    return _judged_pieces(section) if plain is None else plain


def _plain_pieces(section: list[Line]) -> list[Piece] | None:
    """Return the data of a section whose records are all sound, and of the plainest kinds; None leaves it to intelhex."""
    base, pieces, data, end = 0, list[Piece](), bytearray(), -1
    for index, (_, line) in enumerate(section):
        try:
            record = bytes.fromhex(line[1:])
        except ValueError:
            return None
        if len(record) < _SHORTEST or 2 * len(record) + 1 != len(line) or line[0] != ":":
            return None
        if len(record) != record[0] + _SHORTEST or sum(record) & 0xFF:
            return None
        address = record[1] << 8 | record[2]
        match record[3], record[0], address:
            case 0, length, _ if address + length <= _SEGMENT_BYTES:
                if base + address != end:
                    pieces.append(Piece(end - len(data), bytes(data)))
                    data, end = bytearray(), base + address
                data += record[4:-1]
                end += length
            case 4, 2, 0 if not index:
                base = (record[4] << 8 | record[5]) << 16
            case (3 | 5, 4, 0) | (1, 0, 0):
                pass
            case _:
                return None
    return [piece for piece in (*pieces, Piece(end - len(data), bytes(data))) if piece.data]


def _judged_pieces(section: list[Line]) -> Iterator[Piece]:
    import intelhex

    section = _without_entry_points(section)
    _check_segment(section)
    records = intelhex.IntelHex()
    try:
        records.loadhex(io.StringIO("\n".join(line for _, line in section)))
    except intelhex.AddressOverlapError as error:
        join(_records(section[: error.line]), Mark.LINE)
        raise damaged(section[error.line - 1][0], f"a second value for 0x{error.address:08X}") from None
    except intelhex.HexReaderError as error:
        raise damaged(section[error.line - 1][0], _explain(error)) from None
    for start, end in records.segments():
        yield Piece(start, records.tobinstr(start=start, end=end - 1))


def _without_entry_points(section: list[Line]) -> list[Line]:
    """Return the section without its start addresses, each of which is sound; a HEX may have both kinds."""
    import intelhex

    kept = []
    for number, line in section:
        if _type_of(line) not in _ENTRY_POINTS:
            kept.append((number, line))
            continue
        try:
            intelhex.IntelHex().loadhex(io.StringIO(line))
        except intelhex.HexReaderError as error:
            raise damaged(number, _explain(error)) from None
    return kept


def _check_segment(section: list[Line]) -> None:
    """Refuse data that runs past the end of a segment of type 02: there it would go on at the segment's start."""
    if not section or _type_of(section[0][1]) != "02":
        return
    for number, line in section:
        found = _DATA_HEAD.match(line)  # what is no record is intelhex's to tell
        if found and int(found["address"], 16) + int(found["length"], 16) > _SEGMENT_BYTES:
            raise damaged(number, "data past the end of its segment of 64 KiB")


def _explain(error: HexReaderError) -> str:
    import intelhex

    match error:
        case intelhex.RecordChecksumError():
            return "the checksum is wrong"
        case intelhex.RecordLengthError():
            return "the record is longer or shorter than it says"
        case intelhex.RecordTypeError():
            return "an unknown record type"
        case intelhex.DuplicateStartAddressRecordError():
            return "a second start address"
        case _ if type(error) is intelhex.HexRecordError:
            return "not an Intel HEX record"
        case _:
            return "an invalid record"


def _records(lines: list[Line]) -> Iterator[tuple[int, Piece]]:
    """Yield the data of lines that are sound, each with its number."""
    base = 0
    for number, line in lines:
        kind = _type_of(line)
        if kind in _SECTION_STARTS:
            base = int(line[9:13], 16) << _SECTION_STARTS[kind]
        elif kind == _DATA:
            yield number, Piece(base + int(line[3:7], 16), bytes.fromhex(line[9:-2]))


def _parse(data: bytes) -> Contents:
    return Contents(parse_intel_hex(data))


INTEL_HEX = Format("an Intel HEX file", (".hex", ".ihex", ".ihx"), looks_like_intel_hex, _parse)
