"""The schema is a public contract: what every leaf says, and that no verdict is lost on the way to words."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from dfurun import units
from dfurun.errors import Code
from dfurun.lint.ignores import KEY, SILENCEABLE
from dfurun.recipe import recipe_schema, shape_findings, step_keywords
from dfurun.resources import schema_text
from dfurun.steps.connect import DEFAULT_TIMEOUT_S
from dfurun.steps.context import POWER_CYCLE_TIMEOUT_S
from dfurun.steps.registry import STEPS

SCHEMA: Any = recipe_schema()
PUBLISHED: Any = json.loads(schema_text("recipe.schema.json"))
PLAIN = Draft7Validator(PUBLISHED)


def nodes(schema: Any = SCHEMA, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every part of the schema that says something about a value."""
    yield path, schema
    for keyword in ("properties", "patternProperties", "definitions"):
        for name, part in schema.get(keyword, {}).items():
            yield from nodes(part, f"{path}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from nodes(schema[keyword], f"{path}/{keyword}")


DESCRIBED = [(path, node) for path, node in nodes(PUBLISHED) if "$ref" not in node]


@pytest.mark.parametrize(("path", "node"), DESCRIBED, ids=[path for path, _ in DESCRIBED])
def test_every_part_of_the_schema_has_a_description_and_examples_that_validate(path: str, node: Any) -> None:
    assert len(node["description"]) > 20
    assert node["description"].endswith(".")
    steps = {"steps": PUBLISHED["properties"]["steps"]}  # edits refer to them
    validator = Draft7Validator({"allOf": [node], "definitions": PUBLISHED["definitions"], "properties": steps})
    assert node["examples"]
    for example in node["examples"]:
        validator.validate(example)


def test_the_schema_is_draft_07_and_uses_nothing_that_blurs_messages() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SCHEMA)
    Draft7Validator.check_schema(PUBLISHED)
    words = re.findall(r'"(oneOf|anyOf|allOf|not|unevaluatedProperties)":', schema_text("recipe.schema.json"))
    assert words == []


def test_the_published_schema_has_conditions_only_for_variables_for_what_a_base_may_have_and_for_data_in_an_images_place() -> (
    None
):
    conditions = {json.dumps(found) for found in _conditions(PUBLISHED)}
    assert conditions == {
        '{"properties": {"extends": false, "abstract": false}}',
        '{"type": "string", "pattern": "\\\\$\\\\{"}',
        '{"required": ["data"]}',
    }


def _conditions(schema: Any) -> Iterator[Any]:
    for key, part in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "if":
            yield part
        elif isinstance(part, (dict, list)):
            yield from _conditions(part)


def test_quantities_have_the_patterns_of_the_code_that_parses_them() -> None:
    patterns = {
        "Duration": units.TIMEOUT_PATTERN,
        "Voltage": units.VOLTAGE_PATTERN,
        "Size": units.SIZE_PATTERN,
        "Address": units.SIZE_PATTERN,
        "Range": units.RANGE_PATTERN,
        "Page or range of pages": units.PAGES_PATTERN,
    }
    found = {node["title"]: node["pattern"] for _, node in nodes() if node.get("title") in patterns}
    assert found == patterns


def test_the_schema_and_the_code_have_the_same_steps() -> None:
    assert set(step_keywords()) == set(STEPS)


def test_the_defaults_that_people_read_are_those_of_the_code() -> None:
    steps = SCHEMA["properties"]["steps"]["items"]["properties"]
    seconds = {
        keyword: units.parse_duration(match.group(1))
        for keyword, step in steps.items()
        if (match := re.search(r"Default: (\w+)\.", step["properties"]["timeout"]["description"]))
    }
    assert seconds == {
        "connect": DEFAULT_TIMEOUT_S,
        "unprotect": POWER_CYCLE_TIMEOUT_S,
        "wait-for-power-cycle": POWER_CYCLE_TIMEOUT_S,
    }


@pytest.mark.parametrize("folder", ["top level", "image", "body"])
def test_x_keys_are_free_where_people_may_add_their_own(folder: str) -> None:
    recipe: dict[str, Any] = minimal()
    recipe["images"] = {"application": {"file": "a.hex"}}
    owner = {"top level": recipe, "image": recipe["images"]["application"], "body": recipe["steps"][0]["connect"]}
    owner[folder]["x-note"] = {"anything": ["goes", None]}
    assert shape_findings(recipe) == []


