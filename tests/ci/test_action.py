"""The GitHub action without GitHub: its script in a scratch repository, with the files and variables that GitHub gives it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ROOT
from scratch import Repository, new_repository

ACTION = ROOT / "action.yml"
SCRIPT = ROOT / ".github/action/run.py"
DEFINED: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
CHECK_JSONSCHEMA = Path(sys.executable).with_name("check-jsonschema")
ONLY_CHECK = {"lint": "false", "pins": "false"}
HASTY = """dfurun: 1
name: hasty
chip: stm32f072xb
images: {application: {file: firmware/f072-blinky.hex}}
steps: [connect, mass-erase, {write: {image: application}}, leave-dfu]
"""
BROKEN = "dfurun: 1\nname: broken\nchip: stm32f072xb\nsteps: [conect]\n"
# Stands for `dfurun diff` and the fault matrix, and says how it was called; the other commands are the real ones.
STAND_IN = """
import sys
from dfurun.cli.main import main
if sys.argv[1] != "diff" and "--faults" not in sys.argv:
    main()
print("called: " + " ".join(sys.argv[1:]))
sys.exit({status})
"""


@dataclass(frozen=True)
class Job:
    """What the action left behind."""

    status: int
    log: str
    summary: str
    outputs: dict[str, str]

    @property
    def annotations(self) -> list[str]:
        return [line for line in self.log.splitlines() if re.match("::(error|warning|notice) ", line)]

    def row(self, part: str) -> str:
        """Return the row of a part in the summary's first table."""
        return next(line for line in self.summary.splitlines() if line.startswith(f"| {part} |"))


@dataclass(frozen=True)
class Action:
    """The action in a repository; `stands_in` is the status of a stand-in for what takes long or needs more commits."""

    team: Repository

    def run(self, stands_in: int | None = None, **inputs: str) -> Job:
        temporary = self.team.folder.parent
        summary, output = temporary / "summary.md", temporary / "output.txt"
        for file in (summary, output):
            file.write_text("", encoding="utf-8")
        given = {f"DFURUN_ACTION_{name.upper()}": value for name, value in inputs.items()}
        given |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(temporary)}
        command = [sys.executable, str(SCRIPT)]
        if stands_in is not None:
            stand_in = temporary / "stand_in.py"
            stand_in.write_text(STAND_IN.format(status=stands_in), encoding="utf-8")
            script = (
                "import runpy, sys; from pathlib import Path; import importlib.util as u;"
                f"spec = u.spec_from_file_location('run', {str(SCRIPT)!r}); run = u.module_from_spec(spec);"
                "sys.modules['run'] = run; spec.loader.exec_module(run);"
                f"run.DFURUN = (sys.executable, {str(stand_in)!r}); sys.exit(run.main([]))"
            )
            command = [sys.executable, "-c", script]
        done = self.team.run(*command, PYTHONPATH=str(ROOT), PYTHONUTF8="1", **given)
        found = re.findall(r"^([a-z-]+)<<(\w+)\n(.*?)\n\2$", output.read_text(encoding="utf-8"), re.M | re.S)
        return Job(
            done.returncode,
            done.stdout,
            summary.read_text(encoding="utf-8"),
            {name: value for name, _, value in found},
        )


@pytest.fixture
def action(tmp_path: Path) -> Action:
    return Action(new_repository(tmp_path))


# action.yml ----------------------------------------------------------------------------------------------------------


def test_the_action_is_one_by_github_s_schema() -> None:
    command = [CHECK_JSONSCHEMA, "--builtin-schema", "vendor.github-actions", ACTION]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


def test_every_input_reaches_the_script_and_every_output_comes_from_it() -> None:
    steps = DEFINED["runs"]["steps"]
    given = {name: value for step in steps for name, value in step.get("env", {}).items()}
    for name, expression in given.items():
        assert expression == f"${{{{ inputs.{name.removeprefix('DFURUN_ACTION_').lower().replace('_', '-')} }}}}"
    names = {name.removeprefix("DFURUN_ACTION_").lower().replace("_", "-") for name in given}
    assert names == set(DEFINED["inputs"]) - {"python-version"}
    script = SCRIPT.read_text(encoding="utf-8")
    for name in given:
        assert f'"{name.removeprefix("DFURUN_ACTION_")}"' in script or f'"{name}"' in script
    for output in DEFINED["outputs"].values():
        assert re.fullmatch(r"\$\{\{ steps\.run\.outputs\.([a-z-]+) \}\}", output["value"])


