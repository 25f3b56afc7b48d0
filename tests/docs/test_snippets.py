"""Every snippet of README.md and docs/ does what the document says: commands are run, recipes and workflows checked.

A document's blocks run in their order, in a folder that is like a fresh clone. `markdown_snippets.py` has the comments with
which a document says what else is needed. Where a command has a simulated board and names no clock, it runs on the
virtual one: the same output in no time. DFURUN_UPDATE_GOLDEN=1 writes the outputs anew; the diff is for a review.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ROOT
from markdown_snippets import Block, Command, agrees, blocks, commands

from dfurun.cli.main import run
from dfurun.errors import ExitStatus

GENERATED = {
    "performance.md": "made by `make performance`; tests/benchmarks holds it",
    "comparison.md": "made by `make compare`; tests/benchmarks holds it",
    "chips.md": "made from the chip data",
    "codes.md": "made from the codes",
    "README.md": "docs/examples/pull-requests: made from the recipes beside it; tests/report holds it",
    "recipe.md": "made from the recipe's schema",
}
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(
        path for path in (ROOT / "docs").rglob("*.md") if path.parent.name == "guide" or path.name not in GENERATED
    ),
]
NEEDS_A_REASON = ("sh", "text", "powershell")
SHOWN_FOLDER = "/home/you/dfurun"  # where a document says that the clone is
BIN = Path(sys.executable).parent
BLINKY = ROOT / "recipes/firmware/f072-blinky"
RECIPE_KEYS = {
    "requires", "extends", "abstract", "name", "chip", "vars", "supply", "expect", "images", "data", "allow", "remove", "steps",
    "edit-steps",
}  # fmt: skip


@dataclass
class Clone:
    """A folder like a fresh clone, and the status of the last command in it."""

    folder: Path
    status: int = 0

    def run(self, command: str, options: str | None = None) -> list[str]:
        """Run a command line as a person would, both streams on one screen; return what it prints."""
        if command == "echo $?":
            return [str(self.status)]
        command = _with_options(command, options)
        printed = self._in_process(command) if _is_plain(command) else self._in_a_shell(command)
        return [line.rstrip() for line in printed.replace(str(self.folder), SHOWN_FOLDER).splitlines()]

    def check(self, recipe: str) -> str:
        """Return what `dfurun check` prints."""
        return "\n".join(self.run(f"dfurun check {recipe}"))

    def _in_process(self, command: str) -> str:
        screen = io.StringIO()
        with redirect_stdout(screen), redirect_stderr(screen):
            self.status = run(shlex.split(command, comments=True)[1:])
        return screen.getvalue()

    def _in_a_shell(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        self.status = done.returncode
        return done.stdout.decode()


def _with_options(command: str, options: str | None) -> str:
    """Return the command with the block's options, and a virtual clock where it has a simulated board and no clock."""
    first, bar, rest = command.partition(" | ")
    if options and first.startswith("dfurun "):
        first = f"{first} {options}"
    if re.match(r"dfurun (?!sim |devices|doctor|plan |new )", first) and "--sim-clock" not in first:
        first = re.sub(r"(--sim(?:-state \S+)?)(?=\s|$)", r"\1 --sim-clock virtual", first, count=1)
    return first + bar + rest


