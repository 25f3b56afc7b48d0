"""Motorola S-records as a sparse memory image.

Read by ourselves: bincopy, the library for it, names no line, ignores what count records say, and takes a file that is
cut short.
# Ref: Motorola, M68000 Family Programmer's Reference Manual, appendix C (S-record output format).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dfurun.image.contents import Contents, Format, join
from dfurun.image.error import Mark
from dfurun.image.memory import MemoryImage, Piece
from dfurun.image.text import Line, damaged, holds_record, numbered_lines

_RECORD = re.compile(rb"[Ss][0-9](?:[0-9A-Fa-f]{2}){3,256}")
_LINE = re.compile(r"[Ss]([0-9])((?:[0-9A-Fa-f]{2})+)")
_ADDRESS_BYTES = {"0": 2, "1": 2, "2": 3, "3": 4, "5": 2, "6": 3, "7": 4, "8": 3, "9": 2}
_ENDS = {"7": "3", "8": "2", "9": "1"}  # the kind of data record that each kind of last record goes with


def looks_like_s_records(data: bytes) -> bool:
    """Say whether a file's content is a text with S-records."""
    return holds_record(data, _RECORD, _is_sound)


def parse_s_records(data: bytes) -> MemoryImage:
    """Return the image; raise ImageError, with the line, for whatever is damaged, cut short or contradictory."""
    return join(_pieces(numbered_lines(data)), Mark.LINE)


def _pieces(lines: list[Line]) -> Iterator[tuple[int, Piece]]:
    kinds: set[str] = set()
    count, end = 0, ""
    for number, line in lines:
        if end:
            raise damaged(number, f"something after the S{end} record, which ends the file")
        kind, address, data = _record(number, line)
        if kind in "123":
            if address + len(data) > 1 << 8 * _ADDRESS_BYTES[kind]:
                raise damaged(
                    number, f"data at 0x{address:X}, past the {8 * _ADDRESS_BYTES[kind]}-bit addresses of S{kind}"
                )
            kinds.add(kind)
            count += 1
            yield number, Piece(address, data)
        elif kind in "56" and address != count:
            raise damaged(number, f"it counts {address} data records, {_are(count)} before it")
        elif kind in _ENDS:
            if kinds and _ENDS[kind] not in kinds:
                raise damaged(
                    number,
                    f"S{kind} ends a file of S{_ENDS[kind]} records, the data is in S{' and S'.join(sorted(kinds))}",
                )
            end = kind
    if not end:
        raise damaged(lines[-1][0] if lines else 1, "no S7, S8 or S9 record at the end: the file is cut short")


def _record(number: int, line: str) -> tuple[str, int, bytes]:
    """Return kind, address and data of a line."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise damaged(number, "not an S-record")
    kind, raw = found[1], bytes.fromhex(found[2])
    if kind not in _ADDRESS_BYTES:
        raise damaged(number, f"S{kind} is no record type")
    width = _ADDRESS_BYTES[kind]
    if len(raw) != raw[0] + 1 or len(raw) < width + 2:
        raise damaged(number, "the record is longer or shorter than it says")
    if not _has_checksum(raw):
        raise damaged(number, "the checksum is wrong")
    return kind, int.from_bytes(raw[1 : 1 + width], "big"), raw[1 + width : -1]


def _has_checksum(raw: bytes) -> bool:
    return sum(raw) & 0xFF == 0xFF


def _is_sound(record: bytes) -> bool:
    raw = bytes.fromhex(record[2:].decode())
    return len(raw) == raw[0] + 1 and _has_checksum(raw)


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _parse(data: bytes) -> Contents:
    return Contents(parse_s_records(data))


_SUFFIXES = (".srec", ".s19", ".s28", ".s37", ".s1", ".s2", ".s3", ".sx", ".mot", ".mxt")
S_RECORD = Format("a Motorola S-record file", _SUFFIXES, looks_like_s_records, _parse)
