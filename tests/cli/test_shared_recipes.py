"""Bases, variables and data through the command line: what is shown, what is recorded, what lies in the flash."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Dfurun, Finished
from jsonschema import Draft7Validator

from dfurun.recipe.document import read_document
from dfurun.recipe.resolve import digest_of

CASES = ROOT / "tests/cases/recipes"
RECORD_SCHEMA = json.loads((ROOT / "schemas/record.schema.json").read_text(encoding="utf-8"))
PAGE = 0x08004000
OFFSET = PAGE - 0x08000000
BASE = f"""\
dfurun: 1
abstract: true
chip: stm32f072xb
vars:
  serial: {{type: integer, minimum: 1, maximum: 65535}}
  region: {{type: choice, choices: [eu, us, 3], default: eu}}
  trial: {{type: boolean, default: false}}
  note: {{type: text, pattern: "[a-z]+", maximum-length: 5, default: none}}
data:
  unit:
    address: {PAGE:#010x}
    bytes:
      - u32le: ${{serial}}
      - u16be: ${{serial}}
      - u8: ${{trial}}
      - {{ascii: "${{region}}-${{note}}", size: 9}}
steps:
  - connect
  - erase: {{data: unit, id: erase}}
  - write: {{data: unit, id: write}}
  - verify: {{data: unit}}
"""
PRODUCT = "dfurun: 1\nextends: ../base.yaml\nname: Unit ${serial}\n"


@pytest.fixture
def product(tmp_path: Path) -> str:
    """A recipe in a folder of a repository whose base lies above it; its path from the working directory."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "products").mkdir()
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    (tmp_path / "products/heater.yaml").write_text(PRODUCT, encoding="utf-8")
    return "products/heater.yaml"


def variables(done: Finished) -> dict[str, Any]:
    return {name: (found["value"], found["origin"]) for name, found in shown(done)["variables"].items()}


def shown(done: Finished) -> dict[str, Any]:
    (found,) = (line for line in done.lines if line["event"] == "resolved")
    return found


def flash(dfurun: Dfurun, length: int, offset: int = OFFSET) -> bytes:
    """Return bytes of the flash of the board in board.json."""
    Path("flash.bin").unlink(missing_ok=True)
    assert dfurun("sim", "dump", "board.json", "flash.bin").exit == 0
    return Path("flash.bin").read_bytes()[offset : offset + length]


def write_recipe(text: str, name: str = "other.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


BOARD = ("--sim-state", "board.json", "--sim-clock", "virtual")


# show ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [*sorted((ROOT / "recipes").glob("*.yaml")), CASES / "ok-everything.yaml", CASES / "ok-extends.yaml"],
    ids=lambda path: path.stem,
)
def test_what_show_prints_is_the_recipe_and_each_line_knows_where_it_comes_from(dfurun: Dfurun, recipe: Path) -> None:
    done, values = dfurun("show", recipe), shown(dfurun("show", recipe, "--json"))["values"]
    assert done.exit == 0
    printed = read_document(done.out, "shown")
    assert (printed.findings, printed.value) == ([], values)
    lines = [line for line in done.out.splitlines() if not line.startswith("#")]
    for line in lines:
        text, _, origin = line.rpartition("  # ")
        file, numbers = origin.split(":")
        source = Path(file).read_text(encoding="utf-8").splitlines()
        stands = " ".join(source[int(number) - 1] for number in re.findall("[0-9]+", numbers.split("${")[0]))
        words = re.findall(r"[\w.-]{3,}", text)
        assert words
        assert "${" in origin or set(words) <= set(re.findall(r"[\w.-]+", stands)) | {"null", "write"}


def test_show_tells_the_files_the_digest_the_variables_and_the_origin_of_each_line(
    dfurun: Dfurun, product: str
) -> None:
    done = dfurun("show", product, "--set", "serial=4711")
    assert (done.exit, done.err) == (0, "")
    head = done.out.splitlines()[:6]
    assert head[0] == "# made of products/heater.yaml, base.yaml"
    assert head[1].startswith("# digest ")
    assert head[2:4] == [
        "# variable serial is 4711, from --set",
        "# variable region is 'eu', from the default in base.yaml:6",
    ]
    assert "name: Unit 4711" in done.out
    assert [line.split("  # ")[1] for line in done.out.splitlines() if line.startswith("name:")] == [
        "products/heater.yaml:3, ${serial}"
    ]
    assert "- {u32le: 4711}" in done.out
    assert "    address: 0x08004000" in done.out


def test_the_json_of_show_has_a_place_for_every_scalar_and_the_digest_of_the_values(
    dfurun: Dfurun, product: str
) -> None:
    done = dfurun("show", product, "--set", "serial=1", "--json")
    found = shown(done)
    assert found["digest"] == digest_of(found["values"])
    assert [file["path"] for file in found["files"]] == [product, "base.yaml"]
    places = {tuple(origin["path"]): (origin["file"], origin["line"]) for origin in found["origins"]}
    assert places["name",] == (product, 3)
    assert places["steps", 2, "write", "data"] == ("base.yaml", 20)
    assert places["data", "unit", "bytes", 0, "u32le"] == ("base.yaml", 13)
    assert done.lines[-1] == {"event": "result", "exit": 0}


def test_show_says_what_is_wrong_and_shows_what_there_is(dfurun: Dfurun, product: str) -> None:
    done = dfurun("show", product)
    assert done.exit == 3
    assert done.codes == {"variable-missing"}
    assert "chip: stm32f072xb" in done.out
    missing = dfurun("show", "no-such.yaml")
    assert (missing.exit, missing.out) == (3, "")


# Where values come from ----------------------------------------------------------------------------------------------


def test_set_comes_before_the_file_before_the_environment_before_the_default(
    dfurun: Dfurun, product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("bench.yaml").write_text("# the bench\nserial: 2\nregion: us\n", encoding="utf-8")
    for name, value in (("SERIAL", "3"), ("REGION", "3"), ("TRIAL", "true")):
        monkeypatch.setenv(f"DFURUN_VAR_{name}", value)
    command = ("show", product, "--json")
    assert variables(dfurun(*command)) == {
        "serial": (3, "DFURUN_VAR_SERIAL"), "region": (3, "DFURUN_VAR_REGION"), "trial": (True, "DFURUN_VAR_TRIAL"),
        "note": ("none", "the default in base.yaml:8"),
    }  # fmt: skip
    assert variables(dfurun(*command, "--vars", "bench.yaml")) | {"note": 0, "trial": 0} == {
        "serial": (2, "bench.yaml:2"), "region": ("us", "bench.yaml:3"), "note": 0, "trial": 0,
    }  # fmt: skip
    done = dfurun(*command, "--vars", "bench.yaml", "--set", "serial=0x10", "--set", "note=abc")
    assert variables(done)["serial"] == (16, "--set")
    assert variables(done)["note"] == ("abc", "--set")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("serial=0", "`serial` takes a whole number from 1 to 65535, not 0 from --set"),
        ("serial=65536", "not 65536 from --set"),
        ("serial=007", "not '007' from --set"),
        ("serial=1.5", "not '1.5' from --set"),
        ("serial=", "not '' from --set"),
        ("region=uk", "`region` takes 'eu' or 'us' or 3, not 'uk' from --set"),
        ("trial=yes", "`trial` takes true or false, not 'yes' from --set"),
        ("note=UPPER", "`note` takes one line of text like [a-z]+, of at most 5 characters, not 'UPPER' from --set"),
        ("note=toolong", "not 'toolong' from --set"),
    ],
)
def test_a_value_that_the_variable_does_not_take_is_told_with_what_it_takes(
    dfurun: Dfurun, product: str, given: str, message: str
) -> None:
    serial = () if given.startswith("serial") else ("--set", "serial=1")
    done = dfurun("check", product, *serial, "--set", given)
    assert (done.exit, done.codes) == (3, {"variable-value"})
    assert message in done.out
    assert "base.yaml:" in done.out


