"""The seam where faults act on a simulated board.

A fault overrides the moments it cares about; the board asks every fault at each of them, in the order given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol

from dfurun.chips import Flash, Width
from dfurun.dfuse.protocol import DfuStatus
from dfurun.simulator.commands import RomModel
from dfurun.simulator.operation import Operation
from dfurun.simulator.rom import Bootloader
from dfurun.simulator.transfer import Setup
from dfurun.units import AddressRange


class HostRefusal(Enum):
    """How a host's USB library refuses to open or claim a device."""

    NO_PERMISSION = "no-permission"
    NO_DRIVER = "no-driver"
    BUSY = "busy"


class Impostor(StrEnum):
    """What is at the port after a reset in place of the board's own bootloader.

    ANOTHER_BOARD: one of the same kind, as it comes from the factory, with another unique id. ANOTHER_DEVICE: a device in DFU
    mode with other ids. USER_DFU: this board, running ST's DFU example from its flash under the bootloader's ids.
    """

    ANOTHER_BOARD = "another-board"
    ANOTHER_DEVICE = "another-device"
    USER_DFU = "user-dfu"


class Victim(Protocol):
    """What a fault may do to the board."""

    @property
    def bootloader(self) -> Bootloader | None:
        """The bootloader that runs, or None."""

    def unplug(self, *, back_after_s: float | None) -> None:
        """Take the board off the bus, for a while or until its next power cycle."""

    def lose_power(self, *, at_s: float | None, back_after_s: float | None) -> None:
        """Let the power go at that time, None being now, for a while or until hands give it back."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One control transfer as a fault meets it."""

    setup: Setup
    data: bytes
    board: Victim


class Fault:
    """A fault that does nothing: every moment of it is there to be overridden."""

    name = "none"

    def model(self, model: RomModel) -> RomModel:
        """Return what a bootloader that starts, or that the fault meets running, is like in place of `model`."""
        return model

    def started(self, bootloader: Bootloader, on_the_bus_s: float | None) -> None:
        """Act on a bootloader that starts, or that the fault meets running; it is on the bus from then on, None being never."""
        del bootloader, on_the_bus_s

    def before(self, moment: Moment) -> bytes | None:
        """Act before the device does: raise a TransferFailure, or return an answer in the device's place."""
        del moment
        return None

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Act after the device has: raise a TransferFailure, or return what the host gets."""
        del moment
        return answer

    def ended(self, moment: Moment) -> None:
        """Act after a transfer, however it ended."""
        del moment

    def opening(self) -> HostRefusal | None:
        """Return how opening the device fails, or None."""
        return None

    def claiming(self) -> HostRefusal | None:
        """Return how claiming the interface fails, or None."""
        return None

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Return the status that this operation ends with in place of being done, or None."""
        del operation
        return None

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        """Act when an operation begins: return the one that runs in its place."""
        del board
        return operation

    def reporting(self, operation: Operation) -> float | None:
        """Return the bwPollTimeout, in seconds, that the ROM reports for this operation in place of its own, or None."""
        del operation
        return None

    def wedges(self, operation: Operation) -> bool:
        """Say whether the ROM stays in dfuDNBUSY when this operation has ended."""
        del operation
        return False

    def loses(self, operation: Operation) -> bool:
        """Say whether this operation is acknowledged and not done."""
        del operation
        return False

    def starves(self, operation: Operation, width: Width | None) -> bool:
        """Say whether the supply is too low for this operation at this programming width, and leaves it half done."""
        del operation, width
        return False

    def protecting(self, operation: Operation, flash: Flash) -> Sequence[AddressRange]:
        """Return what of the flash this operation leaves alone, as if it were write-protected."""
        del operation, flash
        return ()

    def stays(self) -> bool:
        """Say whether the board stays in the bootloader when it is told to leave."""
        return False

    def stays_away(self) -> bool:
        """Say whether the board stays off the bus after a reset."""
        return False

    def returns_later_s(self) -> float:
        """Return by how much later than the datasheet's minimum the board is on the bus after a reset, in seconds."""
        return 0.0

    def returns_as(self) -> Impostor | None:
        """Return what is at the port after a reset in the bootloader's place, or None."""
        return None
