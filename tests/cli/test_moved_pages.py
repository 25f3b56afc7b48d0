"""A board whose option bytes give its flash other pages than the chip's data: no page is erased, a mass erase goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from chip_bench import Place
from command_line import Dfurun

from dfurun.chips import InForce, load_chip
from dfurun.chips.index import entries
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile, operation
from dfurun.simulator.memory import Memory

OWN = bytes(range(1, 251)) * 40  # what the board holds: no byte is erased
FIELDS = [(entry.names[0], field.name) for entry in entries() for field in load_chip(entry.names[0]).page_fields]
every_field = pytest.mark.parametrize(("name", "field"), FIELDS)
CHANGED = "write: {image: app, mode: changed}"
one_of_each_storage = pytest.mark.parametrize(
    ("name", "field"),
    [("stm32g474xe", "DBANK"), ("stm32f427xg", "DB1M"), ("stm32f767xi", "nDBANK"), ("stm32h743xi", "SWAP_BANK_OPT")],
)


class MovedPlace(Place):
    """A board that is not as the chip's data has it in one field, and holds something."""

    def put(self, field: str, *, holds: bytes = OWN) -> None:
        layout = self.chip.option_bytes
        raw = self.reachable()
        raw = layout.encode(raw, {field: 1 - int(layout.decode(raw)[field])})
        StateFile(self.board).keep(SimulatedBoard(self.chip, VirtualClock(), flash=holds, option_bytes=raw))

    def refused(self, *steps: str, keys: tuple[str, ...] = ()) -> str:
        """Run these steps, which are refused for the pages and leave the board as it was; return what was told."""
        before = self.state
        assert self.run(*steps, keys=keys) == 6, self.done.err
        assert "pages-moved" in self.done.codes, self.done.err
        after = self.state
        assert after.flash.contents == before.flash.contents
        assert after.option_bytes.stored == before.option_bytes.stored
        assert sum(after.flash.erase_counts) == 0
        return " ".join(self.done.err.split())


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str, field: str, monkeypatch: pytest.MonkeyPatch) -> MovedPlace:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    place = MovedPlace(dfurun, tmp_path, load_chip(name))
    place.put(field)
    return place


@every_field
def test_nothing_is_erased_by_pages_that_are_other_ones(place: MovedPlace, field: str) -> None:
    unit = place.chip.flash.unit
    for step, what in (("erase: {image: app}", "erase"), (CHANGED, "write with `mode: changed`")):
        told = place.refused(step)
        assert f"{what}: the {unit}s of this board are not as dfurun knows them: {field} is " in told
        assert f"nothing was written; other {unit}s than the ones that are meant could have been reached" in told
        good = next(known.value for known in place.chip.page_fields if known.name == field)
        assert f"put before it `set-option-bytes: {{fields: {{{field}: {good}}}}}`" in told


@every_field
def test_a_mass_erase_and_a_write_after_it_go_on(place: MovedPlace) -> None:
    assert place.run("mass-erase", "write: {image: app}", "verify: {image: app}") == 0, place.done.err
    assert place.state.flash.contents.rstrip(b"\xff") == place.image


@every_field
def test_info_says_that_the_pages_are_other_ones(place: MovedPlace, field: str) -> None:
    shown = place.dfurun("info", place.chip.name, "--sim-state", place.board)
    unit = place.chip.flash.unit
    assert f"! the {unit}s of this flash are not as dfurun knows them: {field} is " in " ".join(shown.out.split())
    (board,) = place.dfurun("info", place.chip.name, "--sim-state", place.board, "--json").lines[1:2]
    assert board["pages_as_known"] is False
    assert board["option_bytes"]["write_protected_pages"] is None


@one_of_each_storage
def test_no_pages_are_write_protected_that_are_other_ones(place: MovedPlace) -> None:
    told = place.refused("set-option-bytes: {write-protect: [{pages: 0}]}") if place.chip.name != "stm32h743xi" else ""
    assert not told or "write-protect: the " in told
    assert place.run("set-option-bytes: {write-protect: []}") == 0, "that protects none, wherever they are"


