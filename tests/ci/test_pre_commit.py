"""The hooks for pre-commit, in a scratch repository: a commit with a broken recipe is refused, a sound one is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ROOT
from scratch import Repository, new_repository

BIN = Path(sys.executable).parent
PRE_COMMIT = BIN / "pre-commit"
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
INSTALLS = "Installing environment"


@pytest.fixture
def team(tmp_path: Path) -> Repository:
    repository = new_repository(tmp_path)
    repository.environment["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    repository.environment["PRE_COMMIT_HOME"] = str(tmp_path / "pre-commit")
    return repository


def configure(team: Repository, *names: str) -> None:
    """Have the hooks of these names in the repository, with the dfurun of the tests: no environment of their own."""
    hooks = [{**hook, "language": "system"} for hook in HOOKS if hook["id"] in names]
    for hook in hooks:
        del hook["minimum_pre_commit_version"]
    configuration = {"repos": [{"repo": "local", "hooks": hooks}]}
    team.write(".pre-commit-config.yaml", yaml.safe_dump(configuration))
    team.commit("Hooks")
    done = team.run(PRE_COMMIT, "install")
    assert done.returncode == 0, done.stdout


def break_recipe(team: Repository) -> None:
    text = team.recipe.read_text(encoding="utf-8")
    team.recipe.write_text(text.replace("timeout: 10s", "timeuot: 10s"), encoding="utf-8")


def test_the_manifest_is_what_pre_commit_takes() -> None:
    command = [PRE_COMMIT, "validate-manifest", ROOT / ".pre-commit-hooks.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert [hook["id"] for hook in HOOKS] == ["dfurun-check", "dfurun-lint", "dfurun-pin-check"]
    assert {hook["language"] for hook in HOOKS} == {"python"}


@pytest.mark.parametrize("hook", [hook["id"] for hook in HOOKS])
def test_a_hook_is_for_recipes_and_for_nothing_else(team: Repository, hook: str) -> None:
    configure(team, hook)
    team.write("product/recipes/line-3/a.yml", team.recipe.read_text(encoding="utf-8").replace("firmware/", "../"))
    team.write("workflows/ci.yaml", "on: push\n")
    team.write("recipes/notes.md", "notes\n")
    done = team.run(PRE_COMMIT, "run", hook, "--verbose", "--files", "workflows/ci.yaml", "recipes/notes.md")
    assert "(no files to check)Skipped" in done.stdout
    done = team.run(PRE_COMMIT, "run", hook, "--files", "product/recipes/line-3/a.yml")
    assert "Failed" in done.stdout, "its image is missing"


def test_a_commit_with_a_broken_recipe_is_refused_with_the_finding_and_a_mended_one_is_made(team: Repository) -> None:
    configure(team, "dfurun-check")
    break_recipe(team)
    team.git("add", "--all")
    refused = team.git("commit", "-m", "A slip of the pen")
    assert refused.returncode == 1
    assert "recipes/f072-release.yaml:13:15: error[unknown-key]: `connect` has no key `timeuot`" in refused.stdout
    assert "hint: did you mean 'timeout'?" in refused.stdout
    assert team.git("log", "-1", "--format=%s").stdout.strip() == "Hooks"

    text = team.recipe.read_text(encoding="utf-8")
    team.recipe.write_text(text.replace("timeuot: 10s", "timeout: 20s"), encoding="utf-8")
    team.git("add", "--all")
    made = team.git("commit", "-m", "Wait longer")
    assert made.returncode == 0, made.stdout
    assert "dfurun check.............................................................Passed" in made.stdout
    assert team.git("log", "-1", "--format=%s").stdout.strip() == "Wait longer"


def test_a_base_that_changes_is_judged_with_the_recipes_that_extend_it(team: Repository) -> None:
    base = "dfurun: 1\nabstract: true\nchip: stm32f072xb\nsteps: [{mass-erase: {id: erase}}]\n"
    over_it = "dfurun: 1\nextends: base.yaml\nname: heater\nedit-steps: [{before: erase, insert: [connect]}]\n"
    team.write("recipes/base.yaml", base)
    team.write("recipes/heater.yaml", over_it)
    configure(team, "dfurun-check")
    team.write("recipes/base.yaml", base.replace("id: erase", "id: erase-all"))
    team.git("add", "--all")
    refused = team.git("commit", "-m", "Rename a step")
    assert refused.returncode == 1, refused.stdout
    assert "recipes/heater.yaml:4:23: error[bad-edit]: no step has the id `erase`" in refused.stdout


def test_a_team_s_repository_installs_the_hook_from_this_one(team: Repository) -> None:
    """As a team does, with an environment of the hook's own, which takes a package index: skipped where there is none."""
    if not (ROOT / ".git").exists():
        pytest.skip("this dfurun is no git repository")
    break_recipe(team)
    team.git("add", "--all")
    done = team.run(PRE_COMMIT, "try-repo", ROOT, "dfurun-check", "--all-files")
    if INSTALLS in done.stdout and "pip" in done.stdout and "CalledProcessError" in done.stdout:
        pytest.skip("the hook's environment cannot be built here, without a package index perhaps")
    assert done.returncode == 1, done.stdout
    assert INSTALLS in done.stdout
    assert "error[unknown-key]: `connect` has no key `timeuot`" in done.stdout
