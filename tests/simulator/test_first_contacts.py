"""What a host finds that meets a bootloader: the cosmetic error of some ROMs, and what a host that died has left behind."""

from __future__ import annotations

import pytest
from simulated_bench import APPLICATION, BACK_S, BLOCK, CHIP, FACTORY, OPTIONS, Bench, busy, error, idle, options

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import DfuState, DfuStatus, StatusReport
from dfurun.simulator import Running, parse_fault

PAGE = 2048
ERASE_S = CHIP.timing.shortest_erase.typical_s


def with_faults(*texts: str, **settings: object) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


def test_the_first_error_is_met_at_every_start_and_cleared_by_clrstatus() -> None:
    """dfu-util's device logs of F1, F4 and F7."""
    bench = with_faults("first-error")
    assert bench.status() == error(DfuStatus.ERR_FIRMWARE)
    bench.clear()
    assert bench.status() == idle()
    bench.write_options(options(b4=1))
    assert bench.status() == error(DfuStatus.ERR_FIRMWARE)
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.status() == error(DfuStatus.ERR_FIRMWARE)


def test_the_first_error_of_one_start_alone() -> None:
    bench = with_faults("first-error:count=1")
    bench.clear()
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


def test_a_bootloader_that_runs_is_met_so_too() -> None:
    bench = Bench()
    bench.board.afflict([parse_fault("first-error")])
    assert bench.status() == error(DfuStatus.ERR_FIRMWARE)


@pytest.mark.parametrize(
    ("state", "report"),
    [
        ("dfuDNLOAD-IDLE", StatusReport(DfuStatus.OK, 0.0, DfuState.DNLOAD_IDLE)),
        ("dfuUPLOAD-IDLE", StatusReport(DfuStatus.OK, 0.0, DfuState.UPLOAD_IDLE)),
        ("dfuERROR", error(DfuStatus.ERR_STALLEDPKT)),
    ],
)
def test_a_state_that_was_left_behind_is_what_getstate_and_getstatus_say(state: str, report: StatusReport) -> None:
    bench = with_faults(f"leftover:state={state}")
    assert bench.state() is report.state
    assert bench.status() == report


def test_an_end_that_nobody_asked_for_is_reported_and_executes_nothing() -> None:
    bench = with_faults("leftover:state=dfuDNLOAD-SYNC", flash=bytes(PAGE))
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)


@pytest.mark.parametrize(("stored", "erased_pages"), [("erase", 1), ("mass-erase", CHIP.flash.page_count)])
def test_a_stored_erase_is_executed_by_the_next_getstatus_and_by_nothing_before(stored: str, erased_pages: int) -> None:
    whole = bytes(CHIP.flash.extent.size_bytes)
    bench = with_faults(f"leftover:state=dfuDNLOAD-SYNC,stored={stored}", flash=whole)
    assert bench.state() is DfuState.DNLOAD_SYNC
    bench.clock.sleep(60)
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.board.flash.contents == whole
    assert bench.status() == busy(0.04)
    bench.clock.sleep(0.04)
    assert bench.status().state is DfuState.DNLOAD_IDLE
    erased = erased_pages * PAGE
    assert bench.board.flash.contents == b"\xff" * erased + bytes(len(whole) - erased)


def test_a_stored_download_is_discarded_by_abort() -> None:
    bench = with_faults("leftover:state=dfuDNLOAD-SYNC,stored=mass-erase", flash=bytes(PAGE))
    bench.abort()
    assert bench.status() == idle()
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)


def test_a_stored_block_is_zeros_for_the_start_of_the_flash() -> None:
    bench = with_faults("leftover:state=dfuDNLOAD-SYNC,stored=write")
    assert bench.status().state is DfuState.DNBUSY
    bench.clock.sleep(0.062)
    assert bench.board.flash.contents[: BLOCK + 2] == bytes(BLOCK) + b"\xff\xff"


