"""What happens on a device, rule by rule: reading, erasing, writing, option bytes, leaving."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_link import (
    ABORT,
    BUSY,
    CHIP,
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
    UPLOAD,
    Answer,
    Bench,
    Lost,
    Sent,
    busy,
    done,
    error,
    memory,
)

from dfurun.dfuse.departure import Departure
from dfurun.dfuse.link import Denied, Garbled, LinkError, Stalled, TimedOut, Vanished
from dfurun.dfuse.protocol import (
    DfuState,
    DfuStatus,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.dfuse.session import ATTEMPTS
from dfurun.errors import AccessDenied, Code, DfurunError, LinkUnreliable, StepFailed
from dfurun.units import AddressRange

BLOCK = 2048
FACTORY = CHIP.option_bytes.factory
OPTION_BLOCK = CHIP.option_bytes.blocks[0]
TRANSIENTS = [Stalled("Pipe error"), TimedOut("timed out"), Garbled("I/O error")]


@pytest.fixture
def bench() -> Bench:
    return Bench().contact()


# First contact -------------------------------------------------------------------------------------------------------


def test_first_contact_is_getstate_which_executes_nothing() -> None:
    bench = Bench()
    assert bench.session.first_contact() is None
    assert bench.link.names == ["GETSTATE"]


@pytest.mark.parametrize("left", [b"\x41", b"\x92", b""])
def test_what_a_run_before_left_stored_is_discarded_and_never_executed(left: bytes) -> None:
    bench = Bench()
    bench.channel.download(0, left)
    bench.link.forget()
    bench.session.first_contact()
    bench.session.protection()
    assert bench.link.names[:2] == ["GETSTATE", "ABORT"]
    assert left not in [data for _, data in bench.link.executed]


def test_the_error_that_was_found_at_first_contact_is_told() -> None:
    bench = Bench(state=ERROR, status=DfuStatus.ERR_FIRMWARE)
    assert bench.session.first_contact() == error(DfuStatus.ERR_FIRMWARE)


def test_a_board_that_vanishes_at_first_contact_is_lost() -> None:
    bench = Bench()
    bench.link.vanish_at = 0
    with pytest.raises(LinkUnreliable) as caught:
        bench.session.first_contact()
    assert (caught.value.code, caught.value.exit_status) == (Code.DEVICE_LOST, 7)


def test_a_board_that_the_system_takes_away_is_not_an_unreliable_link() -> None:
    bench = Bench()
    bench.link.script(GETSTATE, Denied("Access denied (insufficient permissions)"))
    with pytest.raises(AccessDenied) as caught:
        bench.session.first_contact()
    assert caught.value.exit_status == 5


# Get Commands --------------------------------------------------------------------------------------------------------


def test_get_commands_is_an_upload_of_block_0(bench: Bench) -> None:
    assert bench.session.commands() == (0x00, 0x21, 0x41, 0x92)
    assert [(sent.request, sent.value) for sent in bench.link.sent] == [(UPLOAD, 0)]


def test_nonsense_is_not_taken_for_a_list_of_commands(bench: Bench) -> None:
    bench.link.script(UPLOAD, b"\xff" * 8, b"", None)
    assert bench.session.commands() == (0x00, 0x21, 0x41, 0x92)
    assert bench.anomalies.counts == {"Get Commands answered nonsense": 2}


# Reading -------------------------------------------------------------------------------------------------------------


def test_whole_blocks_are_read_with_rising_numbers_from_one_address(bench: Bench) -> None:
    extent = AddressRange(FLASH, 4 * BLOCK)
    assert bench.session.read(extent) == memory(extent)
    assert bench.link.downloads == [(0, set_address_payload(FLASH))]
    assert [(sent.value, sent.length) for sent in bench.link.requests(UPLOAD)] == [(n, BLOCK) for n in (2, 3, 4, 5)]


def test_a_short_tail_is_read_from_its_own_address_as_block_2(bench: Bench) -> None:
    extent = AddressRange(FLASH, 2 * BLOCK + 100)
    assert bench.session.read(extent) == memory(extent)
    assert bench.link.downloads == [(0, set_address_payload(FLASH)), (0, set_address_payload(FLASH + 2 * BLOCK))]
    assert [(sent.value, sent.length) for sent in bench.link.requests(UPLOAD)] == [(2, BLOCK), (3, BLOCK), (2, 100)]


def test_abort_stands_between_set_address_and_upload_and_again_before_the_next_set_address(bench: Bench) -> None:
    bench.session.read(AddressRange(FLASH, BLOCK + 4))
    one = ["DNLOAD", "GETSTATUS", "GETSTATUS", "ABORT", "UPLOAD"]
    assert bench.link.names == [*one, "ABORT", *one]


def test_reading_more_than_65_534_blocks_sets_the_address_anew() -> None:
    bench = Bench(transfer_size=1).contact()
    extent = AddressRange(FLASH, 65_540)
    assert bench.session.read(extent) == memory(extent)
    numbers = [sent.value for sent in bench.link.requests(UPLOAD)]
    assert numbers == [*range(2, 0x1_0000), *range(2, 8)]
    assert bench.link.downloads == [(0, set_address_payload(FLASH)), (0, set_address_payload(FLASH + 0xFFFE))]


def test_progress_is_told_in_bytes(bench: Bench) -> None:
    heard: list[int] = []
    bench.session.read(AddressRange(FLASH, 2 * BLOCK + 100), heard.append)
    bench.session.write(FLASH, bytes(BLOCK + 8), heard.append)
    assert heard == [BLOCK, 2 * BLOCK, 2 * BLOCK + 100, BLOCK, BLOCK + 8]


@pytest.mark.parametrize("failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS), bytes(100)])
def test_an_upload_that_fails_is_asked_for_again_at_its_own_address(bench: Bench, failure: Answer) -> None:
    extent = AddressRange(FLASH, 3 * BLOCK)
    bench.link.script(UPLOAD, None, failure)
    assert bench.session.read(extent) == memory(extent)
    assert bench.link.downloads[-1] == (0, set_address_payload(FLASH + BLOCK))
    assert bench.anomalies.total >= 1


def test_what_cannot_be_read_is_an_unreliable_link_with_its_evidence(bench: Bench) -> None:
    bench.link.rule = lambda sent: Stalled("Pipe error") if sent.request is UPLOAD and sent.value >= 2 else None
    with pytest.raises(LinkUnreliable, match="cannot read 0x08000000") as caught:
        bench.session.read(AddressRange(FLASH, BLOCK))
    assert caught.value.exit_status == 7
    assert "UPLOAD STALL (Pipe error)" in caught.value.evidence
    assert read_unprotect_payload() not in [data for _, data in bench.link.downloads]


def test_option_bytes_are_read_through_their_own_alternate_setting(bench: Bench) -> None:
    bench.session.read(OPTION_BLOCK)
    assert bench.link.selected == [1]
    assert bench.link.downloads == [(0, set_address_payload(OPTIONS))]
    assert [(sent.value, sent.length) for sent in bench.link.requests(UPLOAD)] == [(2, 16)]


def test_option_bytes_that_no_alternate_setting_names_are_read_through_the_one_that_the_data_knows() -> None:
    """The G0B1's ROM gives every setting the name of its flash; the flash itself stays at the first one."""
    bench = Bench(alternates=(CHIP.usb.alternates[0],) * 3).contact()
    bench.session.read(OPTION_BLOCK)
    bench.session.read(AddressRange(FLASH, 16))
    assert bench.link.selected == [1, 0]


