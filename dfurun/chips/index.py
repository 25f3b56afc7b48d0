"""The index of the chip data: which file has which chip, and how its bootloader looks, so that a run reads one file.

`make docs` makes it anew of the files; a test sees that it is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

INDEX_FILE = "index.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """Chips with the same facts: their names, the family's file, and what tells them on the bus.

    `flash` is where it begins, and its size in bytes. `alternates` are the names of the alternate settings. `serial` is the
    serial number of every board of this kind, None where each has its own.
    """

    names: tuple[str, ...]
    file: str
    vendor_id: int
    product_id: int
    flash: tuple[int, int]
    alternates: tuple[str, ...]
    serial: str | None


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole index, in the order of the files."""
    read: list[dict[str, Any]] = json.loads((files("dfurun.chips") / "data" / INDEX_FILE).read_text(encoding="utf-8"))
    return tuple(
        Entry(
            tuple(entry["names"]),
            entry["file"],
            entry["usb"][0],
            entry["usb"][1],
            (entry["flash"][0], entry["flash"][1]),
            tuple(entry["alternates"]),
            entry["serial"],
        )
        for entry in read
    )


@cache
def by_name() -> Mapping[str, Entry]:
    """Return the entry of each chip, by its name."""
    return {name: entry for entry in entries() for name in entry.names}
