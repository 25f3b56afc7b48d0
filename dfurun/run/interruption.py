"""Ctrl-C at a safe boundary: the first one is remembered and taken between two operations, the second one is taken at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from dfurun.errors import Code, Interrupted


class Interruption:
    """While it is entered, SIGINT only raises a flag; `check` raises Interrupted where it is up.

    Where SIGINT is ignored it stays so: the process is a background job of a script, and Ctrl-C is meant for another.
    """

    def __init__(self) -> None:
        self._asked = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def check(self) -> None:
        """Raise Interrupted where Ctrl-C was pressed. Called only where the board waits for nothing."""
        if self._asked:
            raise Interrupted(
                Code.INTERRUPTED,
                "stopped by Ctrl-C between two operations",
                consequence="the recipe is not complete; running it again is safe",
            )

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
