"""What is wrong with the steps is said together with what is wrong elsewhere, and no consequence of it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfurun.errors import Code, InvalidInput
from dfurun.plan import compile_recipe

HEAD = "dfurun: 1\nname: x\nchip: stm32f072xb\n"
WRITE = "steps: [connect, write: {image: a}, verify: {image: a}, leave-dfu]\n"
LEVEL_2 = "steps: [connect, set-option-bytes: {fields: {RDP: level-2}}]\n"
IMAGE = "images: {a: {file: a.bin, address: 0x08000000}}\n"


def judged(folder: Path, text: str) -> list[Code]:
    (folder / "a.bin").write_bytes(bytes.fromhex("0040002009000008"))  # a vector table, and no code
    (folder / "recipe.yaml").write_text(text)
    compiled = compile_recipe(folder / "recipe.yaml")
    assert compiled.recipe is None
    with pytest.raises(InvalidInput):
        compiled.runnable()
    return [finding.code for finding in compiled.findings if finding.code is not Code.UNPINNED_IMAGE]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ('requires: ">=99"\n', Code.VERSION_TOO_OLD),
        ("expect: {flash-size: []}\n", Code.WRONG_TYPE),
        ("supply: 5.0\n", Code.WRONG_TYPE),
        ("allow: [rdp-level-2]\nsuply: 3.3V\n", Code.UNKNOWN_KEY),
        ("suply: 3.3V\nallow: []\n", Code.UNKNOWN_KEY),
    ],
)
def test_the_steps_are_judged_though_something_else_is_wrong(tmp_path: Path, wrong: str, code: Code) -> None:
    assert judged(tmp_path, HEAD + wrong + IMAGE + WRITE) == [code, Code.NOT_ERASED]


def test_a_recipe_without_a_name_is_judged(tmp_path: Path) -> None:
    assert Code.NOT_ERASED in judged(tmp_path, HEAD.replace("name: x\n", "") + IMAGE + WRITE)


def test_two_steps_of_one_id_are_judged(tmp_path: Path) -> None:
    steps = "steps: [connect: {id: a}, leave-dfu: {id: a}, mass-erase]\n"
    assert judged(tmp_path, HEAD + steps) == [Code.BAD_VALUE, Code.STEP_ORDER]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("allow: [rdp-level-3]\n" + LEVEL_2, [Code.UNKNOWN_GUARD]),
        ("alow: [rdp-level-2]\n" + LEVEL_2, [Code.UNKNOWN_KEY]),
        ("allow: [on]\n" + LEVEL_2, [Code.YAML_AMBIGUOUS]),
        ("steps: [conect, write: {image: a}]\n" + IMAGE, [Code.UNKNOWN_STEP]),
        ("steps: [connect: {tmeout: 1s}, mass-erase]\n", [Code.UNKNOWN_KEY]),
        ("steps: [connect, erase: {range: 0x08000000+0}, write: {image: a}]\n" + IMAGE, [Code.BAD_VALUE]),
        (WRITE, [Code.UNKNOWN_IMAGE, Code.UNKNOWN_IMAGE]),
        ("steps: []\n", [Code.BAD_VALUE]),
    ],
)
def test_what_was_not_read_has_no_consequences(tmp_path: Path, text: str, codes: list[Code]) -> None:
    found = judged(tmp_path, HEAD + text)
    assert [code for code in found if code is not Code.UNUSED_IMAGE] == codes
