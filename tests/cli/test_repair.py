"""The F072 story: BOOT_SEL and nBOOT0 cleared by a vendor tool, and the board starts its bootloader for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.image import read_image
from dfurun.simulator import Running, SimulatedBoard, StateFile
from dfurun.simulator.memory import Memory

CHIP = load_chip("stm32f072xb")
VIRTUAL = ("--sim-clock", "virtual")


def test_a_board_with_user_0x77_is_told_and_put_right(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    dfurun("sim", "load", board, recipes / "firmware" / "f072-blinky.hex")
    dfurun("sim", "set-option-bytes", board, "USER=0x77")
    for level in (0, 1):
        shown = dfurun("sim", "power-cycle", board, "--boot0", level)
        assert "running         bootloader" in shown.out

    told = dfurun("info", "--sim-state", board, *VIRTUAL)
    assert told.exit == 0
    assert "this board always boots into the bootloader, whatever BOOT0 says" in told.out
    assert "a recipe with `set-option-bytes: {from: factory}` puts" in told.out
    assert "AA55 7788 FF00" in told.out
    told = dfurun("info", "--sim-state", board, *VIRTUAL, "--json")
    assert told.lines[1]["always_boots_bootloader"] is True
    assert told.lines[1]["boots"] == {"boot0=0": "system-memory", "boot0=1": "system-memory"}

    done = dfurun(recipes / "f072-repair-boot.yaml", "--sim-state", board, *VIRTUAL)
    assert done.exit == 0, done.err
    assert "BOOT_SEL 0 -> 1" in done.err
    assert "set BOOT0 HIGH and power-cycle it" in done.err
    assert (
        tmp_path / "f072-backup-2D0030000D50534237343120-option-bytes.bin"
    ).read_bytes().hex() == "aa557788" + "ff00" * 6
    memory = read_image(
        "application", recipes / "firmware" / "f072-blinky.hex", address=None, sha256=None, size_bytes=None
    ).memory
    flash = memory.overlay(CHIP.flash.extent, b"\xff" * CHIP.flash.extent.size_bytes)
    assert (tmp_path / "f072-backup-2D0030000D50534237343120-flash.bin").read_bytes() == flash

    dfurun("sim", "power-cycle", board, "--boot0", 0)
    repaired = StateFile(board).load(VirtualClock())
    assert repaired.running is Running.APPLICATION
    assert repaired.option_bytes.in_force == CHIP.option_bytes.factory
    assert bytes(repaired.flash.contents) == flash, "the repair touches no flash"


@pytest.mark.parametrize("skip", [4, 20, 50, 70, 90])
def test_a_bit_that_arrives_wrong_is_not_in_the_backup(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, skip: int
) -> None:
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    dfurun("sim", "load", board, recipes / "firmware" / "f072-blinky.hex")
    flash = bytes(StateFile(board).load(VirtualClock()).flash.contents)
    fault = ("--sim-fault", f"corrupt-upload:skip={skip}")
    done = dfurun(recipes / "f072-repair-boot.yaml", "--sim-state", board, *VIRTUAL, *fault)
    assert done.exit == 0, done.err
    assert (tmp_path / "f072-backup-2D0030000D50534237343120-flash.bin").read_bytes() == flash


def test_the_repair_runs_twice(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    """The backups are there already and hold the same: nothing is overwritten, nothing is refused."""
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    dfurun("sim", "load", board, recipes / "firmware" / "f072-blinky.hex")
    assert dfurun(recipes / "f072-repair-boot.yaml", "--sim-state", board, *VIRTUAL).exit == 0
    dfurun("sim", "power-cycle", board, "--boot0", 1)
    again = dfurun(recipes / "f072-repair-boot.yaml", "--sim-state", board, *VIRTUAL)
    assert again.exit == 0, again.err
    assert "f072-backup-2D0030000D50534237343120-flash.bin holds these 128 KiB already" in again.err
    assert "set-option-bytes      ok" in again.err


def test_another_board_at_the_port_after_the_power_cycle_is_refused(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hands that power-cycle a board may as well put the next one in its place."""
    dfurun("sim", "new", "board.json")
    dfurun("sim", "load", "board.json", recipes / "firmware" / "f072-blinky.hex")
    power_cycle = SimulatedBoard.power_cycle

    def exchange(board: SimulatedBoard, boot0: int | None = None) -> None:
        board.memory = Memory(CHIP, bytes(range(12)))
        power_cycle(board, boot0)

    monkeypatch.setattr(SimulatedBoard, "power_cycle", exchange)
    done = dfurun(recipes / "f072-repair-boot.yaml", "--sim-state", "board.json", *VIRTUAL)
    assert (done.exit, done.codes) == (6, {"expectation"})
    assert "another board is at port 1-1 now: its unique id is 000102030405060708090A0B" in done.err