@one_of_each_storage
def test_a_plan_over_the_board_says_that_it_will_be_refused(place: MovedPlace, field: str) -> None:
    place.write("erase: {pages: 0}")
    planned = place.dfurun("plan", place.recipe, "--sim-state", place.board)
    told = " ".join(planned.out.split())
    assert "erase REFUSED erase: the " in told
    assert f"not as dfurun knows them: {field} is" in told


@one_of_each_storage
def test_a_step_that_is_refused_holds_up_all_that_destroys_before_it(place: MovedPlace) -> None:
    told = place.refused("mass-erase", "write: {image: app}", CHANGED)
    assert "mass-erase skipped 0 ms not begun: write would be refused" in told


@one_of_each_storage
def test_the_field_is_set_back_and_then_pages_are_pages(place: MovedPlace, field: str) -> None:
    good = next(known.value for known in place.chip.page_fields if known.name == field)
    back, cycle = f"set-option-bytes: {{fields: {{{field}: {good}}}}}", "wait-for-power-cycle: {boot0: 1}"
    if place.chip.option_bytes.in_force_at is InForce.POWER_ON:
        told = place.refused(back, "erase: {pages: 0}")
        assert "in what was stored before, which may be in force until a power cycle" in told
        assert f"put `{cycle}` before it" in told
    assert place.run(back, cycle, "mass-erase", CHANGED, "verify: {image: app}", "erase: {pages: 0}") == 0, (
        place.done.err
    )
    assert place.state.flash.contents[: place.chip.flash.page(0).size_bytes].strip(b"\xff") == b""


@one_of_each_storage
@pytest.mark.parametrize("skip", range(3))
def test_a_block_that_is_wrong_after_a_mass_erase_is_not_mended_by_an_erase_of_its_page(
    place: MovedPlace, skip: int
) -> None:
    place.write("mass-erase", "write: {image: app}", "verify: {image: app}")
    done = place.dfurun(
        place.recipe, "--sim-state", place.board, "--sim-clock", "virtual", "--sim-fault", f"lost-program:skip={skip}"
    )
    told = " ".join(done.err.split())
    assert (done.exit, "verify-mismatch" in done.codes) == (1, True), done.err
    assert "does not hold the image, and no " in told
    assert "run again from `mass-erase` on" in told
    assert "redone" not in told
    assert max(place.state.flash.erase_counts) == 1, "by the mass erase"
    assert place.run("mass-erase", "write: {image: app}", "verify: {image: app}") == 0, place.done.err


@one_of_each_storage
def test_a_block_in_doubt_that_is_wrong_is_not_mended_by_an_erase_of_its_page(place: MovedPlace) -> None:
    place.write("mass-erase", "write: {image: app}", "verify: {image: app}")
    refusal = "false-status:for=write,skip=1,status=errVENDOR"
    done = place.dfurun(
        place.recipe, "--sim-state", place.board, "--sim-clock", "virtual",
        "--sim-fault", "lost-program:skip=1", "--sim-fault", refusal,
    )  # fmt: skip
    told = " ".join(done.err.split())
    assert (done.exit, "step-failed" in done.codes or "verify-mismatch" in done.codes) == (1, True), done.err
    assert "is erased to mend it: the " in told
    assert max(place.state.flash.erase_counts) == 1, "by the mass erase"


