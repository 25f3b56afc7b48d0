"""The command line itself: entry, usage, devices, info, sim, and what happens when things are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from command_line import Dfurun

from dfurun import __version__
from dfurun.chips import load_chip
from dfurun.cli.app import run_options
from dfurun.cli.bench import set_up
from dfurun.cli.board_options import BoardOptions
from dfurun.cli.failures import UsageFailure
from dfurun.cli.recipe_first import with_run
from dfurun.clock import VirtualClock
from dfurun.simulator import StateFile

ROOT = Path(__file__).parents[2]
VIRTUAL = ("--sim-clock", "virtual")


def test_version(dfurun: Dfurun) -> None:
    assert dfurun("--version").out == f"dfurun {__version__}\n"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dfurun", "--version"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, f"dfurun {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["release.yaml"],
        ["release.yml"],
        ["folder/release"],
        ["--sim", "release.yaml"],
        ["--port=1-2", "release.yaml"],
        ["-q", "x"],
    ],
)
def test_a_recipe_or_an_option_of_run_first_means_run(arguments: list[str]) -> None:
    assert with_run(arguments, run_options) == ["run", *arguments]


@pytest.mark.parametrize("arguments", [[], ["info"], ["chekc"], ["--help"], ["--version"], ["--nonsense"]])
def test_everything_else_is_a_command(arguments: list[str]) -> None:
    assert with_run(arguments, run_options) == arguments


def test_a_file_without_a_suffix_is_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "release").touch()
    assert with_run(["release"], run_options) == ["run", "release"]


@pytest.mark.parametrize("arguments", [[], ["sim"]])
def test_without_a_command_the_help_is_shown_and_the_usage_is_wrong(dfurun: Dfurun, arguments: list[str]) -> None:
    done = dfurun(*arguments)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "Usage: dfurun" in done.out
    assert "error[usage]: no command" in done.err


def test_a_command_that_is_not_one_says_what_was_meant(dfurun: Dfurun) -> None:
    done = dfurun("chekc")
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "did you mean 'check'?" in done.err
    assert "nothing was sent to any board" in done.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["bin"], "`dfurun --help` lists the commands"),
        (["flan"], "did you mean 'plan'? `dfurun --help` lists the commands"),
        (["run", "--pin"], "`dfurun run --help` tells what it takes"),
        (["run", "-z"], "`dfurun run --help` tells what it takes"),
        (["run", "--simm"], "did you mean '--sim'? `dfurun run --help` tells what it takes"),
        (["sim", "laod"], "did you mean 'load'? `dfurun sim --help` tells what it takes"),
    ],
)
def test_only_what_is_really_close_is_offered(dfurun: Dfurun, arguments: list[str], hint: str) -> None:
    done = dfurun(*arguments)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert done.err.splitlines()[-1] == f"  what to do: {hint}"
    assert "ossible" not in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "--nonsense"], "No such option: --nonsense"),
        (["check"], "Missing argument"),
        (["info", "--port", "first"], "'first' is not a port such as 1-2 or 1-2.3"),
        (["info", "--sim-fault", "stall"], "--sim-fault without a simulated board"),
        (["info", "--sim", "--sim-fault", "stal"], "stall"),
        (["info", "--sim", "--sim-chip", "stm32f072"], "`stm32f072` can mean 2 chips"),
        (["info", "--sim", "--chip", "f499"], "no chip is called `f499`"),
        (["sim", "set-option-bytes", "board.json", "BOOT=1"], "has no field 'BOOT'"),
        (["sim", "set-option-bytes", "board.json", "--raw", "AA55"], "2 bytes, the chip has 16"),
        (["sim", "set-option-bytes", "board.json", "DATA0=010"], "'010' begins with a zero: 0x010 in hexadecimal, 10"),
        (["sim", "set-option-bytes", "board.json", "DATA0=1two"], "'1two' is no number such as 119 or 0x77"),
        (["sim", "set-option-bytes", "board.json"], "nothing to set"),
        (["sim", "set-option-bytes", "board.json", "nBOOT1"], "'nBOOT1' is not NAME=VALUE"),
        (["sim", "set-option-bytes", "board.json", "USER=0x1FF"], "USER is 0x00 to 0xFF, not 0x1FF"),
        (["sim", "set-option-bytes", "board.json", "USER=all"], "USER is 0x00 to 0xFF, not 'all'"),
        (["info", "--sim-option-reload", "power-on"], "--sim-option-reload without a simulated board"),
        (["sim", "load", "board.json", "absent.hex"], "absent.hex"),
        (["sim", "dump", "board.json", "absent/flash.bin"], "No such file or directory"),
        (["info", "--sim", "--sim-clock", "vrtual"], "what to do: did you mean 'virtual'?"),
        (["info", "--sim", "--sim-fault", "vanihs"], "what to do: did you mean 'vanish'?"),
        (["info", "--sim", "--sim-fault", "vanish:x=1"], "what to do: `dfurun sim faults` lists"),
        (["read", "--sim", "--length", "-5", "-o", "flash.bin"], "what to do: without --length"),
        (["sim", "set-option-bytes", "board.json", "RPD=1"], "what to do: did you mean 'RDP'?"),
        (["sim", "set-option-bytes", "board.json", "FOO=1"], "what to do: known: "),
        (["sim", "set-option-bytes", "board.json"], "what to do: `dfurun chips stm32f072xb` shows"),
        (["sim", "protect", "board.json", "3"], "what to do: "),
        (["sim", "power-cycle", "board.json", "--boot0", "high"], "what to do: "),
        (["check", "--fault-budget", "-1", "r.yaml"], "what to do: "),
    ],
)
def test_wrong_usage_exits_2_and_says_why(dfurun: Dfurun, arguments: list[str], words: str) -> None:
    dfurun("sim", "new", "board.json")
    done = dfurun(*arguments)
    assert (done.exit, done.codes, done.out) == (2, {"usage"}, "")
    assert words in done.err
    assert "Value error" not in done.err
    assert "Input should" not in done.err
    as_json = dfurun(*arguments, "--json")
    assert [line["event"] for line in as_json.lines] == ["hello", "result"]
    assert as_json.lines[-1]["exit"] == 2
    assert as_json.err == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is not there"),
        ("", "not a simulated board"),
        ('{"format": "other"}', "board.json"),
        ("[]", "board.json"),
    ],
)
def test_a_state_file_that_is_none_is_not_touched(
    dfurun: Dfurun, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "board.json"
    if content is not None:
        path.write_text(content)
    done = dfurun("sim", "show", "board.json")
    assert (done.exit, done.codes) == (2, {"sim-state"})
    assert words in done.err
    assert (path.read_text() if path.exists() else None) == content


def test_sim_new_keeps_a_file_that_is_there(dfurun: Dfurun, tmp_path: Path) -> None:
    assert dfurun("sim", "new", "board.json").exit == 0
    before = (tmp_path / "board.json").read_bytes()
    done = dfurun("sim", "new", "board.json")
    assert (done.exit, done.codes) == (2, {"sim-state"})
    assert (tmp_path / "board.json").read_bytes() == before
    assert dfurun("sim", "new", "absent/board.json").exit == 2


def test_sim_show_and_dump_tell_what_no_bootloader_would(dfurun: Dfurun, tmp_path: Path, recipes: Path) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "load", "board.json", recipes / "firmware" / "f072-blinky.hex")
    dfurun("sim", "protect", "board.json", 2)
    shown = dfurun("sim", "show", "board.json")
    assert "RDP level 2 in force" in shown.out
    assert "3 of 64 pages hold something" in shown.out
    assert "RDP is level-2, from the factory level-0" in shown.out
    shown = dfurun("sim", "show", "board.json", "--json")
    assert shown.lines[1]["protection_level"] == 2
    assert dfurun("sim", "dump", "board.json", "flash.bin").exit == 0
    firmware = (recipes / "firmware" / "f072-blinky.bin").read_bytes()
    assert (tmp_path / "flash.bin").read_bytes() == firmware.ljust(128 * 1024, b"\xff")


def test_sim_show_tells_what_a_power_on_would_change(dfurun: Dfurun) -> None:
    """A complement that does not fit loads as 0xFF: stored and in force differ by it, and no power-on changes that."""
    dfurun("sim", "new", "board.json")
    spoiled = "AA55FF00" + "12FF" + "FF00" * 5
    shown = dfurun("sim", "set-option-bytes", "board.json", "--raw", spoiled)
    assert "AA55 FF00 12FF" in shown.out
    assert "until the next power-on" not in shown.out


def test_sim_option_reload_holds_for_a_board_that_is_there(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json")
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL, "--sim-option-reload", "reset")
    assert done.exit == 0, done.err
    assert StateFile(tmp_path / "board.json").load(VirtualClock()).option_reload == "reset"
    assert dfurun("info", "--sim-state", "board.json", *VIRTUAL).exit == 0
    assert StateFile(tmp_path / "board.json").load(VirtualClock()).option_reload == "reset"


def test_a_state_file_has_its_own_chip(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json")
    same = (*VIRTUAL, "--sim-chip", "STM32F072xB")
    assert dfurun("info", "--sim-state", "board.json", *same).exit == 0
    other = replace(load_chip("stm32f072xb"), name="stm32f072x8")
    options = BoardOptions(sim_states=(tmp_path / "board.json",), sim_chip="stm32f072x8")
    with patch("dfurun.cli.bench.chip_called", lambda name: other), pytest.raises(UsageFailure) as caught:
        set_up(options)
    assert "--sim-chip stm32f072x8, and" in caught.value.message
    assert "holds a board with stm32f072xb" in caught.value.message


def test_a_board_without_a_file_has_no_journal(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    """Runs that go on at the same time would take each other's entries for their own."""
    assert set_up(BoardOptions(sim=True)).journal_name("1-1") is None
    for _ in range(2):
        done = dfurun(recipes / "f072-release.yaml", "--sim", *VIRTUAL)
        assert done.exit == 0, done.err
    assert not list(tmp_path.rglob("*ephemeral*"))


