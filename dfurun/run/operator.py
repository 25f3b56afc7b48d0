"""The hands at the bench: a person who reads what is asked, or a simulated board's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfurun.usb.port import PortPath

if TYPE_CHECKING:
    from dfurun.simulator import SimulatedBoard


class HumanOperator:
    """A person: the reporter shows what is asked, the bus shows when it is done."""

    def ask(self, *, port: str, boot0: int, timeout_s: float) -> None:
        """Do nothing more than the event that was sent."""


class SimulatedOperator:
    """Hands that power-cycle a simulated board at once."""

    def __init__(self, boards: Sequence[SimulatedBoard]) -> None:
        self._boards = boards

    def ask(self, *, port: str, boot0: int, timeout_s: float) -> None:
        """Power-cycle the board at `port` with BOOT0 at this level."""
        for board in self._boards:
            if str(PortPath(board.bus, board.port)) == port:
                board.power_cycle(boot0)
