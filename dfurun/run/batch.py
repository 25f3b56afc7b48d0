"""Several units at once: a thread each, and a main thread that waits for them and takes Ctrl-C for all.

Threads, not processes: a worker spends its time in the USB library and in waits, where it holds no lock of the interpreter, and
one process has one Ctrl-C, one terminal, one exit status. What a worker has of its own is its bench (bus, clock, hands), its
journal and its link; what they share is frozen.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dfurun.steps.event import UnitFinished

JOIN_INTERVAL_S = 0.05
# Whose transfer has ended waits for the interpreter until another worker lets go of it: not for Python's 5 ms, in which a block
# is transferred twice.
SWITCH_INTERVAL_S = 0.0005


class Halt:
    """The second Ctrl-C, for workers: what waits on one of its clocks waits no longer, and stops in the middle.

    `ask` is for a signal's handler: it takes no lock. `settle` is for the main thread, and has the workers hear of it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._heard = threading.Event()

    def ask(self) -> None:
        """Remember that all are to stop at once; raise KeyboardInterrupt where that was asked before."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def settle(self) -> None:
        """Wake the workers, where that was asked."""
        if self._asked and not self._heard.is_set():
            self._heard.set()

    def clock(self) -> HaltingClock:
        """Return a real clock for one worker."""
        return HaltingClock(self._heard)


class HaltingClock:
    """The computer's monotonic clock, whose sleep ends with KeyboardInterrupt, once, where the workers are to stop at once."""

    def __init__(self, halted: threading.Event) -> None:
        self._halted = halted
        self._raised = False

    def now(self) -> float:
        """Return `time.monotonic()`, in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of real time; raise KeyboardInterrupt where it ends early."""
        if self._raised:
            return
        if self._halted.wait(max(0.0, seconds)):
            self._raised = True
            raise KeyboardInterrupt


@dataclass(slots=True)
class Ended:
    """How a worker ended: its unit's end, or what is wrong with dfurun itself; neither where it was stopped before its end."""

    finished: UnitFinished | None = None
    bug: Exception | None = None


def run_all(workers: Mapping[str, Callable[[], UnitFinished]], halt: Halt) -> dict[str, Ended]:
    """Run the workers at once and return how each ended, in their order. What is raised in one stops no other.

    Raises KeyboardInterrupt at the third Ctrl-C: what still runs ends with the process.
    """
    ended = {name: Ended() for name in workers}
    threads = [
        threading.Thread(target=_work, args=(work, ended[name]), name=f"unit {name}", daemon=True)
        for name, work in workers.items()
    ]
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # with a timeout: on Windows nothing else lets Ctrl-C in
                thread.join(JOIN_INTERVAL_S)
                halt.settle()
    finally:
        sys.setswitchinterval(before_s)
    return ended


def _work(work: Callable[[], UnitFinished], ended: Ended) -> None:
    try:
        ended.finished = work()
    except KeyboardInterrupt:
        return  # stopped by the second Ctrl-C where no unit runs
    except Exception as bug:
        ended.bug = bug
