"""Files that a command writes because an option names them: they replace an older one of their kind, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfurun.errors import Code, Refused, StepFailed
from dfurun.files import read_file

LARGEST_LOOKED_AT_BYTES = 16 * 1024 * 1024
NO_BOARD_CHANGED = "no board was changed"


def refuse_another(
    option: str,
    path: Path,
    is_older: Callable[[bytes], bool],
    kind: str,
    *,
    meant: str = "nothing was sent to any board",
    hint: str = "another name",
) -> None:
    """Raise Refused where a file has the name that is not of this kind; `kind` is what the kind is called.

    `meant` is what it means for the board.
    """
    try:
        if not path.exists() or is_older(read_file(path, LARGEST_LOOKED_AT_BYTES)):
            return
    except OSError:
        pass
    raise Refused(
        Code.FILE_EXISTS,
        f"{option} {path}: the file is there already and is no {kind}",
        consequence=f"nothing was overwritten, and {meant}",
        hint=hint,
    )


def write_product(option: str, path: Path, text: str, is_older: Callable[[bytes], bool], kind: str) -> None:
    """Write a text as a whole. Raise Refused where another file has the name, StepFailed where it cannot be written."""
    from dfurun.steps.files import replace_file

    refuse_another(option, path, is_older, kind, meant=NO_BOARD_CHANGED)
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"{option} {path} cannot be written: {error.strerror or error}",
            consequence=NO_BOARD_CHANGED,
            hint="a folder that is there and may be written to",
        ) from None


def object_with(*keys: str) -> Callable[[bytes], bool]:
    """Return what says whether a file is a JSON object with these keys."""

    def has(data: bytes) -> bool:
        try:
            found: Any = json.loads(data)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and all(key in found for key in keys)

    return has
