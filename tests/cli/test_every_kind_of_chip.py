"""One chip of every storage rule and of every known fault of a ROM, from the empty board to one that is flashed and set."""

from __future__ import annotations

from pathlib import Path

import pytest
from chip_bench import Place, every_kind, harmless
from command_line import Dfurun

from dfurun.chips import FieldValue, load_chip


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    return Place(dfurun, tmp_path, load_chip(name))


@every_kind
def test_a_board_is_flashed_and_verified(place: Place) -> None:
    place.make()
    assert place.run("mass-erase", "write: {image: app}", "verify: {image: app}", "leave-dfu") == 0, place.done.err
    assert place.state.flash.contents[: len(place.image)] == place.image


@every_kind
def test_a_field_is_set_survives_the_reset_and_all_others_stay(place: Place) -> None:
    place.make()
    field, layout = harmless(place.chip), place.chip.option_bytes
    before = place.state.option_bytes.stored
    value: FieldValue = 1 - int(layout.decode(before)[field.name])
    setting = f"{{fields: {{{field.name}: {value}}}}}"
    assert place.run(f"set-option-bytes: {setting}", f"check-option-bytes: {setting}") == 0, place.done.err
    after = place.state.option_bytes
    assert layout.decode(after.stored) == layout.decode(before) | {field.name: value}
    assert after.fields[field.name] == value or layout.in_force_at.value == "power-on"
    assert place.run(f"set-option-bytes: {setting}") == 0
    assert "already" in place.done.err


@every_kind
def test_a_protected_board_is_opened_and_flashed(place: Place) -> None:
    place.make(level=1)
    assert place.run("verify: {image: app}") != 0
    steps = ("unprotect", "mass-erase", "write: {image: app}", "verify: {image: app}")
    assert place.run(*steps) == 0, place.done.err
    known = place.chip.option_bytes.factory_known
    words = (
        "the option bytes are the factory's now"
        if known
        else "the option bytes are what the bootloader has made of them"
    )
    assert f"{words}: what they were before is lost" in " ".join(place.done.err.split())
    assert place.state.option_bytes.protection_level == 0
    assert place.state.flash.contents[: len(place.image)] == place.image


@every_kind
def test_info_tells_the_board_and_a_wrong_field_gets_the_right_one(place: Place) -> None:
    place.make()
    shown = place.dfurun("info", "--sim-state", place.board, "--chip", place.chip.name)
    assert shown.exit == 0
    assert place.chip.title in shown.out
    assert all(name in shown.out for name in place.chip.option_bytes.fields)
    field = harmless(place.chip).name
    misspelt = f"{field[:-1]}{field[-1] * 2}"
    assert place.run(f"set-option-bytes: {{fields: {{{misspelt}: 1}}}}") == 3
    assert f"did you mean '{field}'?" in place.done.err


@pytest.mark.parametrize("name", ["stm32f427xi"])
def test_both_blocks_of_option_bytes_are_written_where_one_protects(place: Place) -> None:
    """Once level 1 is in force the ROM takes nothing more, so the block with RDP is the last."""
    place.make()
    assert place.run("set-option-bytes: {fields: {RDP: level-1, nWRP_bank2: 0xFFE}}") == 0, place.done.err
    stored = place.chip.option_bytes.decode(place.state.option_bytes.stored)
    assert (stored["RDP"], stored["nWRP_bank2"]) == ("level-1", 0xFFE)


@every_kind
def test_a_chip_that_a_power_cut_can_lose_says_so_before_option_bytes_are_written(place: Place) -> None:
    place.make()
    words = "keep the power on: were option bytes cut short now, the bootloader would not start again"
    setting = f"{{fields: {{{harmless(place.chip).name}: 0}}}}"
    assert place.run(f"set-option-bytes: {setting}") == 0
    assert (words in " ".join(place.done.err.split())) == (place.chip.name in ("stm32f722xe", "stm32g0b1xb"))
    assert place.run(f"set-option-bytes: {setting}") == 0
    assert "keep the power on" not in place.done.err, "nothing is written"


@pytest.mark.parametrize("name", ["stm32g0b1xb"])
def test_a_write_that_puts_the_bootloader_out_of_reach_says_so_and_nothing_where_the_pin_decides(place: Place) -> None:
    place.make()
    write = ("mass-erase", "write: {image: app}", "verify: {image: app}")
    setting = "set-option-bytes: {fields: {nBOOT_SEL: 0}}"
    assert place.run(setting, *write) == 0
    assert "bootloader-out-of-reach" not in place.done.codes
    place.make()
    assert place.run(*write, setting) == 0
    assert "bootloader-out-of-reach" in place.done.codes
    assert "the application starts from now on, whatever BOOT0 says" in " ".join(place.done.err.split())


@pytest.mark.parametrize("name", ["stm32f722xe", "stm32g0b1xb"])
def test_a_board_that_is_not_back_after_its_option_bytes_is_perhaps_lost(place: Place) -> None:
    place.make()
    field = harmless(place.chip).name
    place.run(f"set-option-bytes: {{fields: {{{field}: 0}}}}")
    place.make()
    recipe = place.folder / "recipe.yaml"
    done = place.dfurun(recipe, "--sim-state", place.board, "--sim-clock", "virtual", "--sim-fault", "no-return")
    assert (done.exit, "not-back" in done.codes) == (7, True)
    locked = "BOOT_LOCK" in place.chip.option_bytes.fields
    way_back = "nothing brings it back" if locked else "only a debugger brings it back"
    assert f"its option bytes are erased and start no bootloader: {way_back}" in " ".join(done.err.split())
