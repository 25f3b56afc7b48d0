"""An operation that goes wrong behind a good answer: not done, done wrong, never ending, or told to take another time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from dfurun.chips import Flash, Width
from dfurun.simulator.fault import Victim
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings, flipped
from dfurun.simulator.operation import Action, Operation
from dfurun.units import AddressRange

_ERASES = (Action.ERASE_PAGE, Action.ERASE_ALL)
_ERASE_NAMES = ("erase", "mass-erase")


class PollTime(NamedFault):
    """The ROM reports `ms` as bwPollTimeout, whatever the operation takes; `for=` picks the operation.

    Too short: some L4 (dfu-util), 5 ms for the 12 ms of an F745 (fwupd#1944), 100 ms for the 32 s of an F405's mass erase.
    0 for ever: Black Magic, which dfu-util gives up after a hundred. Too long: 104 ms for 2 KiB of a GD32
    (gd32-dfu-utils#3). Bogus: the 24 bits can say 16777215, 4.6 hours.

    Source (report): dfu-util's dfuse.c; fwupd#1944; gd32-dfu-utils#3; nanoFramework's flasher, which clamps the last.
    """

    name = "poll-time"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"ms", "for"}
    needs = MappingProxyType({"ms": "100"})
    defaults = Settings(count=None)

    def reporting(self, operation: Operation) -> float | None:
        """Report this time."""
        return self.settings.poll_time_s if self._means(operation.action) and self._fires() else None


class LostProgram(NamedFault):
    """A block is acknowledged and not programmed.

    Source (document): AN2606 rev 70 table 42, a communication failure "causing Write command to fail".
    """

    name = "lost-program"
    acts_on = ActsOn.OPERATION

    def loses(self, operation: Operation) -> bool:
        """Skip the programming of a block."""
        return operation.action is Action.PROGRAM and self._fires()


class FlipProgram(NamedFault):
    """One bit of a block is programmed other than it was sent.

    Source (inference): a buffer or a cell that is wrong; programming reports no difference (RM0091 section 3.2.2 has no check).
    """

    name = "flip-program"
    acts_on = ActsOn.OPERATION

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        """Flip one bit of the data."""
        if operation.action is not Action.PROGRAM or not self._fires():
            return operation
        return replace(operation, data=flipped(operation.data, self._random))


class LostErase(NamedFault):
    """A page erase or a mass erase is acknowledged, takes its time, and is not done; `for=` picks one of the two.

    Source (document): AN2606 table 136, STM32H74x bootloader V13.3, whose mass erase does not work; that it is acknowledged,
    and that a page erase could be lost too, are inferences.
    """

    name = "lost-erase"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"for"}
    operations = _ERASE_NAMES

    def loses(self, operation: Operation) -> bool:
        """Skip an erase."""
        return operation.action in _ERASES and self._means(operation.action) and self._fires()


class LowSupply(NamedFault):
    """The board's supply is `volts`, too low for some programming widths: such an erase, and such a block, stays half done.

    The ROM acknowledges it (inference). Widths that this supply allows work, the ROM's own always. What a board really makes of
    it is unpredictable: cells may even read right and lose it later, which is not modelled.

    Source (document): RM0090 section 3.6.2, a parallelism that the voltage range does not allow.
    """

    name = "low-supply"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"volts"}
    needs = MappingProxyType({"volts": "2.4"})
    defaults = Settings(count=None)

    def starves(self, operation: Operation, width: Width | None) -> bool:
        """Leave an operation half done whose width needs more than there is."""
        needed_v = 0.0 if width is None else width.minimum_v
        of_flash = operation.action in (*_ERASES, Action.PROGRAM)
        return of_flash and needed_v > self.settings.supply_v and self._fires()


class SilentProtection(NamedFault):
    """Programming and erasing of `page` is acknowledged and ignored for good, whatever the option bytes say.

    A mass erase then erases nothing, as with any write-protected page (PM0059, WRPERR; an inference for other families). Read
    Unprotect erases the page all the same (inference).

    Source (document): AN3156 table 4, note: writes and erases of write-protected sectors are acknowledged without error.
    """

    name = "silent-protection"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"page"}
    needs = MappingProxyType({"page": "3"})
    defaults = Settings(count=None)

    def protecting(self, operation: Operation, flash: Flash) -> Sequence[AddressRange]:
        """Leave the page alone."""
        index = self.settings.page_index
        if index is None or not 0 <= index < flash.page_count:
            return ()
        page = flash.page(index)
        match operation.action:
            case Action.ERASE_ALL:
                concerned = True
            case Action.ERASE_PAGE:
                concerned = flash.page_index(operation.address) == index
            case Action.PROGRAM:
                concerned = page.overlaps(AddressRange(operation.address, len(operation.data)))
            case _:
                concerned = False
        return (page,) if concerned and self._fires() else ()


class Wedge(NamedFault):
    """After an erase the state stays dfuDNBUSY for good. CLRSTATUS leads to dfuERROR with errUNKNOWN, a second one to dfuIDLE.

    The erase itself is done. `for=` picks one of the two erases. A CLRSTATUS before its end does the same, and the next flash
    operation waits for it; a USB reset leads to dfuIDLE (inferences).

    Source (document): AN2606 table 136, STM32H74x bootloader V9.1; betaflight-configurator#1861 and #5348 for the way out.
    """

    name = "wedge"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"for"}
    operations = _ERASE_NAMES
    defaults = Settings(count=None)

    def wedges(self, operation: Operation) -> bool:
        """Stay busy after an erase."""
        return operation.action in _ERASES and self._means(operation.action) and self._fires()


KINDS: tuple[type[NamedFault], ...] = (
    PollTime,
    LostProgram,
    FlipProgram,
    LostErase,
    LowSupply,
    SilentProtection,
    Wedge,
)
