"""Ctrl-C as a real signal to a real process: while it starts, while a unit runs, and when all is done."""

from __future__ import annotations

import _thread
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from command_line import ROOT, in_a_process
from terminal import screen

from dfurun.errors import Interrupted
from dfurun.run.interruption import Interruption

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


STOPPING = "stopping after this operation; Ctrl-C again stops at once\n"
WIPE = "dfurun: 1\nname: Wipe\nchip: stm32f405xg\nsteps: [connect, mass-erase]\n"


def test_the_first_ctrl_c_is_answered_before_the_verdict_in_every_form(recipes: Path, tmp_path: Path) -> None:
    words = (recipes / "f072-release.yaml", "--sim", "--sim-clock", "virtual", "-q")
    script = at_call_of("dfurun.simulator:SimulatedBoard", "control", 60)
    for form in ((), ("--json",)):
        done = in_a_process(*words, *form, folder=tmp_path, script=script)
        assert (done.exit, done.err.count(STOPPING)) == (130, 1)
    assert done.err == STOPPING
    done = in_a_process("read", "--sim", "--sim-clock", "virtual", "-o", "x", folder=tmp_path, script=script)
    assert (done.exit, done.err.count(STOPPING)) == (130, 1)


def test_the_first_ctrl_c_in_a_long_operation_is_answered_at_once_and_the_second_stops_it(tmp_path: Path) -> None:
    """The F405's mass erase takes 16 s, in which its bootloader holds one transfer."""
    (tmp_path / "wipe.yaml").write_text(WIPE)
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "dfurun", "wipe.yaml", "--sim", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(tmp_path / "state")},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "waiting":
                break
        assert json.loads(line) == {
            "event": "waiting", "unit": "1", "index": 1, "activity": "mass-erase", "expected_s": 16.0,
        }  # fmt: skip
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == STOPPING
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        *_, unit, result = (json.loads(line) for line in process.stdout)
    assert process.returncode == result["exit"] == 130
    assert time.monotonic() - began < 12
    assert unit["message"] == "stopped by Ctrl-C in the middle of an operation"
    assert unit["consequence"].endswith("its state is unknown; running again is safe")


def test_on_a_terminal_ctrl_c_leaves_a_screen_in_order(tmp_path: Path) -> None:
    """Both come from the keyboard, while the running line is drawn."""
    import pty

    (tmp_path / "wipe.yaml").write_text(WIPE)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ |= {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": "state", "TERM": "xterm", "COLUMNS": "80"}
        os.execv(sys.executable, [sys.executable, "-m", "dfurun", "wipe.yaml", "--sim"])
    written, keys = b"", [(b"1 s of about 16 s", b"\x03"), (b"Ctrl-C again stops at once", b"\x03")]
    with os.fdopen(terminal, "r+b", buffering=0) as shown:
        while True:
            try:
                written += (part := shown.read(4096) or b"")
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            if keys and keys[0][0] in written:
                shown.write(keys.pop(0)[1])
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    lines = screen(written.decode())
    assert lines[4] == STOPPING.rstrip()
    assert re.fullmatch(r"  mass-erase            failed +\d+\.\d s  \[interrupted\]", lines[5])
    assert lines[6] == "error[interrupted]: stopped by Ctrl-C in the middle of an operation"
    assert lines[-1].startswith("FAIL, exit 130, after ")
    assert "of about" not in "".join(lines)


def test_ctrl_c_is_heard_while_the_main_thread_is_in_c() -> None:
    """A handler would run only after it: hashing stands in for a transfer that a bootloader holds."""
    heard: list[float] = []
    with Interruption(lambda: heard.append(time.monotonic())) as interruption:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000)
        ended = time.monotonic()
        with pytest.raises(Interrupted):
            interruption.check()
    assert len(heard) == 1
    assert heard[0] < ended - 0.05
    assert signal.set_wakeup_fd(-1) == -1, "all is as it was"


def test_two_ctrl_c_that_come_before_python_takes_the_first_are_two() -> None:
    """Python runs a signal's handler once for both, and the second one is the one that stops at once."""
    taken: list[str] = []

    def press_twice() -> None:
        _thread.interrupt_main()
        _thread.interrupt_main()

    with Interruption(on_next=lambda: taken.append("at once")) as interruption:
        hands = threading.Thread(target=press_twice)
        hands.start()
        time.sleep(0.2)  # the main thread is in C meanwhile
        hands.join()
        assert interruption.asked
    assert taken == ["at once"]


@pytest.mark.parametrize("gaps_s", [[], [0.01, 0.01], [0.2]], ids=["once", "three times at once", "twice"])
def test_the_fault_matrix_ends_at_once_with_all_its_processes(recipes: Path, gaps_s: list[float]) -> None:
    """Its workers are killed before anything waits for them, whenever the next Ctrl-C comes."""
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = f"{heard}from dfurun.cli.main import main\nmain()"
    arguments = ["check", "--faults", "--jobs", "2", str(recipes / "f072-release.yaml")]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        while not _children(process.pid):
            time.sleep(0.05)
            assert process.poll() is None
        for gap_s in (0.3, *gaps_s):
            time.sleep(gap_s)
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.decode().endswith(STOPPED)


def _children(pid: int) -> list[str]:
    """Return the processes that a process has started; Linux only, elsewhere what says that it has."""
    file = Path(f"/proc/{pid}/task/{pid}/children")
    if not file.exists():
        time.sleep(3)
        return ["?"]
    return file.read_text(encoding="ascii").split()
