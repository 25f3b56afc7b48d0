"""`dfurun check`: the corpus of recipes, each through the command line, with its golden text and its exit status.

DFURUN_UPDATE_GOLDEN=1 writes the golden files anew; the diff is for a review.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.errors import Code, ExitStatus

CASES = Path(__file__).parents[1] / "cases"
CORPUS = sorted(path.relative_to(CASES) for folder in ("recipes", "rules") for path in (CASES / folder).glob("*.yaml"))
# Also in the forms for tools: two places, no place, every severity, a path that GitHub has to have escaped.
FOR_TOOLS = (
    "rules/overlap",
    "rules/not-verified",
    "recipes/merge-conflict",
    "recipes/recipe-not-utf8",
    "recipes/several-rooms-at-once",
)
BY_LABEL = {str(code): code for code in Code}
# What no recipe alone can be: a quarter of a mebibyte is made below; the last two are in test_shared_recipes.py.
NOT_IN_THE_CORPUS = {
    Code.RECIPE_TOO_LARGE, Code.TOO_MANY_FINDINGS, Code.ABSTRACT_RECIPE, Code.VARIABLES_UNREADABLE,
}  # fmt: skip
CODES_OF_CHECK = set(list(Code)[: list(Code).index(Code.NO_DEVICE)]) - NOT_IN_THE_CORPUS


def expected_exit(text: str) -> int:
    """What docs/guide/runs.md says of these findings: invalid before refused, warnings do no harm."""
    errors = {BY_LABEL[label].exit_status for label in re.findall(r"error\[([a-z0-9-]+)\]", text)}
    return next((s for s in (ExitStatus.INVALID, ExitStatus.REFUSED) if s in errors), ExitStatus.DONE)


def held_against(golden: Path, found: str) -> None:
    """Assert that a file holds what was found; write it where that is asked for."""
    if os.environ.get("DFURUN_UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8", newline="\n")
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.with_suffix("").as_posix())
def test_a_recipe_of_the_corpus_gives_its_findings_and_its_exit_status(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, case: Path
) -> None:
    monkeypatch.chdir(CASES / case.parent)
    done = dfurun("check", case.name)
    held_against(CASES / case.with_suffix(".txt"), done.out)
    assert (done.exit, done.err) == (expected_exit(done.out), "")
    assert case.name.startswith("ok-") == bool(re.fullmatch(rf"{re.escape(case.name)}: ok, .*\n", done.out))


def test_the_corpus_is_large_and_reaches_every_code_that_a_recipe_can_cause() -> None:
    broken = [case for case in CORPUS if not case.name.startswith("ok-")]
    assert len(broken) >= 70
    texts = [golden.read_text(encoding="utf-8") for golden in CASES.glob("*/*.txt")]
    reached = {BY_LABEL[label] for text in texts for label in re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", text)}
    assert CODES_OF_CHECK - reached == set()


def test_no_golden_file_is_without_its_recipe() -> None:
    goldens = {
        path.relative_to(CASES).with_suffix("")
        for path in CASES.glob("*/*.txt")
        if path.parent.name in ("recipes", "rules")
    }
    assert goldens == {case.with_suffix("") for case in CORPUS}


@pytest.mark.parametrize("form", ["json", "github"])
@pytest.mark.parametrize("name", FOR_TOOLS)
def test_tools_get_the_same_findings_in_their_form(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    case = CASES / f"{name}.yaml"
    monkeypatch.chdir(case.parent)
    done = dfurun("check", case.name, "--format", form)
    text = case.with_suffix(".txt").read_text(encoding="utf-8")
    held_against(case.with_suffix(f".{form}"), re.sub(r'("version": ?")[^"]*', r"\1", done.out))
    assert (done.exit, done.err) == (expected_exit(text), "")
    assert done.codes or form == "github"
    for label in re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", text):
        assert label in done.out


def test_a_recipe_of_more_than_256_kib_is_not_read(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"# filler\n" * 30_000)
    done = dfurun("check", "large.yaml")
    assert (done.exit, done.codes) == (3, {"recipe-too-large"})
    assert "where it is an image: give the recipe" in done.out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ok-firmware.elf", "is an ELF file: that is an image, not a recipe"),
        ("ok-firmware.hex", "is an Intel HEX file: that is an image, not a recipe"),
        ("ok-firmware.s37", "is a Motorola S-record file: that is an image, not a recipe"),
        ("ok-firmware.dfu", "is a DfuSe file: that is an image, not a recipe"),
    ],
)
@pytest.mark.parametrize("command", [("check",), ("run", "--sim")])
def test_an_image_in_the_place_of_a_recipe_is_called_that(
    dfurun: Dfurun, command: tuple[str, ...], name: str, said: str
) -> None:
    done = dfurun(*command, CASES / "images" / name)
    assert (done.exit, done.codes) == (3, {"recipe-unreadable"})
    shown = done.out + done.err
    assert said in shown
    assert "hint: give the recipe, the YAML file that names this one under `images`" in shown
    assert "UTF-8" not in shown


def test_a_recipe_may_quote_a_record(dfurun: Dfurun, tmp_path: Path) -> None:
    text = (CASES / "recipes" / "ok-shortest.yaml").read_text(encoding="utf-8")
    (tmp_path / "quotes.yaml").write_text("# the image ends in\n# :00000001FF\n" + text, encoding="utf-8")
    assert dfurun("check", "quotes.yaml").exit == 0


def test_a_missing_recipe_is_an_invalid_one(dfurun: Dfurun) -> None:
    done = dfurun("check", "absent.yaml")
    assert (done.exit, done.codes) == (3, {"recipe-unreadable"})
    assert "No such file" in done.out


def test_several_recipes_exit_with_the_worst(dfurun: Dfurun, recipes: Path) -> None:
    good, refused, invalid = (
        recipes / "f072-release.yaml",
        CASES / "rules/guard-level-2.yaml",
        CASES / "rules/overlap.yaml",
    )
    assert dfurun("check", good, recipes / "f072-protect.yaml").exit == 0
    assert dfurun("check", good, refused).exit == 6
    assert dfurun("check", good, refused, invalid).exit == 3


def test_the_shipped_recipes_have_no_findings(dfurun: Dfurun, recipes: Path) -> None:
    done = dfurun("check", *sorted(recipes.glob("*.yaml")))
    assert done.exit == 0
    assert [line.split(": ", 1)[1] for line in done.out.splitlines()] == [
        "ok, 7 steps for STM32F042x6",
        "ok, 6 steps for STM32F072xB",
        "ok, 7 steps for STM32F072xB",
        "ok, 7 steps for STM32F072xB",
        "ok, 2 steps for STM32F072xB",
        "ok, 7 steps for STM32F405xG",
    ]


def test_json_has_a_line_a_finding_and_one_result(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "rules")
    done = dfurun("check", "overlap.yaml", "--json")
    assert [line["event"] for line in done.lines] == ["hello", "finding", "checked", "result"]
    finding = done.lines[1]
    assert (finding["code"], finding["file"], finding["line"]) == ("overlap", "overlap.yaml", 16)
    assert finding["related"][0]["line"] == 15
    assert done.lines[-1]["exit"] == done.exit == 3


def test_json_is_json_also_where_github_is_the_format(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "rules")
    done = dfurun("check", "overlap.yaml", "--format", "github", "--json")
    assert [line["event"] for line in done.lines] == ["hello", "finding", "checked", "result"]


def test_github_annotations_name_file_line_and_code(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "rules")
    done = dfurun("check", "guard-level-2.yaml", "--format", "github")
    assert done.out.startswith("::error file=guard-level-2.yaml,line=6,col=38,")
    assert "title=guard" in done.out


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_path_is_escaped_for_github_and_whole_for_people_and_json(
    dfurun: Dfurun, tmp_path: Path, command: str
) -> None:
    name = "x%,y z.yaml"
    (tmp_path / name).write_text("dfurun: 1\nname: on\nchip: stm32f072xb\nsteps: [connect]\n", encoding="utf-8")
    message, hint = "`on` is true in YAML 1.1 and text in YAML 1.2", 'quote it: "on"'

    done = dfurun(command, name, "--format", "github")
    (shown,) = (line for line in (done.out + done.err).splitlines() if line.startswith("::"))
    assert (
        shown == f"::error file=x%25%2Cy z.yaml,line=2,col=7,endColumn=8,title=yaml-ambiguous::{message}%0Ahint: {hint}"
    )
    assert done.exit == 3

    (finding,) = (line for line in dfurun(command, name, "--format", "json").lines if line["event"] == "finding")
    assert (finding["file"], finding["line"], finding["message"]) == (name, 2, message)

    done = dfurun(command, name)
    assert (done.out + done.err).startswith(f"{name}:2:7: error[yaml-ambiguous]: {message}\n")


def test_findings_are_the_product_of_check_and_messages_of_run(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / "rules")
    for form in ("text", "github"):
        checked, run = (dfurun(command, "overlap.yaml", "--format", form) for command in ("check", "run"))
        assert (checked.err, run.out) == ("", "")
        assert checked.out + "nothing was sent to any board\n" == run.err
        assert checked.exit == run.exit == 3


@pytest.mark.parametrize("words", [(), ("-q",), ("--format", "github")])
def test_a_run_that_its_recipe_refuses_says_once_and_last_that_nothing_was_sent(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(CASES / "recipes")
    done = dfurun("run", "unknown-key.yaml", "--sim", *words)
    assert (done.exit, done.out) == (3, "")
    assert done.err.endswith("\nnothing was sent to any board\n")
    assert done.err.count("nothing was sent") == 1
    assert "nothing was sent" not in dfurun("check", "unknown-key.yaml").out, "it never sends anything"
