"""One run at a port at a time: who comes second is told by whom the board is used, and sends it nothing.

The system lets only one program claim a board's interface, which excludes every other program while the board is open. The
lock is for the rest: while a board is away for a reset or a power cycle it is nobody's, and a second run would take it from
the first. It lies beside the port's journal, so it is one user's; another user's run is kept out by the claim alone.
"""

from __future__ import annotations

from pathlib import Path

from dfurun.errors import AccessDenied, Code
from dfurun.locks import Held, Lock


def lock_port(journal: Path, port: str, what: str) -> Lock:
    """Return the lock of the port with this journal, taken; `what` says what for.

    Raises AccessDenied where another run has it, OSError where there can be no lock.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(journal.with_name(f"{journal.stem}.lock"), what)
    try:
        lock.take()
    except Held as held:
        holder = held.holder
        raise AccessDenied(
            Code.DEVICE_BUSY,
            f"the board at {port} is in use by another run: {held}",
            consequence="nothing was sent to it by this run, and the other goes on",
            hint="wait until that run has ended"
            + (f", or stop it with Ctrl-C (`kill -INT {holder.pid}`)" if holder else ""),
        ) from None
    return lock
