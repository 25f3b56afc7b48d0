"""The simulated STM32F042: small pages, the empty check, boot option bytes that are documented. # Ref: RM0091; AN2606."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_bench import Bench, error, vector_table

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuStatus, set_address_payload
from dfurun.simulator import Running, SimulatedBoard, StateFile

F042 = load_chip("stm32f042x6")
FLASH = F042.flash.extent.start
APPLICATION = vector_table(stack=0x2000_1800) + bytes(range(8, 256))


@pytest.fixture
def bench() -> Bench:
    return Bench(chip=F042)


def test_its_pages_are_one_kibibyte(bench: Bench) -> None:
    bench.board.replace_flash(bytes(32 * 1024))
    bench.erase_page(FLASH + 5 * 1024 + 1000)
    assert bench.board.flash.contents == bytes(5 * 1024) + b"\xff" * 1024 + bytes(26 * 1024)


def test_no_ram_is_reached_through_its_rom(bench: Bench) -> None:
    """AN2606 table 226: the bootloader uses all of it."""
    for address in (0x2000_0000, 0x2000_1000, 0x2000_17FC):
        assert bench.execute(0, set_address_payload(address)) == error(DfuStatus.ERR_TARGET)
        bench.clear()


def test_one_bit_of_wrp0_protects_four_pages(bench: Bench) -> None:
    raw = F042.option_bytes.encode(F042.option_bytes.factory, {"WRP0": 0b1111_1101})
    bench.board.replace_option_bytes(raw)
    bench.board.replace_flash(bytes(32 * 1024))
    for page in range(3, 9):
        bench.erase_page(FLASH + page * 1024)
    contents = bench.board.flash.contents
    erased = [page for page in range(32) if contents[page * 1024] == 0xFF]
    assert erased == [3, 8]


@pytest.mark.parametrize(("flash", "running"), [(b"", Running.BOOTLOADER), (APPLICATION, Running.APPLICATION)])
def test_with_boot0_low_an_empty_flash_starts_the_bootloader(flash: bytes, running: Running) -> None:
    """RM0091 section 2.5, the empty check."""
    bench = Bench(chip=F042, flash=flash)
    bench.board.power_cycle(0)
    assert bench.board.running is running


def test_the_empty_flag_is_taken_when_the_option_bytes_are_loaded_and_not_at_a_reset(bench: Bench) -> None:
    """RM0091 section 2.5: "updated only during the loading of option bytes"."""
    bench.board.power_cycle(0)
    bench.clock.sleep(F042.usb.connect_minimum_s)
    bench.board.replace_flash(APPLICATION)
    bench.board.system_reset(bench.clock.now())
    assert bench.board.running is Running.BOOTLOADER
    bench.board.power_cycle(0)
    assert bench.board.running is Running.APPLICATION


def test_the_empty_flag_is_kept_in_the_state_file(tmp_path: Path) -> None:
    clock = VirtualClock()
    board = SimulatedBoard(F042, clock, boot0=0)
    StateFile(tmp_path / "board.json").keep(board)
    board.replace_flash(APPLICATION)
    again = StateFile(tmp_path / "board.json").load(clock)
    again.system_reset(clock.now())
    assert again.running is Running.BOOTLOADER


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ({}, Running.APPLICATION, Running.BOOTLOADER),
        ({"BOOT_SEL": 0}, Running.APPLICATION, Running.APPLICATION),
        ({"BOOT_SEL": 0, "nBOOT0": 0}, Running.BOOTLOADER, Running.BOOTLOADER),
        ({"nBOOT0": 0}, Running.APPLICATION, Running.BOOTLOADER),
    ],
)
def test_the_boot_option_bytes_decide_as_the_manual_says(fields: dict[str, Any], low: Running, high: Running) -> None:
    raw = F042.option_bytes.encode(F042.option_bytes.factory, fields)
    found = []
    for level in (0, 1):
        bench = Bench(chip=F042, flash=APPLICATION, option_bytes=raw)
        bench.board.power_cycle(level)
        found.append(bench.board.running)
    assert found == [low, high]