def test_no_input_is_put_into_a_command_line() -> None:
    """What a branch is called must not become a command."""
    for step in DEFINED["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


# Findings ------------------------------------------------------------------------------------------------------------


def test_sound_recipes_pass_and_the_summary_and_the_outputs_say_so(action: Action) -> None:
    job = action.run(**ONLY_CHECK)
    assert (job.status, job.annotations) == (0, [])
    assert job.summary.startswith("## dfurun: 1 recipe, passed\n")
    assert job.row("check") == "| check | ok | 0 errors, 0 warnings |"
    assert job.outputs == {"recipes": "recipes/f072-release.yaml", "status": "0", "errors": "0"}
    assert "recipes/f072-release.yaml: ok, 7 steps for STM32F072xB" in job.log


def test_a_finding_is_an_annotation_at_its_line_and_a_row_of_the_summary(action: Action) -> None:
    action.team.write("recipes/broken.yaml", BROKEN)
    action.team.write("recipes/hasty.yaml", HASTY)
    job = action.run(**ONLY_CHECK)
    assert (job.status, job.outputs["status"], job.outputs["errors"]) == (3, "3", "1")
    assert job.annotations[0].startswith(
        "::error file=recipes/broken.yaml,line=4,col=9,endColumn=14,title=unknown-step::"
    )
    assert sum(line.startswith("::warning file=recipes/hasty.yaml,") for line in job.annotations) == 2
    assert job.row("check") == "| check | 3 | 1 error, 2 warnings |"
    assert (
        r"| recipes/broken.yaml:4:9 | error\[unknown-step\]: no step is called \`conect\`; did you mean 'connect'? |"
        in job.summary
    )


def test_what_a_recipe_says_cannot_make_up_a_summary(action: Action) -> None:
    action.team.write("recipes/broken.yaml", BROKEN.replace("conect", '"<img> | [x](y) ::error::"'))
    job = action.run(**ONLY_CHECK)
    assert "<img>" not in job.summary
    assert r"&lt;img&gt; \| \[x\](y)" in job.summary
    assert len(job.annotations) == 1


@pytest.mark.parametrize(
    ("recipes", "found"),
    [
        ("recipes/*.yaml", ["recipes/f072-release.yaml"]),
        ("**/*.yml", ["boards/a/b/deep.yml"]),
        ("recipes/f072-release.yaml\n  boards/**/*.yml", ["boards/a/b/deep.yml", "recipes/f072-release.yaml"]),
        ("./recipes/*.yaml recipes/f072-release.yaml", ["recipes/f072-release.yaml"]),
    ],
)
def test_recipes_are_named_or_found_by_globs(action: Action, recipes: str, found: list[str]) -> None:
    action.team.write("boards/a/b/deep.yml", "dfurun: 1\nname: deep\nchip: stm32f072xb\nsteps: [connect]\n")
    assert action.run(recipes=recipes, **ONLY_CHECK).outputs["recipes"].splitlines() == found


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"recipes": "nowhere/*.yaml"}, "no file fits 'nowhere/*.yaml'"),
        ({"recipes": "/etc/*.yaml"}, "recipes are named from the repository's top"),
        ({"lint": "maybe"}, "lint is true or false, not 'maybe'"),
        ({"fault_budget": "many"}, "fault-budget is a number of runs, not 'many'"),
        ({"vars": "serial: 1"}, "vars has lines of NAME=VALUE, not 'serial: 1'"),
        ({"base": "--upload-pack=x"}, "base is a branch, a tag or a commit"),
    ],
)
def test_an_input_that_cannot_be_meant_is_an_error(action: Action, inputs: dict[str, str], words: str) -> None:
    job = action.run(**ONLY_CHECK | inputs)
    assert (job.status, job.outputs["status"]) == (2, "2")
    assert job.annotations[0].startswith("::error title=dfurun::")
    assert words in job.annotations[0]
    assert "failed, status 2" in job.summary


def test_lint_judges_as_well(action: Action) -> None:
    action.team.write("recipes/hasty.yaml", HASTY)
    job = action.run(lint="true", pins="false")
    assert job.row("lint") != "| lint | ok | 0 errors, 0 warnings |"
    assert "### lint: findings" in job.summary
    assert len(job.annotations) == len(set(job.annotations)) == 3, "those of check, once, and no-expect"
    assert job.summary.count("is written and never verified") == 1


