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
    OPERATION = "every operation of the ROM"
    ADDRESS = "every Set Address"
    PROGRAM = "every block programmed"
    ERASE = "every erase"
    RUN = "the whole run"


def _statuses(*statuses: ExitStatus) -> frozenset[ExitStatus]:
    return frozenset({ExitStatus.DONE, *statuses})


_LINK = _statuses(ExitStatus.FAILED, ExitStatus.NO_DEVICE, ExitStatus.LINK)
_LOST = _statuses(ExitStatus.NO_DEVICE, ExitStatus.LINK)
_SEEDS = 40
_APART = 60  # control transfers: more than a board takes to be regained


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of fault: its name in the table, its text for each occasion, and what is demanded of a run that meets it.

    `bar`: the worst that may come of it. `fits`: the exit statuses that tell the truth. `in_session`: the fault is got over
    without opening the board anew. `tears`: the fault may leave option bytes that nobody meant, by a power cut. `swaps`: there
    may be another board in the end.
    """

    name: str
    fault: str
    occasion: Occasion
    bar: Survived = Survived.IN_ONE_RUN
    fits: frozenset[ExitStatus] = _LINK
    exhaustive: bool = False
    in_session: bool = False
    tears: bool = False
    swaps: bool = False

    def occasions(self, seen: Seen) -> Iterator[tuple[str, int | None]]:
        """Yield the fault's text for each occasion that the clean run had, and the step that it falls into."""
        for n, step in enumerate(self._steps(seen)):
            yield self.fault.format(n=n, later=n + _APART, latest=n + 2 * _APART), step

    def _steps(self, seen: Seen) -> list[int] | list[None]:
        match self.occasion:
            case Occasion.TRANSFER:
                return seen.transfers
            case Occasion.UPLOAD:
                return seen.uploads
            case Occasion.OPERATION:
                return seen.steps_of()
            case Occasion.ADDRESS:
                return seen.steps_of(Action.SET_ADDRESS)
            case Occasion.PROGRAM:
                return seen.steps_of(Action.PROGRAM)
            case Occasion.ERASE:
                return seen.steps_of(Action.ERASE_PAGE, Action.ERASE_ALL)
            case Occasion.RUN:
                return [None] * (_SEEDS if "{n}" in self.fault else 1)


def _whole_run(
    name: str, *faults: str, bar: Survived = Survived.IN_ONE_RUN, status: ExitStatus | None = None
) -> list[Kind]:
    fits = _LINK if status is None else _statuses(status)
    return [Kind(name, fault, Occasion.RUN, bar, fits) for fault in faults]


_STORED = ("mass-erase", "erase", "write", "option-bytes", "read-unprotect")
_STATES = ("dfuDNLOAD-SYNC", "dfuDNLOAD-IDLE", "dfuUPLOAD-IDLE", "dfuMANIFEST-SYNC", "dfuERROR")
_HARMLESS_STRINGS = ("empty", "garbage", "control", "truncated", "odd", "unpaired", "ascii")
_SECOND, _HAND = Survived.BY_SECOND_RUN, Survived.BY_HAND

