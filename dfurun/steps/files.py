"""Saving what was read from a board: whole or not at all, and never over something else."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

from dfurun.errors import Code, Refused, StepFailed
from dfurun.files import TooLarge, read_file

_asking_umask = threading.Lock()


class _NameTaken(Exception):
    """Something is there that is not to be replaced."""


def save(path: Path, data: bytes, *, overwrite: bool) -> bool:
    """Write a file atomically; say whether it was written (False: it holds exactly this already).

    Raises Refused where a different file is there and `overwrite` is not given, StepFailed where it cannot be written.
    """
    try:
        if overwrite:
            replace_file(path, data)
        elif _holds(path, data):
            return False
        else:
            _write_aside(path, data, _put_where_nothing_is)
    except _NameTaken:
        raise _exists(path) from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    return True


def place_inside(path: Path, folder: Path) -> Path:
    """Return the path of a file to be written inside a folder, with the links on the way to it followed.

    Raises Refused where they lead out of the folder, StepFailed where they lead nowhere.
    """
    try:
        real = path.parent.resolve() / path.name
        is_inside = real.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links
        raise _unwritable(path, error) from None
    if is_inside:
        return real
    raise Refused(
        Code.FILE_OUTSIDE,
        f"{path} is behind a link that leads out of the working directory, to {real.parent}",
        consequence="nothing was written there",
        hint="run in a folder without that link, or name another file in the recipe",
    )


def reserve(path: Path, size_bytes: int, *, overwrite: bool) -> None:
    """See that `save` can write a file, before the long read that fills it with `size_bytes` bytes.

    One of that size that is there already may hold the same: only the read can tell. Raises Refused where another one is
    there and `overwrite` is not given, StepFailed where it cannot be written.
    """
    try:
        if not overwrite and os.path.lexists(path) and not path.is_dir():
            if path.is_file() and path.stat().st_size == size_bytes:
                return
            raise _exists(path)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _exists(path: Path) -> Refused:
    return Refused(
        Code.FILE_EXISTS,
        f"{path} is there already and holds something else",
        consequence="nothing was overwritten",
        hint="move it away, take another name (`${port}` and `${date}` in it are filled in), or overwrite it with --force",
    )


def _holds(path: Path, data: bytes) -> bool:
    """Say whether a file holds exactly this already; another one, however large, is not read for it."""
    try:
        return path.is_file() and read_file(path, len(data)) == data
    except TooLarge:
        return False


def _unwritable(path: Path, error: OSError | RuntimeError | ValueError) -> StepFailed:
    return StepFailed(
        Code.FILE_UNWRITABLE,
        f"{path} cannot be written: {getattr(error, 'strerror', None) or error}",
        consequence="nothing was saved",
        hint="a folder that is there and may be written to, with room for it",
    )


@cache
def _umask() -> int:
    """Return the process's umask, which can only be read by setting it: once, and by one of several boards' threads."""
    with _asking_umask:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one move, so that no reader ever sees a half. Raise OSError.

    What is no file there is never taken away: a folder, a pipe, a device such as /dev/stdout.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file, but a folder, a pipe or a device")
    _write_aside(path, data, os.replace)


def _put_where_nothing_is(temporary: str, path: Path) -> None:
    """Give the file its name, and take that of nothing else; raise _NameTaken where something has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _NameTaken from None
    except OSError:  # a file system without hard links: take the name first, and none that is taken
        try:
            path.open("xb").close()
        except FileExistsError:
            raise _NameTaken from None
        try:
            Path(temporary).replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    else:
        Path(temporary).unlink()


def _write_aside(path: Path, data: bytes, put: Callable[[str, Path], None]) -> None:
    """Write a temporary file beside `path`, and have `put` give it its name. Raise OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        put(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
