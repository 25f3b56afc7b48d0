"""What the action (action.yml) does: dfurun's commands on the recipes of a repository, their summary and their outputs.

`run.py install` installs dfurun; `run.py` looks at the recipes. Inputs are in DFURUN_ACTION_*, a name for each of the action's.
It needs Python alone, and nothing of GitHub but the files that GITHUB_* name, so that it runs in a test as well.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DFURUN = (sys.executable, "-m", "dfurun")
DONE, FAILED, USAGE, INVALID, REFUSED, CHANGES = 0, 1, 2, 3, 6, 10
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")
ABSTRACT = re.compile(r"^abstract[ \t]*:", re.MULTILINE)  # a base, which recipes extend
EXTENDS = re.compile(r"^extends[ \t]*:", re.MULTILINE)
VARIABLE = re.compile(r"([a-z][a-z0-9-]*)=(.*)")
LARGEST_SUMMARY_BYTES = 900_000  # GitHub shows no summary of more than 1 MiB


class BadInput(Exception):
    """An input of the action that cannot be meant; the text is for an annotation."""


@dataclass(frozen=True)
class Inputs:
    """The action's inputs; `base` is empty where nothing is compared."""

    recipes: str
    lint: bool
    pins: bool
    faults: bool
    fault_budget: str
    base: str
    variables: Mapping[str, str]  # as the environment has them

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Inputs:
        """Return the inputs; raise BadInput."""

        def text(name: str, default: str = "") -> str:
            return environment.get(f"DFURUN_ACTION_{name}", default).strip()

        def flag(name: str, default: str) -> bool:
            value = text(name, default).lower()
            if value not in YES + NO:
                raise BadInput(f"{name.lower().replace('_', '-')} is true or false, not {value!r}")
            return value in YES

        budget, base = text("FAULT_BUDGET"), text("BASE")
        if budget and not budget.isdecimal():
            raise BadInput(f"fault-budget is a number of runs, not {budget!r}")
        if base.startswith("-"):
            raise BadInput(f"base is a branch, a tag or a commit, not {base!r}")
        recipes = text("RECIPES", "recipes/*.yaml")
        flags = flag("LINT", "true"), flag("PINS", "true"), flag("FAULTS", "false")
        return cls(recipes, *flags, budget, base, variables(text("VARS")))


def variables(lines: str) -> dict[str, str]:
    """Return values for variables, a line each, by their names in the environment; raise BadInput."""
    found = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        given = VARIABLE.fullmatch(line)
        if given is None:
            raise BadInput(f"vars has lines of NAME=VALUE, not {line!r}")
        found[f"DFURUN_VAR_{given[1].replace('-', '_').upper()}"] = given[2]
    return found


@dataclass
class Job:
    """What has come of the job so far: a row a part, the sections under them, the worst status, and the outputs."""

    rows: list[tuple[str, int, str]] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    errors: int = 0
    told: set[str] = field(default_factory=set)  # what `check` has found, `lint` and `pin` need not tell again

    @property
    def status(self) -> int:
        """That of a usage error first, then of an invalid recipe, a refusal, a failure, anything else."""
        statuses = {status for _, status, _ in self.rows}
        known = [status for status in (USAGE, INVALID, REFUSED, FAILED) if status in statuses]
        return next(iter([*known, *sorted(statuses - {DONE})]), DONE)


def main(arguments: Sequence[str]) -> int:
    """Do what the action does; return the exit status."""
    if arguments == ["install"]:
        return _install(os.environ.get("DFURUN_ACTION_VERSION", "").strip())
    job = Job()
    try:
        inputs = Inputs.read(os.environ)
        recipes = matching(inputs.recipes)
        if not recipes:
            raise BadInput(f"no file fits {inputs.recipes!r}: `recipes` names recipes, or globs of them")
        look(job, inputs, recipes)
    except BadInput as problem:
        annotate("error", str(problem))
        job.rows.append(("inputs", USAGE, escaped(str(problem))))
    job.outputs |= {"status": str(job.status), "errors": str(job.errors)}
    _summarise(job)
    _put_out(job.outputs)
    return job.status


def look(job: Job, inputs: Inputs, recipes: Sequence[str]) -> None:
    """Have dfurun look at the recipes, each part whatever came of those before."""
    job.outputs["recipes"] = "\n".join(recipes)
    os.environ.update(inputs.variables)
    _judge(job, "check", ["check"], recipes)
    if inputs.lint:
        _judge(job, "lint", ["lint"], recipes)
    if inputs.pins:
        _judge(job, "pins", ["pin", "--check"], recipes)
    if inputs.faults:
        _faults(job, inputs, recipes)
    if inputs.base:
        _diff(job, inputs, recipes)


