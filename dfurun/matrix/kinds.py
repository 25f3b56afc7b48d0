"""Which faults are tried, on which occasions, and how much of each a run must survive; their sources are in the simulator.

A kind is exhaustive (every occasion of the clean run is tried) or sampled within a budget of runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from dfurun.errors import ExitStatus
from dfurun.matrix.witness import Seen
from dfurun.simulator.operation import Action


class Survived(IntEnum):
    """How a board got right after all, the best first."""

    IN_ONE_RUN = 0
    BY_SECOND_RUN = 1
    BY_HAND = 2
    NOT = 3


class Occasion(Enum):
    """What a kind's fault counts: `{n}` in its text is the number of the occasion, from 0, or a seed."""

    TRANSFER = "every control transfer"
    UPLOAD = "every upload of memory"
    ADDRESS = "every Set Address"
    PROGRAM = "every block programmed"
    ERASE = "every erase"
    RUN = "the whole run, by seed"


_LINK = frozenset({ExitStatus.DONE, ExitStatus.FAILED, ExitStatus.NO_DEVICE, ExitStatus.LINK})
_LOST = frozenset({ExitStatus.DONE, ExitStatus.NO_DEVICE, ExitStatus.LINK})
_SEEDS = 40


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of fault: its name in the table, its text for each occasion, and what is demanded of a run that meets it.

    `bar`: the worst that may come of it. `fits`: the exit statuses that tell the truth. `tears`: the fault may leave option
    bytes that nobody meant, by a power cut.
    """

    name: str
    fault: str
    occasion: Occasion
    bar: Survived = Survived.IN_ONE_RUN
    fits: frozenset[ExitStatus] = _LINK
    exhaustive: bool = False
    tears: bool = False

    def occasions(self, seen: Seen) -> Iterator[tuple[str, int | None]]:
        """Yield the fault's text for each occasion that the clean run had, and the step that it falls into."""
        for n, step in enumerate(self._steps(seen)):
            yield self.fault.format(n=n), step

    def _steps(self, seen: Seen) -> list[int] | list[None]:
        match self.occasion:
            case Occasion.TRANSFER:
                return seen.transfers
            case Occasion.UPLOAD:
                return seen.uploads
            case Occasion.ADDRESS:
                return seen.addresses
            case Occasion.PROGRAM:
                return seen.operations.get(Action.PROGRAM, [])
            case Occasion.ERASE:
                return seen.erases
            case Occasion.RUN:
                return [None] * (_SEEDS if "{n}" in self.fault else 1)


KINDS = (
    Kind("disconnect, back", "vanish:at={n},back=1", Occasion.TRANSFER, fits=_LOST, exhaustive=True),
    Kind("disconnect", "vanish:at={n}", Occasion.TRANSFER, Survived.BY_SECOND_RUN, _LOST, exhaustive=True),
    Kind("stall", "stall:skip={n}", Occasion.TRANSFER, exhaustive=True),
    Kind("timeout", "timeout:skip={n}", Occasion.TRANSFER, exhaustive=True),
    Kind("lost reply", "lost-reply:skip={n}", Occasion.TRANSFER, exhaustive=True),
    Kind("I/O error", "io-error:skip={n}", Occasion.TRANSFER),
    Kind("overflow", "overflow:skip={n}", Occasion.TRANSFER),
    Kind("corrupt upload", "corrupt-upload:skip={n}", Occasion.UPLOAD),
    Kind("false errVENDOR", "false-errvendor:skip={n}", Occasion.UPLOAD),
    Kind("false errTARGET", "false-errtarget:skip={n}", Occasion.ADDRESS),
    Kind("lost block", "lost-program:skip={n}", Occasion.PROGRAM),
    Kind("missed service", "missed-service:p=0.7,seed={n}", Occasion.RUN),
)
