"""The device feature of the simulated ROM: what it reads, how long flash operations take with it, when it is as at first.

# Ref: AN2606 rev 70 table 4; RM0090 section 3.6.2; DS8626.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_bench import Bench

from dfurun.chips import Chip, load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, erase_page_payload, mass_erase_payload, set_address_payload
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.fault_text import parse_fault
from dfurun.simulator.state import StateFile

F405, F722, L476 = (load_chip(name) for name in ("stm32f405xg", "stm32f722xe", "stm32l476xg"))
FLASH, FEATURE, OPTIONS = F405.flash.extent.start, 0xFFFF_0000, F405.option_bytes.address
OWN, HALF_WORDS, WORDS, DOUBLE_WORDS = 0x00, 0x01, 0x03, 0x04


def met(chip: Chip = F405, **settings: object) -> Bench:
    bench = Bench(chip=chip, **settings)
    if bench.state() is DfuState.ERROR:
        bench.clear()
    return bench


def choose(bench: Bench, code: int) -> None:
    bench.write(FEATURE, bytes([code, 0xFF, 0xFF, 0xFF]))
    bench.abort()


def took(bench: Bench, block: int, data: bytes) -> float:
    """Return how long the ROM is deaf for with this download."""
    bench.start(block, data)
    operation = bench.registers.operation
    assert operation is not None
    assert bench.status().state is DfuState.DNLOAD_IDLE
    bench.abort()
    return operation.duration_s


def test_it_is_the_narrowest_first_and_keeps_what_is_written() -> None:
    bench = met()
    assert bench.read(FEATURE, 4) == bytes.fromhex("00FFFFFF")
    bench.abort()
    choose(bench, WORDS)
    assert bench.read(FEATURE, 4) == bytes.fromhex("03FFFFFF")


@pytest.mark.parametrize(
    ("code", "block_s", "sector_s", "all_s"),
    [
        (OWN, 2048 * 16e-6, 0.4, 16.0),
        (HALF_WORDS, 1024 * 16e-6, 0.3, 11.0),
        (WORDS, 512 * 16e-6, 0.25, 8.0),
        (DOUBLE_WORDS, 2048 * 16e-6, 0.4, 16.0),  # needs VPP, which the board has not (inference)
        (0x77, 2048 * 16e-6, 0.4, 16.0),
    ],
)
def test_what_flash_operations_take(code: int, block_s: float, sector_s: float, all_s: float) -> None:
    bench = met()
    choose(bench, code)
    assert took(bench, 0, mass_erase_payload()) == pytest.approx(all_s)
    assert took(bench, 0, erase_page_payload(FLASH)) == pytest.approx(sector_s)
    bench.set_address(FLASH)
    data = bytes(range(1, 129)) * 16
    assert took(bench, 2, data) == pytest.approx(block_s)
    assert bench.board.flash.contents[:2048] == data


def test_a_reset_of_any_kind_sets_it_back_and_one_of_the_bus_does_not() -> None:
    bench = met()
    choose(bench, WORDS)
    bench.board.usb_reset()
    assert bench.board.memory.device_feature[0] == WORDS
    bench.board.power_cycle()
    assert bench.board.memory.device_feature == bytes.fromhex("00FFFFFF")
    bench = met()
    choose(bench, WORDS)
    bench.set_address(OPTIONS)
    bench.start(2, F405.option_bytes.factory)
    bench.clock.sleep(2.0)
    assert bench.board.connected_device is not None
    assert bench.board.memory.device_feature[0] == OWN, "the system reset after option bytes"


def test_of_a_word_that_the_power_cuts_the_four_bytes_are_in_between() -> None:
    bench = met()
    choose(bench, WORDS)
    bench.set_address(FLASH)
    bench.start(2, bytes(range(1, 101)))
    operation = bench.registers.operation
    assert operation is not None
    bench.clock.sleep(operation.starts_s + 10.5 * 16e-6 - bench.clock.now())
    bench.board.power_cycle(1)
    contents = bench.board.flash.contents
    assert contents[:40] == bytes(range(1, 41))
    assert contents[40:44] not in (bytes(range(41, 45)), b"\xff" * 4)
    assert contents[44:100] == b"\xff" * 56


def test_four_bytes_are_a_whole_write_of_it_where_flash_wants_eight() -> None:
    """An inference: AN2606 table 7 asks eight of an F7's flash, table 4 has four bytes of the device feature."""
    bench = met(F722)
    choose(bench, WORDS)
    assert bench.read(FEATURE, 1) == bytes([WORDS])
    bench.abort()
    bench.set_address(F722.flash.extent.start)
    bench.start(2, bytes(4))
    assert bench.status().state is DfuState.ERROR, "of flash it is misaligned, as before"


def test_the_device_feature_of_another_family_is_kept_and_means_nothing() -> None:
    bench = met(L476)
    choose(bench, WORDS)
    assert bench.read(FEATURE, 4) == bytes.fromhex("03FFFFFF")
    bench.abort()
    assert bench.board.memory.timing is L476.timing
    bench.board.power_cycle()
    assert bench.board.memory.device_feature == bytes(4)


def test_a_board_without_the_word_refuses_its_address() -> None:
    bench = Bench()
    assert bench.execute(0, set_address_payload(FEATURE)).state is DfuState.ERROR


@pytest.mark.parametrize(
    ("volts", "code", "good"),
    [(2.4, WORDS, False), (2.4, HALF_WORDS, True), (1.8, HALF_WORDS, False), (1.8, OWN, True), (3.3, WORDS, True)],
)
def test_a_supply_that_is_too_low_for_the_width_leaves_things_half_done(volts: float, code: int, good: bool) -> None:
    bench = met(faults=[parse_fault(f"low-supply:volts={volts}")])
    bench.board.replace_flash(bytes(F405.flash.extent.size_bytes))
    choose(bench, code)
    took(bench, 0, erase_page_payload(FLASH))
    sector = F405.flash.page(0).size_bytes
    assert (bench.board.flash.contents[:sector] == b"\xff" * sector) is good
    bench.board.replace_flash(b"")
    bench.set_address(FLASH)
    took(bench, 2, bytes(range(1, 101)))
    assert (bench.board.flash.contents[:100] == bytes(range(1, 101))) is good


def test_it_outlives_a_save_of_the_board(tmp_path: Path) -> None:
    bench = met()
    choose(bench, WORDS)
    StateFile(tmp_path / "board.json").save(bench.board)
    again: SimulatedBoard = StateFile(tmp_path / "board.json").load(VirtualClock())
    assert again.memory.device_feature == bytes.fromhex("03FFFFFF")
