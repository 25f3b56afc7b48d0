"""What a plan says a run will leave behind is what it leaves behind: flash, option bytes, protection, what starts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from chip_bench import Place, every_kind, harmless
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.chips.option_bytes import InForce

DEPARTURE_S = 0.5  # what a run takes to see a board gone or back, beyond what is told of the ROM
OLD = bytes(range(200)) * 40


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str) -> Place:
    return Place(dfurun, tmp_path, load_chip(name))


def planned(place: Place) -> dict[str, Any]:
    done = place.dfurun("plan", place.recipe, "--sim-state", place.board, "--json")
    assert done.exit in (0, 1), done.out
    return next(line for line in done.lines if line["event"] == "plan")


def ran(place: Place) -> dict[str, Any]:
    done = place.dfurun(place.recipe, "--sim-state", place.board, "--sim-clock", "virtual", "--json")
    return next(line for line in done.lines if line["event"] == "unit-result")


def compare(place: Place, *steps: str, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Plan and run these steps over one board, and hold one against the other."""
    place.write(*steps, keys=keys)
    fresh = place.board.read_bytes()
    plan = planned(place)
    place.board.write_bytes(fresh)  # a look leaves the ROM in another state than a power-on
    unit = ran(place)
    assert (unit["exit_status"] == 0) is not plan["fails"], (plan, unit)
    board, layout = place.state, place.chip.option_bytes
    assert plan["option_bytes"]["after"] in (None, board.option_bytes.stored.hex())
    assert plan["flash_sha256"] in (None, sha256(board.flash.contents).hexdigest())
    fields = layout.decode(board.option_bytes.stored)
    empty = board.flash.contents[:4] == bytes([place.chip.flash.erased]) * 4
    for level in (0, 1):
        expected = place.chip.starts(fields, boot0=level, flash_empty=empty)
        assert plan["boots"][f"boot0={level}"]["after"] in (None, expected.value)
    in_force = layout.in_force_at is InForce.RESET
    if in_force:
        assert plan["protected"]["after"] is (board.option_bytes.protection_level > 0)
    return {"plan": plan, "unit": unit}


@every_kind
def test_of_a_board_with_old_firmware(place: Place) -> None:
    place.make(flash=OLD)
    field, layout = harmless(place.chip), place.chip.option_bytes
    value = 1 - int(layout.decode(place.state.option_bytes.stored)[field.name])
    setting = f"{{fields: {{{field.name}: {value}}}}}"
    steps = ("mass-erase", "write: {image: app}", "verify: {image: app}", f"set-option-bytes: {setting}", "leave-dfu")
    both = compare(place, *steps)
    plan, unit = both["plan"], both["unit"]
    assert plan["flash_sha256"] is not None
    assert plan["option_bytes"]["after"] is not None
    assert [f["name"] for f in plan["option_bytes"]["fields"]] == [field.name]
    assert "hold" in plan["steps"][1]["loses"]
    assert plan["transfers"] == unit["transfers"]
    assert abs(plan["seconds"]["total"] - unit["duration_s"]) < DEPARTURE_S


@every_kind
def test_of_a_protected_board(place: Place) -> None:
    place.make(level=1, flash=OLD)
    plan = compare(place, "unprotect", "mass-erase", "write: {image: app}", "verify: {image: app}")["plan"]
    assert plan["steps"][1]["will"] == "change"
    assert plan["flash_sha256"] is not None
    assert plan["protected"] == {"before": True, "after": False}


@every_kind
def test_of_a_protected_board_that_the_recipe_does_not_open(place: Place) -> None:
    place.make(level=1)
    plan = compare(place, "mass-erase", "write: {image: app}")["plan"]
    assert plan["steps"][-1]["will"] == "fail"
    assert "read-protected" in plan["steps"][-1]["words"]


@every_kind
def test_of_a_board_that_holds_the_image_already(place: Place) -> None:
    place.make(flash=place.image)
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}")
    assert not both["plan"]["changes"]
    assert both["plan"]["transfers"] == both["unit"]["transfers"]


@every_kind
def test_of_a_board_of_which_one_page_differs_and_holds_more(place: Place) -> None:
    old = bytearray(place.image + OLD)
    old[len(place.image) - 1] ^= 0x55
    place.make(flash=bytes(old))
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}")
    plan, unit = both["plan"], both["unit"]
    assert plan["changes"]
    assert plan["steps"][1]["loses"] == ""
    assert plan["transfers"] == unit["transfers"]


@every_kind
def test_of_a_board_that_is_to_be_protected(place: Place) -> None:
    place.make(flash=OLD)
    steps = ("mass-erase", "write: {image: app}", "verify: {image: app}", "set-option-bytes: {fields: {RDP: level-1}}")
    both = compare(place, *steps)
    assert both["plan"]["option_bytes"]["fields"] == [{"name": "RDP", "before": "level-0", "after": "level-1"}]
    assert both["plan"]["transfers"] == both["unit"]["transfers"]


@every_kind
def test_of_no_board(place: Place) -> None:
    place.make(flash=OLD)
    place.write("mass-erase", "write: {image: app}", "verify: {image: app}")
    done = place.dfurun("plan", place.recipe, "--json")
    plan = next(line for line in done.lines if line["event"] == "plan")
    assert plan["board"] is None
    assert "whatever is in the flash" in plan["steps"][1]["loses"]
    assert ran(place)["exit_status"] == 0
    assert plan["flash_sha256"] == sha256(place.state.flash.contents).hexdigest()
