"""The single requests: what is repeated, what is never sent too early, and the way back to dfuIDLE."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_link import (
    ABORT,
    BUSY,
    CLRSTATUS,
    DNLOAD,
    DONE,
    ERROR,
    FLASH,
    GETSTATE,
    GETSTATUS,
    IDLE,
    OPTIONS,
    SYNC,
    Answer,
    Bench,
    Lost,
    Sent,
    busy,
    error,
)

from dfurun.dfuse.channel import PATIENCE, RECOVERY_ROUNDS, RETRY_PAUSES_S
from dfurun.dfuse.link import Denied, Garbled, LinkError, Stalled, TimedOut, Vanished
from dfurun.dfuse.protocol import DfuState, DfuStatus, set_address_payload
from dfurun.errors import ExitStatus, LinkUnreliable

SYNC_STATES = (SYNC, DfuState.MANIFEST_SYNC)
ERASE = b"\x41"


def test_first_contact_is_getstate_and_that_is_all_where_the_device_is_idle() -> None:
    bench = Bench()
    assert bench.channel.to_idle() is None
    assert bench.link.names == ["GETSTATE"]


@pytest.mark.parametrize("state", SYNC_STATES)
def test_a_command_that_a_run_before_left_stored_is_aborted_before_any_getstatus(state: DfuState) -> None:
    bench = Bench()
    bench.channel.download(0, ERASE if state is SYNC else b"")
    assert bench.link.state is state
    bench.link.forget()
    bench.channel.to_idle()
    assert bench.link.names == ["GETSTATE", "ABORT", "GETSTATE"]
    assert bench.link.executed == []
    assert bench.link.state is IDLE


@pytest.mark.parametrize("state", [DONE, DfuState.UPLOAD_IDLE])
def test_the_idle_states_are_left_with_abort(state: DfuState) -> None:
    bench = Bench(state=state)
    bench.channel.to_idle()
    assert bench.link.names == ["GETSTATE", "ABORT", "GETSTATE"]


def test_where_getstate_fails_abort_goes_before_getstatus() -> None:
    bench = Bench()
    bench.channel.download(0, ERASE)
    bench.link.forget()
    bench.link.script(GETSTATE, *[TimedOut("Operation timed out")] * 3)
    bench.channel.to_idle()
    assert bench.link.names == ["GETSTATE", "GETSTATE", "GETSTATE", "ABORT", "GETSTATUS"]
    assert bench.link.executed == []


def test_where_getstate_and_abort_fail_no_getstatus_is_sent() -> None:
    bench = Bench()
    bench.channel.download(0, ERASE)
    bench.link.forget()
    bench.link.script(GETSTATE, *[Garbled("Overflow")] * 3)
    bench.link.script(ABORT, TimedOut("Operation timed out"))
    bench.channel.to_idle()
    assert bench.link.names == ["GETSTATE", "GETSTATE", "GETSTATE", "ABORT", "GETSTATE", "ABORT", "GETSTATE"]
    assert bench.link.executed == []


def test_an_error_is_read_and_then_cleared() -> None:
    bench = Bench(state=ERROR, status=DfuStatus.ERR_FIRMWARE)
    assert bench.channel.to_idle() == error(DfuStatus.ERR_FIRMWARE)
    assert bench.link.names == ["GETSTATE", "GETSTATUS", "CLRSTATUS", "GETSTATE"]


@pytest.mark.parametrize("state", [IDLE, SYNC, BUSY, DONE, DfuState.MANIFEST_SYNC, DfuState.UPLOAD_IDLE])
def test_clrstatus_is_for_dfuerror_alone(state: DfuState) -> None:
    bench = Bench()
    bench.channel.download(0, b"" if state is DfuState.MANIFEST_SYNC else ERASE)
    bench.link.state = state
    bench.channel.to_idle()
    assert bench.link.requests(CLRSTATUS) == []
    assert bench.link.state is IDLE


def test_a_busy_device_is_left_alone_for_its_longest_operation() -> None:
    bench = Bench(state=BUSY)
    bench.channel.to_idle()
    before = bench.link.names[: bench.link.names.index("GETSTATUS")]
    assert set(before) == {"GETSTATE"}, "asked with what executes nothing and cannot come too early"
    assert bench.link.times_ms(GETSTATUS)[0] >= 100, "Read Unprotect is the longest operation of an F072"
    assert bench.link.requests(CLRSTATUS) == []


def test_clrstatus_is_not_sent_where_getstatus_says_the_device_is_idle() -> None:
    bench = Bench()
    bench.link.script(GETSTATE, b"\x0a")
    bench.session.first_contact()
    assert bench.link.requests(CLRSTATUS) == []


def test_a_device_that_does_not_return_is_reset_once_and_then_given_up() -> None:
    bench = Bench()
    bench.link.rule = lambda sent: bytes([DfuState.MANIFEST]) if sent.request is GETSTATE else None
    channel = bench.channel
    with pytest.raises(LinkUnreliable, match="the device does not return to dfuIDLE") as caught:
        channel.to_idle()
    assert bench.link.resets == 1
    assert len(bench.link.requests(GETSTATE)) == 2 * RECOVERY_ROUNDS
    assert caught.value.exit_status is ExitStatus.LINK == 7
    assert "USB 2.0 hub" in caught.value.hint
    assert "USB reset (no way back to dfuIDLE)" in caught.value.evidence


def test_a_reset_that_helps_is_enough() -> None:
    bench = Bench(state=DfuState.APP_IDLE)
    bench.channel.to_idle()
    assert (bench.link.resets, bench.link.state) == (1, IDLE)


def test_a_state_that_does_not_exist_is_asked_for_again() -> None:
    bench = Bench()
    bench.link.script(GETSTATE, b"\x2a", b"")
    bench.channel.to_idle()
    assert bench.link.names == ["GETSTATE"] * 3
    assert bench.anomalies.counts == {"GETSTATE unknown state": 1, "GETSTATE short answer": 1}


@pytest.mark.parametrize("failure", [Stalled("Pipe error"), TimedOut("timed out"), Garbled("I/O error")])
def test_a_transfer_that_is_not_harmless_to_repeat_is_sent_once(failure: LinkError) -> None:
    bench = Bench()
    bench.link.rule = lambda sent: failure
    for send in (
        lambda: bench.channel.download(0, ERASE),
        lambda: bench.channel.upload(2, 64),
        lambda: bench.channel.poll(),
    ):
        bench.link.forget()
        with pytest.raises(type(failure)):
            send()
        assert len(bench.link.sent) == 1


def test_an_abort_is_repeated_with_growing_pauses() -> None:
    bench = Bench()
    bench.link.rule = lambda sent: Stalled("Pipe error")
    with pytest.raises(Stalled):
        bench.channel.abort()
    pauses = [later - sooner for sooner, later in pairwise(bench.link.times_ms(ABORT))]
    assert pauses == pytest.approx([pause * 1000 for pause in RETRY_PAUSES_S])
    assert bench.anomalies.counts["ABORT STALL"] == len(RETRY_PAUSES_S)


def test_a_getstatus_that_executes_is_repeated_until_it_is_answered() -> None:
    bench = Bench()
    bench.channel.download(0, set_address_payload(FLASH))
    bench.link.script(GETSTATUS, Stalled("Pipe error"), b"\0\0\0", TimedOut("timed out"))
    assert bench.channel.execute(1.0) == busy()
    assert len(bench.link.requests(GETSTATUS)) == 4
    assert bench.link.executed == [(0, set_address_payload(FLASH))]


@pytest.mark.parametrize("answer", [b"", bytes(5), b"\x00\x00\x00\x00\x2a\x00", b"\x7f" + bytes(5)])
def test_a_status_that_makes_no_sense_is_garbled(answer: bytes) -> None:
    bench = Bench()
    bench.link.script(GETSTATUS, answer)
    with pytest.raises(Garbled):
        bench.channel.poll()


@pytest.mark.parametrize("failure", [Vanished("gone"), Denied("access denied")])
def test_a_device_that_is_gone_or_taken_away_is_not_asked_again(failure: LinkError) -> None:
    for act in ("abort", "to_idle"):
        bench = Bench()
        bench.link.rule = lambda sent: failure
        with pytest.raises(type(failure)):
            getattr(bench.channel, act)()
        assert len(bench.link.sent) == 1


def test_a_device_that_answers_nothing_at_all_is_given_up_before_a_minute_of_timeouts() -> None:
    bench = Bench()
    bench.link.rule = lambda sent: TimedOut("Operation timed out")
    with pytest.raises(LinkUnreliable) as caught:
        bench.channel.to_idle()
    assert len(bench.link.sent) <= 20
    assert caught.value.exit_status == 7


def test_memory_is_reached_through_the_alternate_setting_that_names_it() -> None:
    bench = Bench()
    for address, number in ((FLASH, 0), (FLASH + 0x1FFFF, 0), (OPTIONS, 1), (OPTIONS + 15, 1), (0x1FFF_F000, 0)):
        bench.channel.select_memory(address)
        assert bench.link.selected[-1] == number


def test_every_transfer_is_counted_and_every_failed_one_is_evidence() -> None:
    bench = Bench()
    channel = bench.channel
    bench.link.script(GETSTATE, TimedOut("Operation timed out"), Stalled("Pipe error"))
    channel.to_idle()
    assert channel.transfers == len(bench.link.sent) == 3
    assert bench.anomalies.evidence == ("GETSTATE timeout (Operation timed out)", "GETSTATE STALL (Pipe error)")
    assert bench.anomalies.total == 2


_failures = st.sampled_from([Stalled("Pipe error"), TimedOut("timed out"), Garbled("I/O error")])
_lost = _failures.map(Lost)


@given(
    start=st.sampled_from([IDLE, SYNC, BUSY, DONE, ERROR, DfuState.MANIFEST_SYNC, DfuState.UPLOAD_IDLE]),
    answers=st.lists(st.one_of(_failures, _lost, st.none()), max_size=30),
)
def test_whatever_fails_on_the_way_to_dfuidle_nothing_that_is_stored_is_executed(
    start: DfuState, answers: list[Answer]
) -> None:
    bench = Bench()
    bench.channel.download(0, b"" if start is DfuState.MANIFEST_SYNC else ERASE)
    bench.link.state = start
    script = iter(answers)

    def rule(sent: Sent) -> Answer:
        if sent.request is GETSTATUS:
            assert bench.link.state not in SYNC_STATES
        if sent.request is CLRSTATUS:
            assert bench.link.state is ERROR
        assert sent.request is not DNLOAD
        return next(script, None)

    bench.link.rule = rule
    unanswered = sum("timed out" in str(answer.error if isinstance(answer, Lost) else answer) for answer in answers)
    try:
        bench.channel.to_idle()
    except LinkUnreliable:
        assert unanswered > PATIENCE
    else:
        assert bench.link.state is IDLE
    assert bench.link.executed == []


def test_the_report_of_a_corrected_error_survives_the_rounds_after_it() -> None:
    bench = Bench(state=ERROR, status=DfuStatus.ERR_VENDOR)
    bench.link.script(CLRSTATUS, Lost(TimedOut("timed out")))
    assert bench.channel.to_idle() == error(DfuStatus.ERR_VENDOR)
    assert bench.link.state is IDLE
