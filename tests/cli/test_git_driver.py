"""Plain `git diff` with dfurun as its driver, by the two lines of docs/guide/diff.md, in a repository with a real git."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from command_line import ROOT, Dfurun
from recipe_pairs import FIRMWARE
from scratch_repository import NOBODY, Scratch
from test_diff import OTHER_FIRMWARE, RECIPE, WITHOUT_VERIFY

DRIVER = f'"{sys.executable}" -m dfurun diff --git-driver'.replace("\\", "/")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    repository = Scratch(tmp_path / "product")
    repository.git("config", "diff.dfurun.command", DRIVER)
    files = {".gitattributes": "recipes/*.yaml diff=dfurun\n", "recipes/rig.yaml": RECIPE, "build/app.bin": FIRMWARE}
    repository.commit("The product", files)
    return repository


def test_git_diff_says_what_the_change_means_and_then_shows_it(scratch: Scratch) -> None:
    scratch.put({"recipes/rig.yaml": WITHOUT_VERIFY})
    lines = scratch.git("diff").splitlines()
    assert lines[:7] == [
        "diff --git a/recipes/rig.yaml b/recipes/rig.yaml",
        "recipes/rig.yaml (index -> working tree)",
        "1 change: weakens a safety net",
        "",
        "weakens a safety net",
        "  `verify` application is gone (step 4)",
        "      nothing reads it back: a write that did not take ships unnoticed",
    ]
    assert lines[8:10] == ["--- a/recipes/rig.yaml", "+++ b/recipes/rig.yaml"]
    assert "-  - verify: {image: application}" in lines


def test_each_side_has_the_images_of_a_revision_that_has_it_so(scratch: Scratch) -> None:
    first = scratch.git("rev-parse", "HEAD").strip()
    scratch.commit("Firmware 2", {"recipes/rig.yaml": "# two\n" + RECIPE, "build/app.bin": OTHER_FIRMWARE})
    scratch.commit("A comment", {"recipes/rig.yaml": "# three\n" + RECIPE})
    between = scratch.git("diff", "HEAD~2", "HEAD~1")
    assert f"({first[:12]} -> " in between
    assert "application is another firmware" in between
    assert "no change in what happens" in scratch.git("diff", "HEAD~1", "HEAD")
    assert "application is another firmware" in scratch.git("log", "-p", "--ext-diff", "-1", "HEAD~1", "--", "recipes")


def test_a_recipe_that_comes_goes_or_does_not_compile_is_no_end_of_git(scratch: Scratch) -> None:
    scratch.put({"recipes/new.yaml": RECIPE, "recipes/rig.yaml": RECIPE.replace("connect", "konnect")})
    scratch.git("add", "--all")
    staged = scratch.git("diff", "--cached")
    assert "a new recipe for STM32F072xB" in staged
    assert "not compared, index does not compile" in staged
    assert "index:recipes/rig.yaml:7:5: error[unknown-step]" in staged
    assert "+  - konnect" in staged
    scratch.git("rm", "--quiet", "--force", "recipes/rig.yaml")
    moved = scratch.git("diff", "--cached")
    assert "recipes/new.yaml (HEAD -> index, was recipes/rig.yaml): no change in what happens" in moved
    scratch.git("rm", "--quiet", "--force", "recipes/new.yaml")
    assert "the recipe for STM32F072xB is gone" in scratch.git("diff", "--cached")


def test_a_path_that_is_not_merged_is_told_as_git_tells_it(scratch: Scratch, dfurun: Dfurun) -> None:
    done = dfurun("diff", "--git-driver", "recipes/rig.yaml")
    assert (done.exit, done.out) == (0, "* Unmerged path recipes/rig.yaml\n")


def test_where_nothing_can_be_compared_the_lines_are_shown_all_the_same(
    dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**NOBODY, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}.items():
        monkeypatch.setenv(name, value)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("a\n", encoding="utf-8")
    new.write_text("b\n", encoding="utf-8")
    done = dfurun("diff", "--git-driver", "r.yaml", old, "1" * 40, "100644", new, "0" * 40, "100644")
    assert done.exit == 0
    assert "no-repository" in done.codes
    assert done.out.splitlines()[-2:] == ["-a", "+b"]
    assert os.environ["GIT_PAGER"] == "cat"
