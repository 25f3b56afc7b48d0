"""Kill the process at every control transfer; `info` changes nothing, and the next run finishes the job.

A DNLOAD is only stored, and the next GETSTATUS executes it: a run that dies between the two leaves an erase behind for
whoever asks next. The board lives in a file that is saved after every transfer, and the process is really killed: it ends
inside the transfer, without unwinding.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.cli.main import run
from dfurun.clock import VirtualClock
from dfurun.image import read_image
from dfurun.simulator import Running, SimulatedBoard, StateFile

CHIP = load_chip("stm32f072xb")
FACTORY = CHIP.option_bytes.factory
BOOT_BITS_CLEARED = CHIP.option_bytes.encode(FACTORY, {"BOOT_SEL": 0, "nBOOT0": 0})
OLD_FIRMWARE = bytes(range(256)) * 64
ROOT = Path(__file__).parents[2]

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes to be killed are forked, thousands of them")
signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")


def make_board(path: Path, *, level: int, option_bytes: bytes) -> None:
    board = SimulatedBoard(CHIP, VirtualClock(), flash=OLD_FIRMWARE, option_bytes=option_bytes)
    board.protect(level)
    StateFile(path).keep(board)


def load_board(path: Path) -> SimulatedBoard:
    board = StateFile(path).load(VirtualClock())
    board.clock.sleep(1)
    return board


def quietly(arguments: list[str]) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return run(arguments)


def run_killed_at(transfer: int, arguments: list[str]) -> bool:
    """Run the command line in a child that dies at the end of its n-th control transfer; say whether it came to that."""
    child = os.fork()
    if child == 0:
        carry, count = SimulatedBoard.control, 0

        def carry_and_die(board: SimulatedBoard, *parts: Any, **named: Any) -> bytes:
            nonlocal count
            answer = carry(board, *parts, **named)
            count += 1
            if count == transfer:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        SimulatedBoard.control = carry_and_die  # type: ignore[method-assign]
        try:
            quietly(arguments)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def every_transfer(worker: int, workers: int) -> Iterator[int]:
    return iter(range(1 + worker, 10_000, workers))


def kill_everywhere(
    folder: Path, recipe: Path, image: bytes, *, worker: int, workers: int, level: int, raw: bytes
) -> int:
    """Kill at every n-th transfer and put things right; return at how many. Raises AssertionError with what went wrong."""
    state = folder / f"board-{worker}.json"
    flash = ["--sim-state", str(state), "--sim-clock", "virtual"]
    killed = 0
    for transfer in every_transfer(worker, workers):
        make_board(state, level=level, option_bytes=raw)
        if not run_killed_at(transfer, [str(recipe), *flash]):
            return killed
        killed += 1
        before = load_board(state)
        found = quietly(["info", *flash])
        after = load_board(state)
        assert bytes(after.flash.contents) == bytes(before.flash.contents), f"info changed flash, killed at {transfer}"
        assert after.option_bytes.stored == before.option_bytes.stored, (
            f"info changed option bytes, killed at {transfer}"
        )
        assert found in (0, 4), f"info exits {found}, killed at {transfer}"
        ended = quietly([str(recipe), *flash])
        board = load_board(state)
        assert ended == 0 or (ended == 4 and board.running is Running.APPLICATION), (
            f"exit {ended}, killed at {transfer}"
        )
        assert bytes(board.flash.contents) == image, f"wrong flash, killed at {transfer}"
        assert board.option_bytes.stored == FACTORY, f"wrong option bytes, killed at {transfer}"
    return killed


@forks
@pytest.mark.parametrize(
    ("level", "raw"),
    [(0, BOOT_BITS_CLEARED), (1, FACTORY)],
    ids=["an open board whose boot bits are cleared", "a board at RDP level 1"],
)
def test_a_killed_run_does_no_harm_and_the_next_one_finishes_it(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int, raw: bytes
) -> None:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    path = recipes / "firmware" / "f072-blinky.hex"
    memory = read_image("application", path, address=None, sha256=None, size_bytes=None).memory
    image = memory.overlay(CHIP.flash.extent, b"\xff" * CHIP.flash.extent.size_bytes)
    workers = os.cpu_count() or 1
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            status, report = 1, tmp_path / f"report-{worker}"
            try:
                killed = kill_everywhere(
                    tmp_path, recipes / "f072-release.yaml", image, worker=worker, workers=workers, level=level, raw=raw
                )
                report.write_text(str(killed))
                status = 0
            except BaseException as error:
                report.write_text(f"{type(error).__name__}: {error}")
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    reports = [(tmp_path / f"report-{worker}").read_text() for worker in range(workers)]
    assert statuses == [0] * workers, reports
    assert sum(int(report) for report in reports) > 80, "the recipe takes that many control transfers"


def test_a_stored_erase_is_not_executed_by_info(dfurun: Dfurun, tmp_path: Path) -> None:
    """The worst place to die: DNLOAD of a mass erase was taken, its GETSTATUS never sent."""
    from dfurun.dfuse.protocol import REQUEST_TYPE_IN, REQUEST_TYPE_OUT, DfuState, Request, mass_erase_payload
    from dfurun.simulator.transfer import Setup

    state = tmp_path / "board.json"
    make_board(state, level=0, option_bytes=FACTORY)
    board = load_board(state)
    board.control(Setup(REQUEST_TYPE_OUT, Request.DNLOAD, 0, 0, 1), mass_erase_payload())
    assert board.control(Setup(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1)) == bytes([DfuState.DNLOAD_SYNC])
    assert dfurun("info", "--sim-state", state, "--sim-clock", "virtual").exit == 0
    assert bytes(load_board(state).flash.contents).rstrip(b"\xff") == OLD_FIRMWARE[:-1]


def test_the_next_run_tells_of_the_one_that_did_not_end(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    state = tmp_path / "board.json"
    make_board(state, level=0, option_bytes=FACTORY)
    flash = ["--sim-state", str(state), "--sim-clock", "virtual"]
    record = tmp_path / "record.json"
    program = (
        "import os, sys; from dfurun.simulator import SimulatedBoard; from dfurun.cli.main import run\n"
        "carry, seen = SimulatedBoard.control, []\n"
        "def die(*parts, **named):\n"
        "    seen.append(carry(*parts, **named))\n"
        "    return os._exit(9) if len(seen) == 60 else seen[-1]\n"
        "SimulatedBoard.control = die; run(sys.argv[1:])"
    )
    arguments = [str(recipes / "f072-release.yaml"), *flash, "--record", str(record)]
    assert subprocess.run([sys.executable, "-c", program, *arguments], check=False, cwd=ROOT).returncode == 9
    assert '"outcome": "interrupted"' in record.read_text(), "a killed run leaves a record as well"
    done = dfurun(recipes / "f072-release.yaml", *flash)
    assert done.exit == 0
    assert "interrupted-run" in done.codes
    assert "the run of F072 release that began at" in done.err
    assert "interrupted-run" not in dfurun(recipes / "f072-release.yaml", *flash).codes


@signals
def test_ctrl_c_stops_between_two_operations_and_exits_130(tmp_path: Path, recipes: Path) -> None:
    """A real signal to a real process, while it waits for a board that is not there."""
    program = "from dfurun.cli.main import main; main()"
    state = tmp_path / "board.json"
    make_board(state, level=0, option_bytes=FACTORY)
    load_board(state).power_cycle(boot0=0)
    environment = {**os.environ, "DFURUN_STATE_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(recipes / "f072-release.yaml"), "--sim-state", str(state)],
        stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "F072 release: 7 steps" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "error[interrupted]: stopped by Ctrl-C between two operations" in said


@pytest.mark.parametrize("block", [1, 2, 3])
def test_ctrl_c_while_writing_waits_for_the_block(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """The signal comes in the middle of a block; the board is left idle after it, and a second run finishes."""
    state = tmp_path / "board.json"
    make_board(state, level=0, option_bytes=FACTORY)
    flash = ["--sim-state", str(state), "--sim-clock", "virtual"]
    carry, seen = SimulatedBoard.control, 0

    def interrupt(board: SimulatedBoard, setup: Any, data: bytes = b"", **named: Any) -> bytes:
        nonlocal seen
        seen += len(data) > 100
        if seen == block and len(data) > 100:
            signal.raise_signal(signal.SIGINT)
        return carry(board, setup, data, **named)

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedBoard, "control", interrupt)
        done = dfurun(recipes / "f072-release.yaml", *flash, "--record", "record.json")
    assert done.exit == 130
    assert done.codes >= {"interrupted"}
    assert "FAIL, exit 130" in done.err
    assert '"outcome": "interrupted"' in (tmp_path / "record.json").read_text()
    assert '"exit": 130' in (tmp_path / "record.json").read_text()
    assert dfurun(recipes / "f072-release.yaml", *flash).exit == 0


def test_a_board_that_a_dead_run_has_protected_is_told_so_until_it_is_open(
    dfurun: Dfurun, recipes: Path, tmp_path: Path
) -> None:
    """Power lost inside an option-byte write: erased bytes read as RDP level 1, and only the journal knows why."""
    state = tmp_path / "board.json"
    make_board(state, level=0, option_bytes=BOOT_BITS_CLEARED)
    flash = ["--sim-state", str(state), "--sim-clock", "virtual"]
    options = tmp_path / "options.yaml"
    options.write_text(
        "dfurun: 1\nname: options\nchip: stm32f072xb\nsteps:\n  - connect\n  - set-option-bytes: {from: factory}\n"
    )
    program = (
        "import os, sys; from dfurun.dfuse.session import Session; from dfurun.cli.main import run\n"
        "Session.write_option_bytes = lambda *parts: os._exit(9)\n"
        "run(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, str(options), *flash]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == 9
    assert dfurun("sim", "set-option-bytes", state, "--raw", "FF" * 16).exit == 0
    for _ in range(2):
        done = dfurun(options, *flash)
        assert (done.exit, "protected" in done.codes) == (6, True)
        assert "probably interrupted by the run of" in done.err
    assert dfurun(recipes / "f072-unprotect.yaml", *flash).exit == 0
    dfurun("sim", "protect", state, 1)
    done = dfurun(options, *flash)
    assert "protected, cause unknown" in done.err


def test_what_will_be_destroyed_is_in_the_journal_before_it_is_sent(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each destructive command, the port's journal on the disk names it already."""
    state = tmp_path / "board.json"
    make_board(state, level=1, option_bytes=FACTORY)
    carry, missing = SimulatedBoard.control, []
    wanted = {b"\x92": "read-unprotect", b"\x41": "mass-erase"}

    def look(board: SimulatedBoard, setup: Any, data: bytes = b"", **named: Any) -> bytes:
        entry = wanted.get(data) or ("option-bytes" if len(data) == 16 else "write" if len(data) > 16 else None)
        if entry is not None:
            journals = "".join(path.read_text() for path in (tmp_path / "state" / "journals").iterdir())
            if f'"entry": "{entry}"' not in journals:
                missing.append(entry)
        return carry(board, setup, data, **named)

    monkeypatch.setattr(SimulatedBoard, "control", look)
    text = (recipes / "f072-release.yaml").read_text().replace("nBOOT0: 1,", "nBOOT0: 1, DATA0: 0x12,")
    for name in ("f072-blinky.hex",):
        (tmp_path / "firmware").mkdir()
        (tmp_path / "firmware" / name).write_bytes((recipes / "firmware" / name).read_bytes())
    (tmp_path / "recipe.yaml").write_text(text)
    done = dfurun(tmp_path / "recipe.yaml", "--sim-state", state, "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    assert missing == []
