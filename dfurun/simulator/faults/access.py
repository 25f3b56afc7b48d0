"""The host's system does not let the board be opened or claimed."""

from __future__ import annotations

from dfurun.simulator.fault import HostRefusal
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings


class NoPermission(NamedFault):
    """Opening fails with LIBUSB_ERROR_ACCESS.

    Source (document): Linux without a udev rule for 0483:df11 (dfu-util's 60-dfuse.rules).
    """

    name = "no-permission"
    acts_on = ActsOn.OPENING
    defaults = Settings(count=None)

    def opening(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.NO_PERMISSION if self._fires() else None


class NoDriver(NamedFault):
    """Opening fails with LIBUSB_ERROR_NOT_SUPPORTED.

    Source (report): Windows with ST's own driver in place of WinUSB (monome/crow#90).
    """

    name = "no-driver"
    acts_on = ActsOn.OPENING
    defaults = Settings(count=None)

    def opening(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.NO_DRIVER if self._fires() else None


class Busy(NamedFault):
    """Claiming fails with LIBUSB_ERROR_BUSY: another program has the interface.

    Source (report): betaflight retries its claim six times.
    """

    name = "busy"
    acts_on = ActsOn.OPENING
    defaults = Settings(count=None)

    def claiming(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.BUSY if self._fires() else None


KINDS: tuple[type[NamedFault], ...] = (NoPermission, NoDriver, Busy)
