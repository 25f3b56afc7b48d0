"""Several boards at once: a worker each, and nothing of one board's failure in what another tells or leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Dfurun, Finished, in_a_process
from terminal import screen
from test_interrupts import STOPPING

from dfurun.clock import VirtualClock
from dfurun.run.port_lock import lock_port
from dfurun.simulator import StateFile

RELEASE = ROOT / "recipes/f072-release.yaml"
IMAGE = (ROOT / "recipes/firmware/f072-blinky.bin").read_bytes()
VIRTUAL = ("--sim-clock", "virtual")


def made(dfurun: Dfurun, *names: str, chip: str = "stm32f072xb") -> list[str]:
    """Make boards in files, and return the options that put them on one bus, at 1-1, 1-2 and so on."""
    words = []
    for name in names:
        assert dfurun("sim", "new", f"{name}.json", "--chip", chip).exit == 0
        words += ["--sim-state", f"{name}.json"]
    return words


def flash(name: str) -> bytes:
    """What the board in a file holds."""
    return StateFile(Path(f"{name}.json")).peek(VirtualClock()).flash.contents


def by_unit(done: Finished) -> dict[str, list[dict[str, Any]]]:
    """The events of each unit."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in done.lines:
        if "unit" in line:
            found.setdefault(line["unit"], []).append(line)
    return found


def results(done: Finished) -> dict[str, dict[str, Any]]:
    """The one unit-result of each unit."""
    assert done.lines[-1]["event"] == "result"
    assert [line["event"] for line in done.lines].count("result") == 1
    found = {}
    for name, events in by_unit(done).items():
        *others, last = events
        assert last["event"] == "unit-result"
        assert all(event["event"] != "unit-result" for event in others)
        found[name] = last
    return found


