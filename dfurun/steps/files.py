"""Saving what was read from a board: whole or not at all, and never over something else."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from dfurun.errors import Code, Refused, StepFailed


def save(path: Path, data: bytes, *, overwrite: bool) -> bool:
    """Write a file atomically; say whether it was written (False: it holds exactly this already).

    Raises Refused where a different file is there and `overwrite` is not given, StepFailed where it cannot be written.
    """
    try:
        if path.exists() and not overwrite:
            if path.read_bytes() == data:
                return False
            raise Refused(
                Code.FILE_EXISTS,
                f"{path} is there already and holds something else",
                consequence="nothing was overwritten",
                hint="move it away, or overwrite it with --force",
            )
        replace_file(path, data)
    except OSError as error:
        raise _unwritable(path, error) from None
    return True


def reserve(path: Path, *, overwrite: bool) -> None:
    """See that a file can be written before the long read that fills it.

    Raises Refused where one is there and `overwrite` is not given, StepFailed where it cannot be written.
    """
    try:
        if path.exists() and not path.is_dir() and not overwrite:
            raise Refused(
                Code.FILE_EXISTS,
                f"{path} is there already",
                consequence="nothing was overwritten, and the board was only looked at",
                hint="another name (`${date}` and `${port}` in it are filled in), or overwrite it with --force",
            )
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> StepFailed:
    return StepFailed(
        Code.FILE_UNWRITABLE,
        f"{path} cannot be written: {error.strerror or error}",
        consequence="nothing was saved",
        hint="a folder that is there and may be written to, with room for it",
    )


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one move, so that no reader ever sees a half. Raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