# Erasing -------------------------------------------------------------------------------------------------------------


def test_mass_erase_is_the_single_byte_0x41(bench: Bench) -> None:
    bench.session.mass_erase()
    assert bench.link.executed == [(0, b"\x41")]


def test_a_page_is_erased_by_its_address(bench: Bench) -> None:
    bench.session.erase_page(FLASH + 0x800)
    assert bench.link.executed == [(0, erase_page_payload(FLASH + 0x800))]


@pytest.mark.parametrize("failure", TRANSIENTS)
def test_a_download_that_failed_is_aborted_before_it_is_sent_again(bench: Bench, failure: LinkError) -> None:
    bench.link.script(DNLOAD, Lost(failure))
    bench.session.erase_page(FLASH)
    sent_again = [n for n, sent in enumerate(bench.link.sent) if sent.request is DNLOAD][1]
    between = bench.link.names[1:sent_again]
    assert "ABORT" in between
    assert "GETSTATUS" not in between
    assert bench.link.executed == [(0, erase_page_payload(FLASH))]


def test_an_erase_whose_end_is_not_known_is_done_again(bench: Bench) -> None:
    bench.link.script(GETSTATUS, busy(10), Stalled("Pipe error"), error(DfuStatus.ERR_STALLEDPKT))
    bench.session.erase_page(FLASH)
    assert bench.link.executed == [(0, erase_page_payload(FLASH))] * 2


