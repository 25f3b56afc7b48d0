"""A comment on a pull request does nothing but show: what stands in a recipe is no Markdown, no HTML and calls nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipe_pairs import compiled, rich

from dfurun.diff.comparison import Comparison, compare_compiled
from dfurun.report.diff_markdown import markdown_lines


def named(folder: Path, name: str, file: str = "recipes/rig.yaml") -> Comparison:
    old, new = rich(), rich()
    new["name"] = name
    return compare_compiled(file, "main", "work", compiled(folder / "old", old), compiled(folder / "new", new))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("@everybody look", "&#64;everybody look"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("a | b", r"a \| b"),
        ("**bold** [link](there)", r"\*\*bold\*\* \[link\](there)"),
        ("half `code", "half 'code"),
    ],
)
def test_a_recipes_own_words_are_shown_as_they_are(tmp_path: Path, name: str, shown: str) -> None:
    (row,) = [line for line in markdown_lines([named(tmp_path, name)]) if "another name" in line]
    assert row.split(" | ")[1:2] == ["the recipe has another name"]
    assert f"| {shown} |" in row


def test_a_path_cannot_break_out_of_its_heading(tmp_path: Path) -> None:
    lines = markdown_lines([named(tmp_path, "Other", file="a`<b>@c.yaml")])
    assert lines[0].startswith("### `a'<b>@c.yaml`: ")


def test_many_recipes_without_a_change_are_folded_away(tmp_path: Path) -> None:
    same = [named(tmp_path / str(at), "Rig", file=f"recipes/{at}.yaml") for at in range(5)]
    lines = markdown_lines(same)
    assert lines[0] == "## 0 of 5 recipes with changes"
    assert "<details><summary>5 recipes: no change in what happens</summary>" in lines
    assert markdown_lines(same[:1]) == ["`recipes/0.yaml`: no change in what happens."]