def test_stored_option_bytes_are_the_factorys_and_end_in_a_reset() -> None:
    bench = with_faults("leftover:state=dfuDNLOAD-SYNC,stored=option-bytes", option_bytes=options(b4=0x12))
    assert bench.registers.pointer == OPTIONS
    assert bench.status().state is DfuState.DNBUSY
    bench.clock.sleep(CHIP.timing.option_bytes.typical_s)
    assert not bench.board.present
    assert bench.board.option_bytes.stored == FACTORY
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle(), "the next start finds nothing left behind"


def test_a_stored_read_unprotect_erases_a_protected_chip() -> None:
    bench = Bench(flash=APPLICATION)
    bench.board.protect(1)
    bench.board.afflict([parse_fault("leftover:state=dfuDNLOAD-SYNC,stored=read-unprotect")])
    assert bench.status().state is DfuState.DNBUSY
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:PAGE] == b"\xff" * PAGE


def test_what_was_told_to_leave_leaves_with_the_next_getstatus() -> None:
    bench = with_faults("leftover:state=dfuMANIFEST-SYNC", flash=APPLICATION)
    assert bench.state() is DfuState.MANIFEST_SYNC
    assert bench.status().state is DfuState.MANIFEST
    assert bench.board.running is Running.APPLICATION


def test_what_was_told_to_leave_stays_after_an_abort() -> None:
    bench = with_faults("leftover:state=dfuMANIFEST-SYNC", flash=APPLICATION)
    bench.abort()
    assert bench.status() == idle()
    assert bench.board.running is Running.BOOTLOADER


def test_an_operation_that_runs_ends_by_itself_in_its_time() -> None:
    bench = with_faults("leftover:state=dfuDNBUSY", flash=bytes(2 * PAGE))
    bench.clock.sleep(ERASE_S - 1e-3)
    assert bench.state() is DfuState.DNBUSY
    bench.clock.sleep(1e-3)
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.board.flash.contents[: 2 * PAGE] == b"\xff" * PAGE + bytes(PAGE)


def test_an_operation_that_runs_when_the_power_comes_begins_when_the_board_is_on_the_bus() -> None:
    bench = Bench(flash=bytes(2 * PAGE))
    bench.board.faults.add([parse_fault("leftover:state=dfuDNBUSY,stored=mass-erase")])
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.state() is DfuState.DNBUSY
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)
    bench.clock.sleep(CHIP.timing.mass_erase.typical_s)
    assert bench.board.flash.contents[: 2 * PAGE] == b"\xff" * 2 * PAGE


@pytest.mark.parametrize("execution", Execution)
def test_the_roms_own_way_of_answering_holds_for_what_was_left_running(execution: Execution) -> None:
    bench = with_faults("leftover:state=dfuDNBUSY", execution=execution, early_poll=EarlyPoll.BUSY)
    begun_s = bench.clock.now()
    state = bench.state()
    if execution is Execution.BACKGROUND:
        assert state is DfuState.DNBUSY
    else:
        assert state is DfuState.DNLOAD_SYNC
        assert bench.clock.now() >= begun_s + ERASE_S, "it listens to nobody before"


def test_what_was_left_behind_is_found_once() -> None:
    bench = with_faults("leftover:state=dfuERROR")
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


def test_what_no_state_can_hold_is_refused_in_words() -> None:
    with pytest.raises(
        ValueError, match="the fault leftover: nothing is stored in dfuUPLOAD-IDLE: stored= is for dfuDN"
    ):
        parse_fault("leftover:state=dfuUPLOAD-IDLE,stored=erase")
    with pytest.raises(ValueError, match="no such state; did you mean 'dfuDNBUSY'"):
        parse_fault("leftover:state=dfuBUSY")
    with pytest.raises(ValueError, match="no such download; did you mean 'mass-erase'"):
        parse_fault("leftover:state=dfuDNBUSY,stored=masserase")