def test_an_erase_that_never_succeeds_is_given_up_after_some_attempts(bench: Bench) -> None:
    bench.link.rule = lambda sent: (
        error(DfuStatus.ERR_TARGET) if sent.request is GETSTATUS and bench.link.state is SYNC else None
    )
    with pytest.raises(LinkUnreliable, match="page erase does not succeed"):
        bench.session.erase_page(FLASH)
    assert len([data for _, data in bench.link.downloads if data[0] == 0x41]) == ATTEMPTS


# Writing -------------------------------------------------------------------------------------------------------------


def test_whole_blocks_are_streamed_with_rising_numbers(bench: Bench) -> None:
    data = bytes(range(256)) * 32
    bench.session.write(FLASH, data)
    blocks = [(2 + n, data[n * BLOCK : (n + 1) * BLOCK]) for n in range(4)]
    assert bench.link.executed == [(0, set_address_payload(FLASH)), *blocks]
    assert bench.session.doubtful == []


def test_a_short_tail_gets_its_own_address_and_is_block_2(bench: Bench) -> None:
    data = bytes(range(200)) * 21
    assert len(data) == 2 * BLOCK + 104
    bench.session.write(FLASH, data)
    assert bench.link.executed == [
        (0, set_address_payload(FLASH)),
        (2, data[:BLOCK]),
        (3, data[BLOCK : 2 * BLOCK]),
        (0, set_address_payload(FLASH + 2 * BLOCK)),
        (2, data[2 * BLOCK :]),
    ]


def test_a_block_that_is_as_the_erase_left_it_is_not_sent_and_the_next_is_counted_on(bench: Bench) -> None:
    first, last, heard = bytes(range(256)) * 8, bytes(2047) + b"\xff", list[int]()
    bench.session.write(FLASH, first + b"\xff" * 2 * BLOCK + last, heard.append)
    assert bench.link.executed == [(0, set_address_payload(FLASH)), (2, first), (5, last)]
    assert heard == [3 * BLOCK, 4 * BLOCK]


def test_a_block_is_told_while_the_rom_programs_the_next_and_the_caller_comes_in_when_it_is_at_rest(
    bench: Bench,
) -> None:
    told, seen = list[tuple[int, DfuState]](), list[DfuState]()
    bench.session.write(
        FLASH,
        bytes(3 * BLOCK),
        lambda done: told.append((done, bench.link.state)),
        between=lambda: seen.append(bench.link.state),
    )
    assert told == [(BLOCK, BUSY), (2 * BLOCK, BUSY), (3 * BLOCK, DONE)]
    assert seen == [DONE] * 3


def test_a_block_that_fails_is_sent_again_and_none_is_told_twice_or_left_out(bench: Bench) -> None:
    blocks, told = [bytes([number]) * BLOCK for number in range(4)], list[int]()
    bench.link.script(DNLOAD, None, None, None, Garbled("I/O error"))
    bench.session.write(FLASH, b"".join(blocks), told.append)
    assert [data for block, data in bench.link.executed if block != 0] == blocks
    assert told == [BLOCK, 2 * BLOCK, 3 * BLOCK, 4 * BLOCK]


