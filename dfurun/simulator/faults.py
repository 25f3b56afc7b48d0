"""The faults that a simulated board can have, each with its source; `fault_text` is the form in which they are asked for.

Faults count their own occasions from when they are made and are not part of a saved board. An occasion is what the fault could
have acted on: a transfer, an operation, or, for the ROM's model, a start of the bootloader.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import COMMAND_BLOCK, FIRST_DATA_BLOCK, Command, DfuState, DfuStatus, Request
from dfurun.simulator.commands import Download, RomModel
from dfurun.simulator.fault import Fault, HostRefusal, Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import Babble, BusError, Kind, NoAnswer, Setup, Stall, TransferFailure

_SERVICE_STATES = (DfuState.DNLOAD_SYNC, DfuState.DNBUSY)


@dataclass(slots=True)
class Settings:
    """What the text of a fault may set; `count` None is always, `back_s` None is never, `actions` None is every operation."""

    skip: int = 0
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    request: str | None = None
    direction: str | None = None
    data_only: bool = False
    at: int = 0
    back_s: float | None = None
    execution: Execution = Execution.BACKGROUND
    early_poll: EarlyPoll = EarlyPoll.BUSY
    poll_time_s: float = 0.0
    actions: tuple[Action, ...] | None = None


class NamedFault(Fault):
    """A fault with a name and settings, which knows when it is its turn. `needs` are the keys it cannot do without."""

    keys: ClassVar[frozenset[str]] = frozenset({"skip", "count", "p", "seed"})
    needs: ClassVar[Mapping[str, str]] = MappingProxyType({})  # each with an example
    defaults: ClassVar[Settings] = Settings()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._random = random.Random(settings.seed)
        self._to_skip = settings.skip
        self._left = settings.count

    def _fires(self) -> bool:
        """Say whether this occasion is one on which the fault acts."""
        if self._left == 0:
            return False
        if self._to_skip:
            self._to_skip -= 1
            return False
        if self._random.random() >= self.settings.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class _TransferFault(NamedFault):
    """A fault of chosen transfers: `request=NAME`, `direction=in|out`, `data=1` for memory blocks alone."""

    keys = NamedFault.keys | {"request", "direction", "data"}

    def _meets(self, setup: Setup) -> bool:
        wanted = self.settings
        if wanted.request not in (None, setup.name):
            return False
        if wanted.direction not in (None, "in" if setup.is_in else "out"):
            return False
        if wanted.data_only and not _moves_memory(setup):
            return False
        return self._fires()


class _BeforeTransfer(_TransferFault):
    """A transfer that fails before the device acts."""

    failure: ClassVar[type[TransferFailure]]

    def before(self, moment: Moment) -> bytes | None:
        """Fail in the device's place."""
        if self._meets(moment.setup):
            raise self.failure
        return None


