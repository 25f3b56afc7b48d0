"""A comparison fits 80 columns on a terminal, with colour and without, and says the same in both."""

from __future__ import annotations

import io
from itertools import permutations
from pathlib import Path

import pytest
from rich.console import Console
from terminal import screen

from dfurun.diff.comparison import compare_compiled
from dfurun.plan import compile_recipe
from dfurun.report.diff_text import print_comparison

ROOT = Path(__file__).parents[2]
WIDTH = 80
RECIPES = [
    *sorted((ROOT / "docs/examples/pull-requests").glob("*.yaml")),
    *(ROOT / f"recipes/{name}.yaml" for name in ("f042-release", "f072-protect", "f405-release", "f072-repair-boot")),
]


@pytest.fixture(scope="module")
def shown() -> dict[bool, list[str]]:
    """Every pair of the recipes compared, on a terminal without colour (True) and with it."""
    compiled = [compile_recipe(path) for path in RECIPES]
    found = {}
    for no_color in (True, False):
        console = Console(
            file=io.StringIO(), width=WIDTH, height=24, force_terminal=True, no_color=no_color, highlight=False,
            markup=False, emoji=False,
        )  # fmt: skip
        for old, new in permutations(compiled, 2):
            print_comparison(compare_compiled("recipes/release.yaml", "main", "working tree", old, new), console)
        assert isinstance(console.file, io.StringIO)
        found[no_color] = screen(console.file.getvalue())
    return found


def test_a_comparison_fits(shown: dict[bool, list[str]]) -> None:
    assert [line for line in shown[True] if len(line) > WIDTH] == []


def test_colour_says_nothing_that_words_do_not(shown: dict[bool, list[str]]) -> None:
    assert shown[True] == shown[False]
    for words in ("cannot be undone", "loses data", "weakens a safety net", "routine"):
        assert words in shown[True]