@pytest.mark.parametrize(
    "kept", [[], "never-starts", ["never-starts"], [{"code": "guard"}], [{"code": 1, "reason": None, "more": 2}]]
)
@pytest.mark.parametrize("folder", ["top level", "image", "body"])
def test_what_is_wrong_with_x_lint_ignore_is_said_by_lint_alone(folder: str, kept: Any) -> None:
    recipe: dict[str, Any] = minimal()
    recipe["images"] = {"application": {"file": "a.hex"}}
    owner = {"top level": recipe, "image": recipe["images"]["application"], "body": recipe["steps"][0]["connect"]}
    owner[folder][KEY] = kept
    assert shape_findings(recipe) == []
    assert PLAIN.is_valid(recipe)


def test_the_codes_that_editors_offer_are_those_that_lint_takes_in_their_own_words() -> None:
    code = PUBLISHED["definitions"]["lint-ignore"]["items"]["properties"]["code"]
    offered = {snippet["body"]: snippet["description"] for snippet in code["defaultSnippets"]}
    assert list(offered) == sorted(SILENCEABLE)
    for label, words in offered.items():
        assert words.lower() == f"{SILENCEABLE[label].summary}.".lower()


def test_an_x_key_beside_a_step_is_no_step() -> None:
    recipe = minimal()
    recipe["steps"] = [{"connect": None, "x-note": "why"}]
    (finding,) = shape_findings(recipe)
    assert finding.code is Code.STEP_SHAPE
    assert finding.message == "a step is one key: `x-note` stands beside `connect`"


def test_a_misspelt_key_is_not_also_a_missing_one() -> None:
    recipe = minimal()
    recipe["nmae"] = recipe.pop("name")
    (finding,) = shape_findings(recipe)
    assert (finding.code, finding.hint) == (Code.UNKNOWN_KEY, "did you mean 'name'?")


def test_a_forgotten_indent_is_one_mistake() -> None:
    recipe = minimal()
    recipe["steps"] = [{"write": None, "image": "application", "mode": "all"}]
    (finding,) = shape_findings(recipe)
    assert finding.code is Code.STEP_SHAPE
    assert finding.hint == "indent `image` below `write`, or write `- write: {image: ...}`"


def test_every_missing_key_is_named() -> None:
    findings = shape_findings({"steps": ["connect"]})
    assert [finding.message for finding in findings] == [
        "a recipe needs `dfurun`", "a recipe needs `name`", "a recipe needs `chip`",
    ]  # fmt: skip


def minimal() -> dict[str, Any]:
    return {"dfurun": 1, "name": "Example", "chip": "stm32f072xb", "steps": [{"connect": {}}]}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 300)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", "10s", "2K", "all", "${a}", "x${a}", "$${"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["image", "x-a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = sorted({path.rpartition("/")[2] for path, _ in nodes()} | {"imag", "x-note"})


@st.composite
def damaged_recipes(draw: st.DrawFn) -> Any:
    """Return a recipe with a few of its parts replaced, removed or added."""
    recipe = json.loads(json.dumps(SCHEMA["examples"][0]))
    for _ in range(draw(st.integers(1, 4))):
        container = recipe
        while True:
            keys = list(container) if isinstance(container, dict) else list(range(len(container)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(container[key], (dict, list)) and draw(st.booleans()):
                container = container[key]
                continue
            match draw(st.sampled_from(["replace", "remove", "add"])):
                case "replace":
                    container[key] = draw(JSON_VALUES)
                case "remove":
                    del container[key]
                case "add" if isinstance(container, dict):
                    container[draw(st.sampled_from(KEYS))] = draw(JSON_VALUES)
                case _:
                    container.append(draw(JSON_VALUES))
            break
    return recipe


@given(damaged_recipes() | JSON_VALUES)
def test_whatever_the_schema_rejects_gives_a_finding_and_nothing_else_does(recipe: Any) -> None:
    findings = shape_findings(recipe)
    assert bool(findings) == (not PLAIN.is_valid(recipe))
    assert len({(finding.path, finding.message) for finding in findings}) == len(findings)
