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
    """Chips with the same facts: their names, the family's file, what tells them on the bus, and what a listing shows.

    `line` is the number of their line in the file. `flash` is where it begins, and its size in bytes. `alternates` are the
    names of the alternate settings, `predicted` where no log shows them. `serial` is the serial number of every board of this
    kind, None where each has its own.
    """

    names: tuple[str, ...]
    file: str
    line: int
    family: str
    core: str
    device_id: int
    vendor_id: int
    product_id: int
    product: str
    flash: tuple[int, int]
    ram_size_bytes: int
    alternates: tuple[str, ...]
    serial: str | None
    predicted: bool
    errata: tuple[str, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole index, in the order of the files."""
    return tuple(
        Entry(
            names=tuple(entry["names"]),
            file=entry["file"],
            line=entry["line"],
            family=entry["family"],
            core=entry["core"],
            device_id=entry["device-id"],
            vendor_id=entry["usb"][0],
            product_id=entry["usb"][1],
            product=entry["product"],
            flash=(entry["flash"][0], entry["flash"][1]),
            ram_size_bytes=entry["ram"],
            alternates=tuple(entry["alternates"]),
            serial=entry["serial"],
            predicted=entry["predicted"],
            errata=tuple(entry["errata"]),
        )
        for entry in _read()["chips"]
    )


def default_chip_name() -> str:
    """Return the name of the chip that a simulated board has where nothing says which."""
    name: str = _read()["default"]
    return name


@cache
def _read() -> Mapping[str, Any]:
    read: Mapping[str, Any] = json.loads((files("dfurun.chips") / "data" / INDEX_FILE).read_text(encoding="utf-8"))
    return read


@cache
def by_name() -> Mapping[str, Entry]:
    """Return the entry of each chip, by its name."""
    return {name: entry for entry in entries() for name in entry.names}
