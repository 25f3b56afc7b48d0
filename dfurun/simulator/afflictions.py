"""The faults of one board as a whole: each question asked of all of them, in their order, with one answer."""

from __future__ import annotations

from collections.abc import Iterable

from dfurun.chips import Flash, Width
from dfurun.dfuse.protocol import DfuStatus
from dfurun.simulator.commands import RomModel
from dfurun.simulator.fault import Fault, HostRefusal, Impostor, Moment, Victim
from dfurun.simulator.operation import Operation
from dfurun.simulator.rom import Bootloader
from dfurun.units import AddressRange


class Afflictions(list[Fault]):
    """The faults that a board has. Where several could answer for a moment, the first does; changes add up."""

    def model(self, model: RomModel) -> RomModel:
        """Return what the faults make of the ROM's model."""
        for fault in self:
            model = fault.model(model)
        return model

    def started(self, bootloader: Bootloader, on_the_bus_s: float | None) -> None:
        """Let the faults act on a bootloader that has started."""
        for fault in self:
            fault.started(bootloader, on_the_bus_s)

    def before(self, moment: Moment) -> bytes | None:
        """Return the answer that a fault gives in the device's place, or None; raise a TransferFailure."""
        answer = None
        for fault in self:
            answer = fault.before(moment) if answer is None else answer
        return answer

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Return what the faults leave of an answer; raise a TransferFailure."""
        for fault in self:
            answer = fault.after(moment, answer)
        return answer

    def ended(self, moment: Moment) -> None:
        """Let the faults act after a transfer."""
        for fault in self:
            fault.ended(moment)

    def opening(self) -> HostRefusal | None:
        """Return how opening fails, or None."""
        return next((refusal for fault in self if (refusal := fault.opening())), None)

    def claiming(self) -> HostRefusal | None:
        """Return how claiming fails, or None."""
        return next((refusal for fault in self if (refusal := fault.claiming())), None)

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Return the status that a fault makes of an operation, or None."""
        return next((status for fault in self if (status := fault.executing(operation)) is not None), None)

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        """Return the operation that runs."""
        for fault in self:
            operation = fault.beginning(operation, board)
        return operation

    def reporting(self, operation: Operation) -> float | None:
        """Return the bwPollTimeout that the last fault makes of an operation's, or None."""
        made = [time_s for fault in self if (time_s := fault.reporting(operation)) is not None]
        return made[-1] if made else None

    def wedges(self, operation: Operation) -> bool:
        """Say whether the ROM stays in dfuDNBUSY after an operation."""
        return any(fault.wedges(operation) for fault in self)

    def loses(self, operation: Operation) -> bool:
        """Say whether an operation is acknowledged and not done."""
        return any(fault.loses(operation) for fault in self)

    def starves(self, operation: Operation, width: Width | None) -> bool:
        """Say whether an operation stays half done for want of voltage."""
        return any(fault.starves(operation, width) for fault in self)

    def protecting(self, operation: Operation, flash: Flash) -> tuple[AddressRange, ...]:
        """Return all that an operation leaves alone."""
        return tuple(extent for fault in self for extent in fault.protecting(operation, flash))

    def stays(self) -> bool:
        """Say whether the board stays when it is told to leave."""
        return any(fault.stays() for fault in self)

    def stays_away(self) -> bool:
        """Say whether the board stays off the bus after a reset."""
        return any(fault.stays_away() for fault in self)

    def returns_later_s(self) -> float:
        """Return by how much later than it could the board is on the bus after a reset, in seconds."""
        return sum(fault.returns_later_s() for fault in self)

    def returns_as(self) -> Impostor | None:
        """Return what is at the port after a reset, or None for the board itself."""
        return next((impostor for fault in self if (impostor := fault.returns_as()) is not None), None)

    def add(self, faults: Iterable[Fault]) -> Afflictions:
        """Add faults; return those alone."""
        added = Afflictions(faults)
        self.extend(added)
        return added
