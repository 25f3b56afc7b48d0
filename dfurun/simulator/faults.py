"""The faults that a simulated board can have, each with its source, and the text form in which they are asked for.

    NAME[:key=value,...]        stall:request=UPLOAD,count=2      missed-service:p=0.7,seed=3      vanish:at=120,back=2

Every fault takes `skip=N` (let N occasions pass), `count=N` or `count=always`, `p=PROBABILITY` and `seed=N`; the same text on
the same transfers does the same. Faults count their own occasions from when they are made and are not part of a saved board.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from dfurun.dfuse.protocol import COMMAND_BLOCK, FIRST_DATA_BLOCK, Command, DfuState, DfuStatus, Request
from dfurun.simulator.commands import Download
from dfurun.simulator.fault import Fault, HostRefusal, Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import Babble, BusError, Kind, NoAnswer, Setup, Stall, StandardRequest, TransferFailure

_REQUESTS = tuple(r.name for r in (*Request, *StandardRequest))
_SERVICE_STATES = (DfuState.DNLOAD_SYNC, DfuState.DNBUSY)


@dataclass(slots=True)
class Settings:
    """What the text of a fault may set; `count` None is always, `back_s` None is never."""

    skip: int = 0
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    request: str | None = None
    direction: str | None = None
    data_only: bool = False
    at: int = 0
    back_s: float | None = None


class NamedFault(Fault):
    """A fault with a name and settings, which knows when it is its turn."""

    keys: ClassVar[frozenset[str]] = frozenset({"skip", "count", "p", "seed"})
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


def parse_fault(text: str) -> Fault:
    """Return the fault that `NAME[:key=value,...]` asks for; raise ValueError that says what is meant, where it can."""
    name, _, rest = text.partition(":")
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name!r}{_did_you_mean(name, FAULTS)}")
    kind = FAULTS[name]
    values: dict[str, object] = {}
    for item in rest.split(",") if rest else ():
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: {item!r} is not key=value")
        if key not in kind.keys:
            raise ValueError(f"the fault {name} has no {key!r}{_did_you_mean(key, kind.keys)}")
        field, convert = _CONVERSIONS[key]
        try:
            values[field] = convert(value)
        except ValueError as error:
            raise ValueError(f"the fault {name}: {key}={value}: {error}") from None
    defaults = {field: getattr(kind.defaults, field) for field in Settings.__slots__}
    return kind(Settings(**(defaults | values)))


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("expected a number from 0 on")
    return int(text)


def _count(text: str) -> int | None:
    if text == "always":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("expected a number from 1 on, or 'always'")
    return int(text)


def _probability(text: str) -> float:
    value = _seconds(text)
    if value > 1:
        raise ValueError("expected a probability from 0 to 1")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 <= value < float("inf"):
        raise ValueError("expected a number from 0 on")
    return value


def _request(text: str) -> str:
    if text.upper() not in _REQUESTS:
        raise ValueError(f"no such request{_did_you_mean(text.upper(), _REQUESTS)}")
    return text.upper()


def _direction(text: str) -> str:
    if text not in ("in", "out"):
        raise ValueError("expected in or out")
    return text


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("expected 0 or 1")
    return text == "1"


_CONVERSIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "skip": ("skip", _whole),
    "count": ("count", _count),
    "p": ("probability", _probability),
    "seed": ("seed", _whole),
    "request": ("request", _request),
    "direction": ("direction", _direction),
    "data": ("data_only", _flag),
    "at": ("at", _whole),
    "back": ("back_s", _seconds),
}


def _is(setup: Setup, request: Request) -> bool:
    return setup.kind is Kind.CLASS and setup.request == request


def _moves_memory(setup: Setup) -> bool:
    """Say whether the transfer is a block of memory and not a command."""
    return (_is(setup, Request.DNLOAD) or _is(setup, Request.UPLOAD)) and setup.value >= FIRST_DATA_BLOCK
