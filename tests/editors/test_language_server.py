"""What an editor offers, shows and marks in a recipe, by the language server that editors have for YAML and the first line of a
recipe that names the schema.

The server is a program for Node.js: it is installed once into build/ with npm, and where that cannot be the tests are skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT
from language_server import LanguageServer

from dfurun.chips import load_chip
from dfurun.recipe import step_keywords
from dfurun.recipe.narrowed import narrowed_schema
from dfurun.resources import schema_text

VERSION = "1.25.0"
INSTALLED = ROOT / "build" / f"language-server-{VERSION}"
RECIPE = "recipes/draft.yaml"
HEAD = """# yaml-language-server: $schema=../schemas/{schema}
dfurun: 1
name: draft
chip: stm32f072xb
"""


def installed() -> Path:
    """Return the server's program, installed where it is not yet; skip the test where it cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    program = INSTALLED / "node_modules/yaml-language-server/bin/yaml-language-server"
    if node is None or npm is None:
        pytest.skip("no Node.js on this computer")
    if not program.exists():
        INSTALLED.mkdir(parents=True, exist_ok=True)
        words = [npm, "install", "--prefix", INSTALLED, "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(
                [*words, f"yaml-language-server@{VERSION}"], capture_output=True, check=True, timeout=120, cwd=INSTALLED
            )
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot install the language server: {error}")
    return program


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    program = installed()
    folder = tmp_path_factory.mktemp("editor")
    for name in ("recipes", "schemas"):
        (folder / name).mkdir()
    (folder / "schemas/recipe.schema.json").write_text(schema_text("recipe.schema.json"), encoding="utf-8")
    (folder / "schemas/f072.json").write_text(_narrowed("stm32f072xb"), encoding="utf-8")
    node = shutil.which("node")
    assert node
    with LanguageServer([node, str(program), "--stdio"], folder) as server:
        yield server


def _narrowed(name: str) -> str:
    return json.dumps(narrowed_schema(load_chip(name), name))


def text(body: str, schema: str = "recipe.schema.json") -> str:
    return HEAD.format(schema=schema) + body


def offered(server: LanguageServer, body: str, schema: str = "recipe.schema.json") -> dict[str, Any]:
    """Return what is offered at the `|`, by its label."""
    return {item["label"]: item for item in server.completions(RECIPE, text(body, schema))}


def inserted(item: dict[str, Any]) -> str:
    return str(item.get("insertText") or item["textEdit"]["newText"])


# The schema of all recipes ------------------------------------------------------------------------------------------


def test_every_step_is_offered_with_what_it_does_and_completes_to_its_body(server: LanguageServer) -> None:
    items = offered(server, "steps:\n  - |")
    assert set(step_keywords()) <= set(items)
    assert "[object Object]" not in items
    for keyword in step_keywords():
        assert inserted(items[keyword]).startswith(f"{keyword}:\n") or inserted(items[keyword]) == keyword
    assert inserted(items["write"]) == "write:\n    ", "an image or data, which are offered next"
    assert re.search(r"read:\n +range: \$1\n +file: \$2", inserted(items["read"]))
    assert "Program an image, or bytes of" in str(items["write"]["documentation"])


def test_the_top_level_offers_what_is_not_there_yet(server: LanguageServer) -> None:
    items = offered(server, "|")
    assert {"requires", "supply", "expect", "images", "allow", "steps"} <= set(items)
    assert not {"dfurun", "name", "chip"} & set(items)


def test_the_keys_of_a_body_and_the_values_of_a_key_are_offered(server: LanguageServer) -> None:
    assert {"image", "mode", "timeout", "id", "name"} <= set(offered(server, "steps:\n  - write:\n      |"))
    assert set(offered(server, "steps:\n  - write: {image: a, mode: |}")) == {"all", "changed"}
    assert {"image", "data"} <= set(offered(server, "steps:\n  - write:\n      |"))
    assert "30s" in offered(server, "steps:\n  - connect: {timeout: |}")


def test_hovering_says_what_a_key_is(server: LanguageServer) -> None:
    assert "Program an image, or bytes of" in server.hover(RECIPE, text("steps:\n  - wri|te: {image: a}\n"))
    shown = server.hover(RECIPE, text("exp|ect: {flash-size: 128K}\nsteps: [connect]\n"))
    assert "Checked on the device before anything is written to it" in shown
    assert "128K" in shown
    shown = server.hover(RECIPE, text("expect: {flash-si|ze: 128K}\nsteps: [connect]\n"))
    assert "The size of the flash that the chip itself reports" in shown


