"""The log of `--log FILE`: every transfer and event of a run, a line each with its time, for a support request."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any, TextIO

from dfurun.steps.event import Event, Progress
from dfurun.text import escape

LOG_HEADER = "# dfurun log 1"
KIND_WIDTH = 9


class LogFile:
    """Writes lines to a stream that is open and flushes each; `lost` is why it stopped, where it had to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writing = threading.Lock()  # of several units each has a thread
        self.lost: OSError | None = None

    def begin(self, about: Sequence[str]) -> None:
        """Write the header of one run. Raise OSError."""
        try:
            self._write("\n".join([LOG_HEADER, *(f"# {escape(line)}" for line in about)]))
        except OSError as error:
            self._give_up(error)
            raise

    def line(self, kind: str, text: str) -> None:
        """Write one line with the time of day. Never raises: a full disk stops no flashing."""
        if self.lost is not None:
            return
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        try:
            self._write(f"{now} {kind.ljust(KIND_WIDTH)} {escape(text)}")
        except OSError as error:
            self._give_up(error)

    def event(self, event: Event, unit: str = "") -> None:
        """Write a run's event, of several units with whose it is; progress is left out, the transfers tell it."""
        if isinstance(event, Progress):
            return
        told = ((field.name, getattr(event, field.name)) for field in fields(event))
        values = [f"{name}={_value(value)}" for name, value in told if value not in (None, "", ())]
        self.line("event", f"{unit and f'{unit} '}{type(event).__name__} {' '.join(values)}".rstrip())

    def end(self, status: int) -> None:
        """Write the last line of a run, and close the stream. Never raises."""
        self.line("exit", str(status))
        try:
            self._stream.close()
        except OSError as error:
            self.lost = self.lost or error

    def _write(self, text: str) -> None:
        with self._writing:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def _give_up(self, error: OSError) -> None:
        """Keep the error, and the stream from trying once more when the process ends."""
        self.lost = error
        with suppress(OSError):
            self._stream.close()


def _value(value: Any) -> str:
    return repr(value.hex() if isinstance(value, bytes) else str(value))
