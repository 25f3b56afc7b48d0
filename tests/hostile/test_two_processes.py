"""Two processes at one board, or at one simulated board's file: the second is told who has it, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import ROOT, Finished, in_a_process

from dfurun.locks import Held, Lock

RECIPES = ROOT / "recipes"
PROGRAM = [sys.executable, "-c", "from dfurun.cli.main import main; main()"]
# A recipe in a process of its own that waits for a person who never comes: its board is closed, and nobody has claimed it.
WAITING = """
dfurun: 1
name: Waits for hands
chip: stm32f072xb
steps:
  - connect
  - wait-for-power-cycle: {boot0: 1, timeout: 60s}
"""


@contextmanager
def running(folder: Path, *words: object, until: str) -> Iterator[subprocess.Popen[str]]:
    """A dfurun in a process of its own, which has said `until` on standard error."""
    process = subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state"), "COLUMNS": "200"},
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if until in line:
                break
        else:
            raise AssertionError(f"ended with {process.wait()}")
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a board in a file, and a recipe that waits for hands."""
    assert in_a_process("sim", "new", "board.json", folder=tmp_path).exit == 0
    (tmp_path / "waits.yaml").write_text(WAITING, encoding="utf-8")
    return tmp_path


WAITS = ("waits.yaml", "--sim-state", "board.json", "--sim-operator", "absent")


def refused(done: Finished, process: subprocess.Popen[str], *words: str) -> None:
    """Assert that a command was kept out by this process, in words that name it."""
    assert done.exit == 5, done.err
    assert done.codes == {"device-busy"}
    assert f"process {process.pid}, " in done.err
    assert re.search(r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", done.err)
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "command",
    [
        (RECIPES / "f072-release.yaml", "--sim-state", "board.json"),
        ("info", "--sim-state", "board.json"),
        ("devices", "--sim-state", "board.json"),
        ("read", "--sim-state", "board.json", "-o", "flash.bin"),
        ("sim", "power-cycle", "board.json"),
        ("sim", "protect", "board.json", "1"),
        ("sim", "load", "board.json", RECIPES / "firmware/f072-blinky.hex"),
        ("sim", "new", "board.json", "--force"),
        ("sim", "serve", "board.json", "--listen", "127.0.0.1:0"),
    ],
    ids=lambda command: " ".join(str(word) for word in command[:2] if not isinstance(word, Path)),
)
def test_a_board_in_a_file_belongs_to_the_process_that_has_it(folder: Path, command: tuple[object, ...]) -> None:
    with running(folder, *WAITS, until=">>> board at") as process:
        before = (folder / "board.json").read_bytes()
        refused(in_a_process(*command, folder=folder, COLUMNS="300"), process, "board.json is in use by another dfurun")
        assert (folder / "board.json").read_bytes() == before
        assert not (folder / "flash.bin").exists()
        shown = in_a_process("sim", "show", "board.json", folder=folder)
        assert shown.exit == 0, "who only looks at the file is let in"
        assert (folder / "board.json").read_bytes() == before


def test_a_served_board_is_kept_from_runs(folder: Path) -> None:
    with running(folder, "sim", "serve", "board.json", "--listen", "127.0.0.1:0", until="served at") as process:
        done = in_a_process(RECIPES / "f072-release.yaml", "--sim-state", "board.json", folder=folder, COLUMNS="300")
        refused(done, process, "dfurun sim serve board.json")


def test_a_lock_ends_with_its_process_however_it_ends(folder: Path) -> None:
    with running(folder, *WAITS, until=">>> board at") as process:
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
    done = in_a_process("info", "--sim-state", "board.json", "--sim-clock", "virtual", folder=folder)
    assert done.exit == 0, done.err


# The same port, as on a real bus: the simulated boards of two processes, with journals of one name.
AS_REAL = """
import dfurun.cli.bench
dfurun.cli.bench._simulated_journal = lambda options, port: port
"""


