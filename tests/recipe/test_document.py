"""Text becomes plain values with the line and column of everything, and no text makes the reader fail."""

import io
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dfurun.errors import Code
from dfurun.recipe.document import MAXIMUM_DEPTH, Document, read_document
from dfurun.recipe.positions import Span


def read(text: str) -> Document:
    return read_document(text, "recipe.yaml")


def codes(text: str) -> list[Code]:
    return [finding.code for finding in read(text).findings]


def test_values_are_plain_and_quoted_scalars_are_text() -> None:
    document = read("a: {b: [1, '1', \"on\", ~]}\nc:\n- |\n  two\n  lines\n- >-\n  fol\n  ded\n")
    assert document.value == {"a": {"b": [1, "1", "on", None]}, "c": ["two\nlines\n", "fol ded"]}
    assert document.findings == []


def test_every_key_and_value_knows_its_place() -> None:
    index = read("steps:\n  - connect: {timeout: 10s}  # why\n  - leave-dfu\n").index
    assert index["steps", 0, "connect"].key == Span(2, 5, 12)
    assert index["steps", 0, "connect"].value == Span(2, 14, 28)
    assert index["steps", 0, "connect", "timeout"].key == Span(2, 15, 22)
    assert index["steps", 0, "connect", "timeout"].value == Span(2, 24, 27)
    assert index["steps", 1].value == Span(3, 5, 14)
    assert index["steps", 1].key is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_alike_whatever_ends_them(end: str) -> None:
    document = read(f"a: 1{end}b:{end}  - on{end}")
    assert [str(finding.place) for finding in document.findings] == ["recipe.yaml:3:5"]
    assert document.findings[0].place is not None
    assert document.findings[0].place.source_line == "  - on"


def test_the_caret_of_a_duplicate_key_stands_beside_one_for_the_first() -> None:
    (finding,) = read("a: 1\nb: 2\na: 3\n").findings
    assert (finding.code, str(finding.place)) == (Code.YAML_DUPLICATE_KEY, "recipe.yaml:3:1")
    assert [str(related.place) for related in finding.related] == ["recipe.yaml:1:1"]


def test_the_first_of_two_equal_keys_is_kept_and_the_second_still_read_for_mistakes() -> None:
    document = read("a: 1\na: {b: on, b: 2}\n")
    assert document.value == {"a": 1}
    assert [finding.code for finding in document.findings] == [
        Code.YAML_DUPLICATE_KEY, Code.YAML_AMBIGUOUS, Code.YAML_DUPLICATE_KEY,
    ]  # fmt: skip


def test_reading_goes_on_after_each_mistake() -> None:
    document = read("a: on\n1: x\nb: *c\n[d]: e\nf: !g h\ni: 010\nj: fine\n")
    assert [finding.place.line for finding in document.findings if finding.place] == [1, 2, 3, 4, 5, 6]
    assert document.value["j"] == "fine"
    assert document.unread == {("a",), ("b",), ("f",), ("i",)}
    assert document.incomplete == {()}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("%FOO bar\n---\na: 1\n", Code.YAML_FEATURE),
        ("a: 1\n---\nb: 2\n", Code.YAML_FEATURE),
        ("a: &x 1\n", Code.YAML_FEATURE),
        ("&x a: 1\n", Code.YAML_FEATURE),
        ("a: ! 1\n", Code.YAML_FEATURE),
        ("a: !e!x 1\n", Code.YAML_SYNTAX),
        ("{<<: {a: 1}}\n", Code.YAML_FEATURE),
        ("? - a\n: b\n", Code.YAML_KEY_NOT_TEXT),
        ('"a\\nb": c\n', Code.YAML_KEY_NOT_TEXT),
        ("1.5: a\n", Code.YAML_KEY_NOT_TEXT),
        ("a:\tb\n", Code.YAML_SYNTAX),
        ("a: b\x85c\n", Code.YAML_SYNTAX),
        ("a: \ufeff\n", Code.YAML_SYNTAX),
        ("a: b\x7f\n", Code.YAML_SYNTAX),
        ('a: "\\U7FFFFFFF"\n', Code.YAML_SYNTAX),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", Code.YAML_SYNTAX),
        ("a: 'b\n", Code.YAML_SYNTAX),
        ("a: [b\n", Code.YAML_SYNTAX),
        ("a: }\n", Code.YAML_SYNTAX),
    ],
)
def test_what_a_recipe_cannot_hold_has_its_code(text: str, code: Code) -> None:
    assert codes(text) == [code]


@pytest.mark.parametrize("text", ["---\na: 1\n", "a: 1\n...\n", "# comment\n\na: 1", '{"a": 1}'])
def test_marks_of_a_single_document_are_no_mistake(text: str) -> None:
    document = read(text)
    assert (document.value, document.findings) == ({"a": 1}, [])


@pytest.mark.parametrize("empty", ["", "\n\n", "# nothing\n", "---\n", "---\n...\n", "~"])
def test_an_empty_text_has_no_value_and_a_place_all_the_same(empty: str) -> None:
    document = read(empty)
    assert document.value is None
    assert () in document.index


def test_nesting_ends_at_32_levels() -> None:
    deepest = "[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH
    assert codes(deepest) == []
    assert codes(f"[{deepest}]") == [Code.YAML_TOO_DEEP]


@pytest.mark.parametrize("bomb", ["[", "{a: ", "- ", "? ", "[a, ", "{? ", "&a ", "!", '"', "'", "%", "a: |\n "])
def test_a_text_made_to_hurt_is_over_soon(bomb: str) -> None:
    text = bomb * (256 * 1024 // len(bomb))
    started = time.perf_counter()
    read(text)
    assert time.perf_counter() - started < 5


YAML_LIKE = st.text(st.one_of(st.sampled_from("ab01:-,[]{}#&*!|>'\"%@`~?<=._ \n\t\r\\x"), st.characters()), max_size=60)


@given(YAML_LIKE)
@example("!<")
@example("%TAG ! !\n---\n!a b")
@example("? ")
@example("\ud800")
def test_no_text_makes_the_reader_raise(text: str) -> None:
    document = read(text)
    assert document.whole or document.findings
    for finding in document.findings:
        assert finding.place is not None
        assert 1 <= finding.place.column < finding.place.end_column
    for marks in document.index.values():
        assert marks.value.line >= 1


PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abc xyz-:#日\t", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(PLAIN_VALUES, st.booleans())
def test_what_another_writer_wrote_is_read_back(value: Any, flow: bool) -> None:
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    output = io.StringIO()
    writer.dump({"root": value}, output)
    document = read(output.getvalue())
    if not document.findings:  # ruamel.yaml leaves `on` and its like unquoted
        assert document.value == {"root": value}
