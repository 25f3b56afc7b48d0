"""Names of files that are filled in when they are written: `backup-${port}-${date}.bin`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from dfurun.chips import Chip

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NEVER_CLOSED = re.compile(r"\$\{[^}]*\Z")
UNKNOWN = "unknown"

# What each one stands for; all of it can stand in a file's name on every system.
VARIABLES = {
    "port": "where the board is plugged in, such as 1-2.3",
    "date": "the day of the run, such as 2026-11-24",
    "time": "when the run began, such as 135043",
    "chip": "the chip's name in the chip data",
    "unique-id": "the chip's own unique id, 24 hex digits",
}


def wrong_variable(name: str) -> str | None:
    """Return the first variable in a file's name that there is none of, as it is written; None where all are known."""
    for found in _VARIABLE.finditer(name):
        if found[1] not in VARIABLES:
            return found[1]
    unclosed = _NEVER_CLOSED.search(name)
    return None if unclosed is None else unclosed[0].removeprefix("${")


def values(*, port: str, chip: Chip, unique_id: str | None, when: datetime) -> dict[str, str]:
    """Return what the variables stand for, for one board; a unique id that was not read is `unknown`."""
    return {
        "port": port,
        "date": when.strftime("%Y-%m-%d"),
        "time": when.strftime("%H%M%S"),
        "chip": chip.name,
        "unique-id": unique_id or UNKNOWN,
    }


def fill_in(name: str, known: Mapping[str, str]) -> str:
    """Return the name with its variables replaced; raise KeyError for one that is not known."""
    return _VARIABLE.sub(lambda found: known[found[1]], name)
