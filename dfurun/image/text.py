"""What the text formats of firmware share: lines with their numbers, and how a text is told to hold records."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from dfurun.image.error import ImageError, Mark

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF16_SEEN_IN_BYTES = 32
SHORTEST_RECORD = 10  # S-record: kind, length, 16 bits of address, checksum; Intel HEX has one more
LONGEST_RECORD = 521  # Intel HEX: colon, length, 16 bits of address, type, 255 bytes, checksum; an S-record has 7 less
MAXIMUM_RECORDS = 400_000  # 3 MiB in records of eight bytes, where the largest flash with a DfuSe bootloader has 2 MiB
_UTF8 = b"\xef\xbb\xbf"

Line = tuple[int, str]


def holds_record(data: bytes, record: re.Pattern[bytes], is_sound: Callable[[bytes], bool]) -> bool:
    """Say whether a file is a text of records: it begins with one, or has a sound one before the first NUL in the text.

    So a text with garbage or NULs before its records is damaged, and is not taken for raw binary; a firmware's first words
    have NULs among them.
    """
    if _is_utf16(data):
        data = data.removeprefix(_UTF16[0]).removeprefix(_UTF16[1]).replace(b"\0", b"")
    head = data.lstrip(b"\0").split(b"\0", 1)[0]
    start = re.match(rb"\s*", data)
    if start and record.match(data, start.end()):
        return True
    return any(is_sound(found.group()) for found in record.finditer(head))


def _is_utf16(data: bytes) -> bool:
    """Say whether a text is UTF-16: it has the mark, or NUL as every second of its first bytes and nowhere else there."""
    head = data[:_UTF16_SEEN_IN_BYTES]
    if head[:2] in _UTF16:
        return True
    even, odd = head[::2], head[1::2]
    return len(odd) > 1 and ((all(even) and not any(odd)) or (all(odd) and not any(even)))


def numbered_lines(data: bytes) -> list[Line]:
    """Return the lines that hold anything, with their numbers, up to one that is too short or too long for either format.

    Of one that is too long the beginning is returned, which is too long as well. Raises ImageError where a line is not ASCII,
    and for more lines than any firmware has.
    """
    if _is_utf16(data):
        raise damaged(
            1,
            "UTF-16 text, where the format has ASCII",
            hint="PowerShell's `>` writes UTF-16: use `Out-File -Encoding ascii`",
        )
    if data.startswith(_UTF8):
        raise damaged(1, "a byte order mark before the first record", hint="save it as plain ASCII")
    if data.startswith(b"\0"):
        raise damaged(1, "NUL bytes before the first record")
    lines: list[Line] = []
    for number, raw in enumerate(io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")), 1):
        line = raw.strip(b" \t\n")
        if not line.isascii():
            raise damaged(number, "a byte that is not ASCII")
        if line:
            lines.append((number, line[: LONGEST_RECORD + 2].decode("ascii")))
            if not SHORTEST_RECORD <= len(line) <= LONGEST_RECORD:
                break  # whatever it is, it is damaged; a file of such lines would take a hundred times its size
            if len(lines) > MAXIMUM_RECORDS:
                message = f"more than {MAXIMUM_RECORDS} records, no firmware for a microcontroller"
                raise damaged(number, message, hint="is it the right file?")
    return lines


def damaged(line: int, message: str, *, hint: str = "the file is damaged: take it from its source again") -> ImageError:
    """Return the error for what is wrong in a line."""
    return Mark.LINE.damaged(line, message, hint=hint)
