"""Rules of the house that no linter knows: chips are data, printing is for renderers, modules fit a head."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dfurun.chips import chip_names
from dfurun.chips.clones import known_clones
from dfurun.chips.index import default_chip_name
from dfurun.chips.left_out import lines_left_out
from dfurun.chips.part_number import stem_of
from dfurun.chips.without_dfu import lines_without_dfu

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dfurun"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.parts)
LONGEST_MODULE = 480
ROOMS_THAT_PRINT = {"cli", "report"}

# stm32f072xb, STM32F0, F072, F4xx, F0, L4R5, WB55, GD32VF103, as a word of an identifier or of a text.
INTEGER = r"(?!u(?:8|16|32|64)(?:le|be)?(?![0-9a-z]))"  # `u32le`: an integer in a recipe's data
CHIP = re.compile(rf"(?i)stm32[a-z]+\d|(?<![0-9a-z]){INTEGER}(?:(?:[cfghlu]|wba?|wle?)\d\w*|(?:gd|at|apm)32\w*)")

SHIPPED_RECIPE = re.compile(r"recipes/[a-z0-9-]+\.yaml")

every_module = pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module gives or uses."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name


def decisions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield everything that a module decides by."""
    for node in ast.walk(tree):
        match node:
            case ast.If() | ast.IfExp() | ast.While() | ast.Assert():
                yield node.test
            case ast.Compare():
                yield node
            case ast.comprehension(ifs=conditions):
                yield from conditions
            case ast.match_case(pattern=pattern, guard=guard):
                yield pattern
                if guard is not None:
                    yield guard
            case ast.Dict(keys=keys):
                yield from (key for key in keys if key is not None)
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith" | "get")):
                yield node


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield every text of a module but its docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize(
    "text", ["stm32f072xb", "STM32F0", "F072", "f0", "F4xx", "L4R5", "H743", "WB55", "WLE5", "an F0.", "GD32"]
)
def test_a_chip_is_known_by_its_name(text: str) -> None:
    assert CHIP.search(text)


@pytest.mark.parametrize(
    "text", ["0xF0", "0xF072", "dfurun", "utf-8", "utf8", "first", "sha256", "1f", "STM32", "k4", "u32le"]
)
def test_what_is_no_name_of_a_chip_is_not_taken_for_one(text: str) -> None:
    assert not CHIP.search(text)


@every_module
def test_no_identifier_names_a_chip(path: Path) -> None:
    named = {name for name in identifiers(tree_of(path)) if any(CHIP.search(word) for word in re.split("_+", name))}
    assert named == set()


@every_module
def test_nothing_is_decided_by_the_name_of_a_chip(path: Path) -> None:
    found = {text for decision in decisions(tree_of(path)) for text in texts(decision) if CHIP.search(text)}
    assert found == set()


@every_module
def test_no_text_names_a_chip(path: Path) -> None:
    found = set()
    for text in texts(tree_of(path)):
        for recipe in SHIPPED_RECIPE.findall(text):
            assert (ROOT / recipe).is_file(), f"{path} names {recipe}"
        if CHIP.search(SHIPPED_RECIPE.sub("", text)):
            found.add(text)
    assert found == set()


def test_every_chip_of_the_data_and_every_clone_would_be_found() -> None:
    others = [name for line in (*lines_without_dfu(), *lines_left_out()) for name in line.names]
    for name in [*chip_names(), *others]:
        assert CHIP.search(name)
        assert CHIP.search(stem_of(name).removeprefix("stm32"))
    assert all(CHIP.search(clone.name) for clone in known_clones())


def test_the_default_simulated_chip_is_one_of_the_data() -> None:
    assert default_chip_name() in chip_names()


@every_module
def test_only_the_renderers_and_the_command_line_print(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] in ROOMS_THAT_PRINT:
        return
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input")):
                pytest.fail(f"{path}:{node.lineno} prints")
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" | "stdin"):
                pytest.fail(f"{path}:{node.lineno} knows a terminal")


@every_module
def test_a_module_says_what_lives_there_and_fits_a_head(path: Path) -> None:
    tree = tree_of(path)
    text = path.read_text(encoding="utf-8")
    assert text == "" or ast.get_docstring(tree) or path.name == "__main__.py"
    assert len(text.splitlines()) <= LONGEST_MODULE


@every_module
def test_nothing_is_silenced(path: Path) -> None:
    assert re.findall(r"#\s*(?:noqa|pragma|pylint)", path.read_text(encoding="utf-8")) == []


def test_no_test_takes_anything_of_a_conftest() -> None:
    """There are several, and which one `conftest` is depends on the folders that pytest was given."""
    taking = [
        path.name for path in (ROOT / "tests").rglob("*.py") if "from conftest " in path.read_text(encoding="utf-8")
    ]
    assert [name for name in taking if name != Path(__file__).name] == []
