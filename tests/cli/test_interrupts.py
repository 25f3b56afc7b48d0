"""Ctrl-C as a real signal to a real process: while it starts, while a unit runs, and when all is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import in_a_process

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")

STOPPED = "error[interrupted]: stopped by Ctrl-C\n"


def at_import_of(module: str) -> str:
    """Press Ctrl-C when this module is imported."""
    return (
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            sys.meta_path.remove(self)\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )


def at_call_of(where: str, name: str, number: int = 1) -> str:
    """Press Ctrl-C in the n-th call of a function: `at_call_of("module:Class", "method")`."""
    module, _, owner = where.partition(":")
    return (
        "import signal\n"
        f"from {module} import {owner} as owner\n"
        f"carry, calls = owner.{name}, []\n"
        "def interrupt(*parts, **named):\n"
        "    calls.append(None)\n"
        f"    if len(calls) == {number}: signal.raise_signal(signal.SIGINT)\n"
        "    return carry(*parts, **named)\n"
        f"owner.{name} = interrupt\n"
    )


@pytest.mark.parametrize("module", ["dfurun.cli.output", "dfurun.cli.app", "dfurun.plan"])
def test_ctrl_c_while_it_starts_is_one_line(tmp_path: Path, module: str) -> None:
    script = at_import_of(module)
    done = in_a_process("check", "absent.yaml", folder=tmp_path, script=script)
    assert (done.exit, done.out, done.err) == (130, "", STOPPED)
    done = in_a_process("check", "absent.yaml", "--json", folder=tmp_path, script=script)
    assert (done.exit, done.err) == (130, "")
    assert [line["event"] for line in done.lines] == ["hello", "result"]
    assert done.lines[-1]["error"]["code"] == "interrupted"


def test_an_interrupted_unit_says_so_once(recipes: Path, tmp_path: Path) -> None:
    words = (recipes / "f072-release.yaml", "--sim", "--sim-clock", "virtual")
    script = at_call_of("dfurun.simulator:SimulatedBoard", "control", 60)
    done = in_a_process(*words, folder=tmp_path, script=script)
    assert done.exit == 130
    assert done.err.count("error[") == done.err.count("error[interrupted]: stopped by Ctrl-C between two") == 1
    done = in_a_process(*words, "--json", folder=tmp_path, script=script)
    *_, unit, result = done.lines
    assert (unit["event"], unit["code"], unit["exit_status"]) == ("unit-result", "interrupted", 130)
    assert unit["consequence"]
    assert result == {"event": "result", "exit": 130}


def test_ctrl_c_after_the_end_changes_no_status(recipes: Path, tmp_path: Path) -> None:
    words = (recipes / "f072-release.yaml", "--sim", "--sim-clock", "virtual", "--json")
    done = in_a_process(*words, folder=tmp_path, script=at_call_of("dfurun.cli.output:Output", "result"))
    assert (done.exit, done.err) == (0, "")
    assert done.lines[-1] == {"event": "result", "exit": 0}


def test_a_run_that_was_started_with_ctrl_c_ignored_leaves_it_ignored(recipes: Path, tmp_path: Path) -> None:
    """A script's background job inherits that: Ctrl-C at the terminal is meant for what is in front."""
    words = (recipes / "f072-release.yaml", "--sim", "--sim-clock", "virtual", "--json")
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    script = ignored + at_call_of("dfurun.simulator:SimulatedBoard", "control", 60)
    done = in_a_process(*words, folder=tmp_path, script=script)
    assert (done.exit, done.err) == (0, "")
    done = in_a_process("read", "--sim", "--sim-clock", "virtual", "-o", "x.bin", folder=tmp_path, script=script)
    assert done.exit == 0


def test_these_tests_pass_where_ctrl_c_is_ignored() -> None:
    """`pytest &` in a script: the processes that the tests start would inherit it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "says_so_once"],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