KINDS: tuple[Kind, ...] = (
    # The board is gone
    Kind("disconnect, back in 1 s", "vanish:at={n},back=1", Occasion.TRANSFER, fits=_LOST, exhaustive=True),
    Kind(
        "disconnect, three times",
        "vanish:at={n},back=1 vanish:at={later},back=1 vanish:at={latest},back=1",
        Occasion.TRANSFER,
        fits=_LOST,
    ),
    Kind("disconnect", "vanish:at={n}", Occasion.TRANSFER, _SECOND, _LOST, exhaustive=True),
    Kind("power cut", "power-cut:at={n}", Occasion.TRANSFER, _HAND, _LOST, exhaustive=True, tears=True),
    Kind("brown-out, back in 1 s", "power-cut:at={n},back=1", Occasion.TRANSFER, _HAND, _LINK, tears=True),
    # A transfer fails
    Kind("stall", "stall:skip={n}", Occasion.TRANSFER, exhaustive=True, in_session=True),
    Kind("timeout", "timeout:skip={n}", Occasion.TRANSFER, exhaustive=True, in_session=True),
    Kind("lost reply", "lost-reply:skip={n}", Occasion.TRANSFER, exhaustive=True, in_session=True),
    Kind("I/O error", "io-error:skip={n}", Occasion.TRANSFER, in_session=True),
    Kind("overflow", "overflow:skip={n}", Occasion.TRANSFER, in_session=True),
    Kind("8 stalls in a row", "stall:skip={n},count=8", Occasion.TRANSFER),
    Kind("3 timeouts in a row", "timeout:skip={n},count=3", Occasion.TRANSFER),
    Kind("3 lost replies in a row", "lost-reply:skip={n},count=3", Occasion.TRANSFER),
    # An answer is wrong
    Kind("corrupt upload", "corrupt-upload:skip={n},seed={n}", Occasion.UPLOAD, in_session=True),
    Kind("short upload", "short-upload:skip={n}", Occasion.UPLOAD, in_session=True),
    Kind("false errVENDOR", "false-errvendor:skip={n}", Occasion.UPLOAD, in_session=True),
    Kind("false errVENDOR, twice", "false-errvendor:skip={n},count=2", Occasion.UPLOAD),
    Kind("false errTARGET", "false-errtarget:skip={n}", Occasion.ADDRESS, in_session=True),
    Kind("false errUNKNOWN", "false-status:status=errUNKNOWN,skip={n}", Occasion.OPERATION, in_session=True),
    # An operation is not what was asked
    Kind("lost block", "lost-program:skip={n}", Occasion.PROGRAM, in_session=True),
    Kind("flipped bit", "flip-program:skip={n},seed={n}", Occasion.PROGRAM, in_session=True),
    Kind("lost erase", "lost-erase:skip={n}", Occasion.ERASE, in_session=True),
    *_whole_run(
        "silent write protection",
        "silent-protection:page=0",
        "silent-protection:page=1",
        bar=_SECOND,
        status=ExitStatus.FAILED,
    ),
    # All through the run
    *_whole_run("missed service, p = 0.7", "missed-service:p=0.7,seed={n}"),
    *_whole_run(
        "fast host",
        "missed-service:p=0.7,seed={n} poll-time:ms=40 stall:p=0.05,count=always,seed={n} early-poll:answer=stall-error",
    ),
    *_whole_run("any fault, p = 0.02", "mix:p=0.02,seed={n}"),
    *_whole_run("any fault, p = 0.1", "mix:p=0.1,seed={n}", bar=_SECOND),
    *_whole_run("wrong poll time", *(f"poll-time:ms={ms}" for ms in (0, 1, 104, 0xFF_FFFF))),
    *_whole_run("another way to execute", *(f"execution:mode={mode}" for mode in ("background", "held", "inside"))),
    *_whole_run(
        "answer to an early poll", *(f"early-poll:answer={answer}" for answer in ("busy", "stall", "stall-error"))
    ),
    *_whole_run("strict ROM", "strict"),
    *_whole_run("malformed strings", *(f"strings:kind={kind}" for kind in _HARMLESS_STRINGS)),
    *_whole_run(
        "layout of another chip", "strings:kind=long", "strings:kind=sizes", bar=_SECOND, status=ExitStatus.REFUSED
    ),
    *_whole_run("no strings at all", "strings:kind=stall", bar=_SECOND, status=ExitStatus.LINK),
    # What the host finds
    *_whole_run("errFIRMWARE at first", "first-error"),
    *_whole_run("left in another state", *(f"leftover:state={state}" for state in _STATES)),
    *_whole_run(
        "left with a command stored", *(f"leftover:state=dfuDNLOAD-SYNC,stored={stored}" for stored in _STORED)
    ),
    # Resets and departures
    *_whole_run("back 5 s later", "late-return:s=5"),
    *_whole_run("not back after a reset", "no-return", bar=_SECOND, status=ExitStatus.LINK),
    *_whole_run("back as something else", "returns-as:what=another-device", bar=_SECOND, status=ExitStatus.LINK),
    Kind(
        "back as another board",
        "returns-as:what=another-board",
        Occasion.RUN,
        _SECOND,
        _statuses(ExitStatus.REFUSED, ExitStatus.LINK, ExitStatus.FAILED),
        swaps=True,
    ),
    *_whole_run("stays in the bootloader", "stays", bar=_SECOND, status=ExitStatus.FAILED),
    # The system refuses
    *_whole_run(
        "no permission, no driver", "no-permission", "no-driver", "busy", bar=_SECOND, status=ExitStatus.NO_ACCESS
    ),
)