def test_a_name_that_nothing_declares_is_told_wherever_it_comes_from(
    dfurun: Dfurun, product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = dfurun("check", product, "--set", "serial=1", "--set", "regio=eu")
    assert (done.exit, done.codes) == (3, {"unknown-variable"})
    assert "did you mean 'region'?" in done.out
    Path("bench.yaml").write_text("serial: 1\nregio: eu\n", encoding="utf-8")
    done = dfurun("check", product, "--vars", "bench.yaml")
    assert (done.exit, done.codes) == (3, {"unknown-variable"})
    assert "bench.yaml:2:1: error[unknown-variable]" in done.out
    monkeypatch.setenv("DFURUN_VAR_REGIO", "eu")
    done = dfurun("check", product, "--set", "serial=1")
    assert (done.exit, done.codes) == (0, {"unused-variable"})
    assert "did you mean 'DFURUN_VAR_REGION'?" in done.out


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("- serial\n", "bench.yaml:1:1", "variables-unreadable"),
        ("serial: [1]\n", "bench.yaml:1:9", "variable-value"),
        ('serial: "1"\n', "bench.yaml:1:9", "variable-value"),
        ("serial: 1.5\n", "bench.yaml:1:9", "variable-value"),
        ("serial: 1\nserial: 2\n", "bench.yaml:2:1", "yaml-duplicate-key"),
        ("serial: &a 1\n", "bench.yaml:1:9", "yaml-feature"),
        ("serial: 1\n  region: eu\n", "bench.yaml:2:9", "yaml-syntax"),
        ("serial: 010\n", "bench.yaml:1:9", "yaml-ambiguous"),
    ],
)
def test_a_mistake_in_the_file_of_vars_is_shown_there(
    dfurun: Dfurun, product: str, text: str, place: str, code: str
) -> None:
    Path("bench.yaml").write_text(text, encoding="utf-8")
    done = dfurun("check", product, "--vars", "bench.yaml")
    assert done.exit == 3
    assert f"{place}: error[{code}]" in done.out
    assert done.codes == {code}  # and nothing that only follows from it


