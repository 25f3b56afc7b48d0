"""What a plan says a run will leave behind is what it leaves behind: flash, option bytes, protection, what starts."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from chip_bench import Place, every_kind, harmless
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.chips.option_bytes import InForce
from dfurun.clock import Clock
from dfurun.simulator import SimulatedBoard
from dfurun.units import AddressRange

DEPARTURE_S = 0.5  # what a run takes to see a board gone or back, beyond what is told of the ROM
OLD = bytes(range(200)) * 40


class Agreeing(Place):
    """A place whose board is made anew for each command, and held in memory: a file would be saved after every transfer."""

    def make(self, level: int = 0, flash: bytes = b"") -> None:
        def of(path: Path, clock: Clock, new: object = None) -> SimulatedBoard:
            options = self.reachable() if flash else None
            self.held = SimulatedBoard(self.chip, clock, flash=flash, option_bytes=options)
            self.held.protect(level)
            return self.held

        self.board.touch()
        self.open_board = of

    @property
    def state(self) -> SimulatedBoard:
        self.held.clock.sleep(60)
        return self.held

    def planned(self, *options: object) -> dict[str, Any]:
        return self._told("plan", "plan", self.recipe, *(options or ("--sim-state", self.board)))

    def ran(self) -> dict[str, Any]:
        return self._told("unit-result", self.recipe, "--sim-state", self.board, "--sim-clock", "virtual")

    def _told(self, event: str, *words: object) -> dict[str, Any]:
        with patch("dfurun.cli.bench.open_state", self.open_board):
            done = self.dfurun(*words, "--json")
        return next(line for line in done.lines if line["event"] == event)


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str) -> Agreeing:
    return Agreeing(dfurun, tmp_path, load_chip(name))


def compare(place: Agreeing, *steps: str) -> dict[str, Any]:
    """Plan and run these steps over one board, and hold one against the other; what the plan does not know is no excuse."""
    place.write(*steps)
    plan, unit = place.planned("--live", "--sim-state", place.board), place.ran()
    assert (unit["exit_status"] == 0) is not plan["fails"], (plan, unit)
    board, layout = place.state, place.chip.option_bytes
    fields = layout.decode(board.option_bytes.stored)
    if not (plan["board"]["protected"] and plan["fails"]):
        assert plan["option_bytes"]["after"] == board.option_bytes.stored.hex()
        empty = board.flash.contents[:4] == bytes([place.chip.flash.erased]) * 4
        starts = {f"boot0={n}": place.chip.starts(fields, boot0=n, flash_empty=empty) for n in (0, 1)}
        assert {level: told["after"] for level, told in plan["boots"].items()} == starts
    if layout.in_force_at is InForce.RESET:
        assert plan["protected"]["after"] is (board.option_bytes.protection_level > 0)
    assert plan["flash_sha256"] in (None, sha256(board.flash.contents).hexdigest())
    return {"plan": plan, "unit": unit}


def turned(place: Agreeing) -> str:
    """Return the body of a `set-option-bytes` that turns a harmless bit of the board."""
    field = harmless(place.chip)
    value = 1 - int(place.chip.option_bytes.decode(place.reachable())[field.name])
    return f"{{fields: {{{field.name}: {value}}}}}"


@every_kind
def test_of_a_board_with_old_firmware(place: Agreeing) -> None:
    place.make(flash=OLD)
    field = harmless(place.chip)
    steps = (
        "mass-erase",
        "write: {image: app}",
        "verify: {image: app}",
        f"set-option-bytes: {turned(place)}",
        "leave-dfu",
    )
    both = compare(place, *steps)
    plan, unit = both["plan"], both["unit"]
    assert plan["flash_sha256"] is not None
    assert plan["option_bytes"]["after"] is not None
    assert [f["name"] for f in plan["option_bytes"]["fields"]] == [field.name]
    assert "hold" in plan["steps"][1]["loses"]
    assert plan["transfers"] == unit["transfers"]
    assert abs(plan["seconds"]["total"] - unit["duration_s"]) < DEPARTURE_S


@every_kind
def test_of_a_write_after_a_power_cycle(place: Agreeing) -> None:
    place.make(flash=OLD)
    both = compare(
        place,
        f"set-option-bytes: {turned(place)}",
        "wait-for-power-cycle: {boot0: 1}",
        "mass-erase",
        "write: {image: app}",
    )
    assert both["plan"]["transfers"] == both["unit"]["transfers"]


@every_kind
def test_of_a_protected_board(place: Agreeing) -> None:
    place.make(level=1, flash=OLD)
    plan = compare(place, "unprotect", "mass-erase", "write: {image: app}", "verify: {image: app}")["plan"]
    assert plan["steps"][1]["will"] == "change"
    assert plan["flash_sha256"] is not None
    assert plan["protected"] == {"before": True, "after": False}


@every_kind
def test_of_a_protected_board_that_the_recipe_does_not_open(place: Agreeing) -> None:
    place.make(level=1)
    plan = compare(place, "mass-erase", "write: {image: app}")["plan"]
    assert plan["steps"][-1]["will"] == "fail"
    assert "read-protected" in plan["steps"][-1]["words"]


@every_kind
def test_of_a_board_that_holds_the_image_already(place: Agreeing) -> None:
    place.make(flash=place.image)
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}")
    assert not both["plan"]["changes"]
    assert both["plan"]["transfers"] == both["unit"]["transfers"]


@every_kind
def test_of_a_board_of_which_one_page_differs_and_holds_more(place: Agreeing) -> None:
    old = bytearray(place.image + OLD)
    old[len(place.image) - 1] ^= 0x55
    place.make(flash=bytes(old))
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}")
    plan, unit = both["plan"], both["unit"]
    assert plan["changes"]
    assert plan["steps"][1]["loses"] == ""
    assert plan["transfers"] == unit["transfers"]


@every_kind
def test_of_a_page_that_is_changed_in_part_and_pages_that_are_erased_byte_for_byte(place: Agreeing) -> None:
    old = bytearray(place.image + OLD)
    old[len(place.image) - 1] ^= 0x55
    place.make(flash=bytes(old))
    flash = place.chip.flash
    last = max(flash.pages_of(AddressRange(flash.extent.start, len(place.image))))
    rest = [f"erase: {{pages: {last + 1}-{flash.page_count - 1}}}"] if last + 1 < flash.page_count else []
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}", *rest)
    contents = place.state.flash.contents
    assert both["plan"]["flash_sha256"] == sha256(contents).hexdigest()
    end = flash.page(last).end - flash.extent.start
    assert contents[:end] == (place.image + OLD)[:end].ljust(end, bytes([flash.erased]))
    assert contents[end:] == bytes([flash.erased]) * (len(contents) - end)


@every_kind
def test_of_a_board_that_is_to_be_protected(place: Agreeing) -> None:
    place.make(flash=OLD)
    steps = ("mass-erase", "write: {image: app}", "verify: {image: app}", "set-option-bytes: {fields: {RDP: level-1}}")
    both = compare(place, *steps)
    assert both["plan"]["option_bytes"]["fields"] == [{"name": "RDP", "before": "level-0", "after": "level-1"}]
    assert both["plan"]["transfers"] == both["unit"]["transfers"]


@every_kind
def test_of_no_board(place: Agreeing) -> None:
    place.make(flash=OLD)
    place.write("mass-erase", "write: {image: app}", "verify: {image: app}")
    plan = place.planned("--json")
    assert plan["board"] is None
    assert "whatever is in the flash" in plan["steps"][1]["loses"]
    assert place.ran()["exit_status"] == 0
    assert plan["flash_sha256"] == sha256(place.state.flash.contents).hexdigest()
