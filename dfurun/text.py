"""Text from outside, a device's or a file's, made safe to show, to keep and to act upon."""

from __future__ import annotations

import re
import unicodedata

LONGEST_FROM_DEVICE = (
    256  # a string descriptor has room for 126 characters; each may come to several when it is escaped
)

# Controls, formats such as the bidirectional ones, halves of characters, private and unassigned ones, separators of lines.
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

# What a CI service obeys in the output of a step: `::name::` at the beginning of a line, `##[name]` anywhere.
# Ref: actions/runner, src/Runner.Common/ActionCommand.cs
_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\[)")


def escape(text: str) -> str:
    """Return text with everything escaped that would control a terminal or not be seen on it."""
    return text if text.isascii() and text.isprintable() else "".join(map(_escape, text))


def disarm(line: str) -> str:
    """Return a line that no CI service takes for a command to itself."""
    return _COMMAND.sub(lambda found: r"#\x23" if found[1] is None else found[1] + r"\x3a", line)


def from_device(text: str) -> str:
    """Return a text that a device tells of itself as it is kept, compared and shown: one line, escaped, capped."""
    shown = disarm(escape(text))
    return shown if len(shown) <= LONGEST_FROM_DEVICE else shown[: LONGEST_FROM_DEVICE - 3] + "..."


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