def test_a_file_of_vars_that_is_not_there_is_told(dfurun: Dfurun, product: str) -> None:
    done = dfurun("check", product, "--vars", "bench.yaml")
    assert (done.exit, done.codes) == (3, {"variables-unreadable"})
    assert "bench.yaml: No such file or directory" in done.out


@pytest.mark.parametrize("words", [("serial",), ("=1",), ("serial=1", "serial=1")])
def test_a_set_of_another_form_is_wrong_usage(dfurun: Dfurun, product: str, words: tuple[str, ...]) -> None:
    options = [option for word in words for option in ("--set", word)]
    for command in ("check", "show", "run"):
        done = dfurun(command, product, *options)
        assert (done.exit, done.codes) == (2, {"usage"})


def test_without_a_value_nothing_is_sent_to_any_board(dfurun: Dfurun, product: str) -> None:
    done = dfurun("run", product, *BOARD)
    assert (done.exit, done.codes) == (3, {"variable-missing"})
    assert "nothing was sent to any board" in done.err
    assert not Path("board.json").exists()


# A base ----------------------------------------------------------------------------------------------------------------


def test_a_base_is_checked_for_what_it_tells_and_never_run(dfurun: Dfurun, product: str) -> None:
    done = dfurun("check", "base.yaml", product, "--set", "serial=1")
    assert done.exit == 0
    assert done.out.splitlines() == [
        "base.yaml: a base, checked in full with each recipe that extends it",
        "products/heater.yaml: ok, 4 steps for STM32F072xB",
    ]
    assert {"event": "checked", "recipe": "base.yaml", "exit": 0, "base": True} in dfurun(
        "check", "base.yaml", "--json"
    ).lines
    for command in (("run", "base.yaml", *BOARD), ("show", "base.yaml")):
        done = dfurun(*command)
        assert (done.exit, done.codes) == (3, {"abstract-recipe"})
        assert "base.yaml:2:1" in done.err


def test_a_mistake_in_a_base_is_told_of_the_base_alone(dfurun: Dfurun, product: str) -> None:
    Path("base.yaml").write_text(
        BASE.replace("erase:", "eraze:").replace("maximum: 65535", "maximum: many"), encoding="utf-8"
    )
    done = dfurun("check", "base.yaml")
    assert (done.exit, done.codes) == (3, {"unknown-step", "wrong-type"})


def test_a_recipe_that_is_run_itself_can_be_a_base_as_well(dfurun: Dfurun, product: str, recipes: Path) -> None:
    shutil.copytree(recipes, "recipes")
    write_recipe("dfurun: 1\nextends: f072-release.yaml\nname: Mine\n", "recipes/mine.yaml")
    done = dfurun("show", "recipes/mine.yaml", "--json")
    release = shown(dfurun("show", "recipes/f072-release.yaml", "--json"))
    assert shown(done)["values"] == release["values"] | {"name": "Mine"}
    assert dfurun("check", "recipes/mine.yaml").exit == 0


# What lies in the flash, and in the record ---------------------------------------------------------------------------


def test_the_units_bytes_are_in_its_flash_and_its_values_in_its_record(dfurun: Dfurun, product: str) -> None:
    done = dfurun("run", product, *BOARD, "--set", "serial=4711", "--set", "trial=true", "--record", "unit.json")
    assert done.exit == 0
    assert "  serial: 4711, from --set\n" in done.err
    assert flash(dfurun, 18) == b"\x67\x12\x00\x00" + b"\x12\x67" + b"\x01" + b"eu-none\x00\x00" + b"\xff\xff"
    record = json.loads(Path("unit.json").read_text(encoding="utf-8"))
    Draft7Validator(RECORD_SCHEMA).validate(record)
    told = shown(dfurun("show", product, "--json", "--set", "serial=4711", "--set", "trial=true"))
    assert record["recipe"]["digest"] == told["digest"]
    assert record["recipe"]["files"] == told["files"]
    assert record["recipe"]["variables"] == told["variables"]
    assert record["recipe"]["variables"]["serial"] == {"value": 4711, "origin": "--set"}
    assert list(record["images"]) == ["unit"]
    started = next(
        line for line in dfurun("run", product, *BOARD, "--set", "serial=1", "--json").lines if "steps" in line
    )
    assert started["variables"]["serial"] == {"value": 1, "origin": "--set"}


