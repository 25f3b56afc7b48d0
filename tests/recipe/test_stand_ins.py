"""What stands in for a variable's value is one that the variable takes, whatever it takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.recipe import Declaration, StandIns
from dfurun.recipe.alike import texts_like

INTEGER = Declaration("serial", "integer", 1, 65535, None, 64, ())
TEXT = Declaration("title", "text", 0, 0, None, 3, ())
CHOICE = Declaration("region", "choice", 0, 0, None, 64, ("eu", 3))

ATOMS = st.sampled_from(["a", "Z", "7", "-", r"\.", r"\d", r"\w", r"\s", ".", "[A-F0-9]", "[^a-z]", r"[\]x]", " "])
COUNTS = st.sampled_from(["", "{2}", "{1,3}", "{0,1}", "?", "*", "+", "{2,}"])


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("[A-Z]{2}[0-9]{6}", ("AA000000", "zz999999".replace("z", "Z"))),
        ("[a-z]+", ("a", "zzzzzzzz")),
        (r"rev\.[0-9]{1,2}", ("rev.0", "rev.99")),
        ("^v[0-9]$", ("v0", "v9")),
        ("[A-Z]{9}", ()),
    ],
)
def test_a_text_is_made_out_of_its_pattern(pattern: str, texts: tuple[str, ...]) -> None:
    assert texts_like(pattern, 8) == texts


@given(st.lists(st.tuples(ATOMS, COUNTS), min_size=1, max_size=3), st.integers(0, 20))
def test_a_text_like_a_pattern_is_one_that_it_takes_and_not_too_long(parts: list[tuple[str, str]], most: int) -> None:
    pattern = "".join(one + count for one, count in parts)
    found = texts_like(pattern, most)
    assert all(re.fullmatch(pattern, text) and len(text) <= most and text.isprintable() for text in found)
    assert found or most < sum(2 for _ in parts), "something short is always made out of these"


@given(st.text(max_size=12), st.integers(0, 20))
def test_any_pattern_at_all_makes_texts_that_it_takes_or_none(pattern: str, most: int) -> None:
    try:
        re.compile(pattern)
    except re.error:
        return
    assert all(re.fullmatch(pattern, text) for text in texts_like(pattern, most))


@pytest.mark.parametrize("declared", [INTEGER, TEXT, CHOICE, Declaration("trial", "boolean", 0, 0, None, 64, ())])
def test_two_values_stand_in_and_both_are_taken(declared: Declaration) -> None:
    found = [StandIns(number=number).value_for(declared) for number in (0, 1)]
    assert len(set(found)) == 2
    assert all(value is not None and declared.takes(value) for value in found)


def test_what_is_preferred_stands_in_where_the_variable_takes_it() -> None:
    assert StandIns({"serial": 7}).value_for(INTEGER) == 7
    assert StandIns({"serial": 0}).value_for(INTEGER) == 1
    assert StandIns({"serial": 7}, without=frozenset({"serial"})).value_for(INTEGER) is None
    assert StandIns().value_for(Declaration("title", "text", 0, 0, r"\bx", 64, ())) is None
