"""Standard streams that neither a reader that goes away, one that was never there, nor a character that they lack can stop.

A board that is being flashed does not care who still reads along.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO

from dfurun.errors import ExitStatus


class Unbreakable:
    """A text stream that goes silent when it cannot be written any more: `lost` says why, where that is worth telling."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or drop, text."""
        if not self._broken:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._silence(error)
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        if not self._broken:
            try:
                self._stream.flush()
            except OSError as error:
                self._silence(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self, error: OSError) -> None:
        """Give the interpreter, which flushes at exit, somewhere to flush to."""
        self._broken = True
        if not _is_reader_gone(error):
            self.lost = error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def harden() -> None:
    """Make standard output and standard error unbreakable, and escape what their encoding lacks."""
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = Unbreakable(sys.stdout), Unbreakable(sys.stderr)


def _open_closed() -> None:
    """Give each standard stream that is closed from the start, `dfurun ... >&-`, to /dev/null.

    Python has None for it, and the next file that is opened would take its place: a traceback would go into a state file.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)  # its number only: `sim serve` asks whether there is anybody to type
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # in this order: the lowest number that is free is the stream's own
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))


def settle(status: int) -> int:
    """Flush standard output and return the status: a product that could not be written is not `done`."""
    sys.stdout.flush()
    lost: OSError | None = getattr(sys.stdout, "lost", None)
    if lost is None:
        return status
    print(f"standard output cannot be written: {lost.strerror or lost}", file=sys.stderr)
    return status or ExitStatus.FAILED


def _is_reader_gone(error: OSError) -> bool:
    """Say whether the reader closed a pipe, which is its right: `dfurun info | head -1`."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)
