"""The merge rule and `${NAME}`, for every base, recipe and text."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.errors import Code
from dfurun.recipe import Loaded, Settings, load_recipe
from dfurun.recipe.document import read_document, split_lines
from dfurun.recipe.laid_over import extended, laid_over
from dfurun.recipe.positions import Source
from dfurun.recipe.references import References
from dfurun.recipe.tree import Node, plain, tree
from dfurun.recipe.variables import Variable

KEYS = st.sampled_from(["a", "b", "c", "steps"])
SCALARS = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["x", "y"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=4)


def node(value: Any, name: str = "recipe.yaml") -> Node:
    """Return plain values as the tree of a file; JSON is YAML."""
    text = json.dumps(value, ensure_ascii=False)
    document = read_document(text, name)
    assert document.findings == []
    return tree(document, Source(Path(name), "", split_lines(text), document.index))


def owners(found: Node) -> set[str]:
    """Return the files that the scalars and the empty collections of a tree stand in."""
    inner = (
        found.value.values() if isinstance(found.value, dict) else found.value if isinstance(found.value, list) else ()
    )
    return {name for item in inner for name in owners(item)} if inner else {str(found.source.path)}


# The merge rule ------------------------------------------------------------------------------------------------------


@given(MAPPINGS, MAPPINGS)
def test_every_key_of_either_is_there_and_no_other(under: dict[str, Any], over: dict[str, Any]) -> None:
    merged = plain(laid_over(node(under), node(over)))
    assert set(merged) == set(under) | set(over)
    for key, value in merged.items():
        if key not in over:
            assert value == under[key]
        elif key not in under or not (isinstance(under[key], dict) and isinstance(over[key], dict)):
            assert value == over[key]
        else:
            assert set(value) == set(under[key]) | set(over[key])


@given(MAPPINGS)
def test_laid_over_nothing_or_itself_or_under_nothing_it_is_what_it_was(value: dict[str, Any]) -> None:
    for merged in (
        laid_over(node({}), node(value)), laid_over(node(value), node({})), laid_over(node(value), node(value)),
    ):  # fmt: skip
        assert plain(merged) == value


@given(MAPPINGS, MAPPINGS)
def test_every_value_knows_the_file_it_stands_in(under: dict[str, Any], over: dict[str, Any]) -> None:
    merged = laid_over(node(under, "base.yaml"), node(over, "recipe.yaml"))
    for key in set(under) | set(over):
        if key not in over:
            assert owners(merged.value[key]) == {"base.yaml"}
        elif key not in under:
            assert owners(merged.value[key]) == {"recipe.yaml"}


def test_a_list_is_replaced_so_that_consent_never_adds_up() -> None:
    merged = laid_over(node({"allow": ["one", "two"]}), node({"allow": ["three"]}))
    assert plain(merged) == {"allow": ["three"]}


# Edits ---------------------------------------------------------------------------------------------------------------


STEPS = [{"erase": {"id": "one"}}, "leave-dfu", {"write": {"id": "two"}}]


def edited(*edits: dict[str, Any], steps: Any = STEPS, **own: Any) -> tuple[Any, list[Code]]:
    merged, findings = extended(
        node({"steps": steps}), node({"extends": "base.yaml", "edit-steps": list(edits), **own})
    )
    return plain(merged).get("steps"), [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("edit", "steps"),
    [
        ({"remove": "one"}, ["leave-dfu", {"write": {"id": "two"}}]),
        ({"replace": "two", "with": "connect"}, [{"erase": {"id": "one"}}, "leave-dfu", "connect"]),
        ({"before": "two", "insert": ["a", "b"]}, [STEPS[0], "leave-dfu", "a", "b", STEPS[2]]),
        ({"after": "one", "insert": ["a", "b"]}, [STEPS[0], "a", "b", "leave-dfu", STEPS[2]]),
    ],
)
def test_an_edit_changes_the_step_of_its_id_and_keeps_the_others(edit: dict[str, Any], steps: list[Any]) -> None:
    assert edited(edit) == (steps, [])


def test_an_edit_sees_what_the_one_before_has_left() -> None:
    steps, codes = edited(
        {"replace": "one", "with": {"erase": {"id": "three"}}}, {"after": "three", "insert": ["a"]}, {"remove": "one"}
    )
    assert steps == [{"erase": {"id": "three"}}, "a", "leave-dfu", STEPS[2]]
    assert codes == [Code.BAD_EDIT]


@given(st.lists(st.sampled_from(["one", "two", "none"]), max_size=5))
def test_steps_that_are_removed_are_gone_once_and_nothing_else_is(ids: list[str]) -> None:
    steps, codes = edited(*({"remove": name} for name in ids))
    left = [step for step in STEPS if not (isinstance(step, dict) and next(iter(step.values()))["id"] in ids)]
    assert steps == left
    assert len(codes) == len(ids) - (len(STEPS) - len(left))


@given(MAPPINGS, MAPPINGS, st.lists(KEYS, unique=True, max_size=3))
def test_a_key_that_is_removed_is_that_of_the_base_and_not_the_recipes_own(
    base: dict[str, Any], recipe: dict[str, Any], removed: list[str]
) -> None:
    merged, findings = extended(node(base), node({**recipe, "remove": removed}))
    kept = {key: value for key, value in base.items() if key not in removed}
    assert plain(merged) == plain(laid_over(node(kept), node(recipe)))
    assert len(findings) == len(set(removed) - set(base))


# References ----------------------------------------------------------------------------------------------------------


def filled(text: str, **variables: Any) -> tuple[Any, list[Code]]:
    """Return what a `name` with this text comes to."""
    references = References({name: Variable(value, "--set") for name, value in variables.items()}, ())
    found = references.fill_in(node({"name": text}))
    return plain(found)["name"], [finding.code for finding in references.findings]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp"]), max_size=20))
def test_any_text_can_be_written_and_any_text_can_be_a_value(text: str) -> None:
    escaped = text.replace("${", "$${")
    assert filled(escaped) == (text, [])
    assert filled("<${a}>", a=text) == (f"<{text}>", [])


@given(st.lists(st.sampled_from(["${a}", "${b}", "$${", "$", "{", "}", "x", "${", "${c}"]), max_size=8))
def test_a_reference_is_filled_in_or_told(parts: list[str]) -> None:
    text = "".join(parts)
    value, codes = filled(text, a=1, b="two")
    if codes:
        assert value == text
        assert set(codes) <= {Code.UNKNOWN_VARIABLE, Code.BAD_REFERENCE}
    elif "$$" not in text:
        assert value == text.replace("${a}", "1").replace("${b}", "two")
        assert "${" not in value


@pytest.mark.parametrize(
    ("value", "found"), [(7, 7), (True, 1), (False, 0), ("128K", "128K"), ("${a}", "${a}")], ids=str
)
def test_a_value_that_is_a_variable_alone_has_its_type(value: Any, found: Any) -> None:
    references = References({"a": Variable(value, "--set")}, ())
    recipe = references.fill_in(node({"expect": {"flash-size": "${a}", "unique-id": ["${a}"]}, "name": "${a}"}))
    as_text = str(value).lower() if isinstance(value, bool) else str(value)
    assert plain(recipe) == {"expect": {"flash-size": found, "unique-id": [as_text]}, "name": as_text}
    assert type(plain(recipe)["expect"]["flash-size"]) is type(found)


def test_what_begins_with_x_is_nobody_elses_business() -> None:
    references = References({}, ())
    recipe = {"x-note": "${a}", "images": {"a": {"x-b": ["${c"]}}}
    assert plain(references.fill_in(node(recipe))) == recipe
    assert references.findings == []


# The digest ----------------------------------------------------------------------------------------------------------


BASE = "dfurun: 1\nabstract: true\nchip: stm32f072xb\nvars: {page: {type: integer, default: 1}}\n"
STEP = '  - erase: {pages: "${page}"}\n'


def loaded(folder: Path, base: str, recipe: str, **given: str) -> Loaded:
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    (folder / "recipe.yaml").write_text("dfurun: 1\nextends: base.yaml\n" + recipe, encoding="utf-8")
    return load_recipe(folder / "recipe.yaml", settings=Settings(given))


def digest(*arguments: Any, **given: str) -> str:
    recipe = loaded(*arguments, **given).recipe
    assert recipe is not None
    return recipe.digest


def test_the_digest_is_that_of_the_values_wherever_they_stand(tmp_path: Path) -> None:
    first = digest(tmp_path, BASE, "name: A\nsteps:\n  - connect\n" + STEP)
    moved = digest(tmp_path, BASE + "# moved\nsteps:\n  - connect\n" + STEP, 'name: "A"\n')
    without = "remove: [x-vars]\nname: A\nsteps: [connect, {erase: {pages: 1}}]\n"
    spelt_out = digest(tmp_path, BASE.replace("vars:", "x-vars:"), without)
    assert first == moved == spelt_out
    assert digest(tmp_path, BASE, "name: A\nsteps:\n  - connect\n" + STEP, page="2") != first


def test_the_files_of_a_recipe_are_in_its_order_with_their_hashes(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, BASE, "name: A\nsteps:\n  - connect\n" + STEP).recipe
    assert recipe is not None
    assert [file.path.name for file in recipe.files] == ["recipe.yaml", "base.yaml"]
    assert recipe.files[0].sha256 == recipe.sha256 != recipe.files[1].sha256


def test_seventeen_files_are_more_than_a_reviewer_follows(tmp_path: Path) -> None:
    for number in range(17):
        (tmp_path / f"{number}.yaml").write_text(
            f"dfurun: 1\nabstract: true\nextends: {number + 1}.yaml\n", encoding="utf-8"
        )
    (finding,) = load_recipe(tmp_path / "0.yaml").findings
    assert (finding.code, finding.message) == (Code.BASE_CYCLE, "more than 16 files that extend one another")
    assert str(finding.place).endswith("15.yaml:3:10")


@pytest.mark.parametrize("name", ["base\\0.yaml", ".", "..", "a" * 300, "loop.yaml"])
def test_what_no_base_can_be_called_is_told_in_its_place(tmp_path: Path, name: str) -> None:
    with contextlib.suppress(OSError):  # links are a privilege on some systems
        (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / ".git").mkdir()
    (tmp_path / "recipe.yaml").write_text(f'dfurun: 1\nextends: "{name}"\n', encoding="utf-8")
    (finding,) = load_recipe(tmp_path / "recipe.yaml").findings
    assert finding.code in (Code.BASE_UNREADABLE, Code.BASE_OUTSIDE)
    assert str(finding.place).endswith("recipe.yaml:2:10")
