"""`dfurun explain`: every code has a text, every example does what it says, and nobody is left without a way on."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import indent

import pytest
from command_line import Dfurun

from dfurun.errors import Code, ExitStatus, Severity
from dfurun.report.explain import EXIT_MEANINGS, Explanation, explanations

FIRMWARE = Path(__file__).parents[2] / "recipes" / "firmware"
IMAGES = Path(__file__).parents[1] / "cases" / "images"
# The files that examples name, relative to the recipe.
FILES = {
    "app.hex": FIRMWARE / "f072-blinky.hex",
    "app.bin": FIRMWARE / "f072-blinky.bin",
    "app.elf": FIRMWARE / "f072-blinky.elf",
    "settings.bin": IMAGES.parent / "rules" / "settings.bin",
    "app-for-f405.elf": FIRMWARE / "f405-blinky.elf",
    "app-for-0483-df11.dfu": IMAGES / "ok-firmware.dfu",
    "app-for-1209-2444.dfu": IMAGES / "dfuse-other-device.dfu",
    "app-and-option-bytes.hex": IMAGES / "hex-option-bytes.hex",
    "main.o": IMAGES / "elf-not-linked.o",
    "base.yaml": IMAGES.parent / "recipes" / "bases" / "base.yaml",
    "../firmware/app.hex": FIRMWARE / "f072-blinky.hex",
}
ALL = list(explanations().values())
WITH_EXAMPLES = [explanation for explanation in ALL if explanation.right]
# What the recipe alone shows; the others are met on a board, and their recipes are good ones that the board refuses.
OF_RECIPES = ("Reading a recipe", "Images", "Rules of the steps")
SHOWN_BY_CHECK = [e for e in WITH_EXAMPLES if e.group in OF_RECIPES]
# What is wrong with a file as a whole: no line of a recipe shows it.
NOT_SHOWN = {
    Code.RECIPE_UNREADABLE,
    Code.RECIPE_TOO_LARGE,
    Code.TOO_MANY_FINDINGS,
    Code.ABSTRACT_RECIPE,
    Code.VARIABLES_UNREADABLE,
    Code.IMAGE_EMPTY,
}


def recipe(snippet: str) -> str:
    """Return a recipe around an example: steps, entries of `images`, or keys of the top level."""
    keys = [line.split(":")[0] for line in snippet.splitlines()]
    lines = [
        "dfurun: 1",
        *(f"{key}: {value}" for key, value in (("name", "Example"), ("chip", "stm32f072xb")) if key not in keys),
    ]
    if snippet.startswith("application:"):
        lines += ["images:", indent(snippet, "  ")]
    elif not {"images", "extends"} & set(keys):
        lines += ["images: {application: {file: app.hex}}"]
    if snippet.startswith("- "):
        before = [] if "- connect" in snippet else ["  - connect", "  - mass-erase"]
        before += (
            ["  - write: {image: application}"] if before and "verify" in snippet and "write" not in snippet else []
        )
        lines += ["steps:", *before, indent(snippet, "  ")]
    else:
        lines += [] if snippet.startswith("application:") else [snippet]
        lines += [] if {"steps", "extends"} & set(keys) else ["steps: [connect]"]
    return "\n".join(lines) + "\n"


def checked(dfurun: Dfurun, folder: Path, snippet: str) -> tuple[set[str], str]:
    """Return the codes and the text of a check of the example, in `recipes` of a repository."""
    for made in (".git", "recipes", "firmware"):
        (folder / made).mkdir(exist_ok=True)
    for name, source in FILES.items():
        shutil.copy(source, folder / "recipes" / name)
    (folder / "recipes" / "example.yaml").write_text(recipe(snippet), encoding="utf-8")
    done = dfurun("check", "recipes/example.yaml")
    return done.codes, done.out


def test_every_code_has_an_explanation_and_none_is_left_over_in_the_order_of_the_codes() -> None:
    assert [explanation.code for explanation in ALL] == list(Code)
    assert len({explanation.group for explanation in ALL}) == 8


@pytest.mark.parametrize("explanation", ALL, ids=lambda explanation: explanation.code.label)
def test_an_explanation_is_whole_sentences_about_cause_consequence_and_cure(explanation: Explanation) -> None:
    for text in (explanation.cause, explanation.board, explanation.cure):
        assert text.endswith(".")
        assert "\n" not in text
        assert 3 < len(text) < 420
    assert not explanation.wrong or explanation.right


def test_every_code_that_a_recipe_shows_has_an_example() -> None:
    without = {e.code for e in ALL if e.group in OF_RECIPES and not (e.wrong and e.right)}
    assert without == NOT_SHOWN


@pytest.mark.parametrize("explanation", SHOWN_BY_CHECK, ids=lambda explanation: explanation.code.label)
def test_the_wrong_example_gives_the_code_and_the_right_one_does_not(
    dfurun: Dfurun, tmp_path: Path, explanation: Explanation
) -> None:
    label = explanation.code.label
    codes, out = checked(dfurun, tmp_path, explanation.wrong)
    assert label in codes, out
    codes, out = checked(dfurun, tmp_path, explanation.right)
    assert label not in codes, out
    assert "error[" not in out


@pytest.mark.parametrize(
    "explanation", [e for e in WITH_EXAMPLES if e not in SHOWN_BY_CHECK], ids=lambda explanation: explanation.code.label
)
def test_an_example_of_what_happens_on_a_board_is_a_good_recipe(
    dfurun: Dfurun, tmp_path: Path, explanation: Explanation
) -> None:
    for snippet in filter(None, (explanation.wrong, explanation.right)):
        _, out = checked(dfurun, tmp_path, snippet)
        assert "error[" not in out


def test_explain_tells_what_happened_what_it_means_for_the_board_and_what_to_do(dfurun: Dfurun) -> None:
    done = dfurun("explain", "not-erased")
    assert (done.exit, done.err) == (0, "")
    assert done.out.startswith(
        "not-erased: a write to flash that no earlier step erased\n"
        "error; exit status 3: the recipe or an image is invalid or missing\n"
    )
    lines = done.out.splitlines()
    starts = [line[:15].rstrip() for line in lines[3:] if line[:15].strip()]
    assert starts == ["what happened", "the board", "what to do", "wrong", "right"]
    assert "wrong          - connect\n               - write: {image: application}\n" in done.out


def test_a_warning_says_that_it_changes_no_exit_status(dfurun: Dfurun) -> None:
    assert "warning; it changes no exit status" in dfurun("explain", "unpinned-image").out


def test_a_code_may_be_pasted_as_the_message_has_it(dfurun: Dfurun) -> None:
    assert dfurun("explain", "error[guard]:").out == dfurun("explain", "guard").out


def test_without_a_code_all_are_listed_in_groups(dfurun: Dfurun) -> None:
    done = dfurun("explain")
    listed = [line.split()[0] for line in done.out.splitlines() if line[:1].islower()]
    assert listed == [code.label for code in Code]
    assert "\nRules of the steps\n" in done.out
    assert all(code.summary in done.out for code in Code)


@pytest.mark.parametrize(
    ("word", "hint"), [("not-erasd", "did you mean 'not-erased'?"), ("xyz", "`dfurun explain` lists all codes")]
)
def test_an_unknown_code_is_a_usage_error_with_a_way_on(dfurun: Dfurun, word: str, hint: str) -> None:
    done = dfurun("explain", word)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert hint in done.err


def test_tools_get_an_explanation_as_json(dfurun: Dfurun) -> None:
    done = dfurun("explain", "unknown-key", "--json")
    assert [line["event"] for line in done.lines] == ["hello", "explanation", "result"]
    told = done.lines[1]
    assert (told["code"], told["severity"], told["exit"]) == ("unknown-key", "error", 3)
    assert told["wrong"] == "- connect: {timeuot: 10s}"
    assert set(told) == {
        "event", "code", "group", "severity", "exit", "summary", "cause", "board", "cure", "wrong", "right",
    }  # fmt: skip
    everything = dfurun("explain", "--json")
    assert [line["code"] for line in everything.lines[1:-1]] == [code.label for code in Code]
    exits = {line["group"]: line["exit"] for line in everything.lines[1:-1] if line["severity"] == Severity.WARNING}
    assert exits.pop("Reviewing a recipe") == 1, "lint fails for advice"
    assert set(exits.values()) == {0}


def test_every_exit_status_has_its_meaning() -> None:
    assert set(EXIT_MEANINGS) == set(ExitStatus)
