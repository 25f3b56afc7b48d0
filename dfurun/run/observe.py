"""Looking at a live board for a plan: what is read of it, and what it refuses before anything is sent that changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dfurun.errors import Refused
from dfurun.plan.observed import Observed
from dfurun.steps.blank import runs_of
from dfurun.steps.connect import Connect
from dfurun.steps.context import Context
from dfurun.steps.step import Head, Step


def connect(context: Context, steps: Sequence[Step]) -> None:
    """Find and open the board as the recipe's own `connect` does, and hold it against the recipe. Raise DfurunError."""
    step = next((step for step in steps if isinstance(step, Connect)), Connect(Head(0, ())))
    step.execute(context)


def observe(context: Context, pages: Iterable[int]) -> Observed:
    """Read a connected board's identity, protection and option bytes, and these pages of its flash. Raise DfurunError."""
    flash, port, identity = context.chip.flash, context.port, context.identity
    if context.is_protected():
        return Observed(port, identity, protected=True)
    if context.session.description.is_user_dfu:
        context.require_rom("plan")
    wanted = sorted(set(pages))
    raw = context.option_bytes() if context.chip.option_bytes.established else None
    held: dict[int, bytes] = {}
    tell = context.progress("read", sum(flash.page(page).size_bytes for page in wanted))
    done = 0
    for extent in runs_of(flash, wanted):
        data = context.session.read(extent, partial(_add, tell, done))
        for page in flash.pages_of(extent):
            start = flash.page(page).start - extent.start
            held[page] = data[start : start + flash.page(page).size_bytes]
        done += extent.size_bytes
    return Observed(port, identity, protected=False, option_bytes=raw, pages=held)


def _add(tell: Callable[[int], None], before: int, count: int) -> None:
    tell(before + count)


def refusals(context: Context, steps: Sequence[Step]) -> dict[int, str]:
    """Return what the board refuses of these steps, by their index: the first one, as nothing is done after it."""
    readable = not context.is_protected() and not context.session.description.is_user_dfu
    forecast = context.option_forecast() if readable else None
    for step in steps:
        try:
            forecast = step.preflight(context, forecast)
        except Refused as refusal:
            return {step.head.index: f"{refusal.message}; {refusal.hint}" if refusal.hint else refusal.message}
    return {}
