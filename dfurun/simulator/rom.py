"""The bootloader's state machine: DFU class requests in, answers out. One entry, `Bootloader.control`.

A DNLOAD is only stored; the next GETSTATUS executes it, answers dfuDNBUSY with bwPollTimeout, and the operation takes its
typical time on the board's clock. When it has ended the state is dfuDNLOAD-SYNC again, with the result for the GETSTATUS
that asks (DFU 1.1, A.2.5). Whether the ROM can be asked meanwhile is its model's `execution`.

# Ref: AN3156 rev 18; AN2662 section 4.5 (figures of the device side); USB DFU 1.1, section 6.1 and appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dfurun.chips import EarlyPoll, Execution, FirstState, Flash, Width
from dfurun.clock import Clock
from dfurun.dfuse.protocol import (
    COMMAND_BLOCK,
    FIRST_DATA_BLOCK,
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    DfuState,
    DfuStatus,
    Request,
    StatusReport,
)
from dfurun.simulator.commands import Download, RomModel, misaligned, plan
from dfurun.simulator.memory import Memory, Region
from dfurun.simulator.operation import Action, Operation, cut, finish
from dfurun.simulator.transfer import Gone, Setup, Stall
from dfurun.units import AddressRange

_ABORTABLE = frozenset(
    {DfuState.IDLE, DfuState.DNLOAD_SYNC, DfuState.DNLOAD_IDLE, DfuState.MANIFEST_SYNC, DfuState.UPLOAD_IDLE}
)
_NEVER_BUSY = StatusReport(DfuStatus.OK, 0.0, DfuState.DNBUSY)
_CLOCK_RESOLUTION_S = 1e-9  # sums of floating-point seconds are not exact


class Troubles(Protocol):
    """What the bootloader asks of the board's faults, each question once an operation."""

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Return a status that a fault makes of `operation`, or None."""

    def reporting(self, operation: Operation) -> float | None:
        """Return a bwPollTimeout in place of the operation's own, or None."""

    def wedges(self, operation: Operation) -> bool:
        """Say whether the ROM stays in dfuDNBUSY when `operation` has ended."""

    def loses(self, operation: Operation) -> bool:
        """Say whether `operation` is acknowledged and not done."""

    def starves(self, operation: Operation, width: Width | None) -> bool:
        """Say whether the supply is too low for `operation` at this width."""

    def protecting(self, operation: Operation, flash: Flash) -> Sequence[AddressRange]:
        """Return what of the flash `operation` leaves alone."""


class Surroundings(Protocol):
    """What the bootloader asks of the board around it."""

    @property
    def faults(self) -> Troubles:
        """The board's faults."""

    def system_reset(self, at_s: float) -> None:
        """Reset the chip; the bootloader is gone when this returns."""

    def leave(self, address: int) -> None:
        """Leave the bus and start what lies at `address`."""

    def beginning(self, operation: Operation) -> Operation:
        """Return the operation that runs: `operation`, or what a fault makes of it."""

    def keep_waiting(self, until_s: float) -> None:
        """Let the host see NAKs until then; raise NoAnswer where it gives its transfer up before."""


@dataclass(slots=True)
class Registers:
    """All that the bootloader remembers.

    `stored` waits for the GETSTATUS that executes it; `operation` runs; `outcome` waits for the GETSTATUS that reports it;
    `programming_failed` is AN2606's "all following program operations fail as well". `wedged`: the ROM will not see the end of
    what runs, or has not seen that of what ran. `hung`: it does not leave dfuERROR any more.
    """

    pointer: int
    state: DfuState = DfuState.IDLE
    status: DfuStatus = DfuStatus.OK
    stored: Download | None = None
    operation: Operation | None = None
    outcome: DfuStatus | None = None
    last_busy: StatusReport = _NEVER_BUSY
    programming_failed: bool = False
    wedged: bool = False
    hung: bool = False


