"""unprotect: open a chip that is *proven* read-protected. All of its flash is lost; an open chip is left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dfurun.errors import Code, Finding, StepFailed
from dfurun.steps.board import AbstractBoard
from dfurun.steps.connect import learn_identity
from dfurun.steps.context import POWER_CYCLE_TIMEOUT_S, Context
from dfurun.steps.event import Outcome
from dfurun.steps.step import Result, Step


@dataclass(frozen=True, slots=True)
class Unprotect(Step):
    """The only place that sends Read Unprotect (0x92), and only on proof."""

    keyword: ClassVar[str] = "unprotect"
    destructive: ClassVar[bool] = True
    keeps_timeout: ClassVar[bool] = False

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Open the abstract board. What was written may be lost; nothing counts as erased, an open chip is not."""
        return replace(board, sealed_by=None, written=(), verified=frozenset()), self.needs_connection(board)

    def execute(self, context: Context) -> Result:
        """Send Read Unprotect where protection is proven, follow the reset, and prove the result."""
        context.require_rom("unprotect")
        if not context.is_protected():
            return Result(Outcome.OK, "not protected, nothing was sent")
        evidence = context.protection().evidence
        context.notice("the chip is read-protected (RDP level 1): opening it erases all of its flash")
        context.journal.before_destruction("read-unprotect", evidence=list(evidence))
        context.session.read_unprotect()
        self._follow_reset(context)
        if not context.connection.is_open or context.is_protected():
            # RM0091 section 4: an F0 loads its option bytes at power-on, not at the ROM's reset.
            context.power_cycle(boot0=1, timeout_s=self.head.timeout_s or POWER_CYCLE_TIMEOUT_S)
        if context.is_protected():
            raise StepFailed(
                Code.STILL_PROTECTED,
                "the chip is still read-protected after Read Unprotect and a power cycle",
                consequence="its flash is erased or as it was; nothing else was changed",
                hint="take all power from the board, USB and debugger included, for some seconds, and run again",
                evidence=context.protection().evidence,
            )
        learn_identity(context)
        context.expect.check(context.identity)
        return Result(Outcome.CHANGED, "read protection removed, all flash erased")

    def _follow_reset(self, context: Context) -> None:
        """Wait for the board to leave and to come back; one that does not come back is asked for by the power cycle."""
        timeout_s = context.chip.usb.reconnect_timeout_s
        context.connection.wait_for_departure(timeout_s)
        context.connection.wait_for_return(timeout_s)
        context.forget()
