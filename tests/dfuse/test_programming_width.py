"""Choosing the programming width: only what the recipe's supply allows, read back, anew on every connection, never at any cost.

# Ref: AN2606 rev 70 table 4; RM0090 section 3.6.2.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench import run_compiled

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import Command, DfuStatus, Request
from dfurun.image import MemoryImage, Piece
from dfurun.plan.compile import Compiled, compile_recipe
from dfurun.plan.plan import make_plan
from dfurun.run.record import record_of
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.fault import Victim
from dfurun.simulator.fault_text import parse_fault
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.rom import Bootloader
from dfurun.simulator.transfer import Setup
from dfurun.steps.event import UnitFinished
from dfurun.steps.projected import ProjectedBoard

F405, F722 = load_chip("stm32f405xg"), load_chip("stm32f722xe")
FEATURE = 0xFFFF_0000
OWN, HALF_WORDS, WORDS = 0, 1, 3
ERASED_AND_WRITTEN = ("mass-erase", "write: {image: app}", "verify: {image: app}")


class Watch(NamedFault):
    """A fault that does nothing, and keeps the operations that flash sees and what is written to the device feature."""

    acts_on = ActsOn.OPERATION

    def __init__(self) -> None:
        super().__init__(Settings())
        self.chosen: list[int] = []
        self.widths: set[int] = set()

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        bootloader = board.bootloader
        assert bootloader is not None
        if operation.action is Action.WRITE_DEVICE_FEATURE:
            self.chosen.append(operation.data[0])
        if operation.action in (Action.PROGRAM, Action.ERASE_PAGE, Action.ERASE_ALL):
            self.widths.add(bootloader.memory.unit_bytes)
        return operation


class Place:
    """A recipe for an F405 with an image of its own, and a board."""

    def __init__(self, folder: Path, chip: str = "stm32f405xg") -> None:
        self.folder, self.chip, self.watch = folder, load_chip(chip), Watch()
        ram_end = self.chip.ram.end.to_bytes(4, "little")
        self.image = ram_end + (self.chip.flash.extent.start + 0x101).to_bytes(4, "little") + bytes(range(1, 250)) * 120
        (folder / "app.bin").write_bytes(self.image)
        self.clock = VirtualClock()
        self.board = SimulatedBoard(self.chip, self.clock, faults=[self.watch])
        self.said: list[str] = []

    def compiled(self, supply: str | None, *steps: str) -> Compiled:
        lines = ["dfurun: 1", "name: Example", f"chip: {self.chip.name}"]
        lines += [f"supply: {supply}"] if supply else []
        lines += ["images: {app: {file: app.bin, address: 0x08000000}}", "steps:", "  - connect"]
        lines += [f"  - {step}" for step in steps or ERASED_AND_WRITTEN]
        (self.folder / "recipe.yaml").write_text("\n".join(lines) + "\n")
        return compile_recipe(self.folder / "recipe.yaml")

    def run(self, supply: str | None, *steps: str) -> UnitFinished:
        finished, self.said = run_compiled(self.compiled(supply, *steps), [self.board], self.folder / "out")
        return finished

    @property
    def holds_the_image(self) -> bool:
        return self.board.flash.contents[: len(self.image)] == self.image


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("supply", "chosen", "unit_bytes"),
    [(None, [], 1), ("1.8V", [], 1), ("2.1V", [1], 2), ("2.6V", [2], 2), ("2.7V", [3], 4), ("3.3V", [3], 4)],
)
@pytest.mark.parametrize("chip", ["stm32f405xg", "stm32f722xe", "stm32f205xg"])
def test_it_is_what_the_supply_allows(
    tmp_path: Path, chip: str, supply: str, chosen: list[int], unit_bytes: int
) -> None:
    place = Place(tmp_path, chip)
    done = place.run(supply)
    assert (done.outcome, done.anomalies) == ("passed", {})
    assert place.holds_the_image
    assert (place.watch.chosen, place.watch.widths) == (chosen, {unit_bytes})


@pytest.mark.parametrize("supply", [None, "1.8V", "2.1V", "3.3V"])
@pytest.mark.parametrize(
    "steps",
    [
        ERASED_AND_WRITTEN,
        ("erase: {image: app}", "write: {image: app}"),
        ("write: {image: app, mode: changed}", "verify: {image: app}"),
        ("write: {image: app, mode: changed}", "set-option-bytes: {fields: {BOR_LEV: 2}}", "mass-erase"),
    ],
)
def test_a_run_sends_what_its_plan_says(place: Place, supply: str | None, steps: tuple[str, ...]) -> None:
    compiled, flash = place.compiled(supply, *steps), F405.flash
    held = {
        n: MemoryImage((Piece(flash.page(n).start, bytes(flash.page(n).size_bytes)),)) for n in range(flash.page_count)
    }
    board = ProjectedBoard(F405, flash=held, raw=F405.option_bytes.factory, protected=False)
    place.board.replace_flash(bytes(flash.extent.size_bytes))
    assert place.run(supply, *steps).transfers == make_plan(compiled.runnable(), board).cost.transfers


def test_a_recipe_that_only_looks_chooses_nothing(place: Place) -> None:
    place.board.replace_flash(place.image)
    assert place.run("3.3V", "verify: {image: app}", "write: {image: app, mode: changed}").outcome == "passed"
    assert place.watch.chosen == []


def test_without_a_supply_the_word_is_read_and_not_written(place: Place) -> None:
    place.run(None)
    addresses = [
        int.from_bytes(entry.data[1:5], "little")
        for entry in place.board.trace
        if entry.setup.request == Request.DNLOAD
        and entry.setup.value == 0
        and entry.data[:1] == bytes([Command.SET_ADDRESS])
    ]
    assert addresses.count(FEATURE) == 2
    assert place.watch.chosen == []


@pytest.mark.parametrize("supply", ["1.8V", None])
@pytest.mark.parametrize("left", [WORDS, 0x04])
def test_what_an_earlier_run_has_left_too_wide_is_set_back(place: Place, supply: str | None, left: int) -> None:
    place.board.memory.device_feature = bytes([left, 0xFF, 0xFF, 0xFF])
    assert place.run(supply).outcome == "passed"
    assert (place.watch.chosen, place.watch.widths) == ([OWN], {1})


def test_what_is_chosen_already_is_not_written_again(place: Place) -> None:
    place.board.memory.device_feature = bytes([WORDS, 0xFF, 0xFF, 0xFF])
    assert place.run("3.3V").outcome == "passed"
    assert (place.watch.chosen, place.watch.widths) == ([], {4})


def test_after_a_reset_of_the_board_it_is_chosen_anew(place: Place) -> None:
    steps = ("erase: {pages: 0}", "set-option-bytes: {fields: {BOR_LEV: 2}}", "write: {image: app, mode: changed}")
    assert place.run("3.3V", *steps).outcome == "passed"
    assert (place.watch.chosen, place.watch.widths) == ([WORDS, WORDS], {4})


@pytest.mark.parametrize("at", range(40, 120, 7))
def test_a_board_that_loses_its_power_on_the_way_is_not_written_too_wide(place: Place, at: int) -> None:
    place.board.afflict([parse_fault(f"power-cut:at={at},back=1")])
    assert place.run("3.3V", "write: {image: app, mode: changed}", "verify: {image: app}").outcome == "passed"
    assert place.holds_the_image
    assert set(place.watch.chosen) <= {WORDS}


class Deaf(NamedFault):
    """The device feature takes nothing, or nothing so many times: what is written is acknowledged and not kept."""

    acts_on = ActsOn.OPERATION

    def loses(self, operation: Operation) -> bool:
        return operation.action is Action.WRITE_DEVICE_FEATURE and self._fires()


def test_a_rom_that_does_not_take_it_goes_on_with_its_own_and_the_link_is_not_blamed(place: Place) -> None:
    place.board.afflict([Deaf(Settings(count=None))])
    done = place.run("3.3V")
    assert (done.outcome, done.anomalies, place.watch.widths) == ("passed", {}, {1})
    assert place.holds_the_image
    assert "the bootloader does not take x32, which the recipe's `supply` allows: it goes on with x8" in place.said


def test_a_width_that_is_lost_once_is_chosen_again(place: Place) -> None:
    place.board.afflict([Deaf(Settings(count=1))])
    assert place.run("3.3V").outcome == "passed"
    assert (place.watch.chosen, place.watch.widths) == ([WORDS, WORDS], {4})


@pytest.mark.parametrize("left", [WORDS, 0x04])
@pytest.mark.parametrize("supply", ["1.8V", "2.1V", None])
def test_a_rom_that_stays_wider_than_the_supply_allows_erases_nothing(
    place: Place, supply: str | None, left: int
) -> None:
    place.board.memory.device_feature = bytes([left, 0xFF, 0xFF, 0xFF])
    place.board.afflict([Deaf(Settings(count=None))])
    place.board.replace_flash(bytes(2048))
    done = place.run(supply)
    assert (done.outcome, done.exit_status, place.watch.widths) == ("failed", 1, set())
    assert "power-cycle the board" in done.hint
    assert place.board.flash.contents[:2048] == bytes(2048)
    place.board.power_cycle()
    assert place.run(supply).outcome == "passed"


def test_a_rom_that_lists_no_such_word_is_not_asked(place: Place) -> None:
    usb = replace(F405.usb, alternates=F405.usb.alternates[:3])
    place.board = SimulatedBoard(
        replace(F405, usb=usb, device_feature=None, widths=None), place.clock, faults=[place.watch]
    )
    done = place.run("3.3V")
    assert (done.outcome, done.anomalies, place.watch.chosen) == ("passed", {}, [])
    assert place.holds_the_image


@pytest.mark.parametrize("steps", [ERASED_AND_WRITTEN, ("write: {image: app, mode: changed}",)])
@pytest.mark.parametrize("supply", ["3.3V", None])
def test_a_rom_that_lists_the_word_and_reaches_it_not_goes_on(
    place: Place, supply: str | None, steps: tuple[str, ...]
) -> None:
    place.board = SimulatedBoard(replace(F405, device_feature=None, widths=None), place.clock, faults=[place.watch])
    done = place.run(supply, *steps)
    assert (done.outcome, done.anomalies) == ("passed", {})
    assert place.holds_the_image


@pytest.mark.parametrize("how", [b"\0", b"", DfuStatus.ERR_VENDOR, DfuStatus.ERR_STALLEDPKT])
def test_a_rom_that_answers_a_read_of_the_word_in_another_way_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: bytes | DfuStatus
) -> None:
    usual = Bootloader._read

    def read(rom: Bootloader, setup: Setup) -> bytes:
        address = rom.model.block_address(rom.registers.pointer, setup.value, setup.length)
        if address != FEATURE:
            return usual(rom, setup)
        if isinstance(how, bytes):
            return how
        raise rom.refusal(how)

    monkeypatch.setattr(Bootloader, "_read", read)
    done = place.run("3.3V")
    assert (done.outcome, done.anomalies, place.watch.widths) == ("passed", {}, {1})
    assert place.holds_the_image


@pytest.mark.parametrize("status", [DfuStatus.ERR_TARGET, DfuStatus.ERR_VENDOR, DfuStatus.ERR_STALLEDPKT])
@pytest.mark.parametrize("steps", [ERASED_AND_WRITTEN, ("write: {image: app, mode: changed}",)])
def test_a_rom_that_refuses_to_write_the_word_goes_on(place: Place, steps: tuple[str, ...], status: DfuStatus) -> None:
    class Refuses(NamedFault):
        """A write of the device feature ends in an error."""

        acts_on = ActsOn.OPERATION

        def executing(self, operation: Operation) -> DfuStatus | None:
            return status if operation.action is Action.WRITE_DEVICE_FEATURE else None

    place.board.afflict([Refuses(Settings())])
    done = place.run("3.3V", *steps)
    assert (done.outcome, place.watch.widths) == ("passed", {1})
    assert place.holds_the_image


def test_the_record_says_how_wide_the_board_was_programmed(place: Place) -> None:
    place.run("3.3V")
    journal = (place.folder / "out" / "journals" / "1-1.jsonl").read_text(encoding="utf-8").splitlines()
    record = record_of([json.loads(line) for line in journal])
    assert record["programs_bytes_at_once"] == 4


@pytest.mark.parametrize("seed", range(12))
def test_a_link_that_fails_here_and_there_does_not_choose_another(place: Place, seed: int) -> None:
    place.board.afflict([parse_fault(f"mix:p=0.05,seed={seed}")])
    done = place.run("2.1V")
    assert set(place.watch.chosen) <= {HALF_WORDS}
    assert place.watch.widths <= {1, 2}
    if done.outcome == "passed":
        assert place.holds_the_image


@pytest.mark.parametrize(
    "steps",
    [ERASED_AND_WRITTEN, ("write: {image: app, mode: changed}",), ("erase: {image: app}", "write: {image: app}")],
)
def test_a_supply_that_is_lower_than_the_recipe_says_is_told(place: Place, steps: tuple[str, ...]) -> None:
    place.board.afflict([parse_fault("low-supply:volts=2.4")])
    place.board.replace_flash(bytes(1024 * 1024))
    done = place.run("3.3V", *steps)
    assert (done.outcome, done.exit_status) == ("failed", 1)
    assert "the board's supply is lower than the recipe says: x32 needs 2.7 V" in done.hint
    assert place.run("2.4V").outcome == "passed"
    assert place.holds_the_image


def test_blocks_that_a_low_supply_spoils_are_found_by_verify_and_its_hint_tells(place: Place) -> None:
    class OnlyBlocks(NamedFault):
        """A supply that is enough to erase and not to program."""

        acts_on = ActsOn.OPERATION

        def beginning(self, operation: Operation, board: Victim) -> Operation:
            spoiled = operation.action is Action.PROGRAM
            return replace(operation, data=bytes(len(operation.data))) if spoiled else operation

    place.board.afflict([OnlyBlocks(Settings())])
    assert "x32 needs 2.7 V" in place.run("3.3V").hint
    assert "x32" not in place.run(None).hint
