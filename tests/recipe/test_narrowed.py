"""The schema of one chip's recipes refuses what `dfurun check` refuses and nothing else, in the words of the chip's data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Dfurun
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from dfurun.chips import Chip, chip_names, load_chip
from dfurun.lint.ignores import SILENCEABLE
from dfurun.recipe import recipe_schema
from dfurun.recipe.narrowed import VARIABLE, narrowed_schema, numbers_up_to
from dfurun.resources import schema_text

CHECK_JSONSCHEMA = Path(sys.executable).with_name("check-jsonschema")
SHIPPED = sorted((ROOT / "recipes").glob("*.yaml"))
CHIPS = st.sampled_from(chip_names()).map(load_chip)


def narrowed(chip: Chip) -> dict[str, Any]:
    return narrowed_schema(chip, chip.name)


def steps_of(schema: Any) -> dict[str, Any]:
    steps: dict[str, Any] = schema["properties"]["steps"]["items"]["properties"]
    return steps


def nodes(schema: Any) -> list[Any]:
    """Return every part of a schema that says something about a value."""
    inner = [schema.get("items"), schema.get("additionalProperties")]
    for keyword in ("properties", "patternProperties", "definitions"):
        inner += schema.get(keyword, {}).values()
    return [schema, *(node for part in inner if isinstance(part, dict) for node in nodes(part))]


SILENCEABLE_CODES = sorted(SILENCEABLE)  # offered to editors, and judged by lint alone


@pytest.mark.parametrize("name", chip_names())
def test_every_part_has_words_and_examples_that_validate_for_every_chip(name: str) -> None:
    schema = narrowed(load_chip(name))
    Draft7Validator.check_schema(schema)
    assert not re.search(r'"(oneOf|anyOf|allOf|not|unevaluatedProperties)":', json.dumps(schema))
    for node in nodes(schema):
        if "$ref" in node:
            continue
        assert len(node["description"]) > 20
        steps = {"steps": schema["properties"]["steps"]}  # edits refer to them
        validator = Draft7Validator({"allOf": [node], "definitions": schema["definitions"], "properties": steps})
        examples = node.get("examples") or node["else"]["examples"]
        assert examples
        for example in examples:
            validator.validate(example)
        listed = node.get("else", node)
        if "enumDescriptions" in listed:
            assert len(listed["enumDescriptions"]) == len(listed["enum"])
            assert all(listed["enumDescriptions"])
        if "defaultSnippets" in node:
            offered = [snippet["body"] for snippet in node["defaultSnippets"]]
            assert offered == listed.get("enum", SILENCEABLE_CODES)


@given(CHIPS, st.sampled_from(["${serial}", "${serial} and more", "0-${page}", "$${"]))
def test_a_variable_is_right_wherever_the_schema_of_all_recipes_takes_one(chip: Chip, value: str) -> None:
    ours, general = narrowed(chip), json.loads(schema_text("recipe.schema.json"))
    places = [place for place in _leaves(general) if _at(ours, place) is not None]
    places += [place for place in _leaves(ours) if place not in places]
    assert len(places) > 40
    for place in places:
        assert Draft7Validator(_at(ours, place)).is_valid(value), place


def _leaves(schema: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the places of all values that a variable may stand for."""
    if schema.get("if") == VARIABLE:
        yield place
    for key in ("properties", "patternProperties"):
        for name, part in schema.get(key, {}).items():
            yield from _leaves(part, (*place, key, name))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _leaves(schema[key], (*place, key))


