"""Time as a thing that is handed around: real on a bench, virtual where time is modelled."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the rooms above know of time. One clock a board and worker."""

    def now(self) -> float:
        """Return seconds since an arbitrary origin; never goes backwards."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; zero and negative values return at once."""


class RealClock:
    """The computer's monotonic clock."""

    def now(self) -> float:
        """Return `time.monotonic()`, in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of real time."""
        if seconds > 0:
            time.sleep(seconds)


class VirtualClock:
    """A clock that moves only when somebody sleeps on it: exact, and as fast as the computer."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now(self) -> float:
        """Return the modelled time, in seconds."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Advance the modelled time by `seconds`."""
        if seconds > 0:
            self._now_s += seconds