def _is_plain(command: str) -> bool:
    return command.startswith("dfurun ") and not re.search(r"[|&;<>$*`()]", command)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    if shutil.which("sh") is None:
        pytest.skip("the documents show a POSIX shell, and there is none")
    for name in ("recipes", "schemas", ".github/action"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("FORCE_COLOR", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    return Clone(tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_snippet_does_what_the_document_says(document: Path, clone: Clone) -> None:
    wrong = []
    for block in blocks(document):
        if block.directive("not run") is not None:
            continue
        for name, command in block.directives:
            if name == "before":
                clone.run(command)
                assert clone.status == 0, f"{block.where}: `{command}` exits with {clone.status}"
        judge = JUDGES.get(block.language)
        assert judge is not None, f"{block.where}: {_what_to_do(block.language)}"
        wrong += judge(block, clone)
    assert not wrong, "\n\n".join(wrong)


def _what_to_do(language: str) -> str:
    if language in NEEDS_A_REASON:
        return f"{language} is not run: say why, with <!-- not run: WHY --> above it"
    return f"{language or 'no language'} is not one that a test knows: {', '.join(JUDGES)}, {', '.join(NEEDS_A_REASON)}"


# Console --------------------------------------------------------------------------------------------------------------


def _console(block: Block, clone: Clone) -> list[str]:
    """Run the block's commands; say where another output is shown, and with DFURUN_UPDATE_GOLDEN write the one printed."""
    wrong, body = [], []
    for command in commands(block):
        printed = clone.run(command.command, block.directive("with"))
        assert not re.search(r"error\[(usage|bug)\]", "\n".join(printed)), _difference(block, command, printed)
        right = agrees(command.output, printed)
        if not right:
            wrong.append(_difference(block, command, printed))
        body += [*command.shown, *(command.output if right else printed)]
    if wrong and os.environ.get("DFURUN_UPDATE_GOLDEN"):
        _replace(block, body)
        return []
    return wrong


def _difference(block: Block, command: Command, printed: list[str]) -> str:
    shown = "\n".join(command.output)
    return f"{block.where}: {command.command}\n--- the document shows\n{shown}\n--- it prints\n" + "\n".join(printed)


def _replace(block: Block, body: list[str]) -> None:
    text = block.document.read_text(encoding="utf-8")
    old, new = f"```console\n{block.text}```\n", "```console\n" + "".join(f"{line}\n" for line in body) + "```\n"
    assert old in text
    block.document.write_text(text.replace(old, new, 1), encoding="utf-8")


# YAML and JSON --------------------------------------------------------------------------------------------------------


def _yaml(block: Block, clone: Clone) -> list[str]:
    """Judge a recipe, a part of one, or a workflow."""
    value = yaml.load(block.text, Loader=yaml.BaseLoader)
    broken, warned = block.directive("broken"), block.directive("warned of")
    name = broken or warned or block.directive("file") or f"recipes/line-{block.line}.yaml"
    file = clone.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(value, dict) and ("jobs" in value or name.endswith(".gitlab-ci.yml")):
        file.write_text(block.text)
        return _workflow(block, clone, file, value)
    if name == ".pre-commit-config.yaml":
        return _hooks(block, file, value)
    is_whole = isinstance(value, dict) and "dfurun" in value
    assert is_whole or isinstance(value, list) or set(value) <= RECIPE_KEYS, f"{block.where}: YAML of what kind?"
    file.write_text(block.text if is_whole else _completed(block, value))
    _make_up_images(file)
    found = clone.check(name)
    if broken:
        return [] if clone.status else [f"{block.where}: nothing is wrong with this recipe"]
    if warned and "warning[" not in found:
        return [f"{block.where}: nothing is to be warned of in this recipe"]
    if clone.status or (is_whole and not warned and "warning[" in found):
        return [f"{block.where}: a recipe with findings\n{found}"]
    return []


def _completed(block: Block, value: Any) -> str:
    """Return a whole recipe that has this part, and what this part needs."""
    parts = {"dfurun": "1", "name": "a part", "chip": "stm32f072xb"}
    if "application" in block.text:
        parts["images"] = f"{{application: {{file: firmware/{BLINKY.name}.hex}}}}"
    parts["steps"] = "[connect]"
    if isinstance(value, list):
        before = block.directive("after") or ("" if value[0] == "connect" or "connect" in value[0] else "connect")
        first = "".join(f"  - {step}\n" for step in before.split(", ") if step)
        parts["steps"] = "\n" + first + "".join(f"  {line}\n" for line in block.body)
        return "".join(f"{key}: {text}\n" for key, text in parts.items())
    return "".join(f"{key}: {text}\n" for key, text in parts.items() if key not in value) + block.text


def _make_up_images(recipe: Path) -> None:
    images = yaml.load(recipe.read_text(), Loader=yaml.BaseLoader).get("images", {})
    for image in images.values():
        file = recipe.parent / image["file"]
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(BLINKY.with_suffix(file.suffix), file)


def _workflow(block: Block, clone: Clone, file: Path, value: Any) -> list[str]:
    """Judge a workflow by the service's own schema, and run its dfurun commands."""
    schema = "vendor.github-workflows" if "jobs" in value else "vendor.gitlab-ci"
    judged = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, file], capture_output=True, text=True, check=False
    )
    wrong = [f"{block.where}: {judged.stdout}"] if judged.returncode else []
    wrong += _action_inputs(block, value)
    for command in re.findall(r"^ *(?:- )?(?:run: )?(dfurun .*)$", block.text, re.MULTILINE):
        printed = clone.run(command)
        if clone.status:
            wrong.append(f"{block.where}: `{command}` exits with {clone.status}\n" + "\n".join(printed))
    return wrong


def _action_inputs(block: Block, value: Any) -> list[str]:
    """Judge what a workflow gives to dfurun's action."""
    known = set(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"])
    steps = [step for job in value.get("jobs", {}).values() for step in job.get("steps", ())]
    given = {key for step in steps if "/dfurun@" in step.get("uses", "") for key in step.get("with", {})}
    return [f"{block.where}: the action has no input {key}" for key in sorted(given - known)]


def _hooks(block: Block, file: Path, value: Any) -> list[str]:
    """Judge a configuration of pre-commit, by pre-commit and by the hooks that there are."""
    file.write_text(block.text)
    judged = subprocess.run([BIN / "pre-commit", "validate-config", file], capture_output=True, text=True, check=False)
    known = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    named = [hook["id"] for repo in value["repos"] for hook in repo["hooks"]]
    wrong = [f"{block.where}: {judged.stdout}"] if judged.returncode else []
    return wrong + [f"{block.where}: there is no hook {name}" for name in named if name not in known]


def _json(block: Block, clone: Clone) -> list[str]:
    for line in block.body:
        json.loads(line)
    return []


JUDGES: dict[str, Callable[[Block, Clone], list[str]]] = {"console": _console, "yaml": _yaml, "json": _json}


# The judge itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "agree"),
    [
        (["one", "two", "three"], True),
        (["one", "..."], True),
        (["...", "three"], True),
        (["one", "tw...", "three"], True),
        (["one", "two"], False),
        (["one", "...", "four"], False),
        (["one", "t", "three"], False),
        ([], False),
    ],
)
def test_only_three_dots_stand_for_what_is_not_shown(shown: list[str], agree: bool) -> None:
    assert agrees(shown, ["one", "two  ", "three"]) is agree


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```\nls\n```\n", "no language is not one"),
        ("```rust\n```\n", "rust is not one"),
        ("```sh\nls\n```\n", "say why"),
        ("```console\n$ dfurun check recipes/f072-release.yaml\nall is well\n```\n", "all is well"),
        ("```yaml\ndfurun: 1\nname: x\nchip: stm32f072xb\nsteps: [conect]\n```\n", "unknown-step"),
        ("```yaml\n- conect\n```\n", "unknown-step"),
        ("<!-- broken: recipes/x.yaml -->\n```yaml\n- connect\n```\n", "nothing is wrong"),
        ("<!-- warned of: recipes/x.yaml -->\n```yaml\n- connect\n```\n", "nothing is to be warned of"),
        ("```yaml\non: push\njobs: {a: {steps: []}}\n```\n", "'runs-on'"),
        (
            "```yaml\non: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: dfurun check no.yaml\n```\n",
            "no.yaml",
        ),
        (
            "```yaml\non: push\njobs: {a: {runs-on: x, steps: [{uses: a/dfurun@v1, with: {fautls: true}}]}}\n```\n",
            "no input fautls",
        ),
        (
            "<!-- file: .pre-commit-config.yaml -->\n```yaml\nrepos: [{repo: local, hooks: [{id: dfurun-chekc}]}]\n```\n",
            "no hook dfurun-chekc",
        ),
    ],
)
def test_a_snippet_that_does_not_do_what_it_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clone: Clone, text: str, what: str
) -> None:
    monkeypatch.delenv("DFURUN_UPDATE_GOLDEN", raising=False)
    document = tmp_path / "document.md"
    document.write_text(text)
    with pytest.raises(AssertionError, match=what):
        test_every_snippet_does_what_the_document_says(document, clone)


def test_a_comment_that_no_test_knows_is_told(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("<!-- runs: never -->\n```console\n$ true\n```\n")
    with pytest.raises(ValueError, match="of these comments there are"):
        blocks(document)


# Tables ---------------------------------------------------------------------------------------------------------------


def test_the_guide_lists_every_exit_status() -> None:
    text = (ROOT / "docs/guide/runs.md").read_text(encoding="utf-8")
    table = text.partition("## Exit statuses")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [str(int(status)) for status in ExitStatus]


# Links ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not heading or heading in _headings(file), target


def _headings(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
