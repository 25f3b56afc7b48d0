"""What the text formats of firmware share: lines with their numbers, and how a text is told to hold records."""

from __future__ import annotations

import re
from collections.abc import Callable

from dfurun.image.error import ImageError, Mark

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8 = b"\xef\xbb\xbf"

Line = tuple[int, str]


def holds_record(data: bytes, record: re.Pattern[bytes], is_sound: Callable[[bytes], bool]) -> bool:
    """Say whether a file is a text of records: it begins with one, or has a sound one anywhere before its first NUL.

    So a text with garbage before its records is damaged, and is not taken for raw binary; a firmware's first words have NULs.
    """
    if data[:2] in _UTF16:
        data = data.replace(b"\0", b"")[2:]
    head = data.split(b"\0", 1)[0]
    start = re.match(rb"\s*", head)
    if start and record.match(head, start.end()):
        return True
    return any(is_sound(found.group()) for found in record.finditer(head))


def numbered_lines(data: bytes) -> list[Line]:
    """Return the lines that hold anything, with their numbers; raise ImageError where one is not ASCII."""
    if data[:2] in _UTF16:
        raise damaged(
            1,
            "UTF-16 text, where the format has ASCII",
            hint="PowerShell's `>` writes UTF-16: use `Out-File -Encoding ascii`",
        )
    if data.startswith(_UTF8):
        raise damaged(1, "a byte order mark before the first record", hint="save it as plain ASCII")
    lines: list[Line] = []
    for number, raw in enumerate(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1):
        line = raw.strip(b" \t")
        if not line.isascii():
            raise damaged(number, "a byte that is not ASCII")
        if line:
            lines.append((number, line.decode("ascii")))
    return lines


def damaged(line: int, message: str, *, hint: str = "the file is damaged: take it from its source again") -> ImageError:
    """Return the error for what is wrong in a line."""
    return Mark.LINE.damaged(line, message, hint=hint)
