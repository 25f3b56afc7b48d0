"""A unit's record: what was done to one board, made from its journal. Its shape is schemas/record.schema.json.

The file is replaced after every entry, so that a run that is killed leaves a record as well, with the outcome `interrupted`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfurun.errors import Code, StepFailed
from dfurun.run.journal_lines import Entry
from dfurun.steps.files import replace_file

RECORD_VERSION = 1
COPIED_FROM_START = ("tool", "recipe", "chip", "images", "simulated")
COPIED_FROM_END = ("transfers", "anomalies", "pages_redone", "verified", "power_cycle_needed", "duration_s")


def record_of(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the record for a run's entries so far."""
    start = entries[0]
    record: dict[str, Any] = {"record": RECORD_VERSION, "run": start["run"], "started": start["time"]}
    record |= {key: start[key] for key in COPIED_FROM_START if key in start}
    record |= {"ended": None, "outcome": "interrupted", "exit": None, "board": None, "steps": [], "option_bytes": []}
    for entry in entries:
        match entry["entry"]:
            case "board":
                record["board"] = _details(entry)
            case "step":
                record["steps"].append(_details(entry))
            case "option-bytes":
                record["option_bytes"].append({"before": entry["before"], "after": entry["after"]})
            case "width" if entry["taken"]:
                record["programs_bytes_at_once"] = max(entry["taken"], record.get("programs_bytes_at_once", 0))
            case "end":
                record |= {"ended": entry["time"], "outcome": entry["outcome"], "exit": entry["exit"]}
                record |= {key: entry[key] for key in COPIED_FROM_END}
                if entry.get("error"):
                    record["error"] = entry["error"]
    return record


def names_folder(target: str) -> bool:
    """Say whether `--record` means a folder: one that is there, or a name with a slash at its end."""
    return target.endswith(("/", os.sep)) or Path(target).is_dir()


class RecordFile:
    """Where `--record` puts a unit's record: a file, or a folder that gets one file a unit."""

    def __init__(self, target: Path, *, is_folder: bool) -> None:
        self._target = target
        self._is_folder = is_folder or target.is_dir()

    def save(self, entries: Sequence[Entry]) -> None:
        """Replace the record by that of the entries so far. Raise StepFailed where that fails."""
        record = record_of(entries)
        path = self._path(record)
        try:
            replace_file(path, (json.dumps(record, indent=2) + "\n").encode())
        except OSError as error:
            raise StepFailed(
                Code.FILE_UNWRITABLE,
                f"the record {path} cannot be written: {error.strerror or error}",
                consequence="nothing was sent that would have been recorded",
                hint="another --record",
            ) from None

    def _path(self, record: dict[str, Any]) -> Path:
        if not self._is_folder:
            return self._target
        started = record["started"][:19].replace(":", "").replace("-", "")
        return self._target / f"{started}-{record['run']}.json"


def _details(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("time", "run", "entry")}
