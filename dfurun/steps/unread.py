"""A step with a mistake in it, as the steps after it see it: it may have done all that would make them right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dfurun.errors import Finding
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import Context
from dfurun.steps.step import Result, Step

_PRESENCE_AFTER = {
    "connect": Presence.CONNECTED,
    "leave-dfu": Presence.LEFT,
    "wait-for-power-cycle": Presence.UNKNOWN,
}
_KEEPS_THE_FLASH = ("connect", "leave-dfu")
_ONLY_READS = ("read", "verify", "check-option-bytes")


@dataclass(frozen=True, slots=True)
class Unread(Step):
    """`meant` is the step's keyword, None where that could not be read either. It is judged over, and never run."""

    keyword: ClassVar[str] = "a step that could not be read"
    meant: str | None

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Forget what this step may have changed. Its own mistakes have their findings already."""
        if self.meant is None:
            return replace(board.doubted(), presence=Presence.UNKNOWN), []
        if self.meant in _ONLY_READS:
            board = replace(board, in_doubt=True)  # it is perhaps the `verify` that an image lacks
        elif self.meant not in _KEEPS_THE_FLASH:
            board = board.doubted()
        return replace(board, presence=_PRESENCE_AFTER.get(self.meant, board.presence)), []

    def execute(self, context: Context) -> Result:
        """Do nothing: a recipe with such a step is no recipe."""
        raise NotImplementedError
