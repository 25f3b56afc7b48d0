"""The release recipe on a simulated STM32F072, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import flash_with_faults
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.image import read_image
from dfurun.simulator import Running, SimulatedBoard, StateFile

CHIP = load_chip("stm32f072xb")
FACTORY = CHIP.option_bytes.factory
OLD_FIRMWARE = bytes(range(256)) * 512


@pytest.fixture
def board_file(tmp_path: Path) -> Path:
    return tmp_path / "board.json"


@pytest.fixture
def image(recipes: Path) -> bytes:
    """The whole flash as it must be after the release recipe."""
    path = recipes / "firmware" / "f072-blinky.hex"
    memory = read_image("application", path, address=None, sha256=None, size_bytes=None).memory
    return memory.overlay(CHIP.flash.extent, b"\xff" * CHIP.flash.extent.size_bytes)


def make(board_file: Path, *, level: int = 0, option_bytes: bytes = FACTORY, flash: bytes = OLD_FIRMWARE) -> None:
    board = SimulatedBoard(CHIP, VirtualClock(), flash=flash, option_bytes=option_bytes)
    board.protect(level)
    StateFile(board_file).keep(board)


def board_in(board_file: Path) -> SimulatedBoard:
    board = StateFile(board_file).load(VirtualClock())
    board.clock.sleep(1)
    return board


def requests(board: SimulatedBoard) -> list[str]:
    return [entry.setup.name for entry in board.trace]


@pytest.mark.parametrize("reload", ["power-on", "reset"])
def test_a_protected_board_is_opened_and_flashed_in_one_run(
    dfurun: Dfurun, recipes: Path, board_file: Path, image: bytes, reload: str
) -> None:
    dfurun("sim", "new", board_file, "--option-reload", reload)
    dfurun("sim", "protect", board_file, 1)
    done = dfurun(recipes / "f072-release.yaml", "--sim-state", board_file, "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    assert "unprotect             changed" in done.err
    assert ("set BOOT0 HIGH and power-cycle it" in done.err) == (reload == "power-on")
    board = board_in(board_file)
    assert bytes(board.flash.contents) == image
    assert board.option_bytes.stored == FACTORY
    assert board.running is Running.APPLICATION


def test_what_the_recipe_names_is_what_the_option_bytes_hold(
    dfurun: Dfurun, recipes: Path, board_file: Path, image: bytes
) -> None:
    before = CHIP.option_bytes.encode(FACTORY, {"BOOT_SEL": 0, "nBOOT1": 0, "DATA0": 0x5A, "WDG_SW": 0})
    make(board_file)
    board_in(board_file).replace_option_bytes(before)
    done = dfurun("sim", "set-option-bytes", board_file, "--raw", before.hex())
    done = dfurun("sim", "set-option-bytes", board_file, "nBOOT1=1", "nBOOT0=0")  # the bootloader stays reachable
    assert '"running"' not in done.out
    done = dfurun(recipes / "f072-release.yaml", "--sim-state", board_file, "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    assert "nBOOT0 0 -> 1" in done.err
    assert "BOOT_SEL 0 -> 1" in done.err
    board = board_in(board_file)
    assert bytes(board.flash.contents) == image
    fields = CHIP.option_bytes.decode(board.option_bytes.stored)
    assert {name: fields[name] for name in ("RDP", "nBOOT0", "nBOOT1", "BOOT_SEL")} == {
        "RDP": "level-0",
        "nBOOT0": 1,
        "nBOOT1": 1,
        "BOOT_SEL": 1,
    }
    assert (fields["DATA0"], fields["WDG_SW"]) == (0x5A, 0), "bits that are not named stay"


def test_an_unreliable_link_is_never_taken_for_protection(
    dfurun: Dfurun, recipes: Path, board_file: Path, image: bytes
) -> None:
    """F072 thread: stalls, timeouts and a false errVENDOR on an open chip. No Read Unprotect (0x92) may be sent."""
    make(board_file)
    done = dfurun(
        recipes / "f072-release.yaml",
        *("--sim-state", board_file, "--sim-clock", "virtual", "--json"),
        *("--sim-fault", "stall:request=UPLOAD,count=2"),
        *("--sim-fault", "timeout:request=UPLOAD,skip=2,count=2"),
        *("--sim-fault", "false-errvendor:skip=4"),
    )
    assert done.exit == 0, done.out
    unprotect = next(line for line in done.lines if line["event"] == "step-finished" and line["step"] == "unprotect")
    assert (unprotect["outcome"], unprotect["detail"]) == ("ok", "not protected, nothing was sent")
    result = next(line for line in done.lines if line["event"] == "unit-result")
    assert sum(result["anomalies"].values()) >= 5
    board = board_in(board_file)
    assert bytes(board.flash.contents) == image
    assert max(board.flash.erase_counts) == 1, "one mass erase; Read Unprotect would have been another"


@pytest.mark.parametrize("skip", range(8))
@pytest.mark.parametrize("fault", ["stall", "timeout", "io-error", "lost-reply", "overflow"])
@pytest.mark.parametrize("request_name", ["UPLOAD", "DNLOAD", "GETSTATUS", "GETSTATE", "ABORT"])
def test_no_single_fault_sends_read_unprotect_or_leaves_wrong_flash(
    recipes: Path, image: bytes, skip: int, fault: str, request_name: str, tmp_path: Path
) -> None:
    """The board's own trace is the witness."""
    board, status, _ = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, [f"{fault}:request={request_name},skip={skip}"], flash=OLD_FIRMWARE
    )
    assert bytes([0x92]) not in [entry.data for entry in board.trace if entry.setup.name == "DNLOAD"]
    if status == 0:
        assert bytes(board.flash.contents) == image