def test_verify_compares_with_this_units_bytes_and_no_others(dfurun: Dfurun, product: str) -> None:
    looks = write_recipe(PRODUCT.replace("../", "") + "edit-steps: [{remove: erase}, {remove: write}]\n")
    assert dfurun("run", product, *BOARD, "--set", "serial=7").exit == 0
    assert dfurun("run", looks, *BOARD, "--set", "serial=7").exit == 0
    done = dfurun("run", looks, *BOARD, "--set", "serial=8")
    assert (done.exit, done.codes) == (1, {"verify-mismatch", "verify-unwritten"})
    assert "data `unit`" in done.err or "from unit" in done.err


def test_data_in_mode_changed_leaves_the_rest_of_its_page(dfurun: Dfurun, product: str, recipes: Path) -> None:
    shutil.copy(recipes / "firmware/f072-blinky.bin", "blinky.bin")
    image = Path("blinky.bin").read_bytes()
    data = "data: {unit: {address: 0x08001400, bytes: [{u32le: 4711}]}}\n"
    recipe = write_recipe(
        "dfurun: 1\nname: Beside the image\nchip: stm32f072xb\n"
        f"images: {{app: {{file: blinky.bin, address: 0x08000000}}}}\n{data}"
        "steps: [connect, {write: {image: app, mode: changed}}, {verify: {image: app}},\n"
        "  {write: {data: unit, mode: changed}}, {verify: {data: unit}}]\n"
    )
    assert len(image) <= 0x1400
    assert dfurun("run", recipe, *BOARD).exit == 0
    again = dfurun("run", recipe, *BOARD)
    assert again.exit == 0
    assert "unit: all 4 bytes are there already" in again.err
    assert flash(dfurun, len(image), 0) == image
    assert flash(dfurun, 8, 0x1400) == b"\x67\x12\x00\x00\xff\xff\xff\xff"


def test_data_for_a_write_protected_page_is_refused(dfurun: Dfurun, product: str) -> None:
    page = OFFSET // 2048
    protect = write_recipe(
        "dfurun: 1\nname: Protect\nchip: stm32f072xb\n"
        f"steps: [connect, {{set-option-bytes: {{write-protect: [{{pages: {page}-{page + 1}}}]}}}},\n"
        "  {wait-for-power-cycle: {boot0: 1}}]\n"
    )
    assert dfurun("run", protect, *BOARD).exit == 0
    done = dfurun("run", product, *BOARD, "--set", "serial=1")
    assert (done.exit, done.codes) == (6, {"write-protected"})
    assert flash(dfurun, 4) == b"\xff" * 4


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_fault_matrix_tries_the_recipe_with_its_variables(dfurun: Dfurun, product: str, jobs: str) -> None:
    done = dfurun(
        "check",
        "--faults",
        product,
        "--set",
        "serial=7",
        "--fault-sample",
        "40",
        "--fault-budget",
        "40",
        "--jobs",
        jobs,
    )
    assert done.exit == 0, done.out
    assert "Unit 7" in done.out or "products/heater.yaml" in done.out


def test_a_run_is_held_to_the_base_and_the_variables_that_were_planned(dfurun: Dfurun, product: str) -> None:
    assert dfurun("plan", product, "--set", "serial=7", "-o", "plan.json").exit == 0
    other = dfurun("run", product, *BOARD, "--set", "serial=8", "--plan", "plan.json")
    assert (other.exit, other.codes) == (6, {"plan-differs"})
    assert "plan.json: the plan is for serial 7, and this run is given 8, from --set" in " ".join(other.err.split())
    base = Path("base.yaml").read_text(encoding="utf-8")
    Path("base.yaml").write_text(base.replace("id: write", "id: write, mode: changed"), encoding="utf-8")
    changed = dfurun("run", product, *BOARD, "--set", "serial=7", "--plan", "plan.json")
    assert (changed.exit, changed.codes) == (6, {"plan-differs"})
    assert "does not come to what was planned: a base is another" in " ".join(changed.err.split())
    Path("base.yaml").write_text("# a remark\n" + base, encoding="utf-8")
    assert dfurun("run", product, *BOARD, "--set", "serial=7", "--plan", "plan.json").exit == 0
