"""Waiting for a stored command to end: when the ROM is asked, and what is believed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_link import (
    ABORT,
    BUSY,
    CLRSTATUS,
    FLASH,
    GETSTATE,
    GETSTATUS,
    IDLE,
    SYNC,
    Answer,
    Bench,
    Lost,
    busy,
    done,
    error,
    idle,
)

from dfurun.dfuse.link import Garbled, Stalled, TimedOut, Vanished
from dfurun.dfuse.operation import Operation
from dfurun.dfuse.protocol import DfuState, DfuStatus, erase_page_payload
from dfurun.dfuse.waiting import Ending, RomError, Waiter
from dfurun.errors import ExitStatus, LinkUnreliable

ERASE = Operation("page erase", maximum_s=0.040, budget_s=1.0)
STALL = Stalled("Pipe error")
TOO_EARLY = error(DfuStatus.ERR_STALLEDPKT)


@dataclass
class Wait:
    """A channel with a stored page erase, and the waiter under test."""

    def __post_init__(self) -> None:
        self.bench = Bench()
        self.channel = self.bench.channel
        self.waiter = Waiter(self.channel, self.bench.clock)

    def finish(self, *answers: Answer, operation: Operation = ERASE) -> Ending:
        """Execute the page erase against these answers of GETSTATUS."""
        self.bench.link.state = IDLE
        self.channel.download(0, erase_page_payload(FLASH))
        self.bench.link.forget()
        self.began_ms = self.bench.clock.now() * 1000
        self.bench.link.script(GETSTATUS, *answers)
        return self.waiter.finish(operation)

    @property
    def polls_ms(self) -> list[float]:
        """When GETSTATUS was sent, from the beginning of this wait."""
        return [round(at_ms - self.began_ms, 3) for at_ms in self.bench.link.times_ms(GETSTATUS)]


@pytest.fixture
def wait() -> Wait:
    return Wait()


# The first wait ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reported_ms", [0, 1, 5, 40, 62, 999])
def test_the_first_wait_is_what_the_rom_reported(wait: Wait, reported_ms: int) -> None:
    assert wait.finish(busy(reported_ms), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, reported_ms]
    assert not wait.waiter.trust.stale


def test_a_reported_wait_of_four_hours_is_cut_to_the_budget(wait: Wait) -> None:
    assert wait.finish(busy(0xFF_FFFF), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 1000]


@pytest.mark.parametrize("answers", [[busy(40)], [STALL], [TimedOut("timed out")], [Garbled("I/O error")]], ids=str)
def test_after_a_first_wait_of_the_whole_budget_the_rom_still_has_all_of_it_to_answer(
    wait: Wait, answers: list[Answer]
) -> None:
    """A ROM that reports hours was given up without a poll: on a real clock, no sleep ends within the time it was for."""
    wait.bench.clock.sleep(0.1)  # sums of floating-point seconds are not exact either
    assert wait.finish(busy(0xFF_FFFF), *answers * 5, done()) is Ending.CLEAN
    assert wait.polls_ms[:2] == [0, 1000]


def test_a_rom_that_reported_hours_is_given_up_all_the_same(wait: Wait) -> None:
    with pytest.raises(LinkUnreliable, match=r"no end after 1\.0 s"):
        wait.finish(busy(0xFF_FFFF), *[STALL] * 2000)
    assert 2.0 <= wait.bench.clock.now() <= 2.1


def test_the_time_for_which_the_rom_has_held_its_answer_counts(wait: Wait) -> None:
    """ST's USB device library works before it answers: the operation is over by then."""
    wait.bench.link.rule = lambda sent: wait.bench.clock.sleep(0.030) if sent.request is GETSTATUS else None
    assert wait.finish(busy(40), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 40]


@pytest.mark.parametrize("late_ms", [5, 15, 20])
def test_an_answer_that_is_only_slow_does_not_count(wait: Wait, late_ms: int) -> None:
    """A host with many boards is late by 15 ms now and then, and was taken for a ROM that had held its answer."""
    wait.bench.link.rule = lambda sent: wait.bench.clock.sleep(late_ms / 1000) if sent.request is GETSTATUS else None
    wait.finish(busy(40), done())
    assert wait.polls_ms == [0, 40 + late_ms]


