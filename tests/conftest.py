"""The command line in process, and what of it the tests have reached."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun, Finished
from hypothesis import HealthCheck, settings

from dfurun.cli.main import run
from dfurun.errors import Code, ExitStatus

RECIPES = Path(__file__).parents[1] / "recipes"

# Properties: the same examples every time where a change is judged, others each time on a developer's desk, and with
# `--hypothesis-profile=search` as many as an evening has room for. A failure prints what repeats it.
_COMMON = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dfurun", max_examples=100, derandomize="CI" in os.environ, **_COMMON)
settings.register_profile("search", max_examples=5000, **_COMMON)
settings.load_profile("dfurun")

REACHED_EXITS: set[int] = set()
REACHED_CODES: set[str] = set()


def pytest_configure() -> None:
    """Take Ctrl-C as ever, for the processes that the tests start as well: a shell's background job inherits it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def dfurun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dfurun:
    """The command line: `dfurun("check", recipe)`. It runs in a folder of its own, with journals of its own."""
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Finished:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run([str(argument) for argument in arguments])
        finished = Finished(status, out.getvalue(), err.getvalue())
        REACHED_EXITS.add(status)
        REACHED_CODES.update(finished.codes)
        return finished

    return call


@pytest.fixture
def recipes() -> Path:
    """The shipped recipes."""
    return RECIPES


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was reached in this process to the one that has several of them (pytest-xdist)."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["reached"] = [sorted(map(int, REACHED_EXITS)), sorted(REACHED_CODES)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process has reached that has ended."""
    exits, codes = getattr(node, "workeroutput", {}).get("reached", ((), ()))
    REACHED_EXITS.update(exits)
    REACHED_CODES.update(codes)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """After a whole run, fail it where an exit status or a code was not reached through the command line."""
    result = yield
    if _is_whole(session.config) and not session.testsfailed and _missing():
        session.testsfailed += 1  # the summary names them
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show which exit statuses and finding codes the tests reached through the command line."""
    if not REACHED_EXITS:
        return
    report = terminalreporter
    report.section("reached through the command line")
    report.line("exit statuses: " + " ".join(str(status) for status in sorted(REACHED_EXITS)))
    reached = [str(code) for code in Code if str(code) in REACHED_CODES]
    report.line(f"codes: {len(reached)} of {len(Code)}")
    for start in range(0, len(reached), 4):
        report.line("  " + "  ".join(code.ljust(22) for code in reached[start : start + 4]).rstrip())
    if _is_whole(report.config) and (missing := _missing()):
        report.line(f"not reached: {', '.join(missing)}")


def _is_whole(config: pytest.Config) -> bool:
    """Say whether all tests were asked for, not some; one of several processes has some."""
    if hasattr(config, "workerinput"):
        return False
    some = config.option.keyword or getattr(config.option, "lf", False) or config.option.deselect
    return config.args_source is config.ArgsSource.TESTPATHS and not some


def _missing() -> list[str]:
    exits = [f"exit {int(status)}" for status in ExitStatus if status not in REACHED_EXITS]
    return exits + [str(code) for code in Code if str(code) not in REACHED_CODES]
