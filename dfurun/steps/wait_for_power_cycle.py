"""wait-for-power-cycle: have the board power-cycled with BOOT0 at a level, and see that it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dfurun.chips import BootTarget
from dfurun.errors import Code, Finding
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import POWER_CYCLE_TIMEOUT_S, Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step


@dataclass(frozen=True, slots=True)
class WaitForPowerCycle(Step):
    """BOOT0 high brings the bootloader back, BOOT0 low starts the application."""

    keyword: ClassVar[str] = "wait-for-power-cycle"
    keeps_timeout: ClassVar[bool] = False
    boot0: int

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step."""
        return cls(head, body["boot0"])

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Connect or let go the abstract board; which board is meant, an earlier connect has told."""
        findings = []
        if board.presence is Presence.NOT_CONNECTED:
            message = "wait-for-power-cycle before connect"
            findings.append(self.finding(Code.STEP_ORDER, message, hint="make `connect` the first step"))
        return replace(board, presence=Presence.CONNECTED if self.boot0 else Presence.LEFT), findings

    @property
    def needs_open_chip(self) -> bool:
        """A protected chip can be power-cycled as well."""
        return False

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Wait for a person; what is stored comes into force. It fails where the board starts something else."""
        level = "high" if self.boot0 else "low"
        asks = f"power-cycle the board with BOOT0 {level}"
        starts, wrong = board.starts(boot0=self.boot0), ""
        if starts is not None and (starts is BootTarget.SYSTEM_MEMORY) is not bool(self.boot0):
            wrong = f"with BOOT0 {level} the board starts {starts.words}"
        kinds = [ActKind.POWER_CYCLE, *([ActKind.JUDGE_AFRESH] if self.boot0 else [])]
        kinds += [ActKind.IDENTITY] if self.boot0 and not board.protects else []
        words = wrong or "waits for a power cycle, after which what is stored is in force"
        return replace(board, protected=board.protects or board.protected), Effect(
            Will.FAIL if wrong else Will.HANDS,
            words,
            asks=asks,
            acts=tuple(Act(kind, protected=board.protects) for kind in kinds),
        )

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Load what is stored."""
        return forecast.power_cycled() if forecast else None

    def execute(self, context: Context) -> Result:
        """Ask, and watch the port."""
        context.power_cycle(boot0=self.boot0, timeout_s=self.head.timeout_or(POWER_CYCLE_TIMEOUT_S))
        return self._seen()

    def resume(self, context: Context) -> Result:
        """Ask nobody again where the power cycle was seen: the board is back at its port, and proven to be the same one."""
        return self._seen() if context.power_cycled and self.boot0 else self.execute(context)

    def _seen(self) -> Result:
        words = "back in DFU with BOOT0 high" if self.boot0 else "with BOOT0 low, not in DFU mode any more"
        return Result(Outcome.OK, words)
