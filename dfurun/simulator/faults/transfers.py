"""A transfer that fails, whatever it carries: before the device has seen it, or after."""

from __future__ import annotations

from typing import ClassVar

from dfurun.simulator.fault import Moment
from dfurun.simulator.faults.named import ActsOn, NamedFault, moves_memory
from dfurun.simulator.transfer import Babble, BusError, NoAnswer, Setup, Stall, TransferFailure


class _TransferFault(NamedFault):
    """A fault of chosen transfers: `request=NAME`, `direction=in|out`, `data=1` for memory blocks alone."""

    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"request", "direction", "data"}
    transient = True
    failure: ClassVar[type[TransferFailure]]

    def _meets(self, setup: Setup) -> bool:
        wanted = self.settings
        if wanted.request not in (None, setup.name):
            return False
        if wanted.direction not in (None, "in" if setup.is_in else "out"):
            return False
        if wanted.data_only and not moves_memory(setup):
            return False
        return self._fires()


class _BeforeTransfer(_TransferFault):
    """A transfer that fails before the device acts."""

    def before(self, moment: Moment) -> bytes | None:
        """Fail in the device's place."""
        if self._meets(moment.setup):
            raise self.failure
        return None


class _AfterTransfer(_TransferFault):
    """A transfer that fails after the device has acted."""

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Keep the answer from the host."""
        if self._meets(moment.setup):
            raise self.failure
        return answer


class StallFault(_BeforeTransfer):
    """A transfer is stalled, and the device has not seen it.

    Source (report): LIBUSB_ERROR_PIPE at random addresses of an F072 (ST community 122749); openmv#1508.
    """

    name = "stall"
    failure = Stall


class TimeoutFault(_BeforeTransfer):
    """A transfer gets lost on its way to the device, and the host waits for its timeout.

    Source (report): control transfers to ST's ROMs that time out (fwupd#1944).
    """

    name = "timeout"
    failure = NoAnswer


class IoErrorFault(_BeforeTransfer):
    """The host controller gives a transfer up, LIBUSB_ERROR_IO, before the device acts.

    Source (document): USB 2.0 section 10.2.6: three errors in a row end a transfer.
    """

    name = "io-error"
    failure = BusError


class LostReplyFault(_AfterTransfer):
    """The device acts, and its answer does not arrive.

    Source (document): USB 2.0 section 8.5.3 cannot tell the host which of the two it was.
    """

    name = "lost-reply"
    failure = NoAnswer


class OverflowFault(_AfterTransfer):
    """The device acts, and the host sees more than it asked for: LIBUSB_ERROR_OVERFLOW.

    Source (document): USB 2.0 section 8.7.4, babble.
    """

    name = "overflow"
    failure = Babble


KINDS: tuple[type[NamedFault], ...] = (StallFault, TimeoutFault, IoErrorFault, LostReplyFault, OverflowFault)
