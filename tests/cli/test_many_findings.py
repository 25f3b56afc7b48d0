"""A recipe in which nearly all is wrong: answered at once, in as many lines as anybody reads, with its own status."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from command_line import Dfurun

HEAD = "dfurun: 1\nname: x\nchip: stm32f072xb\n"
LARGEST_BYTES = 256 * 1024
ANSWERED_WITHIN_S = 20.0  # it takes two or three on one core; the whole of the first recipe took minutes

RECIPES = {
    "bare steps": HEAD + "steps:\n" + "- a\n" * 65_000,
    "as many bare steps as there may be": HEAD + "steps:\n" + "- a\n" * 9_000,
    "empty steps": HEAD + "steps:\n" + "- {}\n" * 9_000,
    "steps in a wrong order": HEAD + "steps:\n" + "- connect\n" * 9_000,
    "unknown keys": HEAD + "steps: [connect]\n" + "".join(f"stepz{number}: 1\n" for number in range(4_900)),
    "images": HEAD + "steps: [connect]\nimages:\n" + "".join(f"  i{n}: {{file: a{n}.bin}}\n" for n in range(2_400)),
    "guards": HEAD + "steps: [connect]\nallow: [" + ", ".join(f"a{number}" for number in range(9_000)) + "]\n",
    "aliases": HEAD + "steps:\n" + "- *a\n" * 40_000,
    "doubled keys": HEAD + "steps: [connect]\n" + "name: y\n" * 20_000,
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_full_of_mistakes_is_answered_soon_and_in_short(name: str, dfurun: Dfurun, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPES[name])
    assert recipe.stat().st_size <= LARGEST_BYTES
    begun = time.monotonic()
    done = dfurun("check", recipe, "--json")
    assert time.monotonic() - begun < ANSWERED_WITHIN_S
    assert done.exit == 3
    found = [line for line in done.lines if line["event"] == "finding"]
    assert len(found) <= 101
    if len(found) > 100:
        assert [line["code"] for line in found].count("too-many-findings") == 1
    else:
        assert "recipe-too-large" in done.codes


def test_text_ends_after_a_hundred_findings_and_says_that_there_are_more(dfurun: Dfurun, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(HEAD + "steps:\n" + "- a\n" * 2_000)
    done = dfurun("check", recipe)
    assert done.exit == 3
    assert done.out.count("error[unknown-step]") == 100
    assert "warning[too-many-findings]: 100 of at least" in done.out
    assert "= hint: mend these, and check again" in done.out
    assert done.out.endswith("100 errors, 1 warning\n")


def test_a_hundred_findings_are_all_shown(dfurun: Dfurun, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(HEAD + "steps:\n" + "- a\n" * 100)
    done = dfurun("check", recipe)
    assert done.out.endswith("\n100 errors\n")


def test_warnings_hide_no_error_and_change_no_status(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\1" * 16)
    entries = "".join(f"  i{number}: {{file: a.bin, address: 0x08000000}}\n" for number in range(200))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(HEAD + "images:\n" + entries + "steps:\n  - connect\n")
    assert dfurun("check", recipe).exit == 0
    recipe.write_text(HEAD + "images:\n" + entries + "steps:\n  - connect\n  - connect\n")
    done = dfurun("check", recipe)
    assert (done.exit, done.codes >= {"step-order", "too-many-findings"}) == (3, True)