class _AfterTransfer(_TransferFault):
    """A transfer that fails after the device has acted."""

    failure: ClassVar[type[TransferFailure]]

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Keep the answer from the host."""
        if self._meets(moment.setup):
            raise self.failure
        return answer


class StallFault(_BeforeTransfer):
    """The transfer is stalled and the device has not seen it: LIBUSB_ERROR_PIPE "at random addresses" (ST community 122749)."""

    name = "stall"
    failure = Stall


class TimeoutFault(_BeforeTransfer):
    """The transfer gets lost on its way to the device (fwupd#1944: control transfers that time out on ST's ROMs)."""

    name = "timeout"
    failure = NoAnswer


class IoErrorFault(_BeforeTransfer):
    """The host controller gives the transfer up, LIBUSB_ERROR_IO, before the device acts."""

    name = "io-error"
    failure = BusError


class LostReplyFault(_AfterTransfer):
    """The device acts, its answer does not arrive: USB 2.0 section 8.5.3 cannot tell the host which of the two it was."""

    name = "lost-reply"
    failure = NoAnswer


class OverflowFault(_AfterTransfer):
    """The device acts, and the host sees more than it asked for: LIBUSB_ERROR_OVERFLOW."""

    name = "overflow"
    failure = Babble


class FalseErrVendor(NamedFault):
    """An upload of memory is stalled with errVENDOR though nothing is protected (ST community 772965 and 844573)."""

    name = "false-errvendor"

    def before(self, moment: Moment) -> bytes | None:
        """Latch the error and stall."""
        bootloader = moment.board.bootloader
        if bootloader and _is(moment.setup, Request.UPLOAD) and _moves_memory(moment.setup) and self._fires():
            raise bootloader.refusal(DfuStatus.ERR_VENDOR)
        return None


class FalseErrTarget(NamedFault):
    """A right address is called wrong: "received memory address is wrong or unsupported" (ST community 772965)."""

    name = "false-errtarget"

    def executing(self, download: Download) -> DfuStatus | None:
        """Refuse a Set Address."""
        is_set_address = download.block == COMMAND_BLOCK and download.data[0] == Command.SET_ADDRESS
        return DfuStatus.ERR_TARGET if is_set_address and self._fires() else None


class MissedService(NamedFault):
    """A GETSTATUS that the ROM's interrupt misses: the previous dfuDNBUSY goes out again and nothing moves.

    AN2606 rev 70 table 42: "some servicing IT are missed"; dfu-util ticket 78 shows the endless dfuDNBUSY.
    """

    name = "missed-service"
    defaults = Settings(count=None, probability=0.7)

    def before(self, moment: Moment) -> bytes | None:
        """Answer with what was answered before."""
        bootloader = moment.board.bootloader
        if bootloader is None or not _is(moment.setup, Request.GETSTATUS):
            return None
        registers = bootloader.registers
        if registers.state in _SERVICE_STATES and self._fires():
            return registers.last_busy.pack()[: moment.setup.length]
        return None


class ExecutionFault(NamedFault):
    """The ROM executes in another `mode`: background, held or inside. The sources of each are those of `Execution`."""

    name = "execution"
    keys = NamedFault.keys | {"mode"}
    needs = MappingProxyType({"mode": "held"})
    defaults = Settings(count=None)

    def model(self, model: RomModel) -> RomModel:
        """Execute so from this start of the bootloader to the next."""
        return replace(model, execution=self.settings.execution) if self._fires() else model


class EarlyPollFault(NamedFault):
    """The ROM has another `answer` to a poll before the end: busy, stall or stall-error; sources as in `EarlyPoll`."""

    name = "early-poll"
    keys = NamedFault.keys | {"answer"}
    needs = MappingProxyType({"answer": "busy"})
    defaults = Settings(count=None)

    def model(self, model: RomModel) -> RomModel:
        """Answer so from this start of the bootloader to the next."""
        return replace(model, early_poll=self.settings.early_poll) if self._fires() else model


class PollTime(NamedFault):
    """The ROM reports `ms` as bwPollTimeout, whatever the operation takes; `for=erase` for that operation alone.

    Too short: some L4 (dfu-util), 5 ms for 12 ms of an F745 (fwupd#1944), 100 ms for the 32 s of an F405's mass erase
    (dfu-util's dfuse.c). 0 for ever: Black Magic (dfuse.c gives up after a hundred). Too long: 104 ms for 2 KiB of a GD32
    (gd32-dfu-utils#3); the 24 bits can say 16777215, 4.6 hours (nanoFramework's flasher clamps them).
    """

    name = "poll-time"
    keys = NamedFault.keys | {"ms", "for"}
    needs = MappingProxyType({"ms": "100"})
    defaults = Settings(count=None)

    def reporting(self, operation: Operation) -> float | None:
        """Report this time."""
        wanted = self.settings
        meant = wanted.actions is None or operation.action in wanted.actions
        return wanted.poll_time_s if meant and self._fires() else None


class CorruptUpload(NamedFault):
    """One bit of an upload arrives wrong; a full-speed CRC16 makes it rare on the wire, not in a buffer behind it."""

    name = "corrupt-upload"

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Flip one bit."""
        if not (answer and _is(moment.setup, Request.UPLOAD) and _moves_memory(moment.setup) and self._fires()):
            return answer
        bit = self._random.randrange(len(answer) * 8)
        damaged = bytearray(answer)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)


class LostProgram(NamedFault):
    """A block is acknowledged and not programmed: AN2606 table 42, a communication failure "causing Write command to fail"."""

    name = "lost-program"

    def loses(self, operation: Operation) -> bool:
        """Skip the programming of a block."""
        return operation.action is Action.PROGRAM and self._fires()


class Vanish(NamedFault):
    """The board leaves the bus at transfer `at` (from 0, as this fault counts) and comes `back` after seconds, or never."""

    name = "vanish"
    keys = NamedFault.keys | {"at", "back"}

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._seen = 0

    def before(self, moment: Moment) -> bytes | None:
        """Pull the plug."""
        self._seen += 1
        if self._seen > self.settings.at and self._fires():
            moment.board.unplug(back_after_s=self.settings.back_s)
        return None


class Stays(NamedFault):
    """The board acknowledges the leave request and stays (ST community 446385: "LEAVE does not jump to application")."""

    name = "stays"
    defaults = Settings(count=None)

    def stays(self) -> bool:
        """Stay."""
        return self._fires()


class NoReturn(NamedFault):
    """The board does not come back from a reset until its next power cycle (ST community 361078: hangs after -ob)."""

    name = "no-return"
    defaults = Settings(count=None)

    def stays_away(self) -> bool:
        """Stay away."""
        return self._fires()


class NoPermission(NamedFault):
    """Opening fails with LIBUSB_ERROR_ACCESS: Linux without a udev rule for 0483:df11 (dfu-util's 60-dfuse.rules)."""

    name = "no-permission"
    defaults = Settings(count=None)

    def opening(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.NO_PERMISSION if self._fires() else None


class NoDriver(NamedFault):
    """Opening fails with LIBUSB_ERROR_NOT_SUPPORTED: Windows with ST's own driver in place of WinUSB (monome/crow#90)."""

    name = "no-driver"
    defaults = Settings(count=None)

    def opening(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.NO_DRIVER if self._fires() else None


class Busy(NamedFault):
    """Claiming fails with LIBUSB_ERROR_BUSY: another program has the interface (betaflight retries six times)."""

    name = "busy"
    defaults = Settings(count=None)

    def claiming(self) -> HostRefusal | None:
        """Refuse."""
        return HostRefusal.BUSY if self._fires() else None


FAULTS: dict[str, type[NamedFault]] = {
    kind.name: kind
    for kind in (
        StallFault,
        TimeoutFault,
        IoErrorFault,
        LostReplyFault,
        OverflowFault,
        FalseErrVendor,
        FalseErrTarget,
        MissedService,
        ExecutionFault,
        EarlyPollFault,
        PollTime,
        CorruptUpload,
        LostProgram,
        Vanish,
        Stays,
        NoReturn,
        NoPermission,
        NoDriver,
        Busy,
    )
}


def _is(setup: Setup, request: Request) -> bool:
    return setup.kind is Kind.CLASS and setup.request == request


def _moves_memory(setup: Setup) -> bool:
    """Say whether the transfer is a block of memory and not a command."""
    return (_is(setup, Request.DNLOAD) or _is(setup, Request.UPLOAD)) and setup.value >= FIRST_DATA_BLOCK
