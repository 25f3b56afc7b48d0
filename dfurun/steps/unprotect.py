"""unprotect: open a chip that is *proven* read-protected. All of its flash is lost; an open chip is left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dfurun.errors import Code, Finding, StepFailed
from dfurun.steps.board import AbstractBoard
from dfurun.steps.connect import check_identity
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
        opened = replace(board, sealed_by=None, written=(), verified=frozenset(), option_fields={})
        return opened, self.needs_connection(board)

    def execute(self, context: Context) -> Result:
        """Send Read Unprotect where protection is proven, follow the reset, and prove the result."""
        context.require_rom("unprotect")
        if not self._proven_twice(context):
            return Result(Outcome.OK, "not protected, nothing was sent")
        evidence = context.protection().evidence
        context.notice("RDP level 1 is proven: opening the chip erases all of its flash")
        words = "send Read Unprotect, which erases all flash"
        context.begin_destruction("read-unprotect", words, evidence=list(evidence))
        context.waiting("erase", context.chip.timing.read_unprotect)
        departure = context.session.read_unprotect()
        why_not_back = context.follow_reset(departure)
        context.forget()
        if why_not_back is not None or context.is_protected():
            # RM0091 section 4: an F0 loads its option bytes at power-on, not at the ROM's reset.
            context.power_cycle(boot0=1, timeout_s=self.head.timeout_or(POWER_CYCLE_TIMEOUT_S))
        if context.is_protected_again():
            raise StepFailed(
                Code.STILL_PROTECTED,
                "the chip is still read-protected after Read Unprotect and a power cycle",
                consequence="whether its flash was erased cannot be read",
                hint="take all power from the board, USB and debugger included, for some seconds, and run again",
                evidence=context.protection().evidence,
            )
        check_identity(context)
        return Result(Outcome.CHANGED, "protection removed, all flash erased")

    def _proven_twice(self, context: Context) -> bool:
        """Reach the verdict once more, from fresh attempts: that of `connect` alone erases nothing."""
        if not context.is_protected():
            return False
        if context.is_protected_again():
            return True
        context.notice("the chip seemed read-protected to `connect`, and is not: the link is unreliable")
        check_identity(context)
        return False
