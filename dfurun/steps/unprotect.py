"""unprotect: open a chip that is *proven* read-protected. All of its flash is lost; an open chip is left alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dfurun.chips import InForce
from dfurun.errors import Code, Finding, StepFailed
from dfurun.steps.board import AbstractBoard
from dfurun.steps.connect import check_identity
from dfurun.steps.context import POWER_CYCLE_TIMEOUT_S, Context
from dfurun.steps.effect import Act, ActKind, Effect, OptionEffect, Will, field_effects
from dfurun.steps.event import Outcome
from dfurun.steps.power_cut import tell_to_keep_power, to_keep_power
from dfurun.steps.projected import OPEN_LEVEL, ProjectedBoard
from dfurun.steps.step import Result, Step

MOST_SENT = 2
RELOAD = "power-cycle the board with BOOT0 high, where the chip does not load its option bytes by itself"


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

    @property
    def needs_open_chip(self) -> bool:
        """A protected chip can be opened, and only such a one as well."""
        return False

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Open a protected board: its flash is erased, its option bytes are what the ROM makes of them."""
        if board.protected is False:
            return board, Effect(Will.NOTHING, "the chip is not protected: nothing is sent")
        chip, layout = board.chip, board.chip.option_bytes
        lost = "all flash, and what the option bytes were" + (f"; {chip.regression}" if chip.regression else "")
        if board.protected is None:
            opened = replace(
                board, protected=False, flash={}, raw=None, named={"RDP": OPEN_LEVEL} if layout.fields else {}
            )
            words = (
                "opens the chip where it is proven read-protected, which erases all flash and resets the option bytes"
            )
            return opened, Effect(
                Will.PERHAPS, words, loses=f"where it is protected, {lost}", acts=(Act(ActKind.JUDGE),)
            )
        pages = range(chip.flash.page_count)
        opened = replace(board.erased(pages), protected=False).with_options(
            layout.factory if layout.established else None
        )
        by_hand = layout.in_force_at is InForce.POWER_ON
        kinds = [ActKind.UNPROTECT, ActKind.RETURN, *([ActKind.POWER_CYCLE] if by_hand else []), ActKind.JUDGE_AFRESH]
        return opened, Effect(
            Will.CHANGE,
            "opens the chip, which erases all flash and resets the option bytes",
            erases=tuple(pages),
            loses=lost,
            options=OptionEffect(None, opened.raw, field_effects({}, opened.fields, layout.fields)),
            asks="; ".join(words for words in (to_keep_power(chip), RELOAD if by_hand else "") if words),
            acts=(
                Act(ActKind.JUDGE_AFRESH, protected=True),
                *(Act(kind) for kind in (*kinds, ActKind.IDENTITY, ActKind.OPTIONS)),
            ),
        )

    def execute(self, context: Context) -> Result:
        """Send Read Unprotect where protection is proven, follow the reset, and prove the result."""
        context.require_rom("unprotect")
        if not self._proven_twice(context):
            return Result(Outcome.OK, "not protected, nothing was sent")
        context.notice("RDP level 1 is proven: opening the chip erases all of its flash")
        if context.chip.regression:
            context.notice(f"what else it may do to such a chip: {context.chip.regression}")
        tell_to_keep_power(context)
        return self._send(context)

    def resume(self, context: Context) -> Result:
        """Follow the reset further where Read Unprotect may have been executed."""
        if context.reached is None:
            return self.execute(context)
        if self._is_open(context, is_back=True):
            return self._opened(context)
        if self._sent(context) >= MOST_SENT:
            raise _still_protected(context)
        return self._send(context)

    def _send(self, context: Context) -> Result:
        """Send Read Unprotect, follow the reset, and prove the result.

        It is sent once more where it was not executed: the chip is proven protected anew, after a power cycle or after the
        ROM's own refusal.
        """
        while True:
            evidence = context.protection().evidence
            words = "send Read Unprotect, which erases all flash"
            context.begin_destruction("read-unprotect", words, evidence=list(evidence))
            context.waiting("erase", context.chip.timing.read_unprotect)
            context.power_cycled = False
            try:
                departure = context.session.read_unprotect(lambda: self._note_sent(context))
                is_open = self._is_open(context, is_back=context.follow_reset(departure) is None)
            except StepFailed:
                context.forget()
                if self._sent(context) >= MOST_SENT or not self._proven_twice(context):
                    raise
                is_open = False
            if is_open:
                return self._opened(context)
            if self._sent(context) >= MOST_SENT:
                raise _still_protected(context)
            context.notice("the chip is proven protected again, Read Unprotect was not executed: sending it once more")

    @staticmethod
    def _note_sent(context: Context) -> None:
        context.reached = Unprotect._sent(context) + 1

    @staticmethod
    def _sent(context: Context) -> int:
        """Return how often Read Unprotect may have been executed in this step."""
        return context.reached if isinstance(context.reached, int) else 0

    def _is_open(self, context: Context, *, is_back: bool) -> bool:
        """Say whether the chip is open now, after a power cycle where that is what it takes."""
        context.forget()
        if not is_back or (context.is_protected() and not context.power_cycled):
            # RM0091 section 4: an F0 loads its option bytes at power-on, not at the ROM's reset.
            context.power_cycle(boot0=1, timeout_s=self.head.timeout_or(POWER_CYCLE_TIMEOUT_S))
        return not context.is_protected_again()

    def _opened(self, context: Context) -> Result:
        context.let_go_inherited(context.chip.flash.extent)
        check_identity(context)
        self._tell_what_was_reset(context)
        return Result(Outcome.CHANGED, "protection removed, all flash erased")

    def _tell_what_was_reset(self, context: Context) -> None:
        """Say what the ROM has made of the option bytes: that they could not be read before, nobody else will tell."""
        layout = context.chip.option_bytes
        if not layout.established:
            return
        raw = context.option_bytes()
        left = layout.changes(layout.factory, raw)
        values = ", ".join(f"{change.field.name} {change.field.show(change.after)}" for change in left)
        if not layout.factory_known:
            words = "the option bytes are what the bootloader has made of them"
        elif left:
            words = f"the option bytes are the factory's now, but for {values}"
        else:
            words = "the option bytes are the factory's now"
        context.notice(f"{words}: what they were before is lost")

    def _proven_twice(self, context: Context) -> bool:
        """Reach the verdict once more, from fresh attempts: that of `connect` alone erases nothing."""
        if not context.is_protected():
            return False
        if context.is_protected_again():
            return True
        context.notice("the chip seemed read-protected to `connect`, and is not: the link is unreliable")
        check_identity(context)
        return False


def _still_protected(context: Context) -> StepFailed:
    return StepFailed(
        Code.STILL_PROTECTED,
        "the chip is still read-protected after Read Unprotect and a power cycle",
        consequence="whether its flash was erased cannot be read",
        hint="take all power from the board, USB and debugger included, for some seconds, and run again",
        evidence=context.protection().evidence,
    )