def test_two_boards_are_told_apart_by_their_ports(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    """F0 serial numbers are all the same: the candidates are listed, --port chooses."""
    boards = ("--sim-state", "one.json", "--sim-state", "two.json")
    done = dfurun(recipes / "f072-release.yaml", *boards, *VIRTUAL)
    assert (done.exit, done.codes) == (4, {"ambiguous-device"})
    assert "choose one with --port: 1-1, 1-2" in done.err
    done = dfurun(recipes / "f072-release.yaml", *boards, *VIRTUAL, "--serial", "FFFFFFFEFFFF")
    assert (done.exit, done.codes) == (4, {"ambiguous-device"})
    listed = dfurun("devices", *boards)
    assert [line.split()[0] for line in listed.out.splitlines() if "0483:df11" in line] == ["1-1", "1-2"]
    done = dfurun(recipes / "f072-release.yaml", *boards, *VIRTUAL, "--port", "1-2")
    assert done.exit == 0, done.err
    assert "running         bootloader" in dfurun("sim", "show", "one.json").out
    assert "running         application" in dfurun("sim", "show", "two.json").out


def test_devices_lists_what_it_cannot_open_with_the_reason(dfurun: Dfurun) -> None:
    done = dfurun("devices", "--sim", "--sim-fault", "no-permission")
    assert done.exit == 0
    assert "1-1       0483:df11  the board at 1-1 may not be opened by this user" in done.out
    done = dfurun("devices", "--sim", "--json")
    assert done.lines[1]["layout"][0] == "@Internal Flash  /0x08000000/064*0002Kg"


def test_devices_says_how_to_enter_dfu_where_there_is_none(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "power-cycle", "board.json", "--boot0", "0")
    done = dfurun("devices", "--sim-state", "board.json")
    assert (done.exit, done.out) == (4, "")
    assert "no board in DFU mode is on the bus" in done.err
    assert "`dfurun sim power-cycle board.json --boot0 1` brings the bootloader back" in done.err
    assert dfurun("devices", "--sim-state", "board.json", "--json").lines[-1] == {"event": "result", "exit": 4}


def test_a_simulated_board_whose_application_runs_is_brought_back_by_the_command_that_is_named(
    dfurun: Dfurun, recipes: Path
) -> None:
    state = ("--sim-state", "a board.json")
    run = ("run", recipes / "f072-release.yaml", *state, *VIRTUAL)
    assert dfurun(*run).exit == 0
    command = ("sim", "power-cycle", "a board.json", "--boot0", "1")
    words = "`dfurun sim power-cycle 'a board.json' --boot0 1` brings the bootloader back"
    for looks in (run, ("info", *state, *VIRTUAL), ("devices", *state), ("doctor", *state)):
        done = dfurun(*looks)
        assert words in done.out + done.err
        assert "data lines" not in done.out + done.err, "no cable of a simulated board is to blame"
    assert dfurun(*command).exit == 0
    assert dfurun(*run).exit == 0


def test_of_two_simulated_boards_both_commands_are_named(dfurun: Dfurun) -> None:
    for name in ("one.json", "two.json"):
        dfurun("sim", "new", name)
        dfurun("sim", "power-cycle", name, "--boot0", "0")
    done = dfurun("devices", "--sim-state", "one.json", "--sim-state", "two.json")
    assert "cycle one.json --boot0 1` and `dfurun sim power-cycle two.json --boot0 1` bring the" in done.err


def test_info_tells_everything_of_a_board(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json")
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL)
    assert done.exit == 0
    for words in (
        "port            1-1",
        "STM32  BOOTLOADER (0483:df11, bcdDevice 0x2200)",
        "FFFFFFFEFFFF (the same on every board of this kind)",
        "V10.1 (id 0xA1)",
        "2D0030000D50534237343120",
        "flash size      128 KiB",
        "00 21 41 92",
        "@Option Bytes  /0x1FFFF800/01*016 e",
        "protection      not protected",
        "AA55 FF00 FF00 FF00 FF00 FF00 FF00 FF00",
        "RAM_PARITY_CHECK  1",
        "BOOT0 low       starts the application in main flash",
        "BOOT0 high      starts the bootloader",
    ):
        assert words in done.out
    assert "always boots" not in done.out


def test_info_shows_the_evidence_of_protection(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "protect", "board.json", "1")
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL)
    assert done.exit == 0
    assert "protection      read-protected" in done.out
    assert done.out.count("dfuERROR, errVENDOR") == 3
    assert "Get Commands: answered" in done.out
    assert "option bytes" not in done.out
    assert "\n                cause unknown\n" in done.out
    told = dfurun("info", "--sim-state", "board.json", *VIRTUAL, "--json").lines[1]["protection"]
    assert (told["verdict"], told["cause"]) == ("protected", "cause unknown")
    open_board = dfurun("info", "--sim", *VIRTUAL, "--json").lines[1]["protection"]
    assert open_board == {"verdict": "unprotected", "cause": None, "evidence": open_board["evidence"]}