@pytest.mark.parametrize(("name", "field"), [("stm32f767xi", "nDBANK")])
def test_an_unprotect_that_turns_the_field_is_seen_by_the_steps_after_it(
    place: MovedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regression of one F7 has left nDBANK turned (rusefi#3597): nothing could be read before it."""
    layout = place.chip.option_bytes
    left = layout.encode(layout.factory, {"nDBANK": 0})

    def regression(memory: Memory) -> None:
        memory.flash.erase_all()
        memory.option_bytes.replace(left)

    monkeypatch.setattr(operation, "_read_unprotect", regression)
    for step in ("erase: {image: app}", CHANGED):
        place.make(level=1)
        assert place.run("unprotect", step) == 6, place.done.err
        assert "pages-moved" in place.done.codes
        assert "so far this run has begun to send Read Unprotect" in " ".join(place.done.err.split())
        assert max(place.state.flash.erase_counts) <= 1, "by the regression"
    place.make(level=1)
    assert place.run("unprotect", "mass-erase", "write: {image: app}", "verify: {image: app}") == 0, place.done.err


@one_of_each_storage
def test_a_board_that_is_lost_within_the_write_is_not_mended_by_pages(place: MovedPlace) -> None:
    place.write("mass-erase", "write: {image: app}", "verify: {image: app}")
    left_alone = 0
    for transfer in range(40, 160, 9):
        place.put(place.chip.page_fields[0].name)
        done = place.dfurun(
            place.recipe, "--sim-state", place.board, "--sim-clock", "virtual",
            "--sim-fault", f"vanish:at={transfer},back=1",
        )  # fmt: skip
        left_alone += "is erased to mend it" in done.err
        assert len(set(place.state.flash.erase_counts)) == 1, f"only the mass erase erases; lost at {transfer}"
    assert left_alone


@pytest.mark.parametrize(("name", "field"), [("stm32h743xi", "SWAP_BANK_OPT")])
def test_a_rom_without_a_mass_erase_does_not_erase_all_pages_instead(place: MovedPlace, field: str) -> None:
    silent = next(number for number, rom in place.chip.rom_versions.items() if rom.mass_erase.value == "silent")
    layout = place.chip.option_bytes
    raw = layout.encode(layout.factory, {field: 1})
    board = SimulatedBoard(place.chip, VirtualClock(), flash=OWN, option_bytes=raw, bootloader_id=silent)
    StateFile(place.board).keep(board)
    assert "mass-erase, which this ROM does page by page: the sectors of this board are not" in place.refused(
        "mass-erase"
    )


@pytest.mark.parametrize(("name", "field"), [("stm32g474xe", "DBANK")])
def test_a_recipe_that_moves_the_pages_itself_is_told_before_there_is_a_board(place: MovedPlace) -> None:
    place.write(
        "set-option-bytes: {fields: {DBANK: 0}}", "erase: {pages: 0}", CHANGED, keys=("allow: [pages-doubled]",)
    )
    checked = place.dfurun("check", place.recipe)
    assert (checked.exit, "pages-moved" in checked.codes) == (6, True)
    told = " ".join(checked.out.split())
    assert "erase by pages that are other ones: with DBANK at 0 the flash is one bank with pages of 4 KiB" in told
    assert "write by pages that are other ones" in told
    assert "set here" in told
    place.write(
        "set-option-bytes: {fields: {DBANK: 0}, write-protect: [{pages: 0-3}]}", keys=("allow: [pages-doubled]",)
    )
    assert "pages-moved" in place.dfurun("check", place.recipe).codes
    place.write("set-option-bytes: {fields: {DBANK: 0}}", "mass-erase", "write: {image: app}", "verify: {image: app}",
                keys=("allow: [pages-doubled]",))  # fmt: skip
    assert place.dfurun("check", place.recipe).exit == 0


@pytest.mark.parametrize(("name", "field"), [("stm32g474xe", "DBANK")])
def test_write_protection_of_other_pages_is_not_told_as_pages(place: MovedPlace, field: str) -> None:
    layout = place.chip.option_bytes
    raw = layout.encode(layout.factory, {field: 0, "WRP1A_STRT": 5, "WRP1A_END": 6})
    StateFile(place.board).keep(SimulatedBoard(place.chip, VirtualClock(), option_bytes=raw))
    shown = place.dfurun("info", place.chip.name, "--sim-state", place.board).out
    assert "write-protected some pages, which is not known" in " ".join(shown.split())
    assert place.run("mass-erase") == 6
    assert "some pages, which is not known, are write-protected" in " ".join(place.done.err.split())


@pytest.mark.parametrize(("name", "field"), [("stm32g474xe", "DBANK")])
def test_a_token_and_the_chip_s_sheet_tell_it_too(place: MovedPlace) -> None:
    token = place.dfurun("info", place.chip.name, "--sim-state", place.board, "--token").out.strip()
    told = " ".join(place.dfurun("explain", token).out.split())
    assert "pages not as dfurun knows them: DBANK is 0 (the flash is one bank with pages of 4 KiB)" in told
    sheet = " ".join(place.dfurun("chips", "show", place.chip.name).out.split())
    assert "What the pages depend on (RM0440, openocd; high) DBANK 1 else the flash is one bank" in sheet