@contextmanager
def a_run_at_the_port(folder: Path) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-c", AS_REAL + "from dfurun.cli.main import main; main()"]
    process = subprocess.Popen(
        [*program, "waits.yaml", "--sim", "--sim-operator", "absent"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state"), "COLUMNS": "200"},
    )
    try:
        assert process.stderr is not None
        assert any(">>> board at" in line for line in process.stderr)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "command",
    [
        (RECIPES / "f072-release.yaml",),
        ("info",),
        ("info", "--chip", "stm32f072xb"),
        ("read", "-o", "flash.bin"),
        ("read", "-o", "flash.bin", "--chip", "stm32f072xb"),
    ],
    ids=["run", "info", "info with a chip", "read", "read with a chip"],
)
def test_a_port_belongs_to_the_run_that_found_its_board_also_while_the_board_is_away(
    folder: Path, command: tuple[object, ...]
) -> None:
    with a_run_at_the_port(folder) as process:
        journal = (folder / "state" / "journals" / "1-1.jsonl").read_bytes()
        words = (*command, "--sim", "--log", "log.txt")
        done = in_a_process(*words, folder=folder, script=AS_REAL, COLUMNS="300")
        refused(done, process, "recipe Waits for hands (waits.yaml)", "nothing was sent to it by this run")
        assert " transfer " not in (folder / "log.txt").read_text(encoding="utf-8")
        assert (folder / "state" / "journals" / "1-1.jsonl").read_bytes() == journal
        told = in_a_process(*words, "--json", folder=folder, script=AS_REAL).lines[-1]
        assert (told["exit"], told["event"]) == (5, "result")
    done = in_a_process("info", "--sim", "--sim-clock", "virtual", folder=folder, script=AS_REAL)
    assert done.exit == 0, done.err


def test_of_many_runs_at_once_at_one_board_all_that_do_not_get_it_say_so(folder: Path) -> None:
    words = [RECIPES / "f072-release.yaml", "--sim-state", "board.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state")}
    processes = [
        subprocess.Popen([*PROGRAM, *map(str, words)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [process.communicate(timeout=120)[1] for process in processes]
    statuses = [process.returncode for process in processes]
    assert 0 in statuses, told
    for status, words_of_it in zip(statuses, told, strict=True):
        assert status in (0, 4, 5), words_of_it  # 4: it came when the first had flashed the board and left it running
        assert status != 5 or "device-busy" in words_of_it
    assert json.loads((folder / "board.json").read_text(encoding="utf-8"))["version"] == 2


# The lock itself -----------------------------------------------------------------------------------------------------


def test_a_lock_is_taken_once_and_again_when_it_was_given_back(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "a.lock", "a run"), Lock(tmp_path / "a.lock", "another")
    first.take()
    with pytest.raises(Held) as held:
        second.take()
    assert held.value.holder is not None
    assert (held.value.holder.pid, held.value.holder.what) == (os.getpid(), "a run")
    first.give_back()
    first.give_back()
    second.take()
    second.give_back()
    assert [path.name for path in tmp_path.iterdir()] in ([], ["a.lock"])


@pytest.mark.parametrize(
    "told", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1e400, "what": 1, "since": 2}', "\0" * 9000, None]
)
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path, told: str | None) -> None:
    first = Lock(tmp_path / "a.lock", "a run")
    first.take()
    (tmp_path / "a.holder").unlink()
    if told is not None:
        (tmp_path / "a.holder").write_text(told, encoding="utf-8")
    with pytest.raises(Held, match="another process"):
        Lock(tmp_path / "a.lock", "another").take()
    first.give_back()


def test_the_holder_that_a_dead_process_left_behind_is_not_believed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    first = Lock(tmp_path / "a.lock", "a run")
    first.take()
    told = json.dumps({"pid": gone.pid, "what": "long ago", "since": "then"})
    (tmp_path / "a.holder").write_text(told, encoding="utf-8")
    with pytest.raises(Held) as held:
        Lock(tmp_path / "a.lock", "another").take()
    assert (held.value.holder is None) == (os.name == "posix")
    first.give_back()
