"""What is made of data: the pages of codes, chips and the recipe language, faults, the index of the chips, compared recipes.

`python -m dfurun.report.reference FOLDER` writes them; in a checkout, `make docs`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import dfurun.chips
from dfurun.chips.index import INDEX_FILE
from dfurun.chips.make_index import index_text
from dfurun.errors import Severity
from dfurun.recipe import recipe_schema
from dfurun.recipe.schema import INSTEAD, example_texts, flow_text
from dfurun.report import diff_examples
from dfurun.report.chips_page import chips_page
from dfurun.report.explain import EXIT_MEANINGS, Explanation, explanations
from dfurun.report.faults import fault_rows
from dfurun.report.markdown import page_text, table
from dfurun.simulator.catalogue import catalogue

Schema = Mapping[str, Any]
HEADINGS = ("key", "takes", "default", "what it is", "examples")
KEYS_OF_EVERY_BODY = ("id", "name")
LINT_IGNORE = "x-lint-ignore"
NOTE = "<!-- Made by `make docs`: edit {source}, not this page. -->"

FAULTS_PAGE = "simulator.md"
FAULTS_BEGIN = "<!-- faults: made by `make docs` from their docstrings in dfurun/simulator/faults -->"
FAULTS_END = "<!-- end of faults -->"


def pages() -> dict[str, str]:
    """Return the generated pages by their names in docs/."""
    chips = NOTE.format(source="dfurun/chips/data and the files beside it") + "\n" + chips_page()
    return {"chips.md": chips, "codes.md": codes_page(), "recipe.md": recipe_page()}


# Codes ---------------------------------------------------------------------------------------------------------------


def codes_page() -> str:
    """Return the page of all codes."""
    lines = [
        NOTE.format(source="dfurun/report/explanations.yaml"),
        "# Everything that can go wrong",
        "",
        "Each message of dfurun carries a code, as in `error[not-erased]`. Codes are stable: scripts may rely on their names",
        "and on their exit statuses. `dfurun explain CODE` says the same as this page, and shows what is wrong and what is",
        "right where a few lines of a recipe can.",
        "",
    ]
    for group, members in groupby(explanations().values(), lambda explanation: explanation.group):
        lines += [f"## {group}", ""]
        lines += table(
            ("code", "exit", "what happened", "what it means for the board", "what to do"), map(_code, members)
        )
    lines += ["## Exit statuses", ""]
    lines += table(("exit", "meaning"), ((str(int(status)), meaning) for status, meaning in EXIT_MEANINGS.items()))
    return page_text(lines)


def _code(explanation: Explanation) -> Sequence[str]:
    code = explanation.code
    exit_status = str(int(code.exit_status))
    weight = (
        f"{exit_status}, `lint`" if code.is_advice else "warning" if code.severity is Severity.WARNING else exit_status
    )
    return f"`{code.label}`", weight, explanation.cause, explanation.board, explanation.cure


# The recipe language -------------------------------------------------------------------------------------------------


def recipe_page() -> str:
    """Return the reference of the recipe language."""
    schema = recipe_schema()
    keys = schema["properties"]
    image, variable, data = (_named(keys[name]) for name in ("images", "vars", "data"))
    bytes_of_data = data["properties"]["bytes"]["items"]
    edit = keys["edit-steps"]["items"]
    steps = keys["steps"]["items"]
    lines = [
        NOTE.format(source="schemas/recipe.schema.json"),
        "# The recipe language",
        "",
        schema["description"],
        "",
        "Recipes are YAML 1.2 in UTF-8, of at most 256 KiB and 32 levels. Keys of your own begin with `x-`, at the top level,",
        "in images and in bodies of steps; there too, `x-lint-ignore` is [for dfurun lint](#x-lint-ignore).",
        "",
        "Durations are a number and `ms`, `s` or `min`: `250ms`, `1.5s`, `2min`. Sizes are in bytes, `K` is 1024 and",
        "`M` 1024 x 1024 of them: `128K`. Addresses are `0x08000000`, ranges `0x08000000+2K`. Quote what YAML may take for",
        "something else: `requires`, `sha256`, unique ids, and inside braces and brackets whatever has `${...}` in it.",
        "",
        "`${NAME}` stands for a variable of `vars` in the values of all keys but `dfurun`, `requires`, `extends`, `vars`,",
        "`allow`, `remove` and `id`; it is no key, and no name of a step. A value that is `${NAME}` alone has the variable's",
        "type. `$${` is the text `${`. What bases and variables are for: [guide/sharing.md](guide/sharing.md).",
        "",
        "## The top level",
        "",
        *_keys(schema),
        "## `expect`",
        "",
        *_prose(keys["expect"]),
        *_keys(keys["expect"]),
        "## An image",
        "",
        *_prose(image),
        *_keys(image),
        "## A variable",
        "",
        *_prose(variable),
        *_keys(variable),
        "## Data",
        "",
        *_prose(data),
        *_keys(data),
        *_prose(bytes_of_data),
        *_keys(bytes_of_data),
        "## An edit of the base's steps",
        "",
        *_prose(edit),
        *table(
            HEADINGS, (_key(key, part, required=False) for key, part in edit["properties"].items() if key != "with")
        ),
        "## Steps",
        "",
        *_prose(steps),
        "The body of every step takes these keys, and a `timeout`:",
        "",
        *table(HEADINGS, (_key(key, schema["definitions"][key], required=False) for key in KEYS_OF_EVERY_BODY)),
    ]
    kept = schema["definitions"][LINT_IGNORE.removeprefix("x-")]
    for keyword, step in steps["properties"].items():
        lines += [f"### `{keyword}`", "", *_prose(step)]
        lines += ["```yaml", *(_step(keyword, example) for example in step["examples"]), "```", "", *_keys(step)]
    lines += [f"## `{LINT_IGNORE}`", "", *_prose(kept), *_prose(kept["items"])]
    lines += _keys(kept["items"] | {"required": ("code", "reason")})
    return page_text(lines)


def _named(schema: Schema) -> Schema:
    """Return what the schema says of every entry of a mapping whose names are free."""
    entry: Schema = next(iter(schema["patternProperties"].values()))
    return entry


def _prose(schema: Schema) -> Iterator[str]:
    yield from (schema["description"], "")


def _step(keyword: str, body: Any) -> str:
    return f"- {keyword}" if body is None else f"- {keyword}: {flow_text(body)}"


def _keys(schema: Schema) -> list[str]:
    required, rows = schema.get("required", ()), []
    for name, part in schema["properties"].items():
        if "$ref" in part:
            continue  # a key of every body
        rows.append(_key(name, part, required=name in required and INSTEAD not in schema))
        for keyword, whose in (("items", f"{name}: - VALUE"), ("additionalProperties", f"{name}: NAME: VALUE")):
            inner = part.get(keyword)
            if isinstance(inner, dict) and name not in ("steps", "edit-steps", "bytes"):
                rows.append(_key(whose, inner, required=False))
                rows += [
                    _key(f"{name}: - {key}", part, required=key in inner.get("required", ()))
                    for key, part in inner.get("properties", {}).items()
                ]
    return table(HEADINGS, rows)


def _key(name: str, schema: Schema, *, required: bool) -> Sequence[str]:
    description: str = schema["description"]
    default = "needed" if required else "none"
    if found := re.search(r" Default: (.+?)\.(?= |$)", description):
        default, description = found.group(1), description.replace(found.group(0), "")
    examples = ", ".join(f"`{example}`" for example in example_texts(schema))
    return f"`{name}`", _takes(schema), default, description, examples


def _takes(schema: Schema) -> str:
    if "const" in schema:
        return f"`{flow_text(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{flow_text(value)}`" for value in schema["enum"])
    types = schema.get("type", "string")  # what only `dfurun lint` judges has none
    types = types if isinstance(types, list) else [types]
    nouns = {
        "string": "text",
        "integer": "number",
        "object": "mapping",
        "array": "list",
        "null": "nothing",
        "boolean": "true or false",
    }
    return " or ".join(nouns[name] for name in types)


# The simulated board's faults -----------------------------------------------------------------------------------------


def with_faults(page: str) -> str:
    """Return a page with the table of faults between its two marks made anew."""
    before, _, rest = page.partition(FAULTS_BEGIN)
    _, _, after = rest.partition(FAULTS_END)
    headings = ("fault", "what happens", "its keys (default)", "an occasion", "source")
    rows = "\n".join(table(headings, fault_rows(catalogue())))
    return f"{before}{FAULTS_BEGIN}\n\n{rows}\n{FAULTS_END}{after}"


if __name__ == "__main__":
    index = Path(dfurun.chips.__file__).parent / "data" / INDEX_FILE
    index.write_text(index_text(), encoding="utf-8", newline="\n")  # first: the pages are made of it
    for page, content in pages().items():
        Path(sys.argv[1], page).write_text(content, encoding="utf-8", newline="\n")
    examples = Path(sys.argv[1], diff_examples.FOLDER)
    for name, content in {
        diff_examples.PAGE: diff_examples.examples_page(examples),
        **diff_examples.pictures(examples),
    }.items():
        (examples / name).write_text(content, encoding="utf-8", newline="\n")
    simulator = Path(sys.argv[1], FAULTS_PAGE)
    simulator.write_text(with_faults(simulator.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
