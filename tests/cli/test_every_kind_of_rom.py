"""The release recipe on every kind of ROM that the simulator has: one run, the right flash, no Read Unprotect."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bench import flash_with_faults, run_on

from dfurun.chips import Chip, Duration, EarlyPoll, Execution, Quirk, load_chip
from dfurun.clock import VirtualClock
from dfurun.image import read_image
from dfurun.simulator import Running, SimulatedBoard, parse_fault

CHIP = load_chip("stm32f072xb")
OLD_FIRMWARE = bytes(range(256)) * 512
READ_UNPROTECT = bytes([0x92])
THE_ROMS_OWN = "the ROM's own"

every_execution = pytest.mark.parametrize("execution", Execution)
every_early_poll = pytest.mark.parametrize("early_poll", EarlyPoll)
every_poll_time = pytest.mark.parametrize("poll_time_ms", [THE_ROMS_OWN, 0, 1, 100, 0xFF_FFFF])


@pytest.fixture(scope="module")
def image() -> bytes:
    """The whole flash as it must be after the release recipe."""
    path = Path(__file__).parents[2] / "recipes" / "firmware" / "f072-blinky.hex"
    memory = read_image("application", path, address=None, sha256=None, size_bytes=None).memory
    return memory.overlay(CHIP.flash.extent, b"\xff" * CHIP.flash.extent.size_bytes)


def rom(execution: Execution, early_poll: EarlyPoll, poll_time_ms: int | str) -> list[str]:
    """Return the faults that make the chip's ROM one of this kind."""
    faults = [f"execution:mode={execution}", f"early-poll:answer={early_poll}"]
    return faults if poll_time_ms == THE_ROMS_OWN else [*faults, f"poll-time:ms={poll_time_ms}"]


def unprotects(board: SimulatedBoard) -> int:
    return [entry.data for entry in board.trace if entry.setup.name == "DNLOAD"].count(READ_UNPROTECT)


@pytest.mark.parametrize("seed", range(12))
def test_a_board_on_a_fast_host_is_flashed_in_one_run(recipes: Path, tmp_path: Path, image: bytes, seed: int) -> None:
    """The F072 as dfu-util's ticket 78 and openmv#1508 have it: stale answers, 40 ms, stalls, errors for early polls."""
    fast_host = [
        f"missed-service:p=0.7,seed={seed}",
        "poll-time:ms=40",
        f"stall:p=0.05,count=always,seed={seed}",
        "early-poll:answer=stall-error",
    ]
    board, status, messages = flash_with_faults(recipes / "f072-release.yaml", tmp_path, fast_host, flash=OLD_FIRMWARE)
    assert status == 0, messages
    assert bytes(board.flash.contents) == image
    assert board.running is Running.APPLICATION
    assert unprotects(board) == 0


QUIRKY = replace(CHIP, rom=replace(CHIP.rom, quirks=(Quirk.DOUBLE_CLEAR_STATUS_WHEN_WEDGED,)))


@pytest.mark.parametrize("erase", ["mass-erase", "erase: {pages: 0-63}"])
@pytest.mark.parametrize(("chip", "exit_status"), [(QUIRKY, 0), (CHIP, 7)], ids=["the data knows", "it does not"])
def test_a_rom_that_wedges_after_every_erase_is_flashed_where_its_data_names_the_way_out(
    recipes: Path, tmp_path: Path, image: bytes, erase: str, chip: Chip, exit_status: int
) -> None:
    """AN2606 table 136, STM32H74x bootloader V9.1; a chip whose data knows nothing of it has an unreliable link."""
    text = (recipes / "f072-release.yaml").read_text(encoding="utf-8").replace("- mass-erase", f"- {erase}")
    shutil.copytree(recipes / "firmware", tmp_path / "firmware")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text, encoding="utf-8")
    board = SimulatedBoard(chip, VirtualClock(), flash=OLD_FIRMWARE, trace_length=100_000)
    board.afflict([parse_fault("wedge")])
    finished, messages = run_on(board, recipe, tmp_path / "run")
    assert finished.exit_status == exit_status, messages
    assert (bytes(board.flash.contents) == image) is (exit_status == 0)


@every_poll_time
@every_early_poll
@every_execution
def test_an_open_board_is_flashed_in_one_run(
    recipes: Path, tmp_path: Path, image: bytes, execution: Execution, early_poll: EarlyPoll, poll_time_ms: int | str
) -> None:
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, rom(execution, early_poll, poll_time_ms), flash=OLD_FIRMWARE
    )
    assert status == 0, messages
    assert bytes(board.flash.contents) == image
    assert board.running is Running.APPLICATION
    assert unprotects(board) == 0


