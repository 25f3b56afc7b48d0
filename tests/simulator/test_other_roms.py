"""ROMs with errors of their own: one that wedges, one that stalls what others forgive, one that hangs, one that aligns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated_bench import BACK_S, BLOCK, CHIP, FLASH, Bench, busy, error, idle

from dfurun.chips import EarlyPoll, Execution
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, DfuStatus, erase_page_payload, mass_erase_payload
from dfurun.simulator import StateFile, parse_fault

PAGE = 2048
ERASED = b"\xff" * PAGE
ERASE_S = CHIP.timing.shortest_erase.typical_s


def with_faults(*texts: str, **settings: object) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


# It stays busy after an erase ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [erase_page_payload(FLASH), mass_erase_payload()], ids=["page", "mass"])
def test_a_wedged_rom_says_busy_for_good_and_the_erase_is_done(payload: bytes) -> None:
    bench = with_faults("wedge", flash=bytes(PAGE))
    assert bench.start(0, payload) == busy(0.04)
    bench.clock.sleep(ERASE_S)
    for _ in range(3):
        assert bench.status() == busy(0.04)
        assert bench.state() is DfuState.DNBUSY
        bench.clock.sleep(60)
    assert bench.board.flash.contents[:PAGE] == ERASED


def test_the_way_out_is_clrstatus_twice() -> None:
    """betaflight-configurator#1861: errUNKNOWN, then dfuIDLE."""
    bench = with_faults("wedge")
    bench.start(0, erase_page_payload(FLASH))
    bench.clock.sleep(ERASE_S)
    bench.abort()
    assert bench.status().state is DfuState.DNBUSY, "ABORT is no way out"
    bench.clear()
    assert bench.status() == error(DfuStatus.ERR_UNKNOWN)
    bench.clear()
    assert bench.status() == idle()
    bench.write(FLASH, bytes(64))


def test_the_way_out_is_the_same_on_a_rom_that_is_strict() -> None:
    bench = with_faults("wedge", "strict")
    bench.start(0, erase_page_payload(FLASH))
    bench.clock.sleep(ERASE_S)
    bench.clear()
    bench.clear()
    assert bench.status() == idle()


def test_a_clrstatus_before_the_end_leaves_an_erase_that_the_next_operation_waits_for() -> None:
    bench = with_faults("wedge:count=1", flash=bytes(PAGE))
    bench.start(0, mass_erase_payload())
    operation = bench.registers.operation
    assert operation is not None
    bench.clear()
    bench.clear()
    assert bench.status() == idle()
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)
    bench.start(0, erase_page_payload(FLASH))
    assert operation.ends_s <= bench.clock.now() < operation.ends_s + 0.001
    assert bench.board.flash.contents[:PAGE] == ERASED


def test_what_wedges_is_chosen_and_a_write_never_is() -> None:
    bench = with_faults("wedge:for=mass-erase")
    bench.erase_page(FLASH)
    bench.write(FLASH, bytes(64))
    bench.start(0, mass_erase_payload())
    bench.clock.sleep(1)
    assert bench.status().state is DfuState.DNBUSY


def test_a_wedge_of_what_is_no_erase_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="the fault wedge: for=write: it concerns erase and mass-erase alone"):
        parse_fault("wedge:for=write")


@pytest.mark.parametrize("execution", Execution)
def test_a_rom_wedges_however_it_executes(execution: Execution) -> None:
    bench = with_faults("wedge", execution=execution, early_poll=EarlyPoll.BUSY)
    bench.start(0, erase_page_payload(FLASH))
    bench.clock.sleep(ERASE_S)
    assert bench.status().state is DfuState.DNBUSY
    bench.clear()
    bench.clear()
    assert bench.state() is DfuState.IDLE


def test_a_wedged_board_in_a_file_is_wedged_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    bench = with_faults("wedge")
    StateFile(path).keep(bench.board)
    bench.start(0, erase_page_payload(FLASH))
    bench.clock = VirtualClock()
    bench.board = StateFile(path).load(bench.clock)
    bench.clock.sleep(60)
    assert bench.status().state is DfuState.DNBUSY
    bench.clear()
    assert bench.status() == error(DfuStatus.ERR_UNKNOWN)
    assert "wedged" not in json.loads(path.read_text())["bootloader"]


