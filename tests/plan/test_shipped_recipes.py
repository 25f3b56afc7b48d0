"""Every shipped recipe, over boards as they come to a bench: its plan and its run end alike, and leave the same board."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from command_line import ROOT, Dfurun

from dfurun.chips import Chip, load_chip
from dfurun.clock import Clock
from dfurun.image import read_image
from dfurun.plan import compile_recipe
from dfurun.simulator import SimulatedBoard

RECIPES = sorted(path.relative_to(ROOT) for path in (ROOT / "recipes").rglob("*.yaml"))
OLD = b"old firmware" * 500
FIRMWARE = {"stm32f042x6": "f042-blinky.dfu", "stm32f072xb": "f072-blinky.hex", "stm32f405xg": "f405-blinky.elf"}


def as_from_the_factory(chip: Chip, clock: Clock) -> SimulatedBoard:
    return SimulatedBoard(chip, clock)


def with_old_firmware(chip: Chip, clock: Clock) -> SimulatedBoard:
    return SimulatedBoard(chip, clock, flash=OLD)


def with_the_firmware(chip: Chip, clock: Clock) -> SimulatedBoard:
    file = ROOT / "recipes/firmware" / FIRMWARE[chip.name]
    raw = file.suffix == ".dfu"  # raw binary with a DFU suffix, which has no address
    image = read_image("firmware", file, address=chip.flash.extent.start if raw else None)
    return SimulatedBoard(chip, clock, flash=next(image.memory.within(chip.flash.extent)).data)


def protected(chip: Chip, clock: Clock) -> SimulatedBoard:
    board = with_old_firmware(chip, clock)
    board.protect(1)
    return board


def write_protected(chip: Chip, clock: Clock) -> SimulatedBoard:
    layout = chip.option_bytes
    assert layout.write_protection
    fields = layout.write_protection.protecting(range(4), chip.flash)
    return SimulatedBoard(
        chip, clock, flash=OLD, option_bytes=layout.completed(layout.encode(layout.factory, fields), layout.factory)
    )


STARTS = (as_from_the_factory, with_old_firmware, with_the_firmware, protected, write_protected)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.__name__)
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_shipped_recipe_ends_as_it_was_planned(dfurun: Dfurun, tmp_path: Path, recipe: Path, start: Any) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / ".git").mkdir()
    chip = compile_recipe(recipe).runnable().chip
    held: list[SimulatedBoard] = []

    def board_of(path: Path, clock: Clock, new: object = None) -> SimulatedBoard:
        held.append(start(load_chip(chip.name), clock))
        return held[-1]

    (tmp_path / "board").touch()
    with patch("dfurun.cli.bench.open_state", board_of):
        planned = dfurun("plan", recipe, "--sim-state", "board", "--json")
        ran = dfurun(recipe, "--sim-state", "board", "--sim-clock", "virtual", "--json")
    plan = next((line for line in planned.lines if line["event"] == "plan"), None)
    unit = next(line for line in ran.lines if line["event"] == "unit-result")
    if plan is None:  # the board is not the one that is expected
        assert planned.exit == ran.exit
        return
    assert (unit["exit_status"] == 0) is not plan["fails"], (plan["steps"][-1], unit)
    if plan["fails"]:
        last = plan["steps"][-1]
        assert unit["exit_status"] == (6 if last["will"] == "refused" or plan["board"]["protected"] else 1), (
            last,
            unit,
        )
    board = held[-1]
    if plan["option_bytes"]["after"]:
        assert plan["option_bytes"]["after"] == board.option_bytes.stored.hex()
    assert plan["flash_sha256"] in (None, sha256(board.flash.contents).hexdigest())
    if not plan["board"]["protected"] and not plan["fails"]:
        assert plan["transfers"] == unit["transfers"]
