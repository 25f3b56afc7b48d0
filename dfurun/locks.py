"""Locks that processes exclude each other with, and who holds one: process, what for, since when.

The system gives a lock back when its process ends, however it ends. Who holds it stands in a file beside it, which is only ever
told to people: a process that died leaves it behind, and it is not believed where that process is gone.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dfurun.files import read_file

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LONGEST_WHAT = 200
_LARGEST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock; `since` is local time."""

    pid: int
    what: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid}, {self.what}, since {self.since}"


class Held(Exception):
    """Another process has the lock; `holder` is None where it cannot be told which."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__(str(holder or "another process"))
        self.holder = holder


class Lock:
    """The lock at `path`, which stays there; `what` says what for."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what[:_LONGEST_WHAT]
        self._lock: BaseFileLock | None = None

    def take(self) -> None:
        """Take the lock. Raise Held at once where another process has it, OSError where there can be none here."""
        import filelock

        lock = filelock.FileLock(self.path, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise Held(self._holder()) from None
        except NotImplementedError as error:  # a file system without locks
            raise OSError(str(error)) from None
        self._lock = lock
        self._tell_who()

    def give_back(self) -> None:
        """Give the lock back, where it was taken. Never raises."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._who.unlink(missing_ok=True)
        with suppress(OSError):
            self._lock.release()
        self._lock = None

    @property
    def _who(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.holder")

    def _tell_who(self) -> None:
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        told = json.dumps(asdict(Holder(os.getpid(), self._what, since)))
        temporary = self._who.with_name(f"{self._who.name}.{os.getpid()}")
        with suppress(OSError):  # it is the lock that counts
            temporary.write_text(told, encoding="utf-8")
            temporary.replace(self._who)

    def _holder(self) -> Holder | None:
        try:
            told = json.loads(read_file(self._who, _LARGEST_BYTES))
            holder = Holder(int(told["pid"]), str(told["what"]), str(told["since"]))
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return holder if _is_alive(holder.pid) else None


def _is_alive(pid: int) -> bool:
    """Say whether there is such a process, as far as this system lets that be asked without harm."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # there, and another user's
    return pid > 0
