"""The generated pages of docs/ are current and whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfurun.chips.database import read_facts
from dfurun.chips.family import BLOCKS, WIDTH
from dfurun.chips.search import found_lines
from dfurun.errors import Code
from dfurun.recipe import recipe_schema
from dfurun.recipe.document import MAXIMUM_DEPTH, read_document
from dfurun.recipe.opened import MAXIMUM_SIZE_BYTES
from dfurun.recipe.schema import example_texts
from dfurun.report.explain import EXIT_MEANINGS
from dfurun.report.reference import FAULTS_BEGIN, FAULTS_PAGE, pages, with_faults
from dfurun.simulator import FAULTS
from dfurun.units import format_brief_size, format_size, parse_duration

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


def test_the_page_of_chips_has_a_row_for_every_line_and_says_what_is_proven_and_how_sure_it_is() -> None:
    page = pages()["chips.md"]
    coverage, sureness = (page.split(f"## {title}\n")[1].split("\n## ")[0] for title in ("Coverage", "How sure"))
    shown = [[row.split(" | ") for row in text.splitlines() if row.startswith("| 0x")] for text in (coverage, sureness)]
    for line, covered, sure in zip(found_lines(), *shown, strict=True):
        assert covered[0] == sure[0] == f"| 0x{line.first.device_id:03X}"
        assert covered[1].split(", ") == list(line.parts)
        for entry in line.entries:
            assert format_brief_size(entry.flash[1]) in re.findall(r"\w+", covered[4 if entry.predicted else 3])
        facts = read_facts(line.first.names[0])
        assert sure[2 : 2 + len(BLOCKS)] == [facts[block]["confidence"] for block in BLOCKS]
        assert sure[2 + len(BLOCKS)] == (facts[WIDTH]["confidence"] if WIDTH in facts else "")
        assert set(line.first.errata) <= set(covered[7].rstrip(" |").split(", "))
    assert "| 0x410 | STM32F101x8/B, STM32F102x8/B, STM32F103x8/B |\n" in page
    assert "| GD32VF103 (GigaDevice) | 28e9:0189 |" in page


def words_of(schema: Any) -> Iterator[str]:
    """Yield what every part of a schema says of itself, without its default, which has a column of its own."""
    if "description" in schema:
        yield re.sub(r" Default: (.+?)\.(?= |$)", "", schema["description"])
    inner = [schema.get("items"), schema.get("additionalProperties")]
    for keyword in ("properties", "patternProperties"):
        inner += [part for name, part in schema.get(keyword, {}).items() if name != "^x-"]
    for part in inner:
        if isinstance(part, dict):
            yield from words_of(part)


def test_the_recipe_reference_says_all_that_the_schema_says() -> None:
    page = pages()["recipe.md"].replace(r"\|", "|")
    defined = [part for name, part in recipe_schema()["definitions"].items() if name != "extension"]
    said = [words for part in (recipe_schema(), *defined) for words in words_of(part)]
    assert [words for words in said if words not in page] == []


def test_the_recipe_reference_has_every_step_and_every_key_with_its_examples() -> None:
    page = pages()["recipe.md"]
    steps = recipe_schema()["properties"]["steps"]["items"]["properties"]
    assert [line for line in page.splitlines() if line.startswith("### ")] == [f"### `{keyword}`" for keyword in steps]
    for keyword, step in steps.items():
        section = page.split(f"### `{keyword}`\n")[1].split("\n### ")[0]
        assert step["description"] in section
        for key in set(step["properties"]) - {"id", "name", "x-lint-ignore"}:
            assert f"| `{key}` |" in section
    assert "| `mode` | `all` or `changed` | `all` | `all`: program the whole image;" in page
    assert "| `timeout` | text | 10s | How long to wait for a board" in page
    assert "| `requires` | text | any | The oldest dfurun" in page
    assert '| `">=0.1"` |' in page
    assert '| `"3E0042000F51373332363538"` |' in page
    assert '| `backup-flash.bin`, `"backup-${port}-${date}.bin"` |' in page
    assert "| `0xA1` |" in page
    assert "161" not in page
    assert json.dumps(recipe_schema()["properties"]["expect"]["examples"][0]).replace('"', "") in page


def test_what_the_recipe_reference_says_of_limits_is_what_the_reader_holds_to() -> None:
    page = pages()["recipe.md"]
    assert f"of at most {format_size(MAXIMUM_SIZE_BYTES)} and {MAXIMUM_DEPTH} levels" in page
    for example in re.findall(r"a number and `ms`, `s` or `min`: `(\w+)`, `([\w.]+)`, `(\w+)`", page)[0]:
        assert parse_duration(example) > 0


def described(node: Any) -> Iterator[Any]:
    if isinstance(node, dict) and "examples" in node and "description" in node:
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from described(part)


def with_numbers(value: Any) -> Any:
    """Return an example with its addresses as numbers: they may be text too."""
    if isinstance(value, dict):
        return {key: with_numbers(part) for key, part in value.items()}
    return int(value, 16) if isinstance(value, str) and re.fullmatch("0x[0-9A-F]{8}", value) else value


def test_an_example_of_the_recipe_reference_is_yaml_that_means_the_example() -> None:
    """Also inside brackets, where `{`, `}` and `,` end a value."""
    for node in described(recipe_schema()):
        for example, text in zip(node["examples"], example_texts(node), strict=True):
            document = read_document(f"[{text}, end]" if text else "[end]", "example")
            assert document.findings == []
            assert with_numbers(example) == (document.value[0] if text else None)


def test_the_exit_statuses_have_one_wording() -> None:
    page, guide = pages()["codes.md"], (DOCS / "guide" / "runs.md").read_text(encoding="utf-8")
    told, again = (text.split("## Exit statuses\n")[1].splitlines()[3:] for text in (page, guide))
    assert len(told) == len(EXIT_MEANINGS)
    assert again[: len(told) + 1] == [*told, ""]
