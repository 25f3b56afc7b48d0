"""Waiting for a stored command to end: how often to ask, when an answer is not believed, when to give up.

The first wait is what the ROM reports; the budget counts from its end, however long the ROM has made it. After it, and until
the datasheet's maximum has passed, the ROM is asked again at the reported interval. A ROM that latches dfuERROR when it is
asked as soon as it said has reported too short a time: from then on the session waits for the datasheet's maximum.

A dfuDNBUSY that is answered when even the maximum has passed is *stale*: the ROM missed a packet and repeats itself (AN2606
table 42, dfu-util ticket #78), and the state machine moves only with a GETSTATUS that is really served. From then on the
session probes after 1 to 2 ms, for long operations a little later. A probe that is stalled proves that the ROM is at work, so
the rest is waited out; where such a probe latches dfuERROR, probing ends, the operation counts as doubtful, and the link is
given as many more polls as a ROM needs that serves one in ten.

A ROM whose data says that it can wedge in dfuDNBUSY after an erase is taken out of it when the budget is spent; whether the
erase was done is then for a read to show.

# Ref: DFU 1.1 section 6.1.2 (bwPollTimeout); AN2606 rev 70 table 42; openmv#1508.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dfurun.clock import Clock
from dfurun.dfuse.channel import TRANSFER_TIMEOUT_S, Channel, Transient
from dfurun.dfuse.link import Stalled
from dfurun.dfuse.operation import Operation
from dfurun.dfuse.protocol import DfuState, DfuStatus, Request, StatusReport

FIRST_PROBE_S = 0.001
SHORTEST_PROBE_S = 0.002
LONGEST_PROBE_S = 0.250
PROBES_AN_OPERATION = 32  # so a long operation is not asked a thousand times
SHORTEST_INTERVAL_S = 0.001
POLLS_OF_A_STALE_LINK = 64
LONGEST_STALE_BUDGET_S = 30.0


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
    """What the session has learned of the link's status answers."""

    stale: bool = False
    probing_hurts: bool = False
    reports_too_short: bool = False

    @property
    def probes(self) -> bool:
        """Whether an early GETSTATUS is worth sending."""
        return self.stale and not self.probing_hurts


class Waiter:
    """Drives stored commands to their end on one channel."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self.trust = Trust()

    def finish(self, operation: Operation) -> Ending:
        """Execute what is stored and wait for its end.

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
        return self._wait(operation, report)

    def _wait(self, operation: Operation, report: StatusReport) -> Ending:
        clock, trust = self._clock, self.trust
        begun = last_busy = clock.now()
        reported_s = max(report.poll_timeout_s, operation.maximum_s if trust.reports_too_short else 0.0)
        interval = max(min(reported_s, operation.maximum_s), SHORTEST_INTERVAL_S)
        probe_s, unanswered_s = FIRST_PROBE_S, 0.0
        probing, stalled, too_short = trust.probes, False, False
        pause = min(reported_s, operation.budget_s)
        if probing:
            pause, probe_s = probe_s, _next_probe_s(probe_s, operation)
        counted_from = begun + pause
        while True:
            clock.sleep(pause)
            budget_s = self._budget_s(operation, interval)
            if clock.now() - counted_from - unanswered_s > budget_s:
                if self._channel.leaves_wedge():
                    return Ending.EARLY
                raise self._channel.unreliable(f"{operation.name}: no end after {budget_s:.1f} s")
            asked = clock.now()
            try:
                report = self._channel.poll(max(TRANSFER_TIMEOUT_S, operation.budget_s))
            except Stalled as error:
                self._channel.note(Request.GETSTATUS, error)
                stalled = True
                too_short |= not probing and asked - last_busy < operation.maximum_s
                pause = max(operation.maximum_s - (clock.now() - last_busy), interval)
                continue
            except Transient as error:
                self._channel.note(Request.GETSTATUS, error)
                unanswered_s += clock.now() - asked
                pause = interval
                continue
            match report.state:
                case DfuState.DNLOAD_IDLE:
                    return Ending.CLEAN
                case DfuState.ERROR if stalled and report.status is DfuStatus.ERR_STALLEDPKT:
                    trust.probing_hurts |= probing
                    if too_short and not trust.reports_too_short:
                        trust.reports_too_short = True
                        self._channel.anomalies.note("bwPollTimeout too short", operation.name)
                    clock.sleep(operation.maximum_s - (clock.now() - last_busy))
                    self._channel.to_idle()
                    return Ending.DOUBTFUL
                case DfuState.ERROR:
                    raise RomError(report)
                case DfuState.DNBUSY | DfuState.DNLOAD_SYNC:
                    last_busy = clock.now()
                    if last_busy - begun >= operation.maximum_s and not trust.stale:
                        trust.stale = True
                        self._channel.anomalies.note("stale dfuDNBUSY", operation.name)
                    probing = trust.probes
                    pause = interval
                    if probing:
                        pause, probe_s = probe_s, _next_probe_s(probe_s, operation)
                case _:
                    # Aborted by another hand, or a corrupted answer: whether it ran is not known.
                    self._channel.anomalies.note(f"unexpected {report.state.spelled}", operation.name)
                    self._channel.to_idle()
                    return Ending.DOUBTFUL

    def _budget_s(self, operation: Operation, interval_s: float) -> float:
        """Return how long to wait at most: on a stale link, also what a generous number of polls takes."""
        if not self.trust.stale:
            return operation.budget_s
        return max(operation.budget_s, min(POLLS_OF_A_STALE_LINK * interval_s, LONGEST_STALE_BUDGET_S))


def _next_probe_s(probe_s: float, operation: Operation) -> float:
    """Return the pause after one of `probe_s`: double, to a thirty-second of the operation's maximum, within 2 to 250 ms."""
    longest_s = min(max(operation.maximum_s / PROBES_AN_OPERATION, SHORTEST_PROBE_S), LONGEST_PROBE_S)
    return min(2 * probe_s, longest_s)
