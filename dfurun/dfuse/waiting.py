"""Waiting for a stored command to end: how often to ask, when an answer is not believed, when to give up.

The first wait is what the ROM reports, counted from when its answer was there, less what that itself took where it was held;
the budget counts from its end, however long the ROM has made it. After it, and until the datasheet's maximum has passed, the
ROM is asked again at the reported interval. A ROM that latches dfuERROR when it is asked as soon as it said has reported too
short a time: from then on the session waits for the datasheet's maximum.

A dfuDNBUSY that is answered when even the maximum has passed is *stale*: the ROM missed a packet and repeats itself (AN2606
table 42, dfu-util ticket #78), its poll time too, and the state machine moves only with a GETSTATUS that is really served. From
then on in this session GETSTATE is asked before each GETSTATUS: it executes nothing and moves nothing. Where it says
dfuDNLOAD-SYNC nothing runs, and a GETSTATUS is not early: what is stored was not executed yet, or has ended. Where it says
dfuDNBUSY the ROM is at work, and what it reported is waited out.

Where GETSTATE is of no use (it is not answered, or what it says led to a GETSTATUS that latched dfuERROR) the session probes
with GETSTATUS after 1 to 2 ms, for long operations a little later. A probe that is stalled proves that the ROM is at work, so
the rest is waited out; where such a probe latches dfuERROR, probing ends, the operation counts as doubtful, and the link is
given as many more polls as a ROM needs that serves one in ten.

A ROM whose data says that it can wedge in dfuDNBUSY after an erase is taken out of it when the budget is spent; whether the
erase was done is then for a read to show.

# Ref: DFU 1.1 section 6.1.2 (bwPollTimeout), 6.1.5 (GETSTATE); AN2606 rev 70 table 42; openmv#1508.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dfurun.clock import Clock
from dfurun.dfuse.channel import TRANSFER_TIMEOUT_S, Channel, Transient
from dfurun.dfuse.link import LinkError, Stalled, Vanished
from dfurun.dfuse.operation import Operation
from dfurun.dfuse.protocol import DfuState, DfuStatus, Request, StatusReport

FIRST_PROBE_S = 0.001
SHORTEST_PROBE_S = 0.002
LONGEST_PROBE_S = 0.250
PROBES_AN_OPERATION = 32  # so a long operation is not asked a thousand times
SHORTEST_INTERVAL_S = 0.001
POLLS_OF_A_STALE_LINK = 64
LONGEST_STALE_BUDGET_S = 30.0
# A GETSTATUS that takes longer than this, and longer than half of what it reports, was held by a ROM that worked meanwhile. A
# busy host is late by some milliseconds as well, and they are none of the ROM's: it may have been asked late, and be at work.
HELD_S = 0.010
HELD_SHARE = 0.5
EAGER_POLLS = 16  # without a pause: a ROM that serves three in ten misses so many once in three hundred times
USELESS_LOOKS = 3


def nothing() -> None:
    """Stand in for nothing to do meanwhile."""


class RomError(Exception):
    """The ROM ended a command in dfuERROR."""

    def __init__(self, report: StatusReport) -> None:
        super().__init__(str(report))
        self.report = report


class Ending(Enum):
    """How a command ended: as the protocol says, at the first GETSTATUS, or so that its effect must be read back."""

    CLEAN = "clean"
    EARLY = "early"
    DOUBTFUL = "doubtful"


@dataclass(slots=True)
class Trust:
    """What the session has learned of the link's status answers. `useless_looks` counts GETSTATEs that told nothing."""

    stale: bool = False
    looking_hurts: bool = False
    probing_hurts: bool = False
    reports_too_short: bool = False
    useless_looks: int = 0

    @property
    def looks(self) -> bool:
        """Whether GETSTATE is asked before GETSTATUS."""
        return self.stale and not self.looking_hurts and self.useless_looks < USELESS_LOOKS

    @property
    def probes(self) -> bool:
        """Whether an early GETSTATUS is worth sending."""
        return self.stale and not self.looks and not self.probing_hurts


