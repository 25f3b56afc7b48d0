"""Standard streams that neither a reader that goes away nor a character that the console lacks can stop.

A board that is being flashed does not care who still reads along.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO


class Unbreakable:
    """A text stream that goes silent when its reader has gone away."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        """Write, or drop, text."""
        if not self._broken:
            try:
                return self._stream.write(text)
            except BrokenPipeError:
                self._silence()
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        if not self._broken:
            try:
                self._stream.flush()
            except BrokenPipeError:
                self._silence()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self) -> None:
        """Give the interpreter, which flushes at exit, somewhere to flush to."""
        self._broken = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def harden() -> None:
    """Make standard output and standard error unbreakable, and escape what their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = Unbreakable(sys.stdout), Unbreakable(sys.stderr)