@every_poll_time
@every_early_poll
@every_execution
def test_a_protected_board_is_opened_and_flashed_in_one_run(
    recipes: Path, tmp_path: Path, image: bytes, execution: Execution, early_poll: EarlyPoll, poll_time_ms: int | str
) -> None:
    faults = rom(execution, early_poll, poll_time_ms)
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, faults, flash=OLD_FIRMWARE, protection=1
    )
    assert status == 0, messages
    assert bytes(board.flash.contents) == image
    assert unprotects(board) == 1


@every_poll_time
@every_early_poll
@every_execution
def test_option_bytes_are_put_right_in_one_run(
    recipes: Path, tmp_path: Path, execution: Execution, early_poll: EarlyPoll, poll_time_ms: int | str
) -> None:
    """The write ends in a reset: its GETSTATUS is never answered, or the next one meets a device that is gone."""
    before = CHIP.option_bytes.encode(CHIP.option_bytes.factory, {"BOOT_SEL": 0, "nBOOT0": 0, "DATA0": 0x5A})
    faults = rom(execution, early_poll, poll_time_ms)
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, faults, flash=OLD_FIRMWARE, option_bytes=before
    )
    assert status == 0, messages
    assert board.option_bytes.stored == CHIP.option_bytes.encode(before, {"BOOT_SEL": 1, "nBOOT0": 1})
    assert unprotects(board) == 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("link", ["missed-service:p=0.7", "stall:request=GETSTATUS,p=0.2,count=always"])
@pytest.mark.parametrize("poll_time_ms", [THE_ROMS_OWN, 0, 0xFF_FFFF])
@every_early_poll
@every_execution
def test_on_an_unreliable_link_too(
    recipes: Path,
    tmp_path: Path,
    image: bytes,
    execution: Execution,
    early_poll: EarlyPoll,
    poll_time_ms: int | str,
    link: str,
    seed: int,
) -> None:
    faults = [*rom(execution, early_poll, poll_time_ms), f"{link},seed={seed}"]
    board, status, messages = flash_with_faults(recipes / "f072-release.yaml", tmp_path, faults, flash=OLD_FIRMWARE)
    assert status == 0, messages
    assert bytes(board.flash.contents) == image
    assert unprotects(board) == 0


# A mass erase that outlasts a transfer's timeout -------------------------------------------------------------------------


def with_mass_erase(duration: Duration) -> Chip:
    return replace(CHIP, timing=replace(CHIP.timing, mass_erase=duration))


@every_execution
def test_a_mass_erase_is_waited_for_as_long_as_its_datasheet_says(
    recipes: Path, tmp_path: Path, image: bytes, execution: Execution
) -> None:
    """The F405: 32 s, of which it reports 100 ms (dfu-util's dfuse.c)."""
    chip = with_mass_erase(Duration(typical_s=31.0, maximum_s=32.0, reported_s=0.1))
    board = SimulatedBoard(
        chip,
        VirtualClock(),
        flash=OLD_FIRMWARE,
        execution=execution,
        early_poll=EarlyPoll.BUSY,
        trace_length=100_000,
    )
    finished, messages = run_on(board, recipes / "f072-release.yaml", tmp_path)
    assert finished.exit_status == 0, messages
    assert bytes(board.flash.contents) == image
    assert finished.anomalies == {}
    assert 31 < board.clock.now() < 33


@pytest.mark.parametrize("execution", [Execution.HELD, Execution.INSIDE])
def test_a_mass_erase_that_outlasts_the_transfers_timeout_is_asked_for_again_and_not_repeated(
    recipes: Path, tmp_path: Path, image: bytes, execution: Execution
) -> None:
    """EmuConfigurator#290: a host that gave the GETSTATUS up took the erase for failed."""
    chip = with_mass_erase(Duration(typical_s=8.0, maximum_s=0.5, reported_s=0.1))
    board = SimulatedBoard(chip, VirtualClock(), flash=OLD_FIRMWARE, execution=execution, trace_length=100_000)
    finished, messages = run_on(board, recipes / "f072-release.yaml", tmp_path)
    assert finished.exit_status == 0, messages
    assert bytes(board.flash.contents) == image
    assert finished.anomalies == {"GETSTATUS timeout": 1}
    assert max(board.flash.erase_counts) == 1
    assert unprotects(board) == 0
