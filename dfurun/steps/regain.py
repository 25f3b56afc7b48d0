"""Regaining a board that was lost in the middle of a step: waited for at its port, opened anew, proven to be the same one.

A board that leaves the bus, or a link that fails again and again, ends a step only where the board is not back in time. How
the step goes on is its own rule, `Step.resume`. Nothing that changes a board is sent before it is proven the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dfurun.errors import AccessDenied, Code, LinkUnreliable
from dfurun.units import format_duration

if TYPE_CHECKING:
    from dfurun.steps.context import Context

REGAINED = "board regained"  # as anomalies count it
REGAINABLE = (Code.DEVICE_LOST, Code.LINK_UNRELIABLE)

Done = TypeVar("Done")


def regain(context: Context, failure: LinkUnreliable) -> None:
    """Have the board back after `failure`, in a new session that is in dfuIDLE, or raise the failure.

    Raises Refused where another board is at the port, Interrupted after Ctrl-C, StepFailed where the step's timeout is over.
    """
    if failure.code not in REGAINABLE or context.connection.port is None:
        raise failure
    while context.regains_left:
        context.regains_left -= 1
        context.connection.gentle |= not context.regains_left
        _reopen(context, failure)
        context.forget_protection()
        try:
            _require_same_device(context)
            context.require_same_board()
        except LinkUnreliable as again:
            if again.code not in REGAINABLE:
                raise
            continue
        _tell(context, failure)
        return
    raise failure


def persist(context: Context, action: Callable[[], Done]) -> Done:
    """Do what may be done from its beginning as often as the board has to be regained meanwhile; return what it returns.

    Raises what `regain` does, and Refused where the board is read-protected now: that one cannot be proven to be the same.
    """
    while True:
        try:
            return action()
        except LinkUnreliable as failure:
            regain(context, failure)
            context.require_readable(context.step_keyword)


def _reopen(context: Context, failure: LinkUnreliable) -> None:
    """Wait at the port and open what is there. Raise the failure, and regain no more, where that does not succeed."""
    wait_s = context.time_left(context.chip.usb.reconnect_timeout_s)
    try:
        why = None if context.connection.wait_for_return(wait_s, is_lost=True) else _not_back(wait_s)
    except AccessDenied as error:
        why = f"it cannot be opened any more: {error.message}"
    except LinkUnreliable as error:
        why = f"it could not be opened anew: {error.message}"
    if why is not None:
        context.regains_left = 0
        raise LinkUnreliable(
            failure.code,
            f"{failure.message}; {why}",
            consequence=failure.consequence,
            hint=failure.hint,
            evidence=failure.evidence,
        ) from None
    context.safe_boundary()


def _not_back(wait_s: float) -> str:
    return f"it was not back after {format_duration(wait_s)}"


def _require_same_device(context: Context) -> None:
    """Refuse a device that describes itself in another way than the one before; texts that could not be read do not count."""
    before, now = context.device, context.session.description
    if before is None:
        return
    if (before.release, before.is_user_dfu) != (now.release, now.is_user_dfu):
        raise context.another_board(f"its version is {now.release:04X}, before it was {before.release:04X}")
    if before.alternates != now.alternates:
        raise context.another_board(
            f"its memory layout is {now.flash_layout_text}, before it was {before.flash_layout_text}"
        )
    if before.serial and now.serial and before.serial != now.serial:
        raise context.another_board(f"its serial number is {now.serial}, before it was {before.serial}")


def _tell(context: Context, failure: LinkUnreliable) -> None:
    """Count it, write it down, tell people."""
    lost = failure.code is Code.DEVICE_LOST
    words = "the board left the bus and is back" if lost else "the link failed, and the board was opened anew"
    gently = " gently, in short blocks" if context.connection.gentle else ""
    context.connection.anomalies.note(REGAINED)
    context.journal.write("regained", step=context.step_keyword, code=str(failure.code))
    context.notice(f"{words}: going on with {context.step_keyword}{gently}")