class Bootloader:
    """One run of the bootloader, from a reset to the next."""

    def __init__(
        self,
        model: RomModel,
        memory: Memory,
        clock: Clock,
        surroundings: Surroundings,
        registers: Registers | None = None,
    ) -> None:
        self.model = model
        self.registers = registers or _as_met(model, memory)
        self._memory = memory
        self._clock = clock
        self._surroundings = surroundings
        self._running = True

    @property
    def memory(self) -> Memory:
        """The memories that it works on."""
        return self._memory

    @property
    def deaf_until_s(self) -> float | None:
        """When the ROM will serve requests again, of whatever kind; None where it does so now."""
        operation = self.registers.operation
        return None if operation is None or self.model.execution is Execution.BACKGROUND else operation.ends_s

    def control(self, setup: Setup, data: bytes = b"") -> bytes:
        """Answer one class request; `data` is what an OUT request carries.

        Raises Stall where the ROM stalls, NoAnswer where it keeps the host waiting for too long, and Gone where it resets
        itself meanwhile. It has to serve requests: see `deaf_until_s`.
        """
        self.settle()
        if setup.index != 0:  # there is one interface
            raise Stall
        match setup.request_type, setup.request:
            case (t, Request.DNLOAD) if t == REQUEST_TYPE_OUT:
                return self._dnload(setup, data)
            case (t, Request.UPLOAD) if t == REQUEST_TYPE_IN:
                return self._upload(setup)
            case (t, Request.GETSTATUS) if t == REQUEST_TYPE_IN:
                return self._get_status().pack()[: setup.length]
            case (t, Request.CLRSTATUS) if t == REQUEST_TYPE_OUT:
                return self._clear_status()
            case (t, Request.GETSTATE) if t == REQUEST_TYPE_IN:
                return self._get_state()[: setup.length]
            case (t, Request.ABORT) if t == REQUEST_TYPE_OUT:
                return self._abort()
        # DFU 1.1 appendix A: an unsupported class request stalls and leads to dfuERROR. DETACH is among them: AN3156 calls
        # it "not meaningful in the case of the bootloader".
        raise self.refusal(DfuStatus.ERR_STALLEDPKT)

    def settle(self, now_s: float | None = None) -> None:
        """Finish the operation whose time has passed, now or at the time given."""
        operation = self.registers.operation
        now_s = self._clock.now() if now_s is None else now_s
        if operation is None or operation.ends_s - now_s > _CLOCK_RESOLUTION_S:
            return
        registers = self.registers
        registers.operation = None
        if registers.state is DfuState.DNBUSY and not registers.wedged:
            registers.state, registers.outcome = DfuState.DNLOAD_SYNC, operation.outcome
        if operation.action is Action.SET_ADDRESS:
            registers.pointer = operation.address
        elif not self._surroundings.faults.loses(operation):
            left_alone = self._surroundings.faults.protecting(operation, self._memory.chip.flash)
            if self._surroundings.faults.starves(operation, self._memory.width):
                cut(operation, self._memory, elapsed_s=operation.duration_s / 2, protected=left_alone)
            else:
                finish(operation, self._memory, protected=left_alone)
        if operation.resets:
            self._running = False
            self._surroundings.system_reset(operation.ends_s)

    def cut_power(self, at_s: float | None = None) -> None:
        """Let the power go, now or at the time given: a running operation stops where it is."""
        at_s = self._clock.now() if at_s is None else at_s
        self.settle(at_s)
        operation = self.registers.operation
        self._running = False
        if operation is not None and operation.starts_s <= at_s and not self._surroundings.faults.loses(operation):
            left_alone = self._surroundings.faults.protecting(operation, self._memory.chip.flash)
            cut(operation, self._memory, elapsed_s=at_s - operation.starts_s, protected=left_alone)

    def bus_reset(self) -> None:
        """Start over as after a USB reset: dfuIDLE, nothing stored; a flash operation under way goes on (inference)."""
        self.settle()
        hung, status = self.registers.hung, self.registers.status
        self.registers = Registers(
            pointer=self._memory.chip.flash.extent.start,
            operation=self.registers.operation,
            programming_failed=self.registers.programming_failed,
        )
        if hung:
            self.registers.hung, self.registers.state, self.registers.status = True, DfuState.ERROR, status

    def refusal(self, status: DfuStatus) -> Stall:
        """Latch dfuERROR with `status` and return the STALL to raise."""
        registers = self.registers
        registers.state, registers.status = DfuState.ERROR, status
        registers.stored = registers.outcome = None
        registers.wedged = False
        return Stall()

    def begin(self, download: Download, *, not_before_s: float | None = None) -> StatusReport:
        """Begin what a DNLOAD asks for, now or at a later time, and return the dfuDNBUSY that says so."""
        registers, at_s = self.registers, max(self._clock.now(), not_before_s or 0.0)
        operation = plan(download, model=self.model, memory=self._memory, pointer=registers.pointer)
        forced = self._surroundings.faults.executing(operation)
        registers.programming_failed |= misaligned(
            download, model=self.model, memory=self._memory, pointer=registers.pointer
        )
        if registers.programming_failed and operation.action in (Action.PROGRAM, Action.WRITE_OTP):
            forced = forced or DfuStatus.ERR_TARGET
        made_s = self._surroundings.faults.reporting(operation)
        reported_s = operation.reported_s if made_s is None else made_s
        if forced is not None:
            operation = Operation(Action.REFUSE, operation.reported_s, outcome=forced)
        registers.stored = None
        registers.operation = self._surroundings.beginning(replace(operation, starts_s=at_s))
        registers.wedged = self._surroundings.faults.wedges(registers.operation)
        registers.state = DfuState.DNBUSY
        registers.last_busy = StatusReport(DfuStatus.OK, reported_s, DfuState.DNBUSY)
        return registers.last_busy

    def _dnload(self, setup: Setup, data: bytes) -> bytes:
        registers = self.registers
        if registers.state not in (DfuState.IDLE, DfuState.DNLOAD_IDLE):
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        if setup.length > self.model.transfer_size_bytes:
            registers.hung = self.model.long_block_hangs
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        if setup.length == 0:
            registers.state = DfuState.MANIFEST_SYNC
            return b""
        if COMMAND_BLOCK < setup.value < FIRST_DATA_BLOCK:
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        registers.stored, registers.state = Download(setup.value, data), DfuState.DNLOAD_SYNC
        return b""

    def _upload(self, setup: Setup) -> bytes:
        registers = self.registers
        if registers.state not in (DfuState.IDLE, DfuState.UPLOAD_IDLE):
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        if not 0 < setup.length <= self.model.transfer_size_bytes:
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        if setup.value == COMMAND_BLOCK:
            answer = bytes(self.model.commands)[: setup.length]
        elif setup.value < FIRST_DATA_BLOCK:
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        else:
            answer = self._read(setup)
        registers.state = DfuState.UPLOAD_IDLE if len(answer) == setup.length else DfuState.IDLE
        return answer

    def _read(self, setup: Setup) -> bytes:
        """Return the memory that an UPLOAD asks for.

        What lies past the end of a region is left out, a short frame (inference). Option bytes are read as a whole from
        their start (AN3156: "read size should be" that of the block).
        """
        if self._memory.option_bytes.protection_level:
            raise self.refusal(DfuStatus.ERR_VENDOR)
        address = self.model.block_address(self.registers.pointer, setup.value, setup.length)
        region = self._memory.region_of(address)
        if region is None or region not in self.model.regions:
            raise self.refusal(DfuStatus.ERR_TARGET)
        whole = self._memory.extent_at(address)
        if region is Region.OPTION_BYTES and whole and not AddressRange(address, setup.length).contains(whole):
            raise self.refusal(DfuStatus.ERR_TARGET)
        self._wait_for_memory()
        return self._memory.read(address, setup.length)

    def _get_status(self) -> StatusReport:
        registers = self.registers
        match registers.state:
            case DfuState.DNLOAD_SYNC if registers.stored is not None:
                return self._execute(registers.stored)
            case DfuState.DNLOAD_SYNC:
                ok = registers.outcome in (None, DfuStatus.OK)
                registers.state = DfuState.DNLOAD_IDLE if ok else DfuState.ERROR
                registers.status, registers.outcome = registers.outcome or DfuStatus.OK, None
            case DfuState.DNBUSY if registers.operation is None:  # wedged
                return registers.last_busy
            case DfuState.DNBUSY:
                return self._early_poll()
            case DfuState.MANIFEST_SYNC:
                registers.state = DfuState.MANIFEST
                self._surroundings.leave(registers.pointer)
        return StatusReport(registers.status, 0.0, registers.state)

    def _execute(self, download: Download) -> StatusReport:
        self._wait_for_memory()
        report = self.begin(download)
        if self.model.execution is Execution.HELD:
            self._wait_for_the_end()  # a host that gives up loses the answer; the operation has begun and goes on
        return report

    def _early_poll(self) -> StatusReport:
        match self.model.early_poll:
            case EarlyPoll.BUSY:
                return self.registers.last_busy
            case EarlyPoll.STALL:
                raise Stall
            case EarlyPoll.STALL_ERROR:
                raise self.refusal(DfuStatus.ERR_STALLEDPKT)

    def _get_state(self) -> bytes:
        registers = self.registers
        if self.model.early_state_is_poll and registers.state is DfuState.DNBUSY and registers.operation is not None:
            self._early_poll()
        return bytes([registers.state])

    def _clear_status(self) -> bytes:
        registers = self.registers
        if registers.hung:
            return b""
        if registers.state is DfuState.ERROR:
            registers.state, registers.status = DfuState.IDLE, DfuStatus.OK
        elif registers.wedged and registers.state is DfuState.DNBUSY:
            self.refusal(DfuStatus.ERR_UNKNOWN)  # the request itself is acknowledged
        elif not self.model.tolerates_stray_requests:
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        return b""

    def _abort(self) -> bytes:
        registers = self.registers
        if registers.state in _ABORTABLE:
            registers.state, registers.status = DfuState.IDLE, DfuStatus.OK
            registers.stored = registers.outcome = None
        elif not self.model.tolerates_stray_requests:
            raise self.refusal(DfuStatus.ERR_STALLEDPKT)
        return b""

    def _wait_for_memory(self) -> None:
        """Let a flash operation end that a latched error has left running: a second one, or a read, waits for it.

        RM0091 section 3.2.1: a read of the flash stalls the bus until the operation has completed. The host sees NAKs. One
        that gives its transfer up meanwhile has changed nothing (inference).
        """
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        """Keep the host waiting until the operation under way, if there is one, has ended; Gone where it ends in a reset."""
        operation = self.registers.operation
        if operation is not None:
            self._surroundings.keep_waiting(operation.ends_s)
            self.settle()
        if not self._running:
            raise Gone


def _as_met(model: RomModel, memory: Memory) -> Registers:
    """Return the registers of a bootloader that has just started."""
    registers = Registers(pointer=memory.chip.flash.extent.start)
    if model.first_state is FirstState.ERROR:
        registers.state, registers.status = DfuState.ERROR, DfuStatus.ERR_FIRMWARE
    return registers