def matching(patterns: str) -> list[str]:
    """Return the files that names and globs mean, each once, with `/` on every system; raise BadInput."""
    try:
        found = {path for pattern in patterns.split() for path in Path().glob(pattern)}
    except (NotImplementedError, ValueError):
        raise BadInput(f"recipes are named from the repository's top, not {patterns!r}") from None
    return sorted(path.as_posix() for path in found if path.is_file())


# The parts -----------------------------------------------------------------------------------------------------------


def _judge(job: Job, part: str, command: Sequence[str], recipes: Sequence[str]) -> None:
    """Run a command that has findings: once for the annotations, once for the summary."""
    with group(f"dfurun {' '.join(command)}"):
        shown = dfurun(*command, *recipes, "--format", "github")
    print("\n".join(_anew(job, (line for line in shown.stdout.splitlines() if line.startswith("::")))), flush=True)
    found = [line for line in _lines(dfurun(*command, *recipes, "--json", quiet=True)) if line["event"] == "finding"]
    errors = sum(finding["severity"] == "error" for finding in found)
    warnings = len(found) - errors
    job.errors += errors
    job.rows.append((part, shown.returncode, f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"))
    if rows := _anew(job, (f"| {_where(each)} | {_what(each)} |" for each in found)):
        job.sections.append("\n".join([f"### {part}: findings", "", "| where | what |", "| --- | --- |", *rows]))


def _anew(job: Job, lines: Iterable[str]) -> list[str]:
    """Return the lines that no part before has told."""
    found = [line for line in dict.fromkeys(lines) if line not in job.told]
    job.told.update(found)
    return found


def _faults(job: Job, inputs: Inputs, recipes: Sequence[str]) -> None:
    budget = ["--fault-budget", inputs.fault_budget] if inputs.fault_budget else []
    with group("dfurun check --faults"):
        done = dfurun("check", "--faults", *budget, "--format", "markdown", *recipes)
    words = "every fault is survived" if done.returncode == DONE else "see the table"
    job.rows.append(("faults", done.returncode, words))
    if done.returncode:
        annotate("error", "a fault breaks a promise, or a recipe does not pass without one: the summary has the table")
    job.sections.append(f"### faults\n\n{done.stdout}")


def _diff(job: Job, inputs: Inputs, recipes: Sequence[str]) -> None:
    """Say what the change means. It is for a reviewer to judge: whatever it is, it does not fail the job."""
    revision = _revision(inputs.base)
    if revision is None:
        missing = f"there is no {inputs.base!r} to compare with: does `actions/checkout` come before the action?"
        annotate("warning", missing)
        job.rows.append(("diff", DONE, escaped(missing)))
        return
    whole = [name for name in recipes if not _says(name, ABSTRACT)]  # what a base changes shows in those that extend it
    old = [name for name in whole if git("cat-file", "-e", f"{revision}:./{name}").returncode == 0]
    parts = [f"{escaped(name)} is new: all of it is to be reviewed." for name in sorted(set(whole) - set(old))]
    parts += [f"{escaped(name)} is removed." for name in _removed(revision, inputs.recipes)]
    status = CHANGES if parts else DONE
    parts += _changed_bases(revision, recipes, whole)
    if old:
        with group(f"dfurun diff --git {inputs.base}"):
            done = dfurun("diff", "--git", revision, *old, "--format", "markdown", "--exit-code")
        parts.append(done.stdout)
        status = done.returncode or status
    if status not in (DONE, CHANGES):
        annotate("warning", f"dfurun diff ended with status {status}: the log says why")
    file = Path(os.environ.get("RUNNER_TEMP") or tempfile.gettempdir()) / "dfurun-diff.md"
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8", newline="\n")
    job.outputs |= {"changed": "false" if status == DONE else "true", "diff-file": str(file)}
    words = {
        DONE: "no change in what happens",
        CHANGES: "what happens to a board changes",
        REFUSED: "what is new would be refused",
    }
    job.rows.append(("diff", DONE, words.get(status, f"not compared: dfurun diff ended with status {status}")))
    job.sections.append("\n\n".join([f"### diff against {escaped(inputs.base)}", *parts]))


def _changed_bases(revision: str, recipes: Sequence[str], whole: Sequence[str]) -> list[str]:
    """Say of each base that is changed which recipes it concerns."""
    done = git("diff", "--name-only", "-z", "--no-renames", "--relative", revision, "--")
    concerned: dict[str, list[str]] = {name: [] for name in recipes if name not in whole}
    for name in (name for name in whole if _says(name, EXTENDS)):
        shown = next((line for line in _lines(dfurun("show", name, "--json", quiet=True)) if "files" in line), None)
        for file in shown["files"][1:] if shown else ():
            concerned.setdefault(Path(file["path"]).as_posix(), []).append(name)
    return [
        f"{escaped(base)}, which is a base, differs: it concerns {escaped(', '.join(names)) or 'none of these recipes'}."
        for base, names in sorted(concerned.items())
        if base in done.stdout.split("\0")
    ]


def _says(name: str, what: re.Pattern[str]) -> bool:
    return what.search(Path(name).read_text(encoding="utf-8", errors="replace")) is not None


def _removed(revision: str, patterns: str) -> list[str]:
    """Return the recipes of a commit that are not there any more."""
    meant = [f":(glob){pattern}" for pattern in patterns.split()]
    done = git("diff", "--name-only", "-z", "--no-renames", "--relative", "--diff-filter=D", revision, "--", *meant)
    return sorted(filter(None, done.stdout.split("\0")))


def _revision(base: str) -> str | None:
    """Return the commit of a base, fetched where the checkout has it not; None where there is none."""
    for name in (f"origin/{base}", base):
        if commit := _commit(name):
            return commit
    if git("fetch", "--quiet", "--depth=1", "--end-of-options", "origin", base).returncode:
        return None
    return _commit("FETCH_HEAD")


def _commit(name: str) -> str:
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").stdout.strip()


# Commands ------------------------------------------------------------------------------------------------------------


def _install(version: str) -> int:
    """Install dfurun: a version, something that pip knows, or the checkout that this script is in."""
    meant = str(Path(__file__).resolve().parents[2])
    if version:
        meant = f"dfurun=={version}" if version[0].isdigit() else version
    with group(f"pip install {meant}"):
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--", meant]
        status = subprocess.run(command, check=False).returncode
    if status:
        annotate("error", f"pip cannot install {meant}")
    return status


def dfurun(*words: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run dfurun, and show what it prints in the log, but for annotations; `quiet` shows nothing."""
    done = _run([*DFURUN, *words])
    if not quiet:
        print("\n".join(line for line in done.stdout.splitlines() if not line.startswith("::")), flush=True)
        print(done.stderr, end="", file=sys.stderr, flush=True)
    return done


def git(*words: str) -> subprocess.CompletedProcess[str]:
    """Run git; where there is none, it has failed."""
    try:
        return _run(["git", *words])
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", "")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONUTF8": "1"}
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", env=environment)


def _lines(done: subprocess.CompletedProcess[str]) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


# What GitHub shows ---------------------------------------------------------------------------------------------------


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold a part of the log."""
    print(f"::group::{_data(title)}", flush=True)
    try:
        yield
    finally:
        print("::endgroup::", flush=True)


def annotate(severity: str, message: str) -> None:
    """Tell something that is of no line of a file."""
    print(f"::{severity} title=dfurun::{_data(message)}", flush=True)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line and in one cell of a table."""
    shown = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{character}" if character in "\\`*_[]|#" else character for character in shown)


def _where(finding: Mapping[str, Any]) -> str:
    place = [finding["file"], finding["line"], finding["column"]]
    return escaped(":".join(str(part) for part in place if part is not None))


def _what(finding: Mapping[str, Any]) -> str:
    words = f"{finding['severity']}[{finding['code']}]: {finding['message']}"
    return escaped(f"{words}; {finding['hint']}" if finding["hint"] else words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _summarise(job: Job) -> None:
    """Append the summary to the file that GitHub shows beside the job."""
    verdict = "passed" if job.status == DONE else f"failed, status {job.status}"
    recipes = len(job.outputs.get("recipes", "").splitlines())
    rows = [f"| {part} | {status or 'ok'} | {words} |" for part, status, words in job.rows]
    head = [
        f"## dfurun: {_count(recipes, 'recipe')}, {verdict}",
        "",
        "| part | status | |",
        "| --- | --- | --- |",
        *rows,
    ]
    _append("GITHUB_STEP_SUMMARY", _cut("\n\n".join(["\n".join(head), *job.sections]) + "\n"))


def _cut(text: str) -> str:
    """Return a summary that GitHub still shows, which says where it is cut."""
    data = text.encode()
    if len(data) <= LARGEST_SUMMARY_BYTES:
        return text
    kept = data[:LARGEST_SUMMARY_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nThe rest is left out: GitHub shows no summary of more than 1 MiB. The log has all of it.\n"


def _put_out(outputs: Mapping[str, str]) -> None:
    """Set the outputs, each between two marks that no value can hold."""
    mark = uuid.uuid4().hex
    _append("GITHUB_OUTPUT", "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in outputs.items()))


def _append(variable: str, text: str) -> None:
    """Append to a file that GitHub names; without GitHub to the log."""
    name = os.environ.get(variable)
    if not name:
        print(text)
        return
    with Path(name).open("a", encoding="utf-8", newline="\n") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
