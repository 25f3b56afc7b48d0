"""`dfurun check`: the corpus of recipes, each through the command line, with its golden text and its exit status.

DFURUN_UPDATE_GOLDEN=1 writes the rules' golden files anew; the diff is for a review.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.errors import Code, ExitStatus, Severity

CASES = Path(__file__).parents[1] / "cases"
RULES = sorted(path.stem for path in (CASES / "rules").glob("*.yaml"))
RECIPES = sorted(path.stem for path in (CASES / "recipes").glob("*.yaml"))
BY_LABEL = {str(code): code for code in Code}


def expected_exit(text: str) -> int:
    """What docs/guide/runs.md says of these findings: invalid before refused, warnings do no harm."""
    errors = {BY_LABEL[label].exit_status for label in re.findall(r"error\[([a-z0-9-]+)\]", text)}
    return next((s for s in (ExitStatus.INVALID, ExitStatus.REFUSED) if s in errors), ExitStatus.DONE)


@pytest.mark.parametrize("name", RULES)
def test_a_recipe_is_judged_by_the_rules_of_its_steps(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(CASES / "rules")
    done = dfurun("check", f"{name}.yaml")
    golden = CASES / "rules" / f"{name}.txt"
    if os.environ.get("DFURUN_UPDATE_GOLDEN"):
        golden.write_text(done.out, encoding="utf-8", newline="\n")
    assert done.out == golden.read_text(encoding="utf-8")
    assert (done.exit, done.err) == (expected_exit(done.out), "")
    assert name.startswith("ok-") == (len(done.out.splitlines()) == 1 and f"{name}.yaml: ok, " in done.out)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_of_the_corpus_gives_its_findings_on_the_command_line(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Their full text is held by tests/recipe; here the same findings reach standard output, with the exit status."""
    monkeypatch.chdir(CASES / "recipes")
    done = dfurun("check", f"{name}.yaml")
    golden = (CASES / "recipes" / f"{name}.txt").read_text(encoding="utf-8")
    labels = re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", golden)
    assert set(labels) <= done.codes
    assert done.exit == expected_exit(golden)
    if any(BY_LABEL[label].severity is Severity.ERROR for label in labels):
        assert done.out == golden


def test_a_recipe_of_more_than_256_kib_is_not_read(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"# filler\n" * 30_000)
    done = dfurun("check", "large.yaml")
    assert (done.exit, done.codes) == (3, {"recipe-too-large"})


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