@pytest.mark.parametrize(("work_ms", "asked_ms"), [(0, 40), (15, 40), (40, 40), (55, 55)])
def test_what_is_done_while_the_rom_works_is_part_of_the_wait(wait: Wait, work_ms: int, asked_ms: int) -> None:
    """The wait counts from the answer: the host's own work between two blocks is time in which the ROM stands still."""
    states = []

    def work() -> None:
        states.append(wait.bench.link.state)
        wait.bench.clock.sleep(work_ms / 1000)

    wait.bench.link.state = IDLE
    wait.channel.download(0, erase_page_payload(FLASH))
    wait.bench.link.forget()
    wait.bench.link.script(GETSTATUS, busy(40), done())
    assert wait.waiter.finish(ERASE, work) is Ending.CLEAN
    assert wait.bench.link.times_ms(GETSTATUS) == [0, asked_ms]
    assert states == [BUSY]


def test_the_command_is_executed_once(wait: Wait) -> None:
    wait.finish(busy(40), busy(40), STALL, TimedOut("timed out"), done())
    assert wait.bench.link.executed == [(0, erase_page_payload(FLASH))]


# Asking again --------------------------------------------------------------------------------------------------------


def test_until_the_datasheet_maximum_the_rom_is_asked_at_the_interval_it_reported(wait: Wait) -> None:
    wait.finish(busy(10), busy(10), busy(10), busy(10), done())
    assert wait.polls_ms == [0, 10, 20, 30, 40]
    assert not wait.waiter.trust.stale


def test_the_interval_is_never_longer_than_the_datasheet_maximum(wait: Wait) -> None:
    wait.waiter.trust.probing_hurts = wait.waiter.trust.looking_hurts = True
    wait.finish(busy(500), busy(500), busy(500), done())
    assert wait.polls_ms == [0, 500, 540, 580]


def test_a_rom_that_reports_no_time_at_all_is_asked_every_millisecond(wait: Wait) -> None:
    wait.finish(busy(0), busy(0), busy(0), done())
    assert wait.polls_ms == [0, 0, 1, 2]


# Stale answers -------------------------------------------------------------------------------------------------------


def test_a_busy_answer_after_the_datasheet_maximum_makes_the_link_stale(wait: Wait) -> None:
    wait.finish(busy(40), busy(40), done())
    assert wait.waiter.trust.stale
    assert wait.bench.anomalies.counts == {"stale dfuDNBUSY": 1}


def test_a_busy_answer_before_the_datasheet_maximum_does_not(wait: Wait) -> None:
    wait.finish(busy(39), busy(39), done())
    assert not wait.waiter.trust.stale
    assert wait.bench.anomalies.total == 0


# Stale answers, and GETSTATE ------------------------------------------------------------------------------------------


def looking(wait: Wait, *states: DfuState | Answer) -> None:
    """Make the link a stale one on which GETSTATE is answered like this."""
    wait.waiter.trust.stale = True
    wait.bench.link.script(GETSTATE, *(bytes([s]) if isinstance(s, DfuState) else s for s in states))


def test_a_stale_link_is_asked_for_its_state_before_each_getstatus(wait: Wait) -> None:
    looking(wait, BUSY, SYNC)
    assert wait.finish(busy(30), done()) is Ending.CLEAN
    assert [name for name in wait.bench.link.names if name != "DNLOAD"] == [
        "GETSTATUS", "GETSTATE", "GETSTATE", "GETSTATUS",
    ]  # fmt: skip
    assert wait.polls_ms == [0, 30]


def test_what_is_stored_and_was_not_executed_is_executed_at_once(wait: Wait) -> None:
    """The answer repeats a poll time that is another operation's: none of it is waited for."""
    looking(wait, SYNC, SYNC, SYNC, BUSY, SYNC)
    assert wait.finish(busy(0), busy(0), busy(0), busy(30), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 0, 0, 0, 30]


