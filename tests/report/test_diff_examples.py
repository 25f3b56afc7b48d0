"""The four pull requests of docs/ are what `dfurun diff` says today, and their pictures show it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dfurun.diff import Kind, Rank
from dfurun.report.diff_examples import EXAMPLES, FOLDER, PAGE, Example, comparison_of, examples_page, pictures

EXAMPLES_FOLDER = Path(__file__).parents[2] / "docs" / FOLDER


def words_of(svg: str) -> list[str]:
    """What a picture shows, whatever the version of rich that has drawn it."""
    texts = [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    return "".join(texts).replace("\xa0", " ").split()


def test_the_page_is_current() -> None:
    """`make docs` writes it anew."""
    assert (EXAMPLES_FOLDER / PAGE).read_text(encoding="utf-8") == examples_page(EXAMPLES_FOLDER)


@pytest.mark.parametrize("name", [f"{example.recipe}.svg" for example in EXAMPLES])
def test_a_picture_is_current_and_calls_for_nothing_from_elsewhere(name: str) -> None:
    """`make docs` draws it anew."""
    svg = (EXAMPLES_FOLDER / name).read_text(encoding="utf-8")
    assert words_of(svg) == words_of(pictures(EXAMPLES_FOLDER)[name])
    assert re.findall(r"https?://[^\"')]+", unescape(svg)) == ["http://www.w3.org/2000/svg"]


def test_the_same_comment_is_drawn_the_same() -> None:
    assert pictures(EXAMPLES_FOLDER) == pictures(EXAMPLES_FOLDER)


RANKS = (Rank.CANNOT_BE_UNDONE, Rank.ROUTINE, Rank.WEAKENS, Rank.WEAKENS)
KINDS = (Kind.CHANGED, Kind.CHANGED, Kind.REMOVED, Kind.MOVED)


@pytest.mark.parametrize(
    ("example", "rank", "kind"),
    list(zip(EXAMPLES, RANKS, KINDS, strict=True)),
    ids=[example.recipe for example in EXAMPLES],
)
def test_an_example_is_told_in_one_look(example: Example, rank: Rank, kind: Kind) -> None:
    difference = comparison_of(EXAMPLES_FOLDER, example).difference
    assert difference is not None
    assert (difference.rank, difference.changes[0].kind) == (rank, kind)
    assert len(difference.changes) <= 2