def test_a_caller_that_stops_between_two_blocks_leaves_the_rom_at_rest(bench: Bench) -> None:
    def stop() -> None:
        raise StepFailed(Code.STEP_TIMEOUT, "the step did not end within its timeout")

    with pytest.raises(StepFailed):
        bench.session.write(FLASH, bytes(3 * BLOCK), between=stop)
    assert bench.link.state is DONE
    assert [block for block, _ in bench.link.executed] == [0, 2]


def test_nothing_is_sent_for_a_piece_that_is_all_blank(bench: Bench) -> None:
    heard: list[int] = []
    bench.session.write(FLASH, b"\xff" * (BLOCK + 8), heard.append)
    assert bench.link.sent == []
    assert heard == [BLOCK + 8]


def test_zeros_are_no_erased_flash_where_erased_flash_reads_as_ones(bench: Bench) -> None:
    bench.session.write(FLASH, bytes(BLOCK))
    assert bench.link.executed[-1] == (2, bytes(BLOCK))


def test_what_is_written_under_one_address_needs_it_once_whatever_the_order(bench: Bench) -> None:
    block = bytes(range(256)) * 8
    bench.session.write(FLASH + BLOCK, block * 2, under=FLASH)
    bench.session.write(FLASH, block, under=FLASH)
    assert bench.link.executed == [(0, set_address_payload(FLASH)), (3, block), (4, block), (2, block)]


@pytest.mark.parametrize("between", ["read", "erase", "probe", "commands fail", "write elsewhere"])
def test_an_address_is_set_anew_after_anything_else(bench: Bench, between: str) -> None:
    block, session = bytes(range(256)) * 8, bench.session
    session.write(FLASH + BLOCK, block, under=FLASH)
    match between:
        case "read":
            session.read(AddressRange(FLASH, 8))
            session.read(AddressRange(FLASH + 8, 8))
        case "erase":
            session.erase_page(FLASH)
        case "probe":
            session.protection()
        case "commands fail":
            bench.link.script(UPLOAD, Stalled("Pipe error"))
            session.commands()
        case _:
            session.write(FLASH + 8 * BLOCK, block)
    bench.link.forget()
    session.write(FLASH, block, under=FLASH)
    assert bench.link.executed == [(0, set_address_payload(FLASH)), (2, block)]


def test_a_read_sets_its_address_whatever_was_written_before(bench: Bench) -> None:
    """What is verified is not read from where the write believed to be."""
    bench.session.write(FLASH, bytes(BLOCK), under=FLASH)
    bench.link.forget()
    bench.session.read(AddressRange(FLASH, BLOCK), under=FLASH)
    bench.session.read(AddressRange(FLASH, BLOCK))
    assert bench.link.executed == [(0, set_address_payload(FLASH))] * 2


def test_what_was_seen_to_be_blank_is_written_under_the_address_it_was_read_with(bench: Bench) -> None:
    block = bytes(range(256)) * 8
    bench.session.read(AddressRange(FLASH + 4 * BLOCK, BLOCK), under=FLASH)
    bench.session.write(FLASH + BLOCK, block, under=FLASH)
    assert bench.link.executed == [(0, set_address_payload(FLASH)), (3, block)]


def test_after_a_failure_under_a_shared_address_the_block_gets_its_own(bench: Bench) -> None:
    block = bytes(range(256)) * 8
    bench.link.script(DNLOAD, None, Stalled("Pipe error"))
    bench.session.write(FLASH + BLOCK, block, under=FLASH)
    assert bench.link.executed == [(0, set_address_payload(FLASH)), (0, set_address_payload(FLASH + BLOCK)), (2, block)]


def test_the_blocks_are_as_long_as_the_device_says_and_never_longer() -> None:
    bench = Bench(transfer_size=1024).contact()
    bench.session.write(FLASH, bytes(3000))
    assert [len(data) for block, data in bench.link.executed if block >= 2] == [1024, 1024, 952]


def test_after_the_last_block_number_the_address_is_set_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfurun.dfuse.stream.LAST_BLOCK", 4)
    bench.session.write(FLASH, bytes(5 * BLOCK))
    assert [block for block, _ in bench.link.executed] == [0, 2, 3, 4, 0, 2, 3]
    assert bench.link.executed[4] == (0, set_address_payload(FLASH + 3 * BLOCK))


