"""`dfurun diff` of recipes that share: bases, variables that only a run is given, data; with a real git."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import ROOT, Dfurun
from recipe_pairs import FIRMWARE
from scratch_repository import NOBODY, Scratch
from test_diff import OTHER_FIRMWARE

BASE = """\
dfurun: 1
abstract: true
chip: stm32f072xb
vars:
  serial: {type: integer, minimum: 1, maximum: 65535}
images:
  application: {file: ../build/app.bin, address: "0x08000000"}
data:
  unit:
    address: 0x0801F800
    bytes: [{u32le: "${serial}"}, {u32be: 7}]
steps:
  - connect
  - mass-erase: {id: erase}
  - write: {image: application, id: write}
  - verify: {image: application}
  - write: {data: unit}
  - verify: {data: unit}
  - leave-dfu
"""
HEATER = "dfurun: 1\nextends: ../bases/base.yaml\nname: Heater\n"
LAMP = HEATER.replace("Heater", "Lamp") + "edit-steps:\n  - {before: erase, insert: [unprotect]}\n"
STANDS_IN = "serial 1 stands in for what a run is given"
HEATERS, LAMPS = "recipes/heater.yaml", "recipes/lamp.yaml"


@pytest.fixture
def scratch(dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A repository with two products and their base, committed; the command line runs in it."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    repository = Scratch(tmp_path / "product")
    files = {"bases/base.yaml": BASE, HEATERS: HEATER, LAMPS: LAMP, "build/app.bin": FIRMWARE}
    repository.commit("The products", files)
    monkeypatch.chdir(repository.root)
    return repository


def base(scratch: Scratch, old: str, new: str) -> None:
    assert old in BASE
    scratch.put({"bases/base.yaml": BASE.replace(old, new)})


def compared(dfurun: Dfurun, *words: str) -> dict[str, dict[str, object]]:
    done = dfurun("diff", "--git", *words, "--json")
    assert done.exit == 0, done.out
    return {str(line["recipe"]): line for line in done.lines if line["event"] == "diff"}


def told(found: dict[str, object]) -> list[tuple[str, str]]:
    changes = found["changes"]
    assert isinstance(changes, list)
    return [(change["rank"], change["what"]) for change in changes]


# A base --------------------------------------------------------------------------------------------------------------


def test_nothing_has_changed_and_what_stood_in_is_said(dfurun: Dfurun, scratch: Scratch) -> None:
    done = dfurun("diff", "--git", ".")
    text = " ".join(done.out.split())
    assert (done.exit, text.count(f"no change in what happens; {STANDS_IN}")) == (0, 2)


def test_a_change_of_a_base_shows_in_every_recipe_that_extends_it(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "  - verify: {image: application}\n", "")
    found = compared(dfurun, "recipes")
    gone = [("weakens-a-safety-net", "`verify` application is gone")]
    assert {name: told(line) for name, line in found.items()} == {HEATERS: gone, LAMPS: gone}
    assert {str(line["stand_ins"]) for line in found.values()} == {"{'serial': [1]}"}


def test_firmware_that_a_base_in_another_folder_names_is_called_by_its_file(dfurun: Dfurun, scratch: Scratch) -> None:
    scratch.put({"build/app.bin": OTHER_FIRMWARE})
    found = compared(dfurun, HEATERS)[HEATERS]
    assert told(found) == [("routine", "application is another firmware")]
    (firmware,) = found["firmware"] if isinstance(found["firmware"], list) else ()
    assert (firmware["before"]["file"], firmware["after"]["file"]) == ("../build/app.bin", "../build/app.bin")


def test_a_recipe_that_moves_what_it_says_into_a_base_does_the_same(dfurun: Dfurun, scratch: Scratch) -> None:
    alone = BASE.replace("abstract: true\n", "name: Heater\n").replace(
        "  - mass-erase", "  - unprotect\n  - mass-erase"
    )
    scratch.put({LAMPS: alone.replace("Heater", "Lamp")})
    assert told(compared(dfurun, LAMPS)[LAMPS]) == []


def test_an_edit_of_the_bases_steps_is_told_as_the_step_that_it_makes(dfurun: Dfurun, scratch: Scratch) -> None:
    edited = "{replace: write, with: {write: {image: application, mode: changed}}}"
    scratch.put({LAMPS: LAMP.replace("{before: erase, insert: [unprotect]}", edited)})
    assert told(compared(dfurun, LAMPS)[LAMPS]) == [
        ("routine", "`unprotect` is gone"),
        ("routine", "`write` application: another mode"),
    ]


def test_a_base_by_itself_is_not_compared_and_no_failure(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "u32be: 7", "u32be: 8")
    done = dfurun("diff", "--git", "bases/base.yaml")
    assert done.exit == 0
    assert "a base, whose changes show in the recipes that extend it" in " ".join(done.out.split())
    comment = dfurun("diff", "--git", "bases/base.yaml", HEATERS, "--format", "markdown").out
    assert "`bases/base.yaml`: a base, whose changes show in the recipes that extend it.\n" in comment
    assert "1 of 2 recipes with changes" in comment
    assert "\n| **routine** | data unit has other bytes | 01 00" in comment


# Variables -----------------------------------------------------------------------------------------------------------


def test_data_that_changes_is_told_as_data_with_its_bytes(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "u32be: 7", "u32be: 8")
    done = dfurun("diff", "--git", HEATERS)
    assert done.out.splitlines()[1:] == [
        "1 change: routine",
        STANDS_IN,
        "",
        "routine",
        "  data unit has other bytes: 01 00 00 00 00 00 00 07 -> 01 00 00 00 00 00 00 08",
        "      page 63 changed",
        "",
        "data unit",
        "      before                   after",
        "at    0x0801F800               0x0801F800",
        "size  8 bytes                  8 bytes",
        "+0    01 00 00 00 00 00 00 07  01 00 00 00 00 00 00 08",
    ]


def test_a_value_that_is_written_out_is_told_though_it_is_what_stood_in(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, '"${serial}"', "1")
    out = dfurun("diff", "--git", HEATERS).out
    assert "  data unit has other bytes: ff ff 00 00 00 00 00 07 -> 01 00 00 00 00 00 00 07\n" in out


def test_both_sides_have_the_same_value_where_their_ranges_meet(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "minimum: 1,", "minimum: 100,")
    found = compared(dfurun, HEATERS)[HEATERS]
    assert told(found) == [("routine", "the variable `serial` takes other values")]
    assert found["stand_ins"] == {"serial": [100]}
    base(scratch, "minimum: 1, maximum: 65535", "minimum: 70000")
    found = compared(dfurun, HEATERS)[HEATERS]
    assert ("routine", "data unit has other bytes") in told(found)
    assert found["stand_ins"] == {"serial": [1, 70000]}


def test_a_default_that_comes_lets_a_unit_pass_that_nobody_gave_a_number(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "maximum: 65535", "maximum: 65535, default: 5")
    found = compared(dfurun, HEATERS)[HEATERS]
    assert told(found) == [("weakens-a-safety-net", "the variable `serial` has a default")]
    assert found["stand_ins"] == {"serial": [5]}


def test_a_value_that_is_given_holds_on_both_sides_and_one_may_be_new(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "vars:\n", "vars:\n  region: {type: choice, choices: [eu, us]}\n")
    scratch.put({HEATERS: HEATER.replace("Heater", "Heater ${region}")})
    found = compared(dfurun, HEATERS, "--set", "serial=7", "--set", "region=us")[HEATERS]
    assert found["stand_ins"] == {}
    assert told(found) == [
        ("routine", "the variable `region` is new"),
        ("routine", "the recipe has another name"),
    ]
    done = dfurun("diff", "--git", HEATERS, "--set", "seril=7")
    assert (done.exit, done.codes & {"unknown-variable"}) == (3, {"unknown-variable"})
    number = BASE.replace("  serial: {", "  number: {").replace("${serial}", "${number}")
    scratch.put({"bases/base.yaml": number, HEATERS: HEATER})
    renamed = compared(dfurun, HEATERS, "--set", "serial=7", "--set", "number=7")[HEATERS]
    assert {what for _, what in told(renamed)} == {"the variable `serial` is gone", "the variable `number` is new"}


def test_a_file_of_values_is_for_both_sides(dfurun: Dfurun, scratch: Scratch) -> None:
    scratch.put({"unit.yaml": "serial: 258\n"})
    base(scratch, "u32be: 7", "u32be: 8")
    done = dfurun("diff", "--git", HEATERS, "--vars", "unit.yaml")
    assert "02 01 00 00 00 00 00 07 -> 02 01 00 00 00 00 00 08" in done.out
    assert "stands in" not in done.out


def test_two_files_are_compared_with_what_stands_in(dfurun: Dfurun, scratch: Scratch) -> None:
    done = dfurun("diff", HEATERS, LAMPS)
    assert done.exit == 0
    assert f"\n{STANDS_IN}\n" in done.out
    assert "`unprotect` is new" in done.out


def test_a_new_recipe_and_one_that_goes_need_no_value(dfurun: Dfurun, scratch: Scratch) -> None:
    scratch.put({"recipes/fan.yaml": HEATER.replace("Heater", "Fan")})
    (scratch.root / LAMPS).unlink()
    found = compared(dfurun, "recipes")
    assert [what for name in ("recipes/fan.yaml", LAMPS) for _, what in told(found[name])] == [
        "a new recipe for STM32F072xB",
        "the recipe for STM32F072xB is gone",
    ]


def test_an_image_that_only_a_value_names_is_read_of_the_revision_when_it_is_given(
    dfurun: Dfurun, scratch: Scratch
) -> None:
    text = BASE.replace("../build/app.bin", "'../build/${build}.bin'").replace("vars:", "vars:\n  build: {type: text}")
    scratch.commit("Builds", {"bases/base.yaml": text})
    scratch.put({"build/app.bin": OTHER_FIRMWARE})
    assert told(compared(dfurun, HEATERS, "--set", "build=app")[HEATERS]) == [
        ("routine", "application is another firmware")
    ]
    done = dfurun("diff", "--git", HEATERS)
    assert (done.exit, done.codes) == (3, {"variable-missing"})


# Git's own diff ------------------------------------------------------------------------------------------------------


def test_plain_git_diff_takes_values_of_the_environment_and_does_without(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    driver = f'"{sys.executable}" -m dfurun diff --git-driver'.replace("\\", "/")
    scratch.git("config", "diff.dfurun.command", driver)
    scratch.put({".gitattributes": "*.yaml diff=dfurun\n"})
    base(scratch, "u32be: 7", "u32be: 8")
    shown = scratch.git("diff", "bases")
    assert "a base, whose changes show in the recipes that extend it" in " ".join(shown.split())
    assert "error[" not in shown
    scratch.git("checkout", "--quiet", "bases")
    scratch.put({LAMPS: HEATER.replace("Heater", "Lamp")})
    assert f"\n{STANDS_IN}\n" in scratch.git("diff", LAMPS)
    given = scratch.git("diff", LAMPS, DFURUN_VAR_SERIAL="7")
    assert "`unprotect` is gone" in given
    assert "stands in" not in given


def test_the_json_of_data_says_that_it_is_data(dfurun: Dfurun, scratch: Scratch) -> None:
    base(scratch, "u32be: 7", "u32be: 8")
    (firmware,) = json.loads(json.dumps(compared(dfurun, HEATERS)[HEATERS]["firmware"]))
    assert (firmware["image"], firmware["before"]["data"], firmware["before"]["file"]) == (
        "unit",
        True,
        "the recipe itself",
    )