def test_info_tells_of_the_run_that_probably_protected_the_board(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "protect", "board.json", "1")
    state = tmp_path / "board.json"
    name = set_up(BoardOptions(sim_states=(state,))).journal_name("1-1")
    journal = tmp_path / "state" / "journals" / f"{name}.jsonl"
    journal.parent.mkdir(parents=True)
    entry = {"time": "2026-01-02T03:04:05.000+00:00", "run": "a", "entry": "option-bytes", "before": "", "after": ""}
    journal.write_text(json.dumps(entry) + "\n")
    words = "probably interrupted by the run of 2026-01-02T03:04:05.000+00:00"
    assert words in dfurun("info", "--sim-state", state, *VIRTUAL).out
    assert words in dfurun("info", "--sim-state", state, *VIRTUAL, "--json").lines[1]["protection"]["cause"]


def test_info_calls_an_unreliable_link_by_its_name(dfurun: Dfurun) -> None:
    done = dfurun("info", "--sim", *VIRTUAL, "--sim-fault", "stall:request=UPLOAD,skip=1,count=always")
    assert (done.exit, done.codes) == (7, {"link-unreliable"})
    assert "not because it is protected" in done.err


def test_a_layout_that_cannot_be_read_is_an_unreliable_link_and_no_unknown_chip(dfurun: Dfurun, recipes: Path) -> None:
    fault = ("--sim", *VIRTUAL, "--sim-fault", "stall:count=always")
    for words in (["info"], [recipes / "f072-release.yaml"]):
        done = dfurun(*words, *fault)
        assert (done.exit, done.codes) == (7, {"link-unreliable"})
        assert "is on the bus and does not answer" in done.err
        assert "the name of alternate setting 0 cannot be read" in done.err
    assert dfurun("devices", *fault[:1], *fault[3:]).out == "1-1       0483:df11  does not answer: I/O error\n"