@pytest.mark.parametrize("failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS)])
def test_a_block_whose_download_failed_is_discarded_and_sent_again_at_its_own_address(
    bench: Bench, failure: Answer
) -> None:
    data = bytes(range(256)) * 24
    bench.link.script(DNLOAD, None, None, failure)
    bench.session.write(FLASH, data)
    assert bench.link.executed == [
        (0, set_address_payload(FLASH)),
        (2, data[:BLOCK]),
        (0, set_address_payload(FLASH + BLOCK)),
        (2, data[BLOCK : 2 * BLOCK]),
        (3, data[2 * BLOCK :]),
    ]
    assert bench.session.doubtful == []


def block_in(bench: Bench, *answers: Answer) -> None:
    """Answer the GETSTATUS of the first block, after those of its Set Address, like this."""
    bench.link.script(GETSTATUS, None, None, *answers)


def test_a_block_that_ended_at_the_first_getstatus_is_doubtful_and_the_stream_goes_on(bench: Bench) -> None:
    block_in(bench, done())
    bench.session.write(FLASH, bytes(2 * BLOCK))
    assert bench.session.doubtful == [AddressRange(FLASH, BLOCK)]
    assert [block for block, _ in bench.link.executed] == [0, 2, 3]


def test_a_block_whose_waiting_latched_dfuerror_is_doubtful_and_the_next_gets_its_own_address(bench: Bench) -> None:
    block_in(bench, busy(10), Stalled("Pipe error"), error(DfuStatus.ERR_STALLEDPKT))
    data = bytes(range(256)) * 16
    bench.session.write(FLASH, data)
    assert bench.session.doubtful == [AddressRange(FLASH, BLOCK)]
    assert bench.link.executed == [
        (0, set_address_payload(FLASH)),
        (2, data[:BLOCK]),
        (0, set_address_payload(FLASH + BLOCK)),
        (2, data[BLOCK:]),
    ]


def test_a_block_that_the_rom_ended_in_dfuerror_is_doubtful(bench: Bench) -> None:
    block_in(bench, busy(62), error(DfuStatus.ERR_PROG))
    bench.session.write(FLASH, bytes(BLOCK))
    assert bench.session.doubtful == [AddressRange(FLASH, BLOCK)]
    assert bench.link.requests(CLRSTATUS)


def test_a_write_that_never_succeeds_names_its_address(bench: Bench) -> None:
    bench.link.rule = lambda sent: Stalled("Pipe error") if sent.request is DNLOAD and sent.value >= 2 else None
    with pytest.raises(LinkUnreliable, match="cannot write 0x08000800"):
        bench.session.write(FLASH + 0x800, bytes(BLOCK))


def test_a_board_that_vanishes_in_a_write_is_lost_and_its_state_unknown(bench: Bench) -> None:
    bench.link.vanish_at = 5
    with pytest.raises(LinkUnreliable) as caught:
        bench.session.write(FLASH, bytes(4 * BLOCK))
    assert caught.value.code is Code.DEVICE_LOST
    assert caught.value.consequence == "its state is unknown; running again is safe"
    assert len(bench.link.sent) == 6


# Option bytes and Read Unprotect -------------------------------------------------------------------------------------


def test_option_bytes_are_written_whole_with_one_download_and_one_getstatus(bench: Bench) -> None:
    assert bench.session.write_option_bytes(OPTION_BLOCK, FACTORY) is Departure.LEFT
    assert bench.link.selected[0] == 1
    assert bench.link.executed == [(0, set_address_payload(OPTIONS)), (2, FACTORY)]
    after = bench.link.names[bench.link.sent.index(bench.link.requests(DNLOAD)[-1]) + 1 :]
    assert after == ["GETSTATUS", "GETSTATE"]  # it executes; the board is gone when it is asked again


@pytest.mark.parametrize("failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS)])
def test_option_bytes_whose_download_failed_are_aborted_and_executed_once(bench: Bench, failure: Answer) -> None:
    bench.link.script(DNLOAD, None, failure)
    assert bench.session.write_option_bytes(OPTION_BLOCK, FACTORY) is Departure.LEFT
    assert [data for block, data in bench.link.executed if block == 2] == [FACTORY]


@pytest.mark.parametrize(
    "failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS), busy(45), Vanished("gone")]
)
def test_once_executed_option_bytes_are_not_sent_again_whatever_is_answered(bench: Bench, failure: Answer) -> None:
    bench.link.script(GETSTATUS, None, None, failure)
    bench.session.write_option_bytes(OPTION_BLOCK, FACTORY)
    assert [data for block, data in bench.link.downloads if block == 2] == [FACTORY]


def test_option_bytes_that_the_rom_refuses_are_a_failed_step(bench: Bench) -> None:
    bench.link.script(GETSTATUS, None, None, error(DfuStatus.ERR_TARGET))
    with pytest.raises(
        StepFailed, match="option-byte write is refused: the ROM answered dfuERROR, errTARGET"
    ) as caught:
        bench.session.write_option_bytes(OPTION_BLOCK, FACTORY)
    assert caught.value.exit_status == 1


def test_read_unprotect_is_the_single_byte_0x92_sent_once(bench: Bench) -> None:
    told: list[tuple[list[object], list[object]]] = []

    def note() -> None:
        told.append((list(bench.link.downloads), list(bench.link.executed)))

    assert bench.session.read_unprotect(note) is Departure.LEFT
    assert told == [([(0, b"\x92")], [])], "told of once it is stored, and before it is executed"
    assert bench.link.downloads == [(0, b"\x92")]
    assert bench.link.executed == [(0, b"\x92")]


@pytest.mark.parametrize("failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS)])
def test_read_unprotect_whose_download_failed_is_aborted_and_executed_once(bench: Bench, failure: Answer) -> None:
    bench.link.script(DNLOAD, failure)
    assert bench.session.read_unprotect(lambda: None) is Departure.LEFT
    assert bench.link.executed == [(0, b"\x92")]


def test_a_device_that_answers_on_after_read_unprotect_stayed(bench: Bench) -> None:
    bench.link.script(GETSTATUS, busy(100), done())
    bench.link.rule = lambda sent: None
    bench.session.read_unprotect(lambda: None)
    assert bench.link.downloads == [(0, b"\x92")]


# Leaving -------------------------------------------------------------------------------------------------------------


def test_leaving_sets_the_entry_downloads_nothing_and_asks_for_the_status(bench: Bench) -> None:
    bench.session.leave(FLASH + 0x4000)
    assert bench.link.downloads == [(0, set_address_payload(FLASH + 0x4000)), (2, b"")]
    assert bench.link.names[-2:] == ["DNLOAD", "GETSTATUS"]


def test_leaving_a_protected_chip_goes_without_set_address(bench: Bench) -> None:
    bench.session.leave(None)
    assert bench.link.downloads == [(2, b"")]


@pytest.mark.parametrize("transfer", range(2))
def test_a_board_that_vanishes_while_it_leaves_has_left(bench: Bench, transfer: int) -> None:
    bench.link.vanish_at = transfer
    bench.session.leave(None)
    assert len(bench.link.sent) == transfer + 1


@pytest.mark.parametrize("failure", TRANSIENTS)
def test_a_status_that_fails_while_the_board_leaves_is_part_of_leaving(bench: Bench, failure: LinkError) -> None:
    bench.link.script(GETSTATUS, Lost(failure))
    bench.session.leave(None)
    assert bench.link.downloads == [(2, b"")]


@pytest.mark.parametrize("failure", [*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS)])
def test_a_leave_request_that_failed_is_sent_again(bench: Bench, failure: Answer) -> None:
    bench.link.script(DNLOAD, failure)
    bench.session.leave(None)
    assert bench.link.downloads == [(2, b"")] * 2
    assert bench.link.gone


# For every operation -------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[Bench], object]] = {
    "commands": lambda bench: bench.session.commands(),
    "protection": lambda bench: bench.session.protection(),
    "read": lambda bench: bench.session.read(AddressRange(FLASH, BLOCK + 64)),
    "mass erase": lambda bench: bench.session.mass_erase(),
    "erase": lambda bench: bench.session.erase_page(FLASH),
    "write": lambda bench: bench.session.write(FLASH, bytes(2 * BLOCK + 8)),
    "write option bytes": lambda bench: bench.session.write_option_bytes(OPTION_BLOCK, FACTORY),
    "leave": lambda bench: bench.session.leave(FLASH),
}
_answers = st.one_of(
    st.none(),
    st.sampled_from([*TRANSIENTS, *(Lost(failure) for failure in TRANSIENTS)]),
    st.builds(error, st.sampled_from(DfuStatus)),
    st.sampled_from([busy(), busy(40), busy(0xFF_FFFF), done(), b"", bytes(5), bytes(64)]),
)


@settings(deadline=None)
@given(
    start=st.sampled_from([IDLE, SYNC, BUSY, DONE, ERROR, DfuState.MANIFEST_SYNC, DfuState.UPLOAD_IDLE]),
    wanted=st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=3),
    answers=st.lists(_answers, max_size=60),
)
def test_whatever_is_answered_only_what_was_asked_for_is_executed(
    start: DfuState, wanted: list[str], answers: list[Answer]
) -> None:
    bench = Bench()
    bench.channel.download(0, b"" if start is DfuState.MANIFEST_SYNC else read_unprotect_payload())
    bench.link.state = start
    bench.link.forget()
    script = iter(answers)

    def rule(sent: Sent) -> Answer:
        answer = next(script, None)
        # A report, or bytes, are no answer to a request that sends: those are acknowledged or fail.
        return (
            None if sent.request in (DNLOAD, ABORT, CLRSTATUS) and not isinstance(answer, LinkError | Lost) else answer
        )

    bench.link.rule = rule
    with contextlib.suppress(DfurunError):
        bench.session.first_contact()
        for name in wanted:
            OPERATIONS[name](bench)
    allowed = {
        "mass erase": {mass_erase_payload()},
        "erase": {erase_page_payload(FLASH)},
        "write": {bytes(BLOCK), bytes(8)},
        "write option bytes": {FACTORY},
        "leave": {b""},
    }
    may = {payload for name in wanted for payload in allowed.get(name, set())}
    for block, data in bench.link.executed:
        assert data in may or (block == 0 and data[0] == 0x21)
    assert read_unprotect_payload() not in [data for _, data in bench.link.downloads]
    assert len([data for _, data in bench.link.executed if data == FACTORY]) <= wanted.count("write option bytes")


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"write option bytes", "leave"}))
def test_a_board_that_vanishes_in_an_operation_is_lost_and_is_not_asked_again(name: str) -> None:
    whole = Bench().contact()
    OPERATIONS[name](whole)
    for transfer in range(len(whole.link.sent)):
        bench = Bench().contact()
        bench.link.vanish_at = transfer
        with pytest.raises(LinkUnreliable) as caught:
            OPERATIONS[name](bench)
        assert (caught.value.code, caught.value.exit_status) == (Code.DEVICE_LOST, 7)
        assert len(bench.link.sent) == transfer + 1


@pytest.mark.parametrize("name", ["write option bytes", "leave"])
def test_a_board_that_vanishes_before_it_was_told_to_go_is_lost_and_after_that_it_has_left(name: str) -> None:
    whole = Bench().contact()
    OPERATIONS[name](whole)
    told = whole.link.sent.index(whole.link.requests(DNLOAD)[-1])
    for transfer in range(len(whole.link.sent)):
        bench = Bench().contact()
        bench.link.vanish_at = transfer
        if transfer <= told - 2:  # an ABORT may stand before the DNLOAD
            with pytest.raises(LinkUnreliable):
                OPERATIONS[name](bench)
        elif transfer > told:
            OPERATIONS[name](bench)


def test_closing_gives_the_device_back(bench: Bench) -> None:
    bench.session.close()
    assert bench.link.closed
