"""A step with a mistake in it, as the steps after it see it: it may have done all that would make them right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dfurun.errors import Finding
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import Context
from dfurun.steps.effect import Effect
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Result, Step

_PRESENCE_AFTER = {
    "connect": Presence.CONNECTED,
    "leave-dfu": Presence.LEFT,
    "wait-for-power-cycle": Presence.UNKNOWN,
}
_CHANGES_NOTHING = ("connect", "leave-dfu", "read", "check-option-bytes")


@dataclass(frozen=True, slots=True)
class Unread(Step):
    """`meant` is the step's keyword, None where that could not be read either. It is judged over, and never run.

    `sound` is the step less its mistakes, None where that is none.
    """

    keyword: ClassVar[str] = "a step that could not be read"
    meant: str | None
    sound: Step | None = None

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Forget what this step may have changed. Its own mistakes have their findings already."""
        if self.meant is None:
            return replace(board.doubted(), presence=Presence.UNKNOWN), []
        if self.meant == "verify":
            board = replace(board, perhaps_verified=True)
        elif self.meant not in _CHANGES_NOTHING:
            board = board.doubted()
        board = replace(board, presence=_PRESENCE_AFTER.get(self.meant, board.presence))
        return board, self.sound.judged_alone() if self.sound else []

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Tell nothing: a recipe with such a step has no plan."""
        raise NotImplementedError

    def execute(self, context: Context) -> Result:
        """Do nothing: a recipe with such a step is no recipe."""
        raise NotImplementedError
