"""Whether, when and as what the board is on the bus."""

from __future__ import annotations

from types import MappingProxyType

from dfurun.simulator.fault import Impostor, Moment
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings


class Vanish(NamedFault):
    """The board leaves the bus at transfer `at` (from 0, as this fault counts) and is `back` after seconds, or never.

    It keeps its power, and goes on with what it does. On the bus again it is in dfuIDLE with a new address.

    Source (inference): a cable, a hub or a person; what the ROM does meanwhile.
    """

    name = "vanish"
    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"at", "back"}
    defaults = Settings(at=0)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seen = 0

    def before(self, moment: Moment) -> bytes | None:
        """Pull the plug."""
        self._seen += 1
        if self._seen > (self.settings.at or 0) and self._fires():
            moment.board.unplug(back_after_s=self.settings.back_s)
        return None


class Stays(NamedFault):
    """The board acknowledges the leave request and stays.

    Source (report): "LEAVE does not jump to application" (ST community 446385).
    """

    name = "stays"
    acts_on = ActsOn.START
    defaults = Settings(count=None)

    def stays(self) -> bool:
        """Stay."""
        return self._fires()


class NoReturn(NamedFault):
    """The board does not come back from its own reset until its next power cycle.

    Source (report): ST community 361078, hangs after -ob until a manual reset.
    """

    name = "no-return"
    acts_on = ActsOn.START
    defaults = Settings(count=None)

    def stays_away(self) -> bool:
        """Stay away."""
        return self._fires()


class LateReturn(NamedFault):
    """After a reset or a power-on the board is on the bus `s` seconds later than AN2606's minimum.

    Source (document): AN2606 tables 227 and 229, 320 ms to 13.7 s by chip and clock; blackmagic#294 and
    DIY-Multiprotocol-TX-Module-Boards#26 for hosts that take seconds more.
    """

    name = "late-return"
    acts_on = ActsOn.START
    keys = NamedFault.keys | {"s"}
    needs = MappingProxyType({"s": "5"})
    defaults = Settings(count=None)

    def returns_later_s(self) -> float:
        """Return the delay."""
        return self.settings.later_s if self._fires() else 0.0


class ReturnsAs(NamedFault):
    """After the board's own reset there is something else at its port.

    another-board: one of the same kind, as it comes from the factory, with another unique id. another-device: a GD32 in DFU
    mode, 28e9:0189. user-dfu: the same board, running ST's DFU example from its flash, under the ids of the ROM.

    Source (inference): hands that swap boards at one port; HAL's DFU looks like the ROM (bcdDevice 0x0200); boards that are
    told apart by serial number got another's image (ST community 153796).
    """

    name = "returns-as"
    acts_on = ActsOn.START
    keys = NamedFault.keys | {"what"}
    needs = MappingProxyType({"what": "another-board"})

    def returns_as(self) -> Impostor | None:
        """Return it."""
        return self.settings.impostor if self._fires() else None


KINDS: tuple[type[NamedFault], ...] = (Vanish, Stays, NoReturn, LateReturn, ReturnsAs)