def test_a_slip_of_the_pen_is_marked_and_a_sound_recipe_is_not(server: LanguageServer) -> None:
    assert server.marks(RECIPE, text("steps: [connect]\n")) == []
    assert server.marks(RECIPE, text("steps:\n  - conect: {}\n")) == ["Property conect is not allowed."]


def test_what_lint_is_told_to_keep_is_completed_and_explained(server: LanguageServer) -> None:
    assert "x-lint-ignore" in offered(server, "|")
    assert "x-lint-ignore" in offered(server, "steps:\n  - write:\n      |")
    entry = "x-lint-ignore:\n  - {code: |, reason: the test station starts it}\n"
    assert set(offered(server, entry.replace("code: |, ", "|"))) >= {"code"}
    items = offered(server, entry)
    assert items["never-starts"]["documentation"] == "What is written is not started."
    shown = server.hover(RECIPE, text("x-lint-ig|nore: [{code: never-starts, reason: it}]\nsteps: [connect]\n"))
    assert "a reviewer is not asked about again" in shown


BASE = """dfurun: 1
abstract: true
vars: {page: {type: integer, default: 3}, level: {type: choice, choices: [level-0, level-1]}}
data: {unit: {address: 0x08000000, bytes: [{u16le: "${page}"}]}}
steps:
  - connect: {id: begin}
  - erase: {pages: "${page}"}
  - set-option-bytes: {fields: {RDP: "${level}", nBOOT1: "${page}"}}
"""


@pytest.mark.parametrize("schema", ["recipe.schema.json", "f072.json"])
def test_bases_and_variables_are_sound_and_edits_offer_the_steps(server: LanguageServer, schema: str) -> None:
    modeline = HEAD.format(schema=schema).splitlines(keepends=True)[0]
    assert server.marks(RECIPE, modeline + BASE) == []
    over = f"{modeline}dfurun: 1\nextends: base.yaml\nedit-steps:\n  - after: begin\n    insert:\n      - |"
    offers = {item["label"] for item in server.completions(RECIPE, over)}
    assert set(step_keywords()) <= offers
    edit = f"{modeline}dfurun: 1\nextends: base.yaml\nedit-steps:\n  - |"
    offers = {item["label"] for item in server.completions(RECIPE, edit)}
    assert {"replace", "with", "before", "after", "insert", "remove"} <= offers


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_marked_in_the_shipped_recipes(server: LanguageServer, recipe: Path) -> None:
    assert server.marks(f"recipes/{recipe.name}", recipe.read_text(encoding="utf-8")) == []


# The schema of one chip -----------------------------------------------------------------------------------------------


def test_one_chip_s_schema_offers_its_fields_and_says_what_they_are(server: LanguageServer) -> None:
    items = offered(server, "steps:\n  - set-option-bytes:\n      fields:\n        |", "f072.json")
    assert set(load_chip("stm32f072xb").option_bytes.fields) <= set(items)
    assert "the BOOT0 pin decides" in str(items["BOOT_SEL"]["documentation"])


def test_one_chip_s_schema_offers_the_values_of_a_field_with_what_they_mean(server: LanguageServer) -> None:
    items = offered(server, "steps:\n  - set-option-bytes: {fields: {RDP: |}}", "f072.json")
    assert set(items) == {"level-0", "level-1", "level-2"}
    assert "for ever" in str(items["level-2"]["documentation"])
    assert "BOOT0 high: SRAM" in server.hover(
        RECIPE, text("steps:\n  - set-option-bytes: {fields: {nBOOT1: |0}}\n", "f072.json")
    )


def test_one_chip_s_schema_offers_its_guards(server: LanguageServer) -> None:
    items = offered(server, "allow:\n  - |", "f072.json")
    assert {"rdp-level-2", "boot-sel-cleared", "bootloader-hidden", "protects-what-follows"} <= set(items)


def test_one_chip_s_schema_marks_what_the_chip_has_not(server: LanguageServer) -> None:
    def marked(steps: str) -> str:
        return "\n".join(server.marks(RECIPE, text(f"steps:\n  - connect\n  - {steps}\n", "f072.json")))

    assert marked("set-option-bytes: {fields: {BOOT_SEL: 1}}") == ""
    assert "nBOOT_SEL" in marked("set-option-bytes: {fields: {nBOOT_SEL: 1}}")
    assert "level-0" in marked("set-option-bytes: {fields: {RDP: level-9}}")
    assert "63" in marked("erase: {pages: 64}")
    other = text("steps: [connect]\n", "f072.json").replace("stm32f072xb", "stm32f042x6")
    assert "stm32f072xb" in "\n".join(server.marks(RECIPE, other))