def test_info_names_a_user_flash_dfu(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json", "--user-dfu")
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL)
    assert done.exit == 0, done.err
    assert "this is a DFU program in user flash, not the bootloader in ROM" in done.out
    assert "option bytes" not in done.out


def test_without_a_libusb_that_works_it_says_so(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfurun.usb.libusb._packaged", lambda: None)
    monkeypatch.setattr("dfurun.usb.libusb._system", lambda: None)
    done = dfurun("devices")
    assert (done.exit, done.codes) == (5, {"no-libusb"})
    assert "libusb-1.0-0" in done.err


def test_a_bug_exits_9_and_asks_for_a_report(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("dfurun.cli.info.look", broken)
    done = dfurun("info", "--sim")
    assert (done.exit, done.codes) == (9, {"bug"})
    assert "this is a bug in dfurun" in done.err
    assert "ZeroDivisionError: a mistake of ours" in done.err
    assert dfurun("info", "--sim", "--json").lines[-1]["exit"] == 9


def test_quiet_shows_failures_and_the_verdict(dfurun: Dfurun, recipes: Path) -> None:
    done = dfurun(recipes / "f072-release.yaml", "--sim", *VIRTUAL, "--quiet")
    assert done.exit == 0
    (verdict,) = done.err.splitlines()
    assert verdict.startswith("PASS in ")


def test_quiet_still_asks_the_operator_and_keeps_notes_to_itself(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "unpinned.bin").write_bytes(b"\x01\x02")
    (tmp_path / "ask.yaml").write_text(
        "dfurun: 1\nname: x\nchip: stm32f072xb\nimages: {a: {file: unpinned.bin, address: 0x08000000}}\n"
        "steps: [connect, wait-for-power-cycle: {boot0: 1}]\n"
    )
    fault = ("--sim-fault", "stall:request=GETSTATUS")
    done = dfurun("ask.yaml", "--sim", *VIRTUAL, "-q", *fault)
    assert done.exit == 0, done.err
    operator, _, verdict = done.err.splitlines()
    assert "set BOOT0 HIGH and power-cycle it" in operator
    assert "anomaly" in verdict
    assert "note[unreliable-answers]" in dfurun("ask.yaml", "--sim", *VIRTUAL, *fault).err


@pytest.mark.parametrize("content", ["", "dfurun: 1\n", "[]", '{"run": 1}', "\xff"])
def test_a_record_overwrites_nothing_but_a_record(dfurun: Dfurun, recipes: Path, tmp_path: Path, content: str) -> None:
    target = tmp_path / "there.json"
    target.write_text(content, encoding="latin-1")
    dfurun("sim", "new", "board.json")
    before = (tmp_path / "board.json").read_bytes()
    run = (recipes / "f072-release.yaml", "--sim-state", "board.json", *VIRTUAL, "--record")
    done = dfurun(*run, target)
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert "is no record of dfurun" in done.err
    assert target.read_text(encoding="latin-1") == content
    assert (tmp_path / "board.json").read_bytes() == before, "nothing was sent"


def test_a_record_replaces_an_older_one(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    run = (recipes / "f072-release.yaml", "--sim", *VIRTUAL, "--record", "record.json")
    assert dfurun(*run).exit == 0
    first = (tmp_path / "record.json").read_bytes()
    assert dfurun(*run).exit == 0
    assert (tmp_path / "record.json").read_bytes() != first


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is an OSError of another kind there")
def test_a_reader_that_goes_away_is_no_bug() -> None:
    done = subprocess.run(
        f"{sys.executable} -m dfurun info --sim --sim-clock virtual | head -1",
        shell=True, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "port            1-1\n"
    assert "Traceback" not in done.stderr


def test_sim_load_puts_raw_binary_at_the_start_of_the_flash(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json")
    (tmp_path / "app.bin").write_bytes(b"firmware")
    assert dfurun("sim", "load", "board.json", "app.bin").exit == 0
    assert StateFile(tmp_path / "board.json").load(VirtualClock()).flash.contents[:9] == b"firmware\xff"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_log_on_a_pipe_that_nobody_reads_is_refused(dfurun: Dfurun, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = dfurun("info", "--sim", *VIRTUAL, "--log", "pipe")
    assert done.exit == 1
    assert "neither a file nor a terminal" in done.err


@pytest.mark.parametrize(
    ("name", "contents", "said"),
    [
        (
            "large.bin",
            bytes(200_000),
            "large.bin holds 0x08020000..0x08030D3F, outside the flash 0x08000000..0x0801FFFF",
        ),
        ("ram.hex", b":020000042000DA\n:0400000001020304F2\n:00000001FF\n", "ram.hex holds 0x20000000..0x20000003"),
        (
            "options.hex",
            b":020000040800F2\n:0400000001020304F2\n:020000041FFFDC\n:02F8000055AA07\n:00000001FF\n",
            "what to do: option bytes are set with `dfurun sim set-option-bytes`",
        ),
    ],
)
def test_sim_load_refuses_what_lies_outside_the_flash_and_leaves_the_board_as_it_was(
    dfurun: Dfurun, tmp_path: Path, name: str, contents: bytes, said: str
) -> None:
    dfurun("sim", "new", "board.json")
    before = (tmp_path / "board.json").read_bytes()
    (tmp_path / name).write_bytes(contents)
    done = dfurun("sim", "load", "board.json", name)
    assert (done.exit, done.out, done.codes) == (3, "", {"outside-flash"})
    assert said in done.err
    assert "the board: the simulated board is as it was" in done.err
    assert (tmp_path / "board.json").read_bytes() == before


def test_sim_load_takes_an_image_that_fills_the_flash(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json")
    (tmp_path / "whole.bin").write_bytes(bytes(128 * 1024))
    assert dfurun("sim", "load", "board.json", "whole.bin").exit == 0
    assert not any(StateFile(tmp_path / "board.json").load(VirtualClock()).flash.contents)


@pytest.mark.parametrize("words", [["info"], ["devices"], ["read", "-o", "flash.bin"], ["info", "--json"]])
def test_a_state_file_that_a_command_has_to_make_is_told_of_once(dfurun: Dfurun, words: list[str]) -> None:
    note = "note: baord.json was not there; it is made, and holds a new board\n"
    assert note in dfurun(*words, "--sim-state", "baord.json").err
    assert "was not there" not in dfurun(*words, "--sim-state", "baord.json", *FORCED.get(words[0], ())).err
    dfurun("sim", "new", "board.json")
    assert "was not there" not in dfurun(*words, "--sim-state", "board.json", *FORCED.get(words[0], ())).err


FORCED = {"read": ("--force",)}
