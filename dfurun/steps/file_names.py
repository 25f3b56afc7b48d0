"""Names of files that are filled in when they are written: `backup-${port}-${date}.bin`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath

from dfurun.chips import Chip

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NEVER_CLOSED = re.compile(r"\$\{[^}]*\Z")
UNKNOWN = "unknown"
_LONGEST_BYTES = 200  # 255 on every system, and room for what variables stand for

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
    return next((found[1] for found in _VARIABLE.finditer(name) if found[1] not in VARIABLES), None)


def objection(name: str) -> str | None:
    """Return why no file can be called so, whatever its variables stand for; None where one can."""
    if unclosed := _NEVER_CLOSED.search(name):
        return f"the `}}` of `{unclosed[0]}` is missing"
    if not name.isprintable():
        return "a file's name has only characters that can be seen"
    parts = PurePath(name).parts
    if parts and parts[0].startswith("~") and len(parts) > 1:
        return f"`{parts[0]}` is not the home folder here, but a folder of that name"
    if not parts or parts[-1] == ".." or name.endswith(("/", "\\")):
        return "a file's name is needed, not that of a folder"
    if any(len(part.encode()) > _LONGEST_BYTES for part in parts):
        return f"a file's name has at most {_LONGEST_BYTES} bytes"
    return None


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
