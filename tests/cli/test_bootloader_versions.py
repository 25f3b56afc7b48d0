"""What a bootloader's id changes: a mass erase that one version ignores, told trouble, and the simulated board that has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile

WIPE = "dfurun: 1\nname: Wipe\nchip: {chip}\nsteps: [connect, mass-erase]\n"


@pytest.mark.parametrize(
    ("name", "bootloader_id", "duration_s"),
    [
        ("stm32h743xi", 0xD3, 16 * 4.0),  # V13.3 acknowledges a mass erase and does nothing: sector by sector
        ("stm32h743xi", 0x92, 26.0),
        ("stm32l072x8", None, 512 * 0.0032),  # has no mass erase
    ],
)
def test_a_mass_erase_is_done_page_by_page_where_the_bootloader_has_none_that_works(
    dfurun: Dfurun, tmp_path: Path, name: str, bootloader_id: int | None, duration_s: float
) -> None:
    chip, board, recipe = load_chip(name), tmp_path / "board.json", tmp_path / "wipe.yaml"
    full = b"\x5a" * chip.flash.extent.size_bytes
    StateFile(board).keep(SimulatedBoard(chip, VirtualClock(), flash=full, bootloader_id=bootloader_id))
    recipe.write_text(WIPE.format(chip=name), encoding="utf-8")
    done = dfurun(recipe, "--sim-state", board, "--sim-clock", "virtual", "--json")
    assert done.exit == 0
    assert set(StateFile(board).load(VirtualClock()).flash.contents) == {chip.flash.erased}
    assert duration_s <= done.lines[-2]["duration_s"] < 1.3 * duration_s + 1


def test_what_one_version_alone_has_is_shown_with_it(dfurun: Dfurun) -> None:
    shown = " ".join(dfurun("chips", "show", "stm32h743xi").out.split())
    assert "V13.3 alone: mass-erase-ignored: this bootloader acknowledges a mass erase and does nothing" in shown


def test_a_simulated_board_keeps_the_version_it_was_made_with(dfurun: Dfurun, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    assert dfurun("sim", "new", board, "--chip", "stm32h743xi", "--bootloader-id", "0xD3").exit == 0
    assert json.loads(board.read_text())["bootloader_id"] == 0xD3
    assert "V13.3 (id 0xD3)" in dfurun("info", "--sim-state", board).out


@pytest.mark.parametrize(("text", "words"), [("0x55", "no bootloader with the id 0x55"), ("V13", "is no number")])
def test_a_version_that_the_chip_has_not_is_wrong_usage(dfurun: Dfurun, tmp_path: Path, text: str, words: str) -> None:
    done = dfurun("sim", "new", tmp_path / "board.json", "--chip", "stm32h743xi", "--bootloader-id", text)
    assert (int(done.exit), done.codes) == (2, {"usage"})
    assert words in done.err
    assert "0xD3 (V13.3)" in done.err
