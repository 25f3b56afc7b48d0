"""The seam where faults act on a simulated board.

A fault overrides the moments it cares about; the board asks every fault at each of them, in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dfurun.dfuse.protocol import DfuStatus
from dfurun.simulator.commands import Download, RomModel
from dfurun.simulator.operation import Operation
from dfurun.simulator.rom import Bootloader
from dfurun.simulator.transfer import Setup


class HostRefusal(Enum):
    """How a host's USB library refuses to open or claim a device."""

    NO_PERMISSION = "no-permission"
    NO_DRIVER = "no-driver"
    BUSY = "busy"


class Victim(Protocol):
    """What a fault may do to the board."""

    @property
    def bootloader(self) -> Bootloader | None:
        """The bootloader that runs, or None."""

    def unplug(self, *, back_after_s: float | None) -> None:
        """Take the board off the bus, for a while or until its next power cycle."""


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

    def before(self, moment: Moment) -> bytes | None:
        """Act before the device does: raise a TransferFailure, or return an answer in the device's place."""
        del moment
        return None

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Act after the device has: raise a TransferFailure, or return what the host gets."""
        del moment
        return answer

    def opening(self) -> HostRefusal | None:
        """Return how opening the device fails, or None."""
        return None

    def claiming(self) -> HostRefusal | None:
        """Return how claiming the interface fails, or None."""
        return None

    def executing(self, download: Download) -> DfuStatus | None:
        """Return the status that executing this download ends with in place of being done, or None."""
        del download
        return None

    def reporting(self, operation: Operation) -> float | None:
        """Return the bwPollTimeout, in seconds, that the ROM reports for this operation in place of its own, or None."""
        del operation
        return None

    def loses(self, operation: Operation) -> bool:
        """Say whether this operation is acknowledged and not done."""
        del operation
        return False

    def stays(self) -> bool:
        """Say whether the board stays in the bootloader when it is told to leave."""
        return False

    def stays_away(self) -> bool:
        """Say whether the board stays off the bus after a reset."""
        return False
