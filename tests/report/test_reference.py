"""The generated pages of docs/ are current and whole."""

import json
import re
from pathlib import Path

import pytest

from dfurun.errors import Code
from dfurun.recipe import recipe_schema
from dfurun.report.reference import FAULTS_BEGIN, FAULTS_PAGE, pages, with_faults
from dfurun.simulator import FAULTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_current(name: str) -> None:
    """`make docs` writes them anew."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name]


def test_the_table_of_faults_is_current_and_has_a_row_for_each() -> None:
    """`make docs` writes it anew."""
    page = (DOCS / FAULTS_PAGE).read_text(encoding="utf-8")
    assert with_faults(page) == page
    rows = [re.match(r"\| `([a-z-]+)", line) for line in page.split(FAULTS_BEGIN)[1].splitlines()]
    assert [row[1] for row in rows if row] == list(FAULTS)


def test_the_page_of_codes_has_a_row_for_each() -> None:
    rows = [line.split(" | ")[0] for line in pages()["codes.md"].splitlines() if line.startswith("| `")]
    assert rows == [f"| `{code.label}`" for code in Code]


def test_the_recipe_reference_has_every_step_and_every_key_with_its_examples() -> None:
    page = pages()["recipe.md"]
    steps = recipe_schema()["properties"]["steps"]["items"]["properties"]
    assert [line for line in page.splitlines() if line.startswith("### ")] == [f"### `{keyword}`" for keyword in steps]
    for keyword, step in steps.items():
        section = page.split(f"### `{keyword}`\n")[1].split("\n### ")[0]
        assert step["description"] in section
        for key in set(step["properties"]) - {"id", "name"}:
            assert f"| `{key}` |" in section
    assert "| `mode` | `all` or `changed` | `all` | `all`: program the whole image;" in page
    assert "| `timeout` | text | 10s | How long to wait for a board" in page
    assert "| `requires` | text | any | The oldest dfurun" in page
    assert json.dumps(recipe_schema()["properties"]["expect"]["examples"][0]).replace('"', "") in page