def test_even_a_perfect_lie_about_protection_must_be_told_twice(recipes: Path, image: bytes, tmp_path: Path) -> None:
    """Three false errVENDOR in a row on both addresses: `connect` believes them, `unprotect` asks again."""
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, ["false-errvendor:count=3"], flash=OLD_FIRMWARE
    )
    assert status == 0, messages
    assert "the chip seemed read-protected to `connect`, and is not: the link is unreliable" in messages
    assert bytes([0x92]) not in [entry.data for entry in board.trace if entry.setup.name == "DNLOAD"]
    assert bytes(board.flash.contents) == image


@pytest.mark.parametrize("skip", range(12))
def test_a_corrupt_read_never_reaches_the_option_bytes(recipes: Path, tmp_path: Path, skip: int) -> None:
    """What is read is written back with the named fields changed: an upload's flipped bit must not be written with it."""
    before = CHIP.option_bytes.encode(FACTORY, {"BOOT_SEL": 0, "nBOOT0": 0, "DATA0": 0x5A, "WDG_SW": 0})
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, [f"corrupt-upload:skip={skip},seed={skip}"], option_bytes=before
    )
    assert status == 0, messages
    assert board.option_bytes.stored == CHIP.option_bytes.encode(before, {"BOOT_SEL": 1, "nBOOT0": 1})


@pytest.mark.parametrize("seed", range(5))
def test_missed_service_is_survived_in_one_run(recipes: Path, image: bytes, tmp_path: Path, seed: int) -> None:
    """AN2606 table 42: GETSTATUS answers the old dfuDNBUSY and changes nothing, seven times of ten."""
    board, status, messages = flash_with_faults(
        recipes / "f072-release.yaml", tmp_path, [f"missed-service:p=0.7,seed={seed}"], flash=OLD_FIRMWARE
    )
    assert status == 0, messages
    assert bytes(board.flash.contents) == image


def test_a_lost_page_is_redone_and_counted(dfurun: Dfurun, recipes: Path, board_file: Path, image: bytes) -> None:
    make(board_file)
    done = dfurun(
        recipes / "f072-release.yaml",
        *("--sim-state", board_file, "--sim-clock", "virtual", "--sim-fault", "lost-program"),
        *("--record", "record.json"),
    )
    assert done.exit == 0, done.err
    assert "writing again what differs (1 of 2)" in done.err
    assert json.loads((board_file.parent / "record.json").read_text())["pages_redone"] == 1
    assert bytes(board_in(board_file).flash.contents) == image


def test_write_puts_the_vector_table_in_last(recipes: Path, tmp_path: Path) -> None:
    """A half-new image never boots: the first page of the flash is programmed after all others."""
    board, status, _ = flash_with_faults(recipes / "f072-release.yaml", tmp_path, [], flash=OLD_FIRMWARE)
    assert status == 0
    downloads = [entry for entry in board.trace if entry.setup.name == "DNLOAD" and len(entry.data) > 5]
    pages = [entry.data for entry in downloads]
    assert pages[-1][:4] == (0x20004000).to_bytes(4, "little"), "the last block holds the initial stack pointer"
    assert all(page[:4] != (0x20004000).to_bytes(4, "little") for page in pages[:-1])


def test_the_modelled_time_of_a_clean_run_is_exact(recipes: Path, tmp_path: Path) -> None:
    """Two runs on the virtual clock take the same time to the last digit."""
    first, _, _ = flash_with_faults(recipes / "f072-release.yaml", tmp_path / "a", [], flash=OLD_FIRMWARE)
    second, _, _ = flash_with_faults(recipes / "f072-release.yaml", tmp_path / "b", [], flash=OLD_FIRMWARE)
    assert first.clock.now() == second.clock.now() > 0.2
