"""A fault that does no harm: it sees every transfer and every operation that the ROM takes up, and in which step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from dfurun.dfuse.protocol import FIRST_DATA_BLOCK, DfuStatus, Request
from dfurun.simulator.fault import Fault, Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import Kind


@dataclass(frozen=True, slots=True)
class Executed:
    """An operation that the ROM took up: what, where, on how many bytes, in which step, and what was true of the board then.

    `protected`: read protection was in force. `needless`: it makes the memory what it was. `announced`: what the step destroys
    was in the journal. `elsewhere`: on another board than the one that the run began with. `first_byte` is that of what is
    written, None where nothing is; `unit_bytes` what is programmed at once then.
    """

    action: Action
    address: int
    size_bytes: int
    step: int
    protected: bool
    needless: bool = False
    announced: bool = True
    elsewhere: bool = False
    first_byte: int | None = None
    unit_bytes: int = 0


@dataclass(slots=True)
class Seen:
    """A run, seen from the board: the step of each transfer and of each upload of memory, and all operations."""

    transfers: list[int] = field(default_factory=list)
    uploads: list[int] = field(default_factory=list)
    operations: list[Executed] = field(default_factory=list)

    def steps_of(self, *actions: Action) -> list[int]:
        """Return the step of each operation of these kinds; of none, of all that the ROM did not refuse."""
        return [
            done.step
            for done in self.operations
            if (done.action in actions if actions else done.action is not Action.REFUSE)
        ]


class Overrun(BaseException):
    """A run that does not come to an end: no error of dfurun's, so nothing in it catches this."""


class Watched(Protocol):
    """What a witness asks of the run and of the board at each operation."""

    def step(self) -> int:
        """Return where the run is."""
        ...

    def protected(self) -> bool:
        """Say whether read protection is in force."""
        ...

    def needless(self, operation: Operation) -> bool:
        """Say whether the operation makes the memory what it is."""
        ...

    def announced(self) -> bool:
        """Say whether the journal has what the step destroys."""
        ...

    def elsewhere(self) -> bool:
        """Say whether another board is at the port."""
        ...

    def unit_bytes(self) -> int:
        """Return what of the flash is programmed at once now."""
        ...


class Witness(Fault):
    """Watches one run; more than `most_transfers` end it."""

    name = "witness"

    def __init__(self, watched: Watched, *, most_transfers: int) -> None:
        self.seen = Seen()
        self._watched = watched
        self._most_transfers = most_transfers

    def before(self, moment: Moment) -> bytes | None:
        """Note the transfer."""
        seen, setup, step = self.seen, moment.setup, self._watched.step()
        seen.transfers.append(step)
        if setup.kind is Kind.CLASS and setup.request == Request.UPLOAD and setup.value >= FIRST_DATA_BLOCK:
            seen.uploads.append(step)
        if len(seen.transfers) > self._most_transfers:
            raise Overrun(f"no end after {self._most_transfers} transfers")
        return None

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Note the operation, and let it be."""
        watched = self._watched
        self.seen.operations.append(
            Executed(
                operation.action,
                operation.address,
                len(operation.data),
                watched.step(),
                watched.protected(),
                watched.needless(operation),
                watched.announced(),
                watched.elsewhere(),
                next(iter(operation.data), None),
                watched.unit_bytes(),
            )
        )
        return None