def test_an_image_that_is_not_pinned_fails_the_job(action: Action) -> None:
    action.team.write("recipes/hasty.yaml", HASTY)
    job = action.run(lint="false", pins="true")
    assert job.status == 1
    assert job.row("pins").startswith("| pins | 1 |")
    assert action.run(lint="false", pins="false").status == 0


def test_the_fault_matrix_is_tried_on_request_and_its_table_is_in_the_summary(action: Action) -> None:
    action.team.recipe.unlink()
    action.team.write("recipes/look.yaml", "dfurun: 1\nname: look\nchip: stm32f072xb\nsteps: [connect]\n")
    job = action.run(faults="true", fault_budget="10", **ONLY_CHECK)
    assert job.status == 0, job.log
    assert job.row("faults") == "| faults | ok | every fault is survived |"
    assert re.search(r"^\| disconnect \|", job.summary.partition("### faults")[2], re.M)


def test_a_broken_promise_fails_the_job(action: Action) -> None:
    job = action.run(stands_in=1, faults="true", fault_budget="50", **ONLY_CHECK)
    assert (job.status, job.outputs["status"]) == (1, "1")
    assert "::error title=dfurun::a fault breaks a promise" in job.log
    called = "called: check --faults --fault-budget 50 --format markdown recipes/f072-release.yaml"
    assert called in job.summary.partition("### faults")[2]


# The diff ------------------------------------------------------------------------------------------------------------


def test_a_change_is_compared_with_the_base_and_does_not_fail_the_job(action: Action) -> None:
    base = action.team.git("rev-parse", "HEAD").stdout.strip()
    action.team.git("switch", "--quiet", "--create", "topic")
    action.team.write("recipes/f072-release.yaml", HASTY)
    action.team.commit("Hasten")
    job = action.run(stands_in=10, base="main", **ONLY_CHECK)
    called = f"called: diff --git {base} recipes/f072-release.yaml --format markdown --exit-code"
    assert (job.status, job.outputs["changed"]) == (0, "true")
    assert called in job.summary.partition("### diff against main")[2]
    assert called in Path(job.outputs["diff-file"]).read_text(encoding="utf-8")
    assert job.row("diff") == "| diff | ok | what happens to a board changes |"


def test_no_change_in_what_happens_is_told(action: Action) -> None:
    job = action.run(stands_in=0, base="main", **ONLY_CHECK)
    assert (job.status, job.outputs["changed"]) == (0, "false")
    assert job.row("diff") == "| diff | ok | no change in what happens |"


def test_recipes_that_are_new_or_removed_are_told_and_not_asked_of_the_base(action: Action) -> None:
    team = action.team
    old = team.recipe.read_text(encoding="utf-8")
    team.recipe.unlink()
    team.write("recipes/renamed.yaml", old)
    team.commit("Rename it")
    job = action.run(stands_in=3, base="HEAD~1", **ONLY_CHECK)
    assert (job.status, job.outputs["changed"]) == (0, "true")
    assert "recipes/renamed.yaml is new: all of it is to be reviewed." in job.summary
    assert "recipes/f072-release.yaml is removed." in job.summary
    assert "called:" not in job.summary


def test_a_base_that_a_shallow_checkout_has_not_is_fetched(action: Action, tmp_path: Path) -> None:
    team = action.team
    team.git("switch", "--quiet", "--create", "topic")
    team.write("recipes/f072-release.yaml", HASTY)
    team.commit("Hasten")
    base = team.git("rev-parse", "main").stdout.strip()
    shallow = Repository(tmp_path / "shallow", team.environment)
    clone = ["clone", "--quiet", "--depth=1", "--branch", "topic", team.folder.as_uri(), str(shallow.folder)]
    assert team.git(*clone).returncode == 0
    assert shallow.git("cat-file", "-e", base).returncode != 0
    job = Action(shallow).run(stands_in=10, base="main", **ONLY_CHECK)
    assert f"called: diff --git {base} recipes/f072-release.yaml" in job.summary


def test_a_base_that_there_is_not_is_a_warning(action: Action) -> None:
    job = action.run(stands_in=10, base="release/9", **ONLY_CHECK)
    assert (job.status, "changed" in job.outputs) == (0, False)
    (annotation,) = job.annotations
    assert annotation.startswith(
        "::warning title=dfurun::there is no 'release/9' to compare with: does `actions/checkout`"
    )


def test_a_diff_that_cannot_be_made_is_a_warning_and_never_no_change(action: Action) -> None:
    job = action.run(stands_in=3, base="main", **ONLY_CHECK)
    assert (job.status, job.outputs["changed"]) == (0, "true")
    assert job.row("diff") == "| diff | ok | not compared: dfurun diff ended with status 3 |"
    assert job.annotations == ["::warning title=dfurun::dfurun diff ended with status 3: the log says why"]


