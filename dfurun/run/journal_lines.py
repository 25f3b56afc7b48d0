"""A journal's lines: written with a check each, and read so that one that is torn or damaged is told and never taken for less.

A line is a JSON object whose last member, `check`, is the CRC-32 of the object without it. Lines of journals from before there
was a check are taken as they are, up to the first that has one. What cannot be read stands among the entries as an entry
`damaged`, in its place: whoever asks the journal sees where it knows nothing.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfurun.files import read_file
from dfurun.text import escape

Entry = Mapping[str, Any]
DAMAGED = "damaged"
LARGEST_BYTES = 64 * 1024 * 1024  # a journal is put aside at a sixteenth of it
_CHECKED = re.compile(rb'(?P<text>.*), "check": "(?P<check>[0-9a-f]{8})"\}', re.DOTALL)
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """What of a journal could not be read: how many lines, and whether it is its torn end alone, as a power cut leaves it."""

    lines: int
    only_torn: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A journal as it could be read; `damage` is what has not been told before."""

    entries: tuple[Entry, ...] = ()
    damage: Damage | None = None


def line_of(entry: Entry) -> str:
    """Return an entry as a line."""
    text = json.dumps(entry)
    return f'{text[:-1]}, "check": "{zlib.crc32(text.encode()):08x}"}}\n'


def read_lines(path: Path) -> Reading:
    """Return what is in a journal, nothing where there is none. Raise OSError."""
    try:
        data = read_file(path, LARGEST_BYTES)
    except FileNotFoundError:
        return Reading()
    lines = data.split(b"\n")
    torn = lines.pop() != b""  # the last line has no end
    if torn:
        lines = data.split(b"\n")
    entries: list[Entry] = []
    damaged: list[int] = []
    is_checked = False
    for number, raw in enumerate(lines, 1):
        found = _CHECKED.fullmatch(raw)
        entry = _entry(raw, found, accept_unchecked=not is_checked)
        is_checked |= entry is not None and found is not None
        if entry is not None:
            entries.append(entry)
            continue
        damaged.append(number)
        is_end = torn and number == len(lines)
        entries.append({"entry": DAMAGED, "line": number, "torn": is_end, "shown": _shown(raw)})
    if not damaged:
        return Reading(tuple(entries))
    return Reading(tuple(entries), Damage(len(damaged), torn and damaged == [len(lines)]))


def known(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries without those that stand for what could not be read."""
    return [entry for entry in entries if entry["entry"] != DAMAGED]


def _entry(raw: bytes, found: re.Match[bytes] | None, *, accept_unchecked: bool) -> Entry | None:
    """Return a line's entry; None where it is damaged."""
    text = raw if found is None else found["text"] + b"}"
    if found is None and not accept_unchecked:
        return None
    if found is not None and zlib.crc32(text) != int(found["check"], 16):
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("entry"), str) else None


def _shown(raw: bytes) -> str:
    """Return the beginning of a line that cannot be read, for a person."""
    return escape(raw[:_SHOWN_BYTES].decode("utf-8", errors="replace"))