def test_unprotect_opens_a_board_and_says_what_is_lost(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    dfurun("sim", "load", board, recipes / "firmware" / "f072-blinky.hex")
    dfurun("sim", "protect", board, 1)
    done = dfurun(recipes / "f072-unprotect.yaml", "--sim-state", board, *VIRTUAL)
    assert done.exit == 0, done.err
    assert "opening the chip erases all of its flash" in done.err
    state = StateFile(board).load(VirtualClock())
    assert state.option_bytes.protection_level == 0
    assert set(state.flash.contents) == {0xFF}
    again = dfurun(recipes / "f072-unprotect.yaml", "--sim-state", board, *VIRTUAL)
    assert "unprotect             ok" in again.err


def test_protect_ends_at_level_1_with_the_application_running(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    for reload in ("power-on", "reset"):
        board = tmp_path / f"{reload}.json"
        dfurun("sim", "new", board, "--option-reload", reload)
        done = dfurun(recipes / "f072-protect.yaml", "--sim-state", board, *VIRTUAL)
        assert done.exit == 0, done.err
        assert "RDP level-0 -> level-1" in done.err
        assert ("reading is refused now, which is its read-back" in done.err) == (reload == "reset")
        assert StateFile(board).load(VirtualClock()).running is Running.APPLICATION
        dfurun("sim", "power-cycle", board, "--boot0", 1)
        told = dfurun("info", "--sim-state", board, *VIRTUAL)
        assert "read-protected" in told.out
        refused = dfurun(recipes / "f072-protect.yaml", "--sim-state", board, *VIRTUAL)
        assert (refused.exit, refused.codes) == (6, {"protected"})


def test_a_board_whose_option_bytes_wait_is_named_by_the_next_run(
    dfurun: Dfurun, recipes: Path, tmp_path: Path
) -> None:
    """What is stored reads like what is in force: only the port's journal knows of the power cycle that is due."""
    dfurun("sim", "new", "board.json")
    options = "dfurun: 1\nname: options\nchip: stm32f072xb\nsteps:\n  - connect\n"
    (tmp_path / "a.yaml").write_text(options + "  - set-option-bytes: {fields: {DATA0: 0x12}}\n")
    (tmp_path / "b.yaml").write_text(options + "  - mass-erase\n")
    assert "power-cycle-needed" in dfurun("a.yaml", "--sim-state", "board.json", *VIRTUAL).codes
    done = dfurun("b.yaml", "--sim-state", "board.json", *VIRTUAL)
    assert "the last run at this port left option bytes that come into force at the next power-on" in done.err
    assert "power-cycle-needed" not in dfurun("b.yaml", "--sim-state", "board.json", *VIRTUAL).codes


def test_read_unprotect_that_waits_for_its_power_cycle_is_named(dfurun: Dfurun, recipes: Path) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "protect", "board.json", 1)
    flash = ("--sim-state", "board.json", *VIRTUAL)
    assert dfurun(recipes / "f072-unprotect.yaml", *flash, "--sim-operator", "absent").exit == 7
    done = dfurun(recipes / "f072-unprotect.yaml", *flash)
    assert "it takes a power cycle to come into force" in done.err
    assert "interrupted" not in done.err
