"""`--wait` and `--loop`: boards that appear, are flashed, leave, and are changed by hands, on the simulator's clock."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Dfurun, Finished, in_a_process
from terminal import screen

from dfurun.chips import load_chip
from dfurun.cli import bench
from dfurun.clock import Clock
from dfurun.report.banner import banner
from dfurun.simulator import SimulatedBoard

RELEASE = ROOT / "recipes/f072-release.yaml"
IMAGE = (ROOT / "recipes/firmware/f072-blinky.bin").read_bytes()
STAYS = (
    "dfurun: 1\nname: Stays\nchip: stm32f072xb\nimages: {a: {file: %s, sha256: %s}}\n"
    "steps: [connect, write: {image: a, mode: changed}, verify: {image: a}]\n"
)
VIRTUAL = ("--sim", "--sim-clock", "virtual")
CHIP = load_chip("stm32f072xb")

Boards = list[SimulatedBoard]
NewClock = Callable[[], Clock]
PutOnTheBus = Callable[[Callable[[NewClock], Boards]], Boards]


@pytest.fixture
def put_on_the_bus(monkeypatch: pytest.MonkeyPatch) -> PutOnTheBus:
    """Let the simulated bench be these boards; several of them may come to one port, one after the other."""

    def put(make: Callable[[NewClock], Boards]) -> Boards:
        made: Boards = []

        def boards(options: object, new_clock: NewClock, chip: object) -> Boards:
            made[:] = make(new_clock)
            return made

        monkeypatch.setattr(bench, "_healthy_boards", boards)
        return made

    return put


def board(
    clock: NewClock, port: int = 1, *, number: int = 1, comes_at_s: float = 0.0, goes_at_s: float | None = None
) -> Any:
    """A board that somebody plugs in and takes off at these times; `number` tells its unique id from others'."""
    made = SimulatedBoard(CHIP, clock(), port=(port,), unique_id=bytes([number]) * 12)
    if comes_at_s:
        made.lose_power(at_s=None, back_after_s=comes_at_s)
    if goes_at_s is not None:
        made.settle()
        made.situation.power_goes_at_s = goes_at_s
    return made


@pytest.fixture
def stays(tmp_path: Path) -> Path:
    """A recipe after which the board is still in DFU mode."""
    from hashlib import sha256

    file = tmp_path / "image.hex"
    file.write_bytes((ROOT / "recipes/firmware/f072-blinky.hex").read_bytes())
    recipe = tmp_path / "stays.yaml"
    recipe.write_text(STAYS % (file.name, f'"{sha256(file.read_bytes()).hexdigest()}"'))
    return recipe


def told(done: Finished, event: str) -> list[dict[str, Any]]:
    return [line for line in done.lines if line["event"] == event]


# --wait ---------------------------------------------------------------------------------------------------------------


