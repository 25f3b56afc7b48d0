"""A host that sends the documents' requests to a simulated board, one by one, and hides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dfurun.chips import Chip, EarlyPoll, load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import (
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    STATUS_LENGTH,
    DfuState,
    DfuStatus,
    Request,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.simulator import Running, SimulatedBoard
from dfurun.simulator.rom import Registers
from dfurun.simulator.transfer import Setup, Stall

CHIP = load_chip("stm32f072xb")
BLOCK = CHIP.usb.transfer_size_bytes
FLASH = CHIP.flash.extent.start
OPTIONS = CHIP.option_bytes.address
FACTORY = CHIP.option_bytes.factory
BACK_S = CHIP.usb.connect_minimum_s


def vector_table(*, stack: int = 0x2000_4000, reset: int = 0x0800_0101) -> bytes:
    return stack.to_bytes(4, "little") + reset.to_bytes(4, "little")


APPLICATION = vector_table() + bytes(range(8, 256)) * 20


class Bench:
    """One board on a clock that only moves when somebody sleeps."""

    def __init__(self, *, chip: Chip = CHIP, early_poll: EarlyPoll = EarlyPoll.STALL_ERROR, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.chip = chip
        self.board = SimulatedBoard(chip, self.clock, early_poll=early_poll, **settings)

    @property
    def registers(self) -> Registers:
        bootloader = self.board.bootloader
        assert bootloader is not None
        return bootloader.registers

    def out(self, request: int, value: int = 0, data: bytes = b"") -> None:
        self.board.control(Setup(REQUEST_TYPE_OUT, request, value, 0, len(data)), data)

    def into(self, request: int, value: int = 0, length: int = 0) -> bytes:
        return self.board.control(Setup(REQUEST_TYPE_IN, request, value, 0, length))

    def dnload(self, block: int, data: bytes) -> None:
        self.out(Request.DNLOAD, block, data)

    def upload(self, block: int, length: int) -> bytes:
        return self.into(Request.UPLOAD, block, length)

    def status(self) -> StatusReport:
        return StatusReport.unpack(self.into(Request.GETSTATUS, 0, STATUS_LENGTH))

    def state(self) -> DfuState:
        return DfuState(self.into(Request.GETSTATE, 0, 1)[0])

    def abort(self) -> None:
        self.out(Request.ABORT)

    def clear(self) -> None:
        self.out(Request.CLRSTATUS)

    def start(self, block: int, data: bytes) -> StatusReport:
        """Download, and start it."""
        self.dnload(block, data)
        return self.status()

    def execute(self, block: int, data: bytes) -> StatusReport:
        """Download, start, wait as reported, and return the result."""
        first = self.start(block, data)
        assert first.state is DfuState.DNBUSY, first
        self.clock.sleep(first.poll_timeout_s)
        return self.status()

    def must(self, block: int, data: bytes) -> None:
        """Execute, and insist that it worked."""
        assert self.execute(block, data) == StatusReport(DfuStatus.OK, 0.0, DfuState.DNLOAD_IDLE)

    def set_address(self, address: int) -> None:
        self.must(0, set_address_payload(address))

    def set_address_pointer(self, address: int) -> None:
        """Put the pointer there without a transfer."""
        self.registers.pointer = address

    def write(self, address: int, data: bytes) -> None:
        self.set_address(address)
        self.must(2, data)

    def erase_page(self, address: int) -> None:
        self.must(0, erase_page_payload(address))

    def mass_erase(self) -> None:
        self.must(0, mass_erase_payload())

    def read(self, address: int, length: int) -> bytes:
        self.set_address(address)
        self.abort()
        found = self.upload(2, length)
        if self.state() is not DfuState.IDLE:
            self.abort()
        return found

    def start_option_write(self, raw: bytes) -> StatusReport:
        self.set_address(self.chip.option_bytes.address)
        return self.start(2, raw)

    def write_options(self, raw: bytes) -> None:
        """Write option bytes, and wait for the board to be back."""
        self.start_option_write(raw)
        self.clock.sleep(CHIP.timing.option_bytes.typical_s)
        assert not self.board.present
        self.clock.sleep(BACK_S)

    def unprotect(self) -> StatusReport:
        return self.start(0, read_unprotect_payload())

    def is_present(self) -> bool:
        return self.board.present

    def running(self) -> Running:
        return self.board.running

    def bring_to(self, state: DfuState) -> None:
        """Bring a fresh bootloader into this state by requests alone."""
        steps: dict[DfuState, Callable[[], object]] = {
            DfuState.IDLE: lambda: None,
            DfuState.DNLOAD_SYNC: lambda: self.dnload(0, set_address_payload(FLASH)),
            DfuState.DNBUSY: lambda: self.start(0, erase_page_payload(FLASH)),
            DfuState.DNLOAD_IDLE: lambda: self.set_address(FLASH),
            DfuState.MANIFEST_SYNC: lambda: self.dnload(0, b""),
            DfuState.UPLOAD_IDLE: lambda: self.upload(2, 64),
            DfuState.ERROR: lambda: self.is_refused(lambda: self.dnload(1, b"1234")),
        }
        steps[state]()
        assert self.registers.state is state

    def is_refused(self, action: Callable[[], object]) -> bool:
        """Say whether the action ends in a STALL."""
        try:
            action()
        except Stall:
            return True
        return False


def options(**fields: int) -> bytes:
    """Return factory option bytes with some data bytes changed, by offset: options(b2=0x77)."""
    raw = bytearray(FACTORY)
    for name, value in fields.items():
        offset = int(name.removeprefix("b"))
        raw[offset : offset + 2] = value, value ^ 0xFF
    return bytes(raw)


def idle(status: DfuStatus = DfuStatus.OK) -> StatusReport:
    return StatusReport(status, 0.0, DfuState.IDLE)


def error(status: DfuStatus) -> StatusReport:
    return StatusReport(status, 0.0, DfuState.ERROR)


def busy(poll_timeout_s: float) -> StatusReport:
    return replace(idle(), state=DfuState.DNBUSY, poll_timeout_s=poll_timeout_s)