def test_all_boards_are_flashed_and_each_has_its_own_result(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b", "c")
    done = dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--json")
    assert done.exit == 0
    assert done.lines[1] == {"event": "units", "units": ["1-1", "1-2", "1-3"]}
    assert {name: unit["outcome"] for name, unit in results(done).items()} == dict.fromkeys(
        ["1-1", "1-2", "1-3"], "passed"
    )
    assert done.lines[-1] == {"event": "result", "exit": 0, "units": 3, "passed": 3, "failed": 0}
    for name in "abc":
        assert flash(name).startswith(IMAGE)


def test_ports_name_the_boards_and_the_others_are_left_alone(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b", "c")
    before = Path("b.json").read_bytes()
    done = dfurun(RELEASE, "--port", "1-3", "--port", "1-1", *boards, *VIRTUAL, "--json")
    assert done.exit == 0
    assert done.lines[1]["units"] == ["1-3", "1-1"]
    assert set(results(done)) == {"1-1", "1-3"}
    assert flash("a").startswith(IMAGE)
    assert flash("c").startswith(IMAGE)
    assert not flash("b").startswith(IMAGE)
    kept = [json.loads(text)["transfers"] for text in (before, Path("b.json").read_bytes())]
    assert kept[0] == kept[1], "nothing was sent to it"


def test_serial_numbers_name_boards_that_have_different_ones(dfurun: Dfurun) -> None:
    """All F0 of one kind show the same: then it is said, and nothing is sent to any."""
    boards = made(dfurun, "a", "b")
    told = dfurun("devices", *boards, "--json")
    serial = next(line["serial"] for line in told.lines if line["event"] == "device")
    done = dfurun(RELEASE, "--serial", serial, "--serial", "other", *boards, *VIRTUAL)
    assert (done.exit, done.codes) == (4, {"ambiguous-device"})


@pytest.fixture
def mixed(dfurun: Dfurun) -> list[str]:
    """Five boards, each with its own trouble but the first, and a recipe that unprotects none."""
    boards = made(dfurun, "sound", "protected", "vanishes")
    boards += made(dfurun, "other", chip="stm32f042x6")
    boards += made(dfurun, "small")
    assert dfurun("sim", "protect", "protected.json", "1").exit == 0
    Path("strict.yaml").write_text(
        RELEASE.read_text().replace("  - unprotect", "  # -").replace("firmware/", f"{ROOT}/recipes/firmware/")
    )
    return ["strict.yaml", "--allow-outside", *boards, "--sim-fault", "1-3/vanish:at=60", *VIRTUAL]


EXPECTED = {
    "1-1": (0, None),
    "1-2": (6, "protected"),
    "1-3": (7, "device-lost"),
    "1-4": (6, "expectation"),
    "1-5": (0, None),
}


def test_boards_that_fail_in_different_ways_stop_no_other(dfurun: Dfurun, mixed: list[str]) -> None:
    done = dfurun(*mixed, "--all", "--json")
    assert done.exit == 8
    found = {name: (unit["exit_status"], unit["code"]) for name, unit in results(done).items()}
    assert found == EXPECTED
    assert done.lines[-1] == {"event": "result", "exit": 8, "units": 5, "passed": 2, "failed": 3}
    assert flash("sound").startswith(IMAGE)
    assert flash("small").startswith(IMAGE)
    for name, events in by_unit(done).items():
        about = {event["port"] for event in events if event["event"] == "board-found"}
        assert about <= {name}
        codes = {event["code"] for event in events if event.get("code")}
        assert codes <= {EXPECTED[name][1]}, "nothing of another board's failure"


def test_a_board_that_is_gone_is_told_at_once_with_how_long_it_is_waited_for(dfurun: Dfurun, mixed: list[str]) -> None:
    lines = dfurun(*mixed, "--all", "--json").lines
    gone = [line for line in lines if line["event"] == "board-awaited"]
    assert gone == [{"event": "board-awaited", "unit": "1-3", "index": 3, "timeout_s": 15.0, "is_lost": True}]
    ended = [line for line in lines if line["event"] == "step-finished" and line.get("code") == "device-lost"]
    assert lines.index(gone[0]) < lines.index(ended[0])


def test_every_plain_line_says_whose_it_is(dfurun: Dfurun, mixed: list[str]) -> None:
    done = dfurun(*mixed, "--all")
    *lines, last = done.err.splitlines()
    assert last == "5 boards: 2 passed, 3 failed (1-2, 1-3, 1-4), in 15.2 s"
    assert all(re.match(r"1-[1-5]  ", line) for line in lines), done.err
    of = {name: [line for line in lines if line.startswith(name)] for name in EXPECTED}
    assert [line for line in of["1-1"] if "error" in line or "FAIL" in line] == []
    assert of["1-1"][-1].startswith("1-1  PASS in ")
    assert of["1-2"][-1].startswith("1-2  FAIL, exit 6, after ")
    assert any("error[protected]" in line for line in of["1-2"])
    assert any("error[device-lost]" in line for line in of["1-3"])


def test_quiet_leaves_failures_and_verdicts_of_each(dfurun: Dfurun, mixed: list[str]) -> None:
    done = dfurun(*mixed, "--all", "-q")
    assert {line.partition(" ms")[0] for line in done.err.splitlines() if "PASS" in line} == {
        "1-1  PASS in 241",
        "1-5  PASS in 241",
    }
    assert not re.search(r" (ok|changed|skipped) ", done.err)


def test_each_unit_has_its_own_record_journal_and_testsuite(dfurun: Dfurun, mixed: list[str], tmp_path: Path) -> None:
    from xml.etree import ElementTree

    assert dfurun(*mixed, "--all", "--record", "records/", "--junit", "units.xml").exit == 8
    records = [json.loads(path.read_text()) for path in Path("records").iterdir()]
    assert len(records) == 5
    assert sorted(record["exit"] for record in records) == [0, 0, 6, 6, 7]
    assert len({record["run"] for record in records}) == 5
    journals = sorted((tmp_path / "state/journals").glob("*.jsonl"))
    assert [path.stem[-3:] for path in journals] == ["1-1", "1-2", "1-3", "1-5"], "an F042 was refused before its own"
    for path in journals:
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({entry["run"] for entry in entries}) == 1
        assert {entry["port"] for entry in entries if entry["entry"] == "board"} == {path.stem[-3:]}
    suites = ElementTree.parse(tmp_path / "units.xml").getroot().findall("testsuite")
    assert [suite.attrib["id"] for suite in suites] == ["0", "1", "2", "3", "4"]
    outcomes = [
        prop.attrib["value"] for suite in suites for prop in suite.iterfind("properties/property[@name='outcome']")
    ]
    assert outcomes == ["passed", "refused", "lost", "refused", "passed"]


def test_a_log_says_of_each_line_whose_it_is(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b")
    assert dfurun(RELEASE, "--all", *boards, *VIRTUAL, "-v", "--log", "all.log").exit == 0
    told = [line.split(maxsplit=2) for line in Path("all.log").read_text().splitlines() if not line.startswith("#")]
    whose = [rest.split()[0] for _, kind, rest in told if kind in ("transfer", "operation", "event")]
    assert set(whose) == {"1-1", "1-2"}
    assert whose.count("1-1") == whose.count("1-2") > 100


def test_a_port_that_another_run_has_is_refused_alone(dfurun: Dfurun, tmp_path: Path) -> None:
    boards = made(dfurun, "a", "b")
    assert dfurun(RELEASE, "--all", *boards, *VIRTUAL).exit == 0
    for name in "ab":
        dfurun("sim", "power-cycle", f"{name}.json", "--boot0", "1")
    (journal,) = (tmp_path / "state/journals").glob("*-1-2.jsonl")
    lock = lock_port(journal, "1-2", "another run")
    try:
        done = dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--json")
    finally:
        lock.give_back()
    assert done.exit == 8
    assert {name: unit["code"] for name, unit in results(done).items()} == {"1-1": None, "1-2": "device-busy"}


def test_hands_are_asked_for_one_board_while_the_others_go_on(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b")
    assert dfurun("sim", "protect", "a.json", "1").exit == 0
    done = dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--sim-operator", "absent", "--json")
    assert done.exit == 8
    asked = [line for line in done.lines if line["event"] == "operator-asked"]
    assert {(line["unit"], line["port"]) for line in asked} == {("1-1", "1-1")}
    found = results(done)
    assert found["1-1"]["code"] == "no-power-cycle"
    assert found["1-2"]["outcome"] == "passed"
    assert found["1-2"]["duration_s"] < 1 < 100 < found["1-1"]["duration_s"], "each has a clock of its own"


def test_a_recipe_reads_each_board_into_its_own_file(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b")
    for name, image in (("a", b"\x01"), ("b", b"\x02")):
        Path("image.bin").write_bytes(image * 64)
        assert dfurun("sim", "load", f"{name}.json", "image.bin").exit == 0
    text = 'dfurun: 1\nname: x\nchip: stm32f072xb\nsteps: [connect, {read: {range: 0x08000000+64, file: "NAME"}}]\n'
    Path("one.yaml").write_text(text.replace("NAME", "all.bin"))
    done = dfurun("one.yaml", "--all", *boards, *VIRTUAL)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "step 2 reads several boards into one file, all.bin" in done.err
    assert not Path("all.bin").exists()
    Path("each.yaml").write_text(text.replace("NAME", "${port}.bin"))
    assert dfurun("each.yaml", "--all", *boards, *VIRTUAL).exit == 0
    assert (Path("1-1.bin").read_bytes(), Path("1-2.bin").read_bytes()) == (b"\x01" * 64, b"\x02" * 64)


def test_no_board_at_all_is_no_device(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b")
    for name in "ab":
        dfurun("sim", "power-cycle", f"{name}.json", "--boot0", "0")
        dfurun("sim", "load", f"{name}.json", ROOT / "recipes/firmware/f072-blinky.hex")
        dfurun("sim", "power-cycle", f"{name}.json", "--boot0", "0")
    done = dfurun(RELEASE, "--all", *boards, *VIRTUAL)
    assert (done.exit, done.codes) == (4, {"no-device"})


def test_one_board_that_all_finds_and_that_fails_is_8_as_well(dfurun: Dfurun) -> None:
    """What a script is told does not hang on how many boards there happened to be."""
    boards = made(dfurun, "a")
    assert dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--sim-fault", "vanish:at=60").exit == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--all", "--port", "1-1"), "--all, and a board is named as well"),
        (("--port", "1-1", "--port", "1-1"), "a --port is given twice"),
        (("--serial", "A", "--serial", "A"), "a --serial is given twice"),
        (("--port", "1-1", "--port", "1-2", "--serial", "A"), "several boards, some by --port and some by --serial"),
        (("--loop", "--all"), "--loop takes one board after the other"),
        (("--loop", "--port", "1-1", "--port", "1-2"), "one board after the other, and --port names 1-1 and 1-2"),
        (("--loop", "--serial", "A"), "--loop waits for the next board, and --serial is that of one"),
        (("--all", "--wait"), "--all takes the boards that are there, and waits for none"),
        (("--wait-limit", "soon"), "--wait-limit: "),
        (("--all", "--record", "one.json"), "--record one.json is one file, and several boards are meant"),
        (("--all", "--sim-state", "a.json", "--sim-state", "./a.json"), "given twice, and a board is at one port"),
        (("--sim-fault", "1-9/stall"), "no simulated board is at 1-9"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything(
    dfurun: Dfurun, words: tuple[str, ...], message: str
) -> None:
    boards = () if "--sim-state" in words else ("--sim",)
    done = dfurun(RELEASE, *words, *boards, *VIRTUAL)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert message in done.err


def test_a_plan_of_one_board_holds_no_several(dfurun: Dfurun) -> None:
    boards = made(dfurun, "a", "b")
    assert dfurun("plan", RELEASE, "--sim-state", "a.json", "-o", "one.json").exit == 0
    done = dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--plan", "one.json")
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "one.json was planned for one board" in done.err
    assert dfurun("plan", RELEASE, "-o", "any.json").exit == 0
    assert dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--plan", "any.json").exit == 0


def test_a_bug_at_one_board_is_its_own_and_ends_with_9(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    from dfurun.steps.mass_erase import MassErase

    sound = MassErase.execute

    def buggy(step: Any, context: Any) -> Any:
        if context.port == "1-2":
            raise ZeroDivisionError("a mistake of ours")
        return sound(step, context)

    monkeypatch.setattr(MassErase, "execute", buggy)
    boards = made(dfurun, "a", "b", "c")
    done = dfurun(RELEASE, "--all", *boards, *VIRTUAL, "--json")
    assert done.exit == 9
    assert {name: unit["code"] for name, unit in results(done).items()} == {"1-1": None, "1-2": "bug", "1-3": None}
    assert "ZeroDivisionError: a mistake of ours" in done.err


# Ctrl-C ---------------------------------------------------------------------------------------------------------------

WIPE = "dfurun: 1\nname: Wipe\nchip: stm32f405xg\nsteps: [connect, mass-erase]\n"
no_sigint = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")


@no_sigint
def test_ctrl_c_stops_every_board_at_a_safe_boundary(dfurun: Dfurun, tmp_path: Path) -> None:
    boards = made(dfurun, "a", "b")
    script = (
        "import os, signal, time\n"
        "from dfurun.simulator import SimulatedBoard\n"
        "carry, calls = SimulatedBoard.control, []\n"
        "def control(self, *parts, **named):\n"
        "    calls.append(None)\n"
        "    if len(calls) == 80: os.kill(os.getpid(), signal.SIGINT); time.sleep(0.5)\n"
        "    return carry(self, *parts, **named)\n"
        "SimulatedBoard.control = control\n"
    )
    done = in_a_process(RELEASE, "--all", *boards, "--json", folder=tmp_path, script=script)
    assert done.exit == 130
    assert done.err == STOPPING
    found = results(done)
    assert {name: (unit["code"], unit["exit_status"]) for name, unit in found.items()} == dict.fromkeys(
        ["1-1", "1-2"], ("interrupted", 130)
    )
    assert all(unit["message"] == "stopped by Ctrl-C between two operations" for unit in found.values())
    assert done.lines[-1] == {"event": "result", "exit": 130, "units": 2, "passed": 0, "failed": 2}
    for path in (tmp_path / "state/journals").glob("*.jsonl"):
        assert json.loads(path.read_text().splitlines()[-1])["entry"] == "end"


@no_sigint
def test_a_second_ctrl_c_stops_every_board_in_the_middle_of_its_operation(dfurun: Dfurun, tmp_path: Path) -> None:
    """The F405's mass erase takes 16 s."""
    boards = made(dfurun, "a", "b", chip="stm32f405xg")
    Path("wipe.yaml").write_text(WIPE)
    with subprocess.Popen(
        [sys.executable, "-m", "dfurun", "wipe.yaml", "--all", *boards, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(tmp_path / "state")},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        waiting = set()
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "waiting":
                waiting.add(event["unit"])
            if len(waiting) == 2:
                break
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == STOPPING
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = [json.loads(line) for line in process.stdout]
    assert process.returncode == rest[-1]["exit"] == 130
    ended = [line for line in rest if line["event"] == "unit-result"]
    assert {line["unit"] for line in ended} == {"1-1", "1-2"}
    assert {line["message"] for line in ended} == {"stopped by Ctrl-C in the middle of an operation"}
    assert all(line["duration_s"] < 14 for line in ended)


# A terminal -----------------------------------------------------------------------------------------------------------


@no_sigint
def test_on_a_terminal_each_board_has_one_line_and_what_failed_stands_above(dfurun: Dfurun, tmp_path: Path) -> None:
    import pty

    boards = made(dfurun, "a", "b", "c")
    assert dfurun("sim", "protect", "b.json", "1").exit == 0
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ |= {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": "state", "TERM": "xterm", "COLUMNS": "80"}
        words = [
            sys.executable,
            "-m",
            "dfurun",
            str(RELEASE),
            "--all",
            *boards,
            "--sim-fault",
            "1-3/lost-program:count=always",
        ]
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
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 8
    *above, first, second, third, last = screen(written.decode())
    assert re.fullmatch(r"1-1  PASS in .* \(\d+ transfers\)", first)
    assert re.fullmatch(r"1-2  PASS in .* \(\d+ transfers\)", second)
    assert re.fullmatch(r"1-3  FAIL, exit 1, after .*: verify-mismatch", third)
    assert re.fullmatch(r"3 boards: 2 passed, 1 failed \(1-3\), in .*", last)
    assert any(line.startswith("1-2    >>> board at 1-2: set BOOT0 HIGH") for line in above)
    assert any(line.startswith("1-3  error[verify-mismatch]") for line in above)
    assert not any(line.startswith("1-1") for line in above)
    drawn = re.findall(r"1-[13]  ([a-z][^\r]*)", written.decode())
    assert drawn, "each line was drawn while its board was flashed"
    assert not any("mass-erase: mass-erase" in line for line in drawn)