def test_a_board_that_comes_after_minutes_is_waited_for(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    boards = put_on_the_bus(lambda clock: [board(clock, comes_at_s=300.0)])
    without = dfurun(RELEASE, *VIRTUAL)
    assert (without.exit, without.codes) == (4, {"no-device"})
    done = dfurun(RELEASE, "--wait", *VIRTUAL)
    assert done.exit == 0
    assert "note: no board in DFU mode yet, waiting until there is one; Ctrl-C ends it" in done.err
    assert boards[0].flash.contents.startswith(IMAGE)


def test_a_limit_ends_the_wait(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    put_on_the_bus(lambda clock: [board(clock, comes_at_s=300.0)])
    done = dfurun(RELEASE, "--wait-limit", "2min", *VIRTUAL, "--json")
    assert (done.exit, done.codes) == (4, {"no-device"})
    assert [unit["duration_s"] for unit in told(done, "unit-result")] == [pytest.approx(120, abs=1)]
    assert dfurun(RELEASE, "--wait-limit", "6min", *VIRTUAL).exit == 0


@pytest.mark.parametrize(("limit", "waited_s"), [("5s", 5.0), ("0s", 0.0)])
def test_a_limit_that_is_shorter_than_the_recipes_timeout_counts_as_well(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, limit: str, waited_s: float
) -> None:
    """The recipe waits for 10 s."""
    put_on_the_bus(lambda clock: [board(clock, comes_at_s=8.0)])
    assert dfurun(RELEASE, *VIRTUAL).exit == 0
    put_on_the_bus(lambda clock: [board(clock, comes_at_s=8.0)])
    done = dfurun(RELEASE, "--wait-limit", limit, *VIRTUAL, "--json")
    assert (done.exit, done.codes) == (4, {"no-device"})
    assert [unit["duration_s"] for unit in told(done, "unit-result")] == [pytest.approx(waited_s, abs=0.1)]


@pytest.mark.parametrize(("words", "timeout_s"), [(("--wait",), None), (("--wait-limit", "2min"), 120.0), ((), 10.0)])
def test_json_tells_that_a_board_is_waited_for_and_for_how_long(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, words: tuple[str, ...], timeout_s: float | None
) -> None:
    put_on_the_bus(lambda clock: [board(clock, comes_at_s=5.0)])
    done = dfurun(RELEASE, *words, *VIRTUAL, "--json")
    assert done.exit == 0
    awaited = [{"event": "board-awaited", "unit": "1", "index": 0, "timeout_s": timeout_s, "is_lost": False}]
    assert told(done, "board-awaited") == awaited


def test_a_board_that_waits_for_a_power_cycle_of_its_file_says_when_that_can_be_done(dfurun: Dfurun) -> None:
    """Its file belongs to the run that waits, until that has ended; the other board's command brings nothing."""
    files = ("--sim-state", "a.json", "--sim-state", "b.json")
    assert dfurun(RELEASE, "--all", *files, "--sim-clock", "virtual").exit == 0
    done = dfurun(RELEASE, "--wait-limit", "30s", "--port", "1-2", *files, "--sim-clock", "virtual")
    assert (done.exit, done.codes) == (4, {"no-device"})
    words = "; `dfurun sim power-cycle b.json --boot0 1` brings the bootloader back, while no run has the file\n"
    assert done.err.count(words) == 2, "when the wait begins, and at its end"
    assert "power-cycle a.json" not in done.err
    assert dfurun("sim", "power-cycle", "b.json", "--boot0", "1").exit == 0
    assert dfurun(RELEASE, "--port", "1-2", *files, "--sim-clock", "virtual").exit == 0


@pytest.mark.parametrize("words", [("--loop",), ("--port", "1-8")])
def test_a_port_at_which_no_simulated_board_is_names_the_ports_there_are(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, words: tuple[str, ...]
) -> None:
    put_on_the_bus(lambda clock: [board(clock, 1), board(clock, 2)])
    done = dfurun(RELEASE, "--wait-limit", "1s", "--port", "1-9", *words, *VIRTUAL)
    assert done.exit in (4, 8)
    assert done.codes == {"no-device"}
    told_by = [line for line in done.err.splitlines() if line.endswith("what to do: there is 1-1, 1-2")]
    assert len(told_by) == (1 if "--loop" in words else 2)
    assert "BOOT0" not in done.err, "it would bring nothing there"


def test_each_of_several_ports_is_waited_for(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    put_on_the_bus(lambda clock: [board(clock, 1), board(clock, 2, comes_at_s=300.0)])
    done = dfurun(RELEASE, "--wait", "--port", "1-1", "--port", "1-2", *VIRTUAL, "--json")
    assert done.exit == 0
    durations = {unit["unit"]: unit["duration_s"] for unit in told(done, "unit-result")}
    assert durations["1-1"] < 1 < 299 < durations["1-2"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_while_a_board_is_waited_for_is_130(dfurun: Dfurun, tmp_path: Path) -> None:
    assert dfurun("sim", "new", "a.json").exit == 0
    assert dfurun(RELEASE, "--sim-state", "a.json", "--sim-clock", "virtual").exit == 0
    script = (
        "import signal\n"
        "from dfurun.clock import VirtualClock\n"
        "sleep, calls = VirtualClock.sleep, []\n"
        "def later(self, seconds):\n"
        "    calls.append(None)\n"
        "    if len(calls) == 1000: signal.raise_signal(signal.SIGINT)\n"
        "    sleep(self, seconds)\n"
        "VirtualClock.sleep = later\n"
    )
    words = (RELEASE, "--wait", "--sim-state", "a.json", "--sim-clock", "virtual", "--json")
    done = in_a_process(*words, folder=tmp_path, script=script)
    assert done.exit == 130
    ended = [(unit["code"], unit["consequence"]) for unit in told(done, "unit-result")]
    assert ended == [("interrupted", "nothing was sent to any board")]


# --loop ---------------------------------------------------------------------------------------------------------------


def test_one_board_after_the_other_at_one_port(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    boards = put_on_the_bus(
        lambda clock: [board(clock, number=n, comes_at_s=at) for n, at in ((1, 0.0), (2, 10.0), (3, 20.0))]
    )
    done = dfurun(RELEASE, "--loop", "--port", "1-1", "--wait-limit", "30s", *VIRTUAL, "--json")
    assert done.exit == 0
    assert [unit["unit"] for unit in told(done, "unit-result")] == ["1", "2", "3"]
    assert [found["unique_id"][:2] for found in told(done, "board-found")] == ["01", "02", "03"]
    assert done.lines[-1] == {"event": "result", "exit": 0, "units": 3, "passed": 3, "failed": 0}
    assert all(each.flash.contents.startswith(IMAGE) for each in boards)


def test_any_port_takes_the_boards_that_come_anywhere(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    put_on_the_bus(
        lambda clock: [board(clock, 2), board(clock, 1, number=2, comes_at_s=5.0), board(clock, 7, number=3)]
    )
    done = dfurun(RELEASE, "--loop", "--wait-limit", "30s", *VIRTUAL, "--json")
    assert done.exit == 0
    assert [found["port"] for found in told(done, "board-found")] == ["1-2", "1-7", "1-1"]


def test_a_board_that_stays_in_dfu_mode_is_not_flashed_again(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, stays: Path
) -> None:
    """It is there for a minute; then another one takes its place."""
    boards = put_on_the_bus(lambda clock: [board(clock, goes_at_s=60.0), board(clock, number=2, comes_at_s=70.0)])
    done = dfurun(stays, "--loop", "--wait-limit", "80s", *VIRTUAL, "--json")
    assert done.exit == 0
    assert [found["unique_id"][:2] for found in told(done, "board-found")] == ["01", "02"]
    assert [line["port"] for line in told(done, "board-stays")] == ["1-1", "1-1"]
    assert sum(boards[0].flash.erase_counts) == sum(boards[1].flash.erase_counts)


def test_boards_that_stay_at_several_ports_are_flashed_once_each(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, stays: Path
) -> None:
    put_on_the_bus(lambda clock: [board(clock, port, number=port) for port in (1, 2, 3)])
    done = dfurun(stays, "--loop", "--wait-limit", "60s", *VIRTUAL, "--json")
    assert [found["port"] for found in told(done, "board-found")] == ["1-1", "1-2", "1-3"]


def test_a_board_that_resets_by_itself_is_still_the_same_one(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, stays: Path
) -> None:
    """A watchdog, say: away for half a second, which is no hand that changes boards. A replug of two seconds is one."""

    def bench_of(away_s: float) -> Callable[[NewClock], Boards]:
        def make(clock: NewClock) -> Boards:
            made = board(clock)
            made.situation.power_goes_at_s, made.situation.power_returns_at_s = 20.0, 20.0 + away_s
            return [made]

        return make

    put_on_the_bus(bench_of(0.2))
    done = dfurun(stays, "--loop", "--wait-limit", "40s", *VIRTUAL, "--json")
    assert len(told(done, "unit-result")) == 1
    put_on_the_bus(bench_of(3.0))
    done = dfurun(stays, "--loop", "--wait-limit", "40s", *VIRTUAL)
    assert done.err.count("PASS in") == 2
    assert done.err.count("note: the same board as before is at 1-1") == 1


def test_a_board_that_fails_ends_no_loop_and_is_counted(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfurun.simulator import parse_fault

    def make(clock: NewClock) -> Boards:
        bad = board(clock, number=1)
        bad.afflict([parse_fault("vanish:at=40")])
        return [bad, board(clock, number=2, comes_at_s=60.0)]

    put_on_the_bus(make)
    done = dfurun(
        RELEASE, "--loop", "--wait-limit", "60s", *VIRTUAL, "--json", "--junit", "day.xml", "--record", "day/"
    )
    assert done.exit == 8
    assert [unit["code"] for unit in told(done, "unit-result")] == ["device-lost", None]
    assert done.lines[-1] == {"event": "result", "exit": 8, "units": 2, "passed": 1, "failed": 1}
    suites = re.findall(r'<testsuite name="([^"]*)"', Path("day.xml").read_text())
    assert suites == ["F072 release, unit 1 at 1-1", "F072 release, unit 2 at 1-1"]
    assert sorted(json.loads(path.read_text())["exit"] for path in Path("day").iterdir()) == [0, 7]


def test_the_lines_of_a_loop_tell_what_is_waited_for_and_the_counts(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus
) -> None:
    put_on_the_bus(lambda clock: [board(clock)])
    done = dfurun(RELEASE, "--loop", "--port", "1-1", "--wait-limit", "30s", *VIRTUAL)
    lines = done.err.splitlines()
    assert lines[0] == "waiting for the next board at port 1-1; Ctrl-C ends it"
    assert lines[-3].startswith("PASS in 241 ms (")
    assert lines[-2].endswith("so far 1 board: 1 passed, 0 failed; Ctrl-C ends it")
    assert lines[-1] == "1 board: 1 passed, 0 failed"
    assert "#" not in done.err, "large letters are for a terminal"


def test_a_loop_to_which_no_board_comes_is_no_device(dfurun: Dfurun, put_on_the_bus: PutOnTheBus) -> None:
    put_on_the_bus(lambda clock: [board(clock, comes_at_s=100.0)])
    done = dfurun(RELEASE, "--loop", "--wait-limit", "30s", *VIRTUAL)
    assert (done.exit, done.codes) == (4, {"no-device"})
    assert "no board in DFU mode came within 30.0 s" in done.err


@pytest.mark.parametrize(("name", "status"), [("${port}.bin", 2), ("${unique-id}.bin", 0)])
def test_a_loop_reads_no_two_boards_into_one_file(
    dfurun: Dfurun, put_on_the_bus: PutOnTheBus, name: str, status: int
) -> None:
    put_on_the_bus(lambda clock: [board(clock, goes_at_s=20.0), board(clock, number=2, comes_at_s=30.0)])
    Path("reads.yaml").write_text(
        f'dfurun: 1\nname: x\nchip: stm32f072xb\nsteps: [connect, {{read: {{range: 0x08000000+64, file: "{name}"}}}}]\n'
    )
    assert dfurun("reads.yaml", "--loop", "--wait-limit", "40s", *VIRTUAL).exit == status
    assert len(list(Path().glob("*.bin"))) == (2 if status == 0 else 0)


# Ctrl-C and the terminal ----------------------------------------------------------------------------------------------

no_sigint = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")


@no_sigint
@pytest.mark.parametrize(("fault", "status"), [((), 0), (("--sim-fault", "lost-program:count=always"), 8)])
def test_ctrl_c_between_two_boards_ends_the_loop_with_its_own_result(
    tmp_path: Path, fault: tuple[str, ...], status: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dfurun", str(RELEASE), "--loop", "--sim", *fault, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(tmp_path / "state")},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        ended = False
        for line in process.stdout:
            ended |= json.loads(line)["event"] == "unit-result"
            if ended and json.loads(line)["event"] == "next-board":
                break
        process.send_signal(signal.SIGINT)
        *_, result = map(json.loads, process.stdout)
        assert process.stderr.read() == ""
    assert process.returncode == result["exit"] == status
    assert (result["units"], result["passed"]) == (1, int(status == 0))


@no_sigint
def test_ctrl_c_in_the_middle_of_a_unit_ends_the_loop_with_130(tmp_path: Path) -> None:
    script = (
        "import signal\n"
        "from dfurun.simulator import SimulatedBoard\n"
        "carry, calls = SimulatedBoard.control, []\n"
        "def control(*parts, **named):\n"
        "    calls.append(None)\n"
        "    if len(calls) == 60: signal.raise_signal(signal.SIGINT)\n"
        "    return carry(*parts, **named)\n"
        "SimulatedBoard.control = control\n"
    )
    done = in_a_process(RELEASE, "--loop", *VIRTUAL, "--json", folder=tmp_path, script=script)
    assert done.exit == 130
    assert done.lines[-2]["code"] == "interrupted"
    assert done.lines[-1] == {"event": "result", "exit": 130, "units": 1, "passed": 0, "failed": 1}
    assert "stopping after this operation" in done.err


@no_sigint
def test_on_a_terminal_the_verdict_is_large(tmp_path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ |= {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": "state", "TERM": "xterm", "COLUMNS": "80"}
        words = [sys.executable, "-m", "dfurun", str(RELEASE), "--loop", *VIRTUAL, "--wait-limit", "3s"]
        os.execv(sys.executable, words)
    written = b""
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        while True:
            try:
                part = shown.read(4096)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            written += part
    os.waitpid(pid, 0)
    lines = [line.strip() for line in screen(written.decode())]
    start = lines.index(banner("PASS")[0].strip())
    assert lines[start : start + 5] == [line.strip() for line in banner("PASS")]
    assert lines[-1] == "1 board: 1 passed, 0 failed"


def test_the_large_letters_are_of_one_height_and_differ() -> None:
    assert len(banner("PASS")) == len(banner("FAIL")) == 5
    assert banner("PASS")[0] == "####    ###    ####   ####"
    assert banner("PASS") != banner("FAIL")
