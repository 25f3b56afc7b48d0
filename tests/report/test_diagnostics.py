"""Findings as people and tools read them: carets under the right cells, nothing that controls a terminal, three forms."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from dfurun.errors import Code, Finding, Place, Related
from dfurun.report.diagnostics import count_findings, finding_object, github_annotation, print_findings
from dfurun.text import escape


def at(line: str, marked: str, number: int = 3) -> Place:
    column = line.index(marked) + 1
    return Place("recipe.yaml", number, column, column + len(marked), line)


def text(*findings: Finding, width: int = 80, colour: bool = False) -> str:
    output = io.StringIO()
    system = "standard" if colour else None
    print_findings(findings, Console(file=output, width=width, color_system=system, force_terminal=colour))
    return output.getvalue()


def test_a_finding_shows_place_code_words_line_carets_and_hint() -> None:
    place = at("  - connect: {timeuot: 10s}", "timeuot", 12)
    finding = Finding(Code.UNKNOWN_KEY, "`connect` has no key `timeuot`", hint="did you mean 'timeout'?", place=place)
    assert text(finding) == (
        "recipe.yaml:12:15: error[unknown-key]: `connect` has no key `timeuot`\n"
        " 12 |   - connect: {timeuot: 10s}\n"
        "    |               ^^^^^^^\n"
        "    = hint: did you mean 'timeout'?\n"
        "1 error\n"
    )


def test_two_places_that_conflict_have_a_caret_each() -> None:
    first = Related(("name",), "first here", at("name: a", "name", 2))
    finding = Finding(
        Code.YAML_DUPLICATE_KEY, "`name` is here twice", place=at("name: b", "name", 10), related=(first,)
    )
    assert text(finding).splitlines()[1:5] == [
        " 10 | name: b",
        "    | ^^^^",
        "  2 | name: a",
        "    | ---- first here",
    ]


@pytest.mark.parametrize(
    ("line", "marked", "under"),
    [
        ("\tkey: on", "on", "         ^^"),
        ("日本: on", "on", "      ^^"),
        ("e\u0301: on", "on", "   ^^"),
        ("x: 日本", "日本", "   ^^^^"),
        ("a\x1b: on", "on", "       ^^"),
    ],
)
def test_carets_stand_under_the_cells_that_are_shown(line: str, marked: str, under: str) -> None:
    shown = text(Finding(Code.YAML_AMBIGUOUS, "x", place=at(line, marked))).splitlines()
    assert shown[2] == f"   | {under}"


def test_a_long_line_is_cut_to_the_terminal_around_the_caret() -> None:
    line = "x: [" + "a, " * 200 + "on" + ", b" * 200 + "]"
    excerpt, carets = text(Finding(Code.YAML_AMBIGUOUS, "x", place=at(line, "on")), width=60).splitlines()[1:3]
    assert cell_len(excerpt) <= 60
    start = carets.index("^^")
    assert excerpt[start : start + 2] == "on"
    assert excerpt.count("...") == 2


def test_the_input_cannot_style_or_control_the_terminal() -> None:
    line = "[bold red]x[/]: \x1b[31m\u202e"
    finding = Finding(Code.YAML_SYNTAX, "[link]\x1b]0;title\x07", hint="[/]\x9b", place=at(line, "x"))
    shown = text(finding)
    assert "[bold red]x[/]: \\x1b[31m\\u202e" in shown
    assert "error[yaml-syntax]: [link]\\x1b]0;title\\x07" in shown
    assert "hint: [/]\\x9b" in shown


def test_colour_is_the_consoles_choice() -> None:
    finding = Finding(Code.UNPINNED_IMAGE, "x", place=at("a: b", "a"))
    assert "\x1b[" not in text(finding)
    assert "\x1b[1;33mwarning[unpinned-image]" in text(finding, colour=True)


def test_a_finding_without_a_place_is_a_line_of_its_own() -> None:
    assert text(Finding(Code.RECIPE_UNREADABLE, "a.yaml: No such file")).splitlines()[0] == (
        "error[recipe-unreadable]: a.yaml: No such file"
    )


def test_errors_and_warnings_are_counted_apart() -> None:
    error, warning = Finding(Code.BAD_VALUE, "x"), Finding(Code.UNUSED_IMAGE, "x")
    assert count_findings([error, warning, error]) == "2 errors, 1 warning"
    assert count_findings([warning, warning]) == "2 warnings"
    assert text() == ""


@settings(max_examples=50)
@given(st.text(max_size=60), st.integers(1, 61), st.integers(0, 20), st.integers(30, 90))
def test_any_line_is_shown_in_single_lines_of_printable_text(line: str, column: int, length: int, width: int) -> None:
    place = Place("f", 1, column, column + length, line)
    shown = text(Finding(Code.BAD_VALUE, line, hint="h", place=place), width=width)
    assert all(part == escape(part) for part in shown.split("\n"))
    assert shown.split("\n")[-2] == "1 error"


def test_the_json_form_has_the_place_of_the_finding_and_of_what_it_conflicts_with() -> None:
    first = Related(("name",), "first here", at("name: a", "name", 2))
    finding = Finding(
        Code.YAML_DUPLICATE_KEY, "twice", hint="drop one", place=at("name: b", "name", 9), related=(first,)
    )
    assert json.loads(json.dumps(finding_object(finding))) == {
        "event": "finding",
        "code": "yaml-duplicate-key",
        "severity": "error",
        "message": "twice",
        "notes": [],
        "hint": "drop one",
        "file": "recipe.yaml",
        "line": 9,
        "column": 1,
        "end_column": 5,
        "related": [{"message": "first here", "file": "recipe.yaml", "line": 2, "column": 1, "end_column": 5}],
    }


def test_the_json_form_of_a_finding_without_a_place_says_so() -> None:
    found = finding_object(Finding(Code.RECIPE_UNREADABLE, "gone"))
    assert (found["file"], found["line"], found["hint"], found["related"]) == (None, None, None, [])


def test_github_gets_one_line_whatever_the_message_holds() -> None:
    place = Place("a,b:c%.yaml", 3, 5, 9, "")
    related = Related((), "first here", Place("a", 1, 1, 2, ""))
    finding = Finding(Code.BAD_VALUE, "100%\r\nof", hint="h", place=place, related=(related,))
    assert github_annotation(finding) == (
        "::error file=a%2Cb%3Ac%25.yaml,line=3,col=5,endColumn=8,title=bad-value"
        r"::100%25\x0d%0Aof%0Afirst here: a:1:1%0Ahint: h"
    )


def test_github_gets_no_control_character_of_a_terminal() -> None:
    place = Place("\x1b[2J.yaml", 1, 1, 2, "")
    shown = github_annotation(Finding(Code.BAD_VALUE, "\x1b[31m\u202egpj\n::error::x", place=place))
    assert shown.endswith(r"::\x1b[31m\u202egpj%0A::error::x")
    assert "\x1b" not in shown


def test_github_shows_warnings_as_warnings() -> None:
    assert github_annotation(Finding(Code.UNUSED_IMAGE, "x")) == "::warning title=unused-image::x"
