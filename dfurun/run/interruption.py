"""Ctrl-C at a safe boundary: the first one is remembered and taken between two operations, the second one is taken at once."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from dfurun.errors import Code, Interrupted


def _nothing() -> None:
    """Stand in for nobody who wants to know at once."""


def _stop_at_once() -> None:
    """Stop whatever the main thread is doing."""
    raise KeyboardInterrupt


class Interruption:
    """While it is entered, SIGINT only raises a flag; `check` raises Interrupted where it is up, in every thread that asks.

    It is entered by the main thread, which alone takes signals. `on_first` is called at the first SIGINT, in a thread of its
    own; `on_next` in the main thread at each further one, whatever that is doing. Where SIGINT is ignored it stays so: the
    process is a background job of a script, and Ctrl-C is meant for another.
    """

    def __init__(self, on_first: Callable[[], None] = _nothing, on_next: Callable[[], None] = _stop_at_once) -> None:
        self._asked = False
        self._noted = self._taken = 0  # how often the handler ran, and how many beyond the first were passed on
        self._previous: Any = None
        self._ear: _Ear | None = None
        self._on_first = on_first
        self._on_next = on_next

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._ear = _Ear(self._on_first)
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
        if self._ear is not None:
            self._ear.close()

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._asked

    def check(self) -> None:
        """Raise Interrupted where Ctrl-C was pressed. Called only where the board waits for nothing."""
        if self._asked:
            raise Interrupted(
                Code.INTERRUPTED,
                "stopped by Ctrl-C between two operations",
                consequence="the recipe is not complete; running it again is safe",
            )

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Pass on every SIGINT beyond the first: two that come before Python runs the handler make it run once."""
        self._asked = True
        self._noted += 1
        heard = self._ear.count() if self._ear else 0
        while self._taken < max(heard, self._noted) - 1:
            self._taken += 1
            self._on_next()


class _Ear:
    """Hears the first SIGINT in a thread, as soon as it comes.

    Python runs a signal's handler only when the main thread is back from C, and a transfer may keep it there for seconds;
    and a handler may print nothing, since it interrupts what is printing. The byte that the interpreter writes at once for a
    signal (`signal.set_wakeup_fd`) has neither trouble.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self._near, self._far = socket.socketpair()
        self._near.settimeout(0)
        self._far.settimeout(0)
        self._heard = 0
        self._reading = threading.Lock()
        self._before = signal.set_wakeup_fd(self._near.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="interruption", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; what was heard has been passed on when this returns."""
        signal.set_wakeup_fd(self._before)
        self._near.close()
        self._thread.join()
        self._far.close()

    def count(self) -> int:
        """Return how many SIGINT have come, those with them that nobody has read yet."""
        with self._reading:
            try:
                return self._heard + self._far.recv(64, socket.MSG_PEEK).count(signal.SIGINT)
            except OSError:
                return self._heard

    def _listen(self) -> None:
        told = False
        while True:
            select.select([self._far], [], [])
            with self._reading:
                heard = self._far.recv(64)
                self._heard += heard.count(signal.SIGINT)
            if not heard:
                return
            if self._heard and not told:
                told = True
                self._on_first()