def _at(schema: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        schema = schema.get(key) if isinstance(schema, dict) else None
    return schema or None


@given(CHIPS, st.data())
def test_a_field_takes_what_the_chip_takes(chip: Chip, data: st.DataObject) -> None:
    assume(chip.option_bytes.established)
    field = data.draw(st.sampled_from(list(chip.option_bytes.fields.values())))
    names = st.sampled_from(["level-0", "level-1", "level-2", "level-0.5", "1", ""])
    value = data.draw(st.integers(0, 1 << field.width) | names)
    try:
        field.number(value)
        takes = True
    except ValueError:
        takes = False
    for step in ("set-option-bytes", "check-option-bytes"):
        schema = steps_of(narrowed(chip))[step]["properties"]["fields"]
        assert Draft7Validator(schema).is_valid({field.name: value}) is takes
        assert not Draft7Validator(schema).is_valid({f"{field.name}x": value})


@given(st.integers(0, 99999), st.data())
def test_the_pattern_of_a_number_is_that_of_the_numbers_up_to_it(maximum: int, data: st.DataObject) -> None:
    pattern = f"(?:{numbers_up_to(maximum)})"
    near = st.sampled_from([0, maximum - 1, maximum, maximum + 1, 10 * maximum])
    number = abs(data.draw(near | st.integers(0, 2 * maximum + 10)))
    assert bool(re.fullmatch(pattern, str(number))) is (number <= maximum)
    assert not re.fullmatch(pattern, f"0{number}")


def test_a_value_says_what_it_means_and_which_consent_it_needs() -> None:
    fields = steps_of(narrowed(load_chip("stm32f072xb")))["set-option-bytes"]["properties"]["fields"]["properties"]
    nboot1 = {offered["body"]: offered["description"] for offered in fields["nBOOT1"]["defaultSnippets"]}
    assert nboot1[1] == "with BOOT0 high: system memory (the bootloader) starts"
    assert nboot1[0].startswith("with BOOT0 high: SRAM; needs `allow: [bootloader-hidden]`: ")
    rdp = dict(zip(fields["RDP"]["else"]["enum"], fields["RDP"]["else"]["enumDescriptions"], strict=True))
    assert rdp["level-2"].startswith("needs `allow: [rdp-level-2]`: RDP level 2 is for ever")
    assert fields["BOOT_SEL"]["description"].endswith("From the factory: 1. To be kept at 1.")


def test_what_is_for_ever_is_never_put_in_by_an_editor() -> None:
    for name in chip_names():
        chip = load_chip(name)
        allow = narrowed(chip)["properties"]["allow"]
        offered = {*allow["items"]["examples"], *allow["examples"][0]}
        assert not offered & {guard.name for guard in chip.guards if guard.irreversible}


# The same verdict as `check` -----------------------------------------------------------------------------------------

RIGHT = """dfurun: 1
name: one chip
chip: stm32f072xb
expect: {flash-size: 128K, bootloader-id: 161}
allow: [bootloader-hidden, protects-what-follows]
steps:
  - connect
  - erase: {pages: 0-63}
  - set-option-bytes: {fields: {RDP: level-0, nBOOT1: 0, DATA0: 255}, write-protect: [{pages: 0-3}]}
  - check-option-bytes: {fields: {BOOT_SEL: 1}}
"""
WRONG = {
    "another field": ("DATA0", "DATA9", "unknown-field"),
    "a value too large": ("255", "256", "bad-value"),
    "a number for a name": ("level-0", "170", "bad-value"),
    "a name of no value": ("level-0", "level-3", "bad-value"),
    "a page too many": ("0-63", "0-64", "outside-flash"),
    "a protected page too many": ("0-3", "64-65", "outside-flash"),
    "another guard": ("bootloader-hidden", "boot-lock", "unknown-guard"),
}


def verdict(schema: Path, recipe: Path) -> bool:
    """Return the outside judge's verdict."""
    command = [CHECK_JSONSCHEMA, "--schemafile", schema, recipe]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def schema(dfurun: Dfurun, tmp_path: Path) -> Path:
    file = tmp_path / "stm32f072xb.schema.json"
    assert dfurun("schema", "--chip", "stm32f072xb", "-o", file).exit == 0
    return file


def test_a_recipe_that_is_right_is_right_for_both(dfurun: Dfurun, schema: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "right.yaml"
    recipe.write_text(RIGHT)
    assert dfurun("check", recipe).exit == 0
    assert verdict(schema, recipe)


SHARED = """dfurun: 1
abstract: true
chip: ${part}
expect: {flash-size: "${size}"}
vars:
  part: {type: text, default: stm32f072xb}
  size: {type: text, default: 128K}
  level: {type: choice, choices: [level-0, level-1], default: level-0}
  bit: {type: boolean, default: true}
  pages: {type: text, default: 60-63}
data:
  unit: {address: 0x0801F800, bytes: [{u32le: 4711}, {ascii: "${level}", size: 8}]}
steps:
  - connect: {id: connect}
  - erase: {pages: "${pages}"}
  - write: {data: unit}
  - set-option-bytes: {fields: {RDP: "${level}", nBOOT1: "${bit}", DATA0: "${bit}"}, from: current, id: fields}
  - check-option-bytes: {fields: {BOOT_SEL: "${bit}"}}
"""
OVER_IT = """dfurun: 1
extends: base.yaml
name: one of many
edit-steps:
  - after: connect
    insert: [{erase: {pages: 0-3}}]
  - replace: fields
    with: {set-option-bytes: {fields: {DATA1: 7}}}
"""


def test_bases_what_is_laid_over_them_and_variables_are_right_for_both(
    dfurun: Dfurun, schema: Path, tmp_path: Path
) -> None:
    base, recipe = tmp_path / "base.yaml", tmp_path / "recipe.yaml"
    base.write_text(SHARED)
    recipe.write_text(OVER_IT)
    done = dfurun("check", recipe, base)
    assert done.exit == 0, done.out
    assert verdict(schema, base)
    assert verdict(schema, recipe)


@pytest.mark.parametrize(
    ("before", "after", "code"), [("0-3", "0-64", "outside-flash"), ("DATA1", "DATA9", "unknown-field")]
)
def test_what_the_chip_makes_wrong_in_an_edit_is_wrong_for_both(
    dfurun: Dfurun, schema: Path, tmp_path: Path, before: str, after: str, code: str
) -> None:
    recipe = tmp_path / "recipe.yaml"
    (tmp_path / "base.yaml").write_text(SHARED)
    recipe.write_text(OVER_IT.replace(before, after))
    assert code in dfurun("check", recipe).codes
    assert not verdict(schema, recipe)


@pytest.mark.parametrize("what", WRONG)
def test_what_only_the_chip_makes_wrong_is_wrong_for_both(
    dfurun: Dfurun, schema: Path, tmp_path: Path, what: str
) -> None:
    before, after, code = WRONG[what]
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text(RIGHT.replace(before, after, 1))
    assert code in dfurun("check", recipe).codes
    assert not verdict(schema, recipe)
    assert Draft7Validator(recipe_schema()).is_valid(_plain(recipe))


def _plain(recipe: Path) -> Any:
    from dfurun.recipe.document import read_document

    return read_document(recipe.read_text(encoding="utf-8"), recipe.name).value


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_right_by_their_own_chip_s_schema_and_wrong_by_another_s(recipe: Path) -> None:
    value = _plain(recipe)
    assert Draft7Validator(narrowed(load_chip(value["chip"]))).is_valid(value)
    assert not Draft7Validator(narrowed(load_chip("stm32l476xg"))).is_valid(value)


@pytest.mark.parametrize("name", ["stm32h503xb", "stm32g471xe"])
def test_what_is_not_established_of_a_chip_cannot_be_written(dfurun: Dfurun, tmp_path: Path, name: str) -> None:
    recipe = tmp_path / "factory.yaml"
    recipe.write_text(f"dfurun: 1\nname: x\nchip: {name}\nsteps: [connect, {{set-option-bytes: {{from: factory}}}}]\n")
    assert dfurun("check", recipe).codes & {"no-option-bytes", "factory-not-known"}
    assert not Draft7Validator(narrowed(load_chip(name))).is_valid(_plain(recipe))


# The command ---------------------------------------------------------------------------------------------------------


def test_a_part_number_and_the_chip_s_name_are_both_right_by_its_schema(dfurun: Dfurun) -> None:
    schema = json.loads(dfurun("schema", "--chip", "STM32F072CBT6").out)
    assert schema["properties"]["chip"]["else"]["enum"] == ["STM32F072CBT6", "stm32f072xb"]
    assert (
        json.loads(dfurun("schema", "--chip", "stm32f072xb").out)["properties"]["chip"]["else"]["const"]
        == "stm32f072xb"
    )


def test_the_command_says_how_a_recipe_names_the_file_and_writes_it_anew(dfurun: Dfurun, tmp_path: Path) -> None:
    file = tmp_path / "schemas" / "f072.json"
    done = dfurun("schema", "--chip", "stm32f072xb", "-o", file)
    assert "\n# yaml-language-server: $schema=f072.json\n" in done.out
    assert file.read_text() == dfurun("schema", "--chip", "stm32f072xb").out
    assert dfurun("schema", "--chip", "stm32f042x6", "-o", file).exit == 0
    assert json.loads(file.read_text())["properties"]["chip"]["else"]["const"] == "stm32f042x6"


def test_tools_are_told_which_file_holds_it(dfurun: Dfurun, tmp_path: Path) -> None:
    told = dfurun("schema", "--chip", "stm32f072xb", "-o", tmp_path / "f072.json", "--json").lines[1]
    assert told["file"] == str(tmp_path / "f072.json")
    assert told["schema"] == json.loads((tmp_path / "f072.json").read_text())


def test_a_file_that_is_no_schema_is_left_alone(dfurun: Dfurun, tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    file.write_text("dfurun: 1\n")
    done = dfurun("schema", "--chip", "stm32f072xb", "-o", file)
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert file.read_text() == "dfurun: 1\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("record", "--chip", "stm32f072xb"), "--chip narrows the schema of recipes"),
        (("--chip", "stm32f72xb"), "did you mean 'stm32f072xb'?"),
        (("--chip", "f072"), "can mean 2 chips"),
    ],
)
def test_a_schema_that_there_is_not_is_a_usage_error(dfurun: Dfurun, words: tuple[str, ...], message: str) -> None:
    done = dfurun("schema", *words)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert message in done.err
