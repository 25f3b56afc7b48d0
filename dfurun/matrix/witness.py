"""A fault that does no harm: it sees every transfer and every command that the ROM executes, and in which step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dfurun.dfuse.protocol import COMMAND_BLOCK, FIRST_DATA_BLOCK, Command, DfuStatus, Request
from dfurun.simulator.commands import Download
from dfurun.simulator.fault import Fault, Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import Kind


@dataclass(frozen=True, slots=True)
class Executed:
    """A command that the ROM took up: its bytes, the step that the run was in, whether read protection was in force."""

    payload: bytes
    step: int
    protected: bool


@dataclass(slots=True)
class Seen:
    """A run, seen from the board: the step of each occasion of each sort, and the commands executed."""

    transfers: list[int] = field(default_factory=list)
    uploads: list[int] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)
    operations: dict[Action, list[int]] = field(default_factory=dict)
    commands: list[Executed] = field(default_factory=list)

    @property
    def erases(self) -> list[int]:
        """The steps of all erases, of pages and of everything, in their order."""
        return sorted(self.operations.get(Action.ERASE_PAGE, []) + self.operations.get(Action.ERASE_ALL, []))


class Overrun(BaseException):
    """A run that does not come to an end: no error of dfurun's, so nothing in it catches this."""


class Witness(Fault):
    """Watches one run. `step` tells where the run is, `protected` the board's truth; more than `most_transfers` end it."""

    name = "witness"

    def __init__(self, step: Callable[[], int], protected: Callable[[], bool], *, most_transfers: int) -> None:
        self.seen = Seen()
        self._step = step
        self._protected = protected
        self._most_transfers = most_transfers

    def before(self, moment: Moment) -> bytes | None:
        """Note the transfer."""
        seen, setup, step = self.seen, moment.setup, self._step()
        seen.transfers.append(step)
        if setup.kind is Kind.CLASS and setup.request == Request.UPLOAD and setup.value >= FIRST_DATA_BLOCK:
            seen.uploads.append(step)
        if len(seen.transfers) > self._most_transfers:
            raise Overrun(f"no end after {self._most_transfers} transfers")
        return None

    def executing(self, download: Download) -> DfuStatus | None:
        """Note the command."""
        if download.block == COMMAND_BLOCK:
            step = self._step()
            if download.data[0] == Command.SET_ADDRESS:
                self.seen.addresses.append(step)
            self.seen.commands.append(Executed(download.data, step, self._protected()))
        return None

    def loses(self, operation: Operation) -> bool:
        """Note the operation, and lose nothing."""
        self.seen.operations.setdefault(operation.action, []).append(self._step())
        return False
