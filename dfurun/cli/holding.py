"""What this process keeps other processes from while its command goes on: boards in files, and ports."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path

from dfurun.errors import AccessDenied, Code
from dfurun.locks import Held, Lock

_held: dict[Path, Lock] = {}


def _command() -> str:
    """Return this process's command line, for those who are kept out."""
    return shlex.join(["dfurun", *sys.argv[1:]])


def hold_file(path: Path) -> None:
    """Keep a simulated board's file for this process until its command ends.

    Raises AccessDenied where another process has it, OSError where there can be no lock beside it.
    """
    real = path.resolve()
    where = real.with_name(f".{real.name}.lock")
    if where in _held:
        return
    if not where.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # which the library would make
    lock = Lock(where, _command())
    try:
        lock.take()
    except Held as held:
        raise AccessDenied(
            Code.DEVICE_BUSY,
            f"{path} is in use by another dfurun: {held}",
            consequence="nothing was sent to the simulated board, and its file is as that process has it",
            hint="wait until it has ended, or take another file",
        ) from None
    _held[where] = lock


def hold_port(journal: Path, port: str) -> None:
    """Keep a port for this process until its command ends; without a lock where there can be none: it only looks.

    Raises AccessDenied where a run has it.
    """
    from dfurun.run.port_lock import lock_port

    if journal in _held:
        return
    try:
        _held[journal] = lock_port(journal, port, _command())
    except AccessDenied:
        raise
    except OSError:
        return


def release() -> None:
    """Give everything back."""
    while _held:
        _held.popitem()[1].give_back()
