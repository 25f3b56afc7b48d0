"""The power goes while the host waits."""

from __future__ import annotations

from types import MappingProxyType

from dfurun.simulator.fault import Moment, Victim
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings
from dfurun.simulator.operation import Operation


class PowerCut(NamedFault):
    """The power goes at transfer `at` (from 0, as this fault counts), or in the operation that `for=` names.

    The device has acted on the transfer. Where that leaves an operation running, the power goes when `part` of its duration
    has passed: what it has not done by then it leaves undone, and the unit, page or option byte under way in between. Else
    it goes at once, and the host finds the device gone. It is `back` after so many seconds, with the option bytes loaded
    and BOOT0 as it is, or, without `back`, when hands give it back.

    Source (document): RM0091 sections 3.2.2, 3.2.3 and 4, what each operation does in its course; what an interrupted
    half-word and an interrupted page hold is an inference.
    """

    name = "power-cut"
    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"at", "for", "part", "back"}
    defaults = Settings(at=None)
    unset = MappingProxyType({"for": "none"})

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seen = 0
        self._armed = False

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Refuse two moments at once."""
        both = settings.at is not None and settings.actions is not None
        return "at= and for= are two moments: give one of them" if both else None

    def before(self, moment: Moment) -> bytes | None:
        """Count the transfer."""
        del moment
        self._seen += 1
        by_transfer = self.settings.actions is None
        self._armed = by_transfer and self._seen > (self.settings.at or 0) and self._fires()
        return None

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        """Set the time, where this operation is the one."""
        named = self.settings.actions is not None and self._means(operation.action)
        if self._armed or (named and self._fires()):
            self._cut_in(operation, board)
        return operation

    def ended(self, moment: Moment) -> None:
        """Set the time, where the transfer has begun nothing: in the course of what runs, or now."""
        if self._armed:
            bootloader = moment.board.bootloader
            self._cut_in(bootloader.registers.operation if bootloader else None, moment.board)

    def _cut_in(self, operation: Operation | None, board: Victim) -> None:
        self._armed = False
        at_s = None if operation is None else operation.starts_s + self.settings.part * operation.duration_s
        board.lose_power(at_s=at_s, back_after_s=self.settings.back_s)


KINDS: tuple[type[NamedFault], ...] = (PowerCut,)
