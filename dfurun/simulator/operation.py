"""One thing that the bootloader does to a memory: what it is, how long it takes, what it leaves when the power goes.

# Ref: AN3156 section 5 (commands), RM0091 sections 3.2.2 and 3.2.3 (flash and option byte operations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dfurun.dfuse.protocol import DfuStatus
from dfurun.simulator.flash import interrupted
from dfurun.simulator.memory import Memory
from dfurun.units import AddressRange

_COUNTING_ERROR = 1e-6  # of a program unit: sums of floating-point seconds are not exact


class Action(StrEnum):
    """What an operation does."""

    SET_ADDRESS = "set-address"
    WRITE_RAM = "write-ram"
    WRITE_OTP = "write-otp"
    WRITE_DEVICE_FEATURE = "write-device-feature"
    PROGRAM = "program"
    ERASE_PAGE = "erase-page"
    ERASE_ALL = "erase-all"
    WRITE_OPTION_BYTES = "write-option-bytes"
    READ_UNPROTECT = "read-unprotect"
    REFUSE = "refuse"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that runs from `starts_s` on for `duration_s`; `reported_s` is the bwPollTimeout that goes with it."""

    action: Action
    reported_s: float
    duration_s: float = 0.0
    address: int = 0
    data: bytes = b""
    outcome: DfuStatus = DfuStatus.OK
    starts_s: float = 0.0

    @property
    def ends_s(self) -> float:
        """When it has ended, on the board's clock."""
        return self.starts_s + self.duration_s

    @property
    def resets(self) -> bool:
        """Whether the chip resets itself at the end (AN3156 figures 7 and 10)."""
        return self.action in (Action.WRITE_OPTION_BYTES, Action.READ_UNPROTECT)


def finish(operation: Operation, memory: Memory, *, protected: Sequence[AddressRange] = ()) -> None:
    """Do to the memories what the operation does when it runs to its end; `protected` is as good as write-protected."""
    protected = (*memory.option_bytes.write_protected(memory.chip.flash), *protected)
    match operation.action:
        case Action.WRITE_RAM:
            memory.write_ram(operation.address, operation.data)
        case Action.WRITE_OTP:
            memory.write_otp(operation.address, operation.data)
        case Action.WRITE_DEVICE_FEATURE:
            memory.device_feature = operation.data
        case Action.PROGRAM:
            memory.flash.program(operation.address, operation.data, protected=protected, unit_bytes=memory.unit_bytes)
        case Action.ERASE_PAGE:
            memory.flash.erase_page(memory.chip.flash.page_index(operation.address), protected=protected)
        case Action.ERASE_ALL:
            memory.flash.erase_all(protected=protected)
        case Action.WRITE_OPTION_BYTES:
            memory.option_bytes.erase_block(operation.address)
            memory.option_bytes.program(operation.data, operation.address)
        case Action.READ_UNPROTECT:
            _read_unprotect(memory)
        case Action.SET_ADDRESS | Action.REFUSE | Action.IGNORE:
            pass


def _read_unprotect(memory: Memory) -> None:
    """Remove the protection.

    AN3156 section 5.4: RAM is cleared always, flash only where the protection was active. RM0091 section 4: it is the
    hardware that mass-erases when RDP goes back to 0xAA; write protection does not stop that (inference). The option bytes
    are factory-programmed afterwards rather than left erased, also on an unprotected chip: inferences, to confirm on
    hardware; erased and factory bytes load alike except for RDP.
    """
    if memory.option_bytes.protection_level != 0:
        memory.flash.erase_all()
    memory.clear_ram()
    memory.option_bytes.erase()
    memory.option_bytes.replace(memory.option_bytes.layout.factory)


def cut(operation: Operation, memory: Memory, *, elapsed_s: float, protected: Sequence[AddressRange] = ()) -> None:
    """Leave the memories as a power cut does, `elapsed_s` after the operation began.

    Half-words are programmed one after the other, and the one under way is left in between: some of its bits are programmed,
    some are not. A page in the middle of its erase holds noise; option bytes are erased before they are programmed, so that
    in between the chip is at read protection level 1.
    """
    chip = memory.chip
    protected = (*memory.option_bytes.write_protected(chip.flash), *protected)
    match operation.action:
        case Action.PROGRAM:
            _cut_program(operation, memory, elapsed_s=elapsed_s, protected=protected)
        case Action.ERASE_PAGE:
            index = chip.flash.page_index(operation.address)
            if not any(sector.overlaps(chip.flash.page(index)) for sector in protected):
                memory.flash.interrupt_erase(index)
        case Action.ERASE_ALL:
            if not protected:
                _interrupt_erase_of_all(memory)
        case Action.WRITE_OPTION_BYTES:
            options = memory.option_bytes
            units, under_way = _units(memory, elapsed_s - chip.timing.shortest_erase.typical_s)
            done = options.interrupted_bytes * units
            options.erase_block(operation.address)
            options.program(operation.data[:done], operation.address)
            if under_way:
                options.interrupt_program(operation.data, offset=done, address=operation.address)
        case Action.READ_UNPROTECT:
            # The order (option bytes erased, flash erased, option bytes programmed) is an inference: to confirm.
            if memory.option_bytes.protection_level != 0 and elapsed_s >= chip.timing.shortest_erase.typical_s:
                _interrupt_erase_of_all(memory)
            memory.option_bytes.erase()
        case Action.WRITE_OTP:
            done, under_way = _units(memory, elapsed_s)
            memory.write_otp(operation.address, operation.data[:done])
            if under_way:
                left = interrupted(
                    b"\xff", operation.data[done : done + 1], seed=f"OTP 0x{operation.address + done:08X}"
                )
                memory.write_otp(operation.address + done, left)
        case Action.SET_ADDRESS | Action.WRITE_RAM | Action.WRITE_DEVICE_FEATURE | Action.REFUSE | Action.IGNORE:
            pass


def _cut_program(operation: Operation, memory: Memory, *, elapsed_s: float, protected: Sequence[AddressRange]) -> None:
    """Program the units whose time has passed, and leave the one under way in between."""
    size = memory.unit_bytes
    units, under_way = _units(memory, elapsed_s)
    done, rest = operation.data[: units * size], operation.data[units * size :]
    memory.flash.program(operation.address, done, protected=protected, unit_bytes=size)
    if under_way:
        memory.flash.interrupt_program(operation.address + len(done), rest[:size], protected=protected)


def _units(memory: Memory, elapsed_s: float) -> tuple[int, bool]:
    """Return how many units are programmed in this time, and whether one more is under way."""
    units = max(0.0, elapsed_s) / memory.timing.program_unit.typical_s + _COUNTING_ERROR
    return int(units), units - int(units) > 2 * _COUNTING_ERROR


def _interrupt_erase_of_all(memory: Memory) -> None:
    for index in range(memory.flash.layout.page_count):
        memory.flash.interrupt_erase(index)
