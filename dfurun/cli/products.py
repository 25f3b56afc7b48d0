"""Files that a command writes because an option names them: they replace an older one of their kind, and nothing else."""

from __future__ import annotations

from pathlib import Path

from dfurun.errors import Code, Refused, StepFailed
from dfurun.files import read_file

LARGEST_LOOKED_AT_BYTES = 16 * 1024 * 1024


def write_product(option: str, path: Path, text: str, *, has: str, kind: str) -> None:
    """Write a text as a whole. `has` is what every file of this kind holds, `kind` what it is called.

    Raises Refused where another file has the name, StepFailed where it cannot be written.
    """
    from dfurun.steps.files import replace_file

    if path.exists() and not _is_older(path, has):
        raise Refused(
            Code.FILE_EXISTS,
            f"{option} {path}: the file is there already and is not {kind}",
            consequence="nothing was overwritten, and no board was changed",
            hint="another name",
        )
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"{option} {path} cannot be written: {error.strerror or error}",
            consequence="no board was changed",
            hint="a folder that is there and may be written to",
        ) from None


def _is_older(path: Path, has: str) -> bool:
    try:
        return has.encode() in read_file(path, LARGEST_LOOKED_AT_BYTES)
    except OSError:
        return False
