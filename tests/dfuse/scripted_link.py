"""A link that answers from a script, request by request, and remembers what it was sent.

Without a script it does what the state diagram of DFU 1.1 says, strictly: a stored command runs with the next GETSTATUS,
CLRSTATUS is for dfuERROR alone, what is illegal is stalled and latches errSTALLEDPKT. It has no memory and takes no time.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.anomalies import Anomalies
from dfurun.dfuse.channel import Channel
from dfurun.dfuse.link import AlternateSetting, DeviceDescription, LinkError, Stalled, Vanished
from dfurun.dfuse.protocol import DfuState, DfuStatus, FunctionalDescriptor, Request, StatusReport
from dfurun.dfuse.session import Session
from dfurun.units import AddressRange

CHIP = load_chip("stm32f072xb")
FLASH = CHIP.flash.extent.start
OPTIONS = CHIP.option_bytes.address
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT = (
    Request.DNLOAD,
    Request.UPLOAD,
    Request.GETSTATUS,
    Request.CLRSTATUS,
    Request.GETSTATE,
    Request.ABORT,
)
IDLE, SYNC, BUSY, DONE, ERROR = (
    DfuState.IDLE,
    DfuState.DNLOAD_SYNC,
    DfuState.DNBUSY,
    DfuState.DNLOAD_IDLE,
    DfuState.ERROR,
)


def busy(poll_ms: float = 0) -> StatusReport:
    return StatusReport(DfuStatus.OK, poll_ms / 1000, DfuState.DNBUSY)


def done() -> StatusReport:
    return StatusReport(DfuStatus.OK, 0.0, DfuState.DNLOAD_IDLE)


def idle() -> StatusReport:
    return StatusReport(DfuStatus.OK, 0.0, DfuState.IDLE)


def error(status: DfuStatus) -> StatusReport:
    return StatusReport(status, 0.0, DfuState.ERROR)


@dataclass(frozen=True, slots=True)
class Sent:
    """One control transfer as the link was asked for it."""

    request: Request
    value: int
    data: bytes
    length: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Lost:
    """The device acts; the host meets this error instead of the answer."""

    error: LinkError


# None: as the state diagram says. An error: the device sees nothing. A report: the device is in that state from now on.
Answer = LinkError | Lost | StatusReport | bytes | None


class ScriptedLink:
    """Implements `dfurun.dfuse.link.Link`. `rule` is asked first, then the request's own script, then the diagram."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        state: DfuState = DfuState.IDLE,
        status: DfuStatus = DfuStatus.OK,
        transfer_size: int = 2048,
        alternates: tuple[str, ...] = CHIP.usb.alternates,
    ) -> None:
        self.clock = clock
        self.state, self.status = state, status
        self.poll_ms = 0.0
        self.pointer = FLASH
        self.gone = False
        self.sent: list[Sent] = []
        self.executed: list[tuple[int, bytes]] = []
        self.selected: list[int] = []
        self.resets = 0
        self.closed = False
        self.vanish_at: int | None = None
        self.commands = bytes(CHIP.rom.commands)
        self.rule: Callable[[Sent], Answer] = lambda sent: None
        self._scripts: dict[Request, deque[Answer]] = defaultdict(deque)
        self._stored: tuple[int, bytes] | None = None
        self._description = DeviceDescription(
            vendor_id=CHIP.usb.vendor_id,
            product_id=CHIP.usb.product_id,
            release=CHIP.usb.release,
            product=CHIP.usb.product,
            serial=CHIP.usb.serial,
            functional=FunctionalDescriptor(0x0B, 255, transfer_size, 0x011A),
            alternates=tuple(AlternateSetting(number, name) for number, name in enumerate(alternates)),
        )

    # What a test says and sees ------------------------------------------------------------------------------------------

    def script(self, request: Request, *answers: Answer) -> None:
        """Answer the next requests of this kind so."""
        self._scripts[request].extend(answers)

    def requests(self, *kinds: Request) -> list[Sent]:
        """What was sent, of these kinds."""
        return [sent for sent in self.sent if sent.request in kinds]

    @property
    def names(self) -> list[str]:
        return [sent.request.name for sent in self.sent]

    def times_ms(self, request: Request) -> list[float]:
        """When requests of this kind came, in milliseconds."""
        return [round(sent.at_s * 1000, 3) for sent in self.requests(request)]

    @property
    def downloads(self) -> list[tuple[int, bytes]]:
        return [(sent.value, sent.data) for sent in self.requests(DNLOAD)]

    def forget(self) -> None:
        """Remember nothing of what was sent so far."""
        self.sent.clear()
        self.executed.clear()

    # What the code under test sees --------------------------------------------------------------------------------------

    @property
    def description(self) -> DeviceDescription:
        return self._description

    def control_out(self, request: Request, value: int, data: bytes, timeout_s: float) -> None:
        self._transfer(Sent(request, value, bytes(data), len(data), self.clock.now()))

    def control_in(self, request: Request, value: int, length: int, timeout_s: float) -> bytes:
        return self._transfer(Sent(request, value, b"", length, self.clock.now()))[:length]

    def select_alternate(self, number: int) -> None:
        self.selected.append(number)

    def reset(self) -> None:
        self.resets += 1
        self.state, self.status, self._stored = IDLE, DfuStatus.OK, None

    def close(self) -> None:
        self.closed = True

    # ------------------------------------------------------------------------------------------------------------------

    def _transfer(self, sent: Sent) -> bytes:
        self.sent.append(sent)
        self.gone = self.gone or len(self.sent) - 1 == self.vanish_at
        if self.gone:
            raise Vanished("No such device (it may have been disconnected)")
        answer = self.rule(sent)
        if answer is None and self._scripts[sent.request]:
            answer = self._scripts[sent.request].popleft()
        match answer:
            case None:
                return self._act(sent)
            case Lost():
                self._act(sent)
                raise answer.error
            case LinkError():
                raise answer
            case StatusReport():
                if self.state is SYNC and sent.request is GETSTATUS and answer.state is not ERROR:
                    self._execute()
                self.state, self.status = answer.state, answer.status
                return answer.pack()
            case _:
                return answer

    def _act(self, sent: Sent) -> bytes:
        match sent.request:
            case Request.GETSTATE:
                return bytes([self.state])
            case Request.GETSTATUS:
                return self._get_status().pack()
            case Request.ABORT if self.state not in (ERROR, BUSY):
                self.state, self._stored = IDLE, None
                return b""
            case Request.CLRSTATUS if self.state is ERROR:
                self.state, self.status = IDLE, DfuStatus.OK
                return b""
            case Request.DNLOAD if self.state in (IDLE, DONE):
                self._stored = (sent.value, sent.data)
                self.state = SYNC if sent.data else DfuState.MANIFEST_SYNC
                return b""
            case Request.UPLOAD if self.state in (IDLE, DfuState.UPLOAD_IDLE):
                self.state = DfuState.UPLOAD_IDLE
                return self.commands if sent.value == 0 else self._memory(sent)
        self.state, self.status = ERROR, DfuStatus.ERR_STALLEDPKT
        raise Stalled("Pipe error")

    def _get_status(self) -> StatusReport:
        poll_s = 0.0
        match self.state:
            case DfuState.DNLOAD_SYNC:
                self._execute()
                poll_s = self.poll_ms / 1000
            case DfuState.DNBUSY:
                self.state = DONE
            case DfuState.MANIFEST_SYNC:
                self.state, self.gone = DfuState.MANIFEST, True
        return StatusReport(self.status, poll_s, self.state)

    def _execute(self) -> None:
        assert self._stored is not None
        block, data = self._stored
        self.executed.append(self._stored)
        self.state, self._stored = BUSY, None
        if block == 0 and data[0] == 0x21:
            self.pointer = int.from_bytes(data[1:], "little")
        self.gone = (block == 0 and data[0] == 0x92) or (block == 2 and self.pointer == OPTIONS)
        if self.gone:  # the answer to this GETSTATUS still goes out; the reset follows
            self.gone, self.vanish_at = False, len(self.sent)

    def _memory(self, sent: Sent) -> bytes:
        """Return bytes that tell their own address."""
        start = self.pointer + (sent.value - 2) * self.description.functional.transfer_size_bytes
        return bytes((start + offset) * 7 >> 3 & 0xFF for offset in range(sent.length))


def memory(extent: AddressRange) -> bytes:
    """Return what the scripted device has at these addresses."""
    return bytes((extent.start + offset) * 7 >> 3 & 0xFF for offset in range(extent.size_bytes))


class Bench:
    """A scripted device with the session under test."""

    def __init__(self, **device: Any) -> None:
        self.clock = VirtualClock()
        self.link = ScriptedLink(self.clock, **device)
        self.anomalies = Anomalies()
        self.session = Session(self.link, CHIP, self.clock, self.anomalies)

    def contact(self) -> Bench:
        """Bring the session to dfuIDLE and forget how."""
        self.session.first_contact()
        self.link.forget()
        return self

    @property
    def channel(self) -> Channel:
        """A channel of its own on the same device, for tests of a lower floor."""
        return Channel(self.link, CHIP, self.clock, self.anomalies)