class Waiter:
    """Drives stored commands to their end on one channel."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self.trust = Trust()

    def finish(self, operation: Operation, meanwhile: Callable[[], None] = nothing) -> Ending:
        """Execute what is stored and wait for its end. `meanwhile` is called once the ROM says that it is at work.

        EARLY: the device says it ended where the protocol wants dfuDNBUSY. The answer that started it was lost, or the ROM
        works inside GETSTATUS; it did run, but only a read shows how. DOUBTFUL: not even that is known.
        Raises RomError for a dfuERROR that the waiting did not cause, LinkUnreliable when the budget is spent, LinkError
        for a lost device.
        """
        failures_before = self._channel.anomalies.total
        report = self._channel.execute(max(TRANSFER_TIMEOUT_S, operation.budget_s))
        if report.state is DfuState.ERROR:
            if report.status is DfuStatus.ERR_STALLEDPKT and self._channel.anomalies.total > failures_before:
                # The first GETSTATUS was served and its answer lost; the next one came too early and was stalled.
                self._clock.sleep(operation.maximum_s)
                self._channel.to_idle()
                return Ending.DOUBTFUL
            raise RomError(report)
        if report.state is DfuState.DNLOAD_IDLE:
            return Ending.EARLY
        return _Wait(self._channel, self._clock, self.trust, operation, report).end(meanwhile)

    def departs(self, operation: Operation, report: StatusReport) -> bool:
        """Wait for the reset that ends `operation`, which was answered with `report`; say whether the device was seen gone.

        GETSTATE shows that it is gone, and executes nothing. False as soon as it says that nothing runs, and after the
        datasheet's maximum: then a GETSTATUS is not early. Raises LinkUnreliable for a device that answers nothing at all.
        """
        clock, timeout_s = self._clock, max(TRANSFER_TIMEOUT_S, operation.budget_s)
        pause = min(report.poll_timeout_s, operation.budget_s)
        until = clock.now() + max(pause, operation.maximum_s)
        while True:
            clock.sleep(pause)
            try:
                if self._channel.look(timeout_s) is DfuState.DNLOAD_SYNC:
                    return False
            except Vanished:
                return True
            except Transient as error:
                self._channel.note(Request.GETSTATE, error)
            if clock.now() >= until:
                return False
            pause = look_interval_s(operation.maximum_s)


@dataclass(slots=True)
class _Wait:
    """One operation that was begun with `report`, dfuDNBUSY, as its first answer.

    `sure`: the last GETSTATE has said that nothing runs. `at_work_s`: since when GETSTATE says that the ROM is at work.
    """

    channel: Channel
    clock: Clock
    trust: Trust
    operation: Operation
    report: StatusReport
    begun: float = 0.0
    last_busy: float = 0.0
    at_work_s: float | None = None
    worked: bool = False
    sure: bool = False
    eager_polls: int = 0
    probe_s: float = FIRST_PROBE_S
    unanswered_s: float = 0.0
    probing: bool = False
    stalled: bool = False
    too_short: bool = False

    def end(self, meanwhile: Callable[[], None]) -> Ending:
        """Wait for the end, and say which it was; raise as `Waiter.finish` does."""
        operation, clock = self.operation, self.clock
        self.begun = self.last_busy = self.channel.answered_s
        reported_s, interval = self._reported_s, self._interval_s
        pause = min(reported_s, operation.budget_s)
        self.probing = self.trust.probes
        if self.trust.looks:
            pause = 0.0
        elif self.probing:
            pause = self._next_probe_s()
        elif self.channel.answered_in_s > max(HELD_S, HELD_SHARE * reported_s):
            pause = max(0.0, pause - self.channel.answered_in_s)
        counted_from = self.begun + pause
        meanwhile()
        pause -= clock.now() - self.begun  # so long it has been left alone already
        while True:
            clock.sleep(pause)
            budget_s = self._budget_s(interval)
            if clock.now() - counted_from - self.unanswered_s > budget_s:
                if self.channel.leaves_wedge():
                    return Ending.EARLY
                raise self.channel.unreliable(f"{operation.name}: no end after {budget_s:.1f} s")
            wait_s = self._look() if self.trust.looks else None
            if wait_s is not None:
                pause = wait_s
                continue
            outcome = self._poll(interval)
            if isinstance(outcome, Ending):
                return outcome
            pause = outcome

    def _poll(self, interval: float) -> Ending | float:
        """Ask GETSTATUS once; return how it ended, or how long to wait before the next request."""
        operation, clock = self.operation, self.clock
        asked = clock.now()
        try:
            self.report = report = self.channel.poll(max(TRANSFER_TIMEOUT_S, operation.budget_s))
        except Stalled as error:
            self.channel.note(Request.GETSTATUS, error)
            self.stalled = True
            if self.sure:
                return interval
            self.too_short |= not self.probing and asked - self.last_busy < operation.maximum_s
            return max(operation.maximum_s - (clock.now() - self.last_busy), interval)
        except Transient as error:
            self.channel.note(Request.GETSTATUS, error)
            self.unanswered_s += clock.now() - asked
            return interval
        match report.state:
            case DfuState.DNLOAD_IDLE:
                return Ending.CLEAN
            case DfuState.ERROR if self.stalled and report.status is DfuStatus.ERR_STALLEDPKT:
                return self._came_too_early()
            case DfuState.ERROR:
                raise RomError(report)
            case DfuState.DNBUSY | DfuState.DNLOAD_SYNC:
                return self._busy_again(interval)
            case _:
                # Aborted by another hand, or a corrupted answer: whether it ran is not known.
                self.channel.anomalies.note(f"unexpected {report.state.spelled}", operation.name)
                self.channel.to_idle()
                return Ending.DOUBTFUL

    def _look(self) -> float | None:
        """Ask GETSTATE once; return how long the ROM is still at work, None where GETSTATUS is to be asked now."""
        clock, operation = self.clock, self.operation
        if self.worked and self.sure:
            return None
        try:
            state = self.channel.look(max(TRANSFER_TIMEOUT_S, operation.budget_s))
        except Transient as error:
            return self._useless_look(error)
        self.sure = state not in (None, DfuState.DNBUSY)
        if state is None:
            self.trust.useless_looks += 1
            return None
        if self.sure:
            self.worked = self.at_work_s is not None
            return None
        if self.at_work_s is None:
            self.at_work_s = clock.now()
            return max(min(self._reported_s, operation.budget_s), SHORTEST_INTERVAL_S)
        left_s = operation.maximum_s - (clock.now() - self.at_work_s)
        return max(SHORTEST_INTERVAL_S, min(self._next_probe_s(), left_s)) if left_s > 0 else None

    def _useless_look(self, error: LinkError) -> float | None:
        """Count a GETSTATE that was not answered. One that was stalled shows that the ROM is at work, as a GETSTATUS does."""
        self.channel.note(Request.GETSTATE, error)
        self.trust.useless_looks += 1
        self.sure = False
        if not isinstance(error, Stalled):
            return None
        self.stalled = True
        return max(self.operation.maximum_s - (self.clock.now() - self.last_busy), SHORTEST_INTERVAL_S)

    def _busy_again(self, interval: float) -> float:
        operation, trust = self.operation, self.trust
        self.last_busy = self.channel.answered_s
        if self.last_busy - self.begun >= operation.maximum_s and not trust.stale:
            trust.stale = True
            self.channel.anomalies.note("stale dfuDNBUSY", operation.name)
        self.probing = trust.probes
        if trust.looks and self.eager_polls < EAGER_POLLS:
            self.eager_polls += 1
            return 0.0
        return self._next_probe_s() if trust.looks or self.probing else interval

    def _came_too_early(self) -> Ending:
        """Learn from a GETSTATUS, or a GETSTATE, that has latched dfuERROR; let the operation end and clear it."""
        trust = self.trust
        if trust.looks:
            trust.looking_hurts = True
        else:
            trust.probing_hurts |= self.probing
        if self.too_short and not trust.reports_too_short:
            trust.reports_too_short = True
            self.channel.anomalies.note("bwPollTimeout too short", self.operation.name)
        self.clock.sleep(self.operation.maximum_s - (self.clock.now() - self.last_busy))
        self.channel.to_idle()
        return Ending.DOUBTFUL

    @property
    def _reported_s(self) -> float:
        """What the ROM reported, or the datasheet's maximum where its reports are too short."""
        return max(self.report.poll_timeout_s, self.operation.maximum_s if self.trust.reports_too_short else 0.0)

    @property
    def _interval_s(self) -> float:
        return max(min(self._reported_s, self.operation.maximum_s), SHORTEST_INTERVAL_S)

    def _budget_s(self, interval_s: float) -> float:
        """Return how long to wait at most: on a stale link, also what a generous number of polls takes."""
        if not self.trust.stale:
            return self.operation.budget_s
        return max(self.operation.budget_s, min(POLLS_OF_A_STALE_LINK * interval_s, LONGEST_STALE_BUDGET_S))

    def _next_probe_s(self) -> float:
        """Return the next of pauses that double, to a thirty-second of the operation's maximum, within 2 to 250 ms."""
        pause, self.probe_s = self.probe_s, min(2 * self.probe_s, look_interval_s(self.operation.maximum_s))
        return pause


def look_interval_s(maximum_s: float) -> float:
    """Return how long to leave an operation of this maximum alone between two questions: 2 to 250 ms."""
    return min(max(maximum_s / PROBES_AN_OPERATION, SHORTEST_PROBE_S), LONGEST_PROBE_S)
