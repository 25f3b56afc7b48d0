"""Somebody else's file, read where it is a regular one, up to a size, and inside a folder where that is asked; or changed.

What is looked at is the file that was opened, not the name that it had before: a name can be given to another file between two
looks. A pipe that nobody writes to, a terminal or a device is refused, and never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_CHUNK_BYTES = 1 << 20
# A pipe is opened without waiting for who writes to it; a terminal does not become this process's own.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """What has this name is a folder, a pipe, a device: nothing that is read to its end."""


class TooLarge(OSError):
    """The file is larger than it may be, or has grown so large while it was read."""


class Outside(OSError):
    """The file that was opened is not the one at this place inside the folder: a link leads out of it, or has just moved."""


def read_file(path: Path, maximum_bytes: int, *, inside: Path | None = None) -> bytes:
    """Return what is in a regular file of at most `maximum_bytes`; `inside` is a folder that no link may lead out of.

    Raises OSError, of which the three above are kinds; ValueError for a name that no file can have.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise NotRegular(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise NotRegular(errno.EINVAL, "not a file, but a pipe or a device")
        if inside is not None and not is_inside(path, inside, status):
            raise Outside(errno.EPERM, f"not in {inside}")
        if status.st_size > maximum_bytes:
            raise _too_large(maximum_bytes)
        return _read(descriptor, maximum_bytes)
    finally:
        os.close(descriptor)


def _read(descriptor: int, maximum_bytes: int) -> bytes:
    """Return all there is, which may have become more since its size was asked."""
    data = bytearray()
    while chunk := os.read(descriptor, min(_CHUNK_BYTES, maximum_bytes + 1 - len(data))):
        data += chunk
        if len(data) > maximum_bytes:
            raise _too_large(maximum_bytes)
    return bytes(data)


def is_inside(path: Path, folder: Path, opened: os.stat_result | None = None) -> bool:
    """Say whether a path, with every link on the way followed, ends inside a folder; `opened` is the file it has to be."""
    try:
        real = path.resolve(strict=opened is not None)
        if not real.is_relative_to(folder.resolve()):
            return False
        return opened is None or os.path.samestat(real.lstat(), opened)
    except (OSError, RuntimeError):  # a loop of links, or gone since it was opened
        return False


class Changed(OSError):
    """The file does not hold any more what was read from it."""


def replace_text(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, which was read from the file, in one move; links are followed, its mode is kept.

    No reader ever sees a half, and a write of somebody else in between is not lost. Raises OSError; Changed where another
    program has written the file meanwhile.
    """
    import tempfile  # takes 20 ms to import, which who only reads does not need

    real = path.resolve(strict=True)
    if not os.access(real, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    mode = stat.S_IMODE(real.stat().st_mode)
    handle, temporary = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        if not _still_holds(real, before):
            raise Changed(errno.EBUSY, "another program has changed it meanwhile")
        Path(temporary).replace(real)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _still_holds(path: Path, data: bytes) -> bool:
    try:
        return read_file(path, len(data)) == data
    except TooLarge:
        return False


def _too_large(maximum_bytes: int) -> TooLarge:
    return TooLarge(errno.EFBIG, f"larger than {maximum_bytes} bytes")