# It stalls what others forgive ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        DfuState.IDLE,
        DfuState.DNLOAD_SYNC,
        DfuState.DNBUSY,
        DfuState.DNLOAD_IDLE,
        DfuState.MANIFEST_SYNC,
        DfuState.UPLOAD_IDLE,
    ],
)
def test_a_strict_rom_stalls_clrstatus_outside_dfuerror(state: DfuState) -> None:
    """betaflight-configurator#5300."""
    bench = with_faults("strict")
    bench.bring_to(state)
    assert bench.is_refused(bench.clear)
    assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)
    bench.clear()
    assert bench.status() == idle()


@pytest.mark.parametrize("state", [DfuState.ERROR, DfuState.DNBUSY])
def test_a_strict_rom_stalls_abort_where_it_is_illegal(state: DfuState) -> None:
    bench = with_faults("strict")
    bench.bring_to(state)
    assert bench.is_refused(bench.abort)
    tolerant = Bench()
    tolerant.bring_to(state)
    assert not tolerant.is_refused(tolerant.abort)


# It hangs on a long block ----------------------------------------------------------------------------------------------------


def test_a_block_that_is_too_long_leaves_an_error_that_nothing_but_the_power_ends() -> None:
    bench = with_faults("long-block-hangs")
    assert bench.is_refused(lambda: bench.dnload(2, bytes(BLOCK + 1)))
    for act in (bench.clear, bench.abort, bench.board.usb_reset):
        act()
        assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)
    bench.clock.sleep(3600)
    bench.clear()
    assert bench.state() is DfuState.ERROR
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


def test_another_error_of_such_a_rom_is_cleared_as_ever() -> None:
    bench = with_faults("long-block-hangs")
    bench.bring_to(DfuState.ERROR)
    bench.clear()
    assert bench.status() == idle()
    bench.dnload(2, bytes(BLOCK))
    assert bench.state() is DfuState.DNLOAD_SYNC


def test_a_board_in_a_file_hangs_on_in_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    bench = with_faults("long-block-hangs")
    StateFile(path).keep(bench.board)
    assert bench.is_refused(lambda: bench.dnload(2, bytes(BLOCK + 1)))
    bench.clock = VirtualClock()
    bench.board = StateFile(path).load(bench.clock)
    bench.clear()
    assert bench.state() is DfuState.ERROR


# It aligns -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bytes_", "offset", "length"), [(8, 4, 8), (8, 0, 12), (16, 8, 16), (16, 0, 24)])
def test_a_block_that_is_not_aligned_fails_and_so_does_all_programming_after_it(
    bytes_: int, offset: int, length: int
) -> None:
    """AN2606 table 7: "the operation fails and all following program operations fail as well"."""
    bench = with_faults(f"alignment:bytes={bytes_}")
    bench.write(FLASH + PAGE, bytes(2 * bytes_))
    bench.set_address(FLASH + offset)
    assert bench.execute(2, bytes(length)) == error(DfuStatus.ERR_TARGET)
    bench.clear()
    bench.set_address(FLASH)
    assert bench.execute(2, bytes(bytes_)) == error(DfuStatus.ERR_TARGET)
    bench.clear()
    assert bench.board.flash.contents[: PAGE + 1] == ERASED + b"\0"
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    bench.write(FLASH, bytes(bytes_))


def test_the_same_block_is_good_for_the_chips_own_rom() -> None:
    bench = Bench()
    bench.write(FLASH + 4, bytes(12))
    assert bench.board.flash.contents[:17] == b"\xff" * 4 + bytes(12) + b"\xff"


@pytest.mark.parametrize("text", ["alignment:bytes=0", "alignment:bytes=5"])
def test_an_alignment_that_no_chip_has_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"the fault alignment: bytes= is 8 or 16 \(AN2606 table 7\)"):
        parse_fault(text)