def test_a_diff_of_what_would_be_refused_is_one(action: Action) -> None:
    job = action.run(stands_in=6, base="main", **ONLY_CHECK)
    assert job.outputs["changed"] == "true"
    assert job.row("diff") == "| diff | ok | what is new would be refused |"


def test_the_real_diff_is_in_the_summary(action: Action) -> None:
    team = action.team
    text = team.recipe.read_text(encoding="utf-8")
    team.recipe.write_text(text.replace("BOOT_SEL: 1", "BOOT_SEL: 0"), encoding="utf-8")
    job = action.run(base="main", **ONLY_CHECK)
    assert job.outputs["changed"] == "true"
    assert "BOOT_SEL" in job.summary.partition("### diff against main")[2]
    team.git("checkout", "--quiet", "--", ".")
    assert action.run(base="main", **ONLY_CHECK).outputs["changed"] == "false"


BASE = """dfurun: 1
abstract: true
chip: stm32f072xb
vars: {page-number: {type: integer, maximum: 63}}
steps: [connect, {erase: {pages: "${page-number}", id: settings}}]
"""
OVER_IT = "dfurun: 1\nextends: base.yaml\nname: {}\n"


def shared(team: Repository) -> None:
    """Add a base and two recipes over it, which need a value for a variable; commit them."""
    team.recipe.unlink()
    team.write("recipes/base.yaml", BASE)
    for name in ("heater", "lamp"):
        team.write(f"recipes/{name}.yaml", OVER_IT.format(name))
    team.commit("Share")


def test_values_for_variables_reach_the_recipes(action: Action) -> None:
    shared(action.team)
    job = action.run(vars="page-number=64", **ONLY_CHECK)
    assert job.status == 3
    assert "64 from DFURUN_VAR_PAGE_NUMBER" in job.log
    job = action.run(vars="\n  page-number=3\n", **ONLY_CHECK)
    assert (job.status, job.annotations) == (0, [])
    assert "recipes/base.yaml: a base, checked in full with each recipe that extends it" in job.log


def test_a_base_that_changes_is_told_with_the_recipes_it_concerns(action: Action) -> None:
    team = action.team
    shared(team)
    team.write("recipes/base.yaml", BASE.replace("connect,", "connect, mass-erase,"))
    team.write("recipes/spare.yaml", BASE)
    team.git("add", "--intent-to-add", "recipes/spare.yaml")
    job = action.run(stands_in=10, base="main", vars="page-number=3", **ONLY_CHECK)
    told = job.summary.partition("### diff against main")[2]
    assert "recipes/base.yaml, which is a base, differs: it concerns recipes/heater.yaml, recipes/lamp.yaml." in told
    assert "recipes/spare.yaml, which is a base, differs: it concerns none of these recipes." in told
    assert " recipes/heater.yaml recipes/lamp.yaml --format" in told
    assert "is new" not in told


# Installing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "meant"),
    [("", str(ROOT)), ("0.1.0", "dfurun==0.1.0"), ("tools/dfurun-0.1.0-py3-none-any.whl", None)],
)
def test_what_is_installed_is_the_checkout_a_version_or_what_pip_takes(
    action: Action, version: str, meant: str | None
) -> None:
    """pip is a stand-in that says what it was told."""
    stand_in = action.team.folder.parent / "modules/pip.py"
    stand_in.parent.mkdir()
    stand_in.write_text("import sys\nprint('pip', *sys.argv[1:])\n", encoding="utf-8")
    done = action.team.run(
        sys.executable, SCRIPT, "install", PYTHONPATH=str(stand_in.parent), DFURUN_ACTION_VERSION=version
    )
    assert done.returncode == 0, done.stdout
    assert f"pip install --disable-pip-version-check --quiet -- {meant or version}" in done.stdout.splitlines()


def test_an_installation_that_fails_fails_the_job(action: Action) -> None:
    stand_in = action.team.folder.parent / "modules/pip.py"
    stand_in.parent.mkdir()
    stand_in.write_text("raise SystemExit(1)\n", encoding="utf-8")
    done = action.team.run(sys.executable, SCRIPT, "install", PYTHONPATH=str(stand_in.parent))
    assert done.returncode == 1
    assert f"::error title=dfurun::pip cannot install {ROOT}" in done.stdout