def test_an_end_that_was_missed_is_asked_for_again_at_once(wait: Wait) -> None:
    looking(wait, BUSY, SYNC)
    assert wait.finish(*[busy(30)] * 9, done()) is Ending.CLEAN
    assert wait.polls_ms == [0, *[30] * 9]
    assert len(wait.bench.link.requests(GETSTATE)) == 2


def test_a_rom_that_misses_ever_so_many_polls_is_not_asked_without_a_pause_for_ever(wait: Wait) -> None:
    looking(wait, BUSY, SYNC)
    with pytest.raises(LinkUnreliable, match="no end after"):
        wait.finish(*[busy(30)] * 3000)
    assert len(wait.bench.link.requests(GETSTATUS)) < 2000


def test_a_rom_at_work_for_longer_than_it_said_is_not_asked_for_its_status_before_the_maximum(wait: Wait) -> None:
    looking(wait, *[BUSY] * 30)
    assert wait.finish(busy(10), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 40]


def test_a_getstatus_that_was_too_early_on_the_word_of_getstate_ends_looking(wait: Wait) -> None:
    looking(wait, SYNC, SYNC)
    assert wait.finish(busy(30), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert wait.waiter.trust.looking_hurts
    assert not wait.waiter.trust.reports_too_short
    assert wait.bench.clock.now() >= 0.040


def test_a_getstate_that_is_stalled_and_latches_dfuerror_ends_looking(wait: Wait) -> None:
    """DFU 1.1 allows no request at all in dfuDNBUSY."""
    looking(wait, STALL, DfuState.ERROR)
    assert wait.finish(busy(30), TOO_EARLY) is Ending.DOUBTFUL
    assert wait.waiter.trust.looking_hurts


@pytest.mark.parametrize("answer", [b"", b"\xee", TimedOut("timed out")], ids=str)
def test_a_state_that_cannot_be_had_is_not_asked_for_again_and_again(wait: Wait, answer: Answer) -> None:
    looking(wait, *[answer] * 9)
    assert wait.finish(*[busy(30)] * 9, done()) is Ending.CLEAN
    assert len(wait.bench.link.requests(GETSTATE)) == 3


@pytest.mark.parametrize("stalls", [0, 1])
def test_a_link_that_was_never_stale_is_not_asked_for_its_state(wait: Wait, stalls: int) -> None:
    wait.finish(busy(40), *[STALL] * stalls, done())
    assert not wait.bench.link.requests(GETSTATE)


# Stale answers, where GETSTATE is of no use ---------------------------------------------------------------------------


def test_from_the_stale_answer_on_the_rom_is_probed_every_1_to_2_ms(wait: Wait) -> None:
    """The state machine moves only with a GETSTATUS that is served, so the short operations are asked often."""
    wait.waiter.trust.looking_hurts = True
    wait.finish(*[busy(40)] * 6, done())
    assert wait.polls_ms == [0, 40, 41, 43, 45, 47, 49]


def test_the_probes_of_a_long_operation_grow_to_a_quarter_of_a_second(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.waiter.trust.stale = True
    patient = Operation("mass erase", maximum_s=32.0, budget_s=128.0)
    wait.finish(*[busy(40)] * 11, done(), operation=patient)
    steps = [later - sooner for sooner, later in pairwise(wait.polls_ms)]
    assert steps == [1, 2, 4, 8, 16, 32, 64, 128, 250, 250, 250]


def test_in_a_stale_session_the_next_command_is_probed_at_once(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.finish(busy(40), busy(40), done())
    wait.finish(busy(40), busy(40), busy(40), done())
    assert wait.polls_ms == [0, 1, 3, 5]


def test_a_link_that_serves_one_poll_in_ten_still_gets_to_the_end(wait: Wait) -> None:
    """Where a probe hurts, each of those polls is a full wait: the budget of a stale link counts polls, not seconds."""
    wait.waiter.trust.looking_hurts = True
    wait.waiter.trust.stale = wait.waiter.trust.probing_hurts = True
    assert wait.finish(*[busy(40)] * 60, done()) is Ending.CLEAN
    assert wait.polls_ms[-1] == 60 * 40


def test_a_stall_on_a_probe_proves_the_rom_at_work_and_the_rest_is_waited_out(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.waiter.trust.stale = True
    assert wait.finish(busy(1), STALL, done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 1, 40]
    assert not wait.waiter.trust.probing_hurts


def test_a_probe_that_latches_dfuerror_ends_probing_and_leaves_the_block_doubtful(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.waiter.trust.stale = True
    assert wait.finish(busy(40), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert wait.waiter.trust.probing_hurts
    assert wait.bench.clock.now() >= 0.040
    assert wait.bench.link.state is IDLE
    assert wait.finish(busy(40), busy(40), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 40, 80]


def test_without_probing_an_early_poll_that_latches_dfuerror_changes_no_trust(wait: Wait) -> None:
    assert wait.finish(busy(10), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert not wait.waiter.trust.probing_hurts
    assert [sent.request for sent in wait.bench.link.requests(CLRSTATUS)] == [CLRSTATUS]


@pytest.mark.parametrize("reported_ms", [0, 1, 39])
def test_a_reported_time_at_which_asking_latches_dfuerror_is_believed_once(wait: Wait, reported_ms: int) -> None:
    """Some L4 report too short a time and stall (dfu-util); the F072 may latch an error (openmv#1508)."""
    assert wait.finish(busy(reported_ms), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert wait.waiter.trust.reports_too_short
    assert wait.bench.anomalies.counts["bwPollTimeout too short"] == 1
    assert wait.finish(busy(reported_ms), busy(reported_ms), done()) is Ending.CLEAN
    assert wait.polls_ms[:2] == [0, 40]


def test_a_longer_reported_time_is_still_waited_for_where_one_was_too_short(wait: Wait) -> None:
    wait.waiter.trust.reports_too_short = True
    assert wait.finish(busy(62), done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 62]


def test_an_early_poll_that_is_stalled_and_no_more_changes_no_trust(wait: Wait) -> None:
    assert wait.finish(busy(1), STALL, done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 1, 40]
    assert not wait.waiter.trust.reports_too_short


def test_an_error_that_is_latched_after_the_datasheet_maximum_is_no_sign_of_a_short_report(wait: Wait) -> None:
    assert wait.finish(busy(40), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert not wait.waiter.trust.reports_too_short


def test_a_probe_that_latches_dfuerror_says_nothing_of_the_reported_time(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.waiter.trust.stale = True
    assert wait.finish(busy(40), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert not wait.waiter.trust.reports_too_short


def test_the_rest_of_an_operation_is_waited_out_before_its_error_is_cleared(wait: Wait) -> None:
    wait.waiter.trust.looking_hurts = True
    wait.finish(busy(10), STALL, busy(10), TOO_EARLY)
    assert wait.polls_ms[:4] == [0, 10, 40, 41]
    assert wait.bench.link.times_ms(CLRSTATUS)[0] >= 80  # it was still busy at 40


# Endings -------------------------------------------------------------------------------------------------------------


def test_a_dfuerror_that_waiting_did_not_cause_is_the_roms_own(wait: Wait) -> None:
    with pytest.raises(RomError) as caught:
        wait.finish(busy(40), error(DfuStatus.ERR_VENDOR))
    assert caught.value.report == error(DfuStatus.ERR_VENDOR)


@pytest.mark.parametrize("status", [DfuStatus.ERR_TARGET, DfuStatus.ERR_VENDOR, DfuStatus.ERR_STALLEDPKT])
def test_a_dfuerror_instead_of_dfudnbusy_is_the_roms_own(wait: Wait, status: DfuStatus) -> None:
    with pytest.raises(RomError) as caught:
        wait.finish(error(status))
    assert caught.value.report.status is status
    assert wait.polls_ms == [0]


def test_an_error_other_than_stalledpkt_after_a_stall_is_the_roms_own(wait: Wait) -> None:
    with pytest.raises(RomError):
        wait.finish(busy(40), STALL, error(DfuStatus.ERR_VENDOR))


def test_dfudnload_idle_at_the_first_getstatus_is_an_early_end(wait: Wait) -> None:
    assert wait.finish(done()) is Ending.EARLY
    assert wait.polls_ms == [0]


def test_where_the_first_answer_is_lost_and_the_second_poll_is_too_early_the_effect_is_doubtful(wait: Wait) -> None:
    wait.bench.link.state = IDLE
    assert wait.finish(Lost(TimedOut("timed out")), STALL, TOO_EARLY) is Ending.DOUBTFUL
    assert wait.bench.clock.now() >= 0.040
    assert wait.bench.link.state is IDLE


def test_an_answer_from_another_state_leaves_the_effect_doubtful(wait: Wait) -> None:
    assert wait.finish(busy(40), idle()) is Ending.DOUBTFUL
    assert wait.bench.anomalies.counts == {"unexpected dfuIDLE": 1}
    assert wait.bench.link.requests(GETSTATE, ABORT)[0].request is GETSTATE


@pytest.mark.parametrize("failure", [TimedOut("timed out"), Garbled("I/O error")])
def test_a_poll_that_fails_on_the_way_is_repeated_at_the_interval(wait: Wait, failure: Exception) -> None:
    assert wait.finish(busy(10), failure, failure, done()) is Ending.CLEAN
    assert wait.polls_ms == [0, 10, 20, 30]


def test_a_device_that_leaves_while_it_is_waited_for_is_not_asked_again(wait: Wait) -> None:
    with pytest.raises(Vanished):
        wait.finish(busy(40), Vanished("gone"), done())
    assert wait.polls_ms == [0, 40]


@pytest.mark.parametrize("stale", [False, True])
def test_when_the_budget_is_spent_the_link_is_unreliable(wait: Wait, stale: bool) -> None:
    wait.waiter.trust.stale = stale
    with pytest.raises(LinkUnreliable, match=r"the USB link is unreliable: page erase: no end after 2\.6 s") as caught:
        wait.finish(*[busy(40)] * 2000)
    assert caught.value.exit_status is ExitStatus.LINK == 7
    assert caught.value.consequence == "its state is unknown; running again is safe"
    assert "USB 2.0 hub" in caught.value.hint
    assert 2.5 <= wait.bench.clock.now() <= 3.0


def test_endless_stalls_spend_the_budget_too(wait: Wait) -> None:
    with pytest.raises(LinkUnreliable, match="no end after"):
        wait.finish(busy(40), *[STALL] * 2000)
    assert wait.bench.clock.now() <= 1.3


_polls = st.one_of(
    st.integers(0, 0xFF_FFFF).map(busy),
    st.just(done()),
    st.just(idle()),
    st.sampled_from(DfuStatus).map(error),
    st.sampled_from([STALL, TimedOut("timed out"), Garbled("I/O error"), Lost(STALL), Lost(TimedOut("timed out"))]),
    st.binary(max_size=6),
)
_states = st.one_of(
    st.sampled_from(DfuState).map(lambda state: bytes([state])),
    st.sampled_from([STALL, TimedOut("timed out"), Garbled("I/O error"), Lost(STALL)]),
    st.binary(max_size=2),
)


@given(st.lists(_polls, max_size=40), st.lists(_states, max_size=20), st.booleans(), st.booleans())
def test_whatever_is_answered_waiting_ends_in_time_and_executes_once(
    answers: list[Answer], states: list[Answer], stale: bool, probing_hurts: bool
) -> None:
    wait = Wait()
    wait.bench.link.script(GETSTATE, *states)
    wait.waiter.trust.stale, wait.waiter.trust.probing_hurts = stale, probing_hurts
    try:
        ending = wait.finish(*answers)
    except (RomError, LinkUnreliable, Stalled, TimedOut, Garbled):
        pass
    else:
        assert ending in Ending
    assert len(wait.bench.link.executed) <= 1
    assert wait.bench.clock.now() < 3
