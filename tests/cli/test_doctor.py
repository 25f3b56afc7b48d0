"""`dfurun doctor` on simulated boards and on this computer."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from command_line import Dfurun

from dfurun.usb import libusb
from dfurun.usb.host import Host, Software

LINUX = Host("linux", "Linux-6.1", Software("3.11.7", "1.3.1", None))


def test_a_simulated_board_is_well_and_its_known_trouble_is_told(dfurun: Dfurun, tmp_path: Path) -> None:
    done = dfurun("doctor", "--sim")
    assert done.exit == 0, done.out
    assert done.out.splitlines()[-1] == "nothing prevents flashing"
    assert "board 1-1     ok       0483:df11 STM32  BOOTLOADER, STM32F072xB by its memory layout" in done.out
    assert "what to do: where a run says link-unreliable, put a USB 2.0 hub between" in done.out
    assert f"state folder  ok       {tmp_path / 'state'}" in done.out


def test_it_sends_nothing_to_a_bootloader(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json")
    before = dfurun("sim", "show", "board.json", "--json").lines[1]["transfers"]
    assert dfurun("doctor", "--sim-state", "board.json").exit == 0
    after = dfurun("sim", "show", "board.json", "--json").lines[1]["transfers"]
    sent = {name for name in after if after[name] != before.get(name, 0)}
    assert sent <= {"GET_DESCRIPTOR", "SET_CONFIGURATION"}


@pytest.mark.parametrize(
    ("fault", "code"), [("no-permission", "no-permission"), ("no-driver", "no-driver"), ("busy", "device-busy")]
)
def test_a_board_that_cannot_be_opened_is_a_problem_with_what_to_do(dfurun: Dfurun, fault: str, code: str) -> None:
    done = dfurun("doctor", "--sim", "--sim-fault", f"{fault}:count=always")
    assert (done.exit, done.codes) == (5, {code})
    assert f"board 1-1     problem  error[{code}]: 0483:df11: the board at 1-1 " in done.out
    assert "what to do: " in done.out.partition("problem")[2]
    assert "1 problem: nothing can be flashed before that is mended" in done.out


def test_quiet_shows_problems_alone(dfurun: Dfurun) -> None:
    assert " note " in dfurun("doctor", "--sim").out
    done = dfurun("doctor", "--sim", "-q")
    assert (done.exit, done.out) == (0, "")
    done = dfurun("doctor", "--sim", "--sim-fault", "no-permission:count=always", "-q")
    assert done.exit == 5
    assert done.out.startswith("board 1-1     problem  error[no-permission]: ")
    assert " note " not in done.out
    assert " ok " not in done.out


def test_json_has_one_object_a_check(dfurun: Dfurun) -> None:
    done = dfurun("doctor", "--sim", "--sim-fault", "no-permission:count=always", "--json")
    hello, *checks, result = done.lines
    assert hello["command"] == "doctor"
    assert result == {"event": "result", "exit": 5}
    assert {check["event"] for check in checks} == {"check"}
    assert [check["name"] for check in checks if check["verdict"] == "problem"] == ["board 1-1"]
    assert checks[-1]["code"] == "no-permission"


def test_a_computer_without_libusb(dfurun: Dfurun) -> None:
    with (
        patch.multiple(libusb, _packaged=lambda: None, _system=lambda: None),
        patch("dfurun.usb.host.look_at_host", return_value=LINUX),
    ):
        done = dfurun("doctor")
    assert (done.exit, done.codes) == (5, {"no-libusb"})
    assert "bus           note     not looked at: that needs a libusb" in done.out


def test_a_state_folder_that_cannot_be_written(dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "file" / "state"))
    done = dfurun("doctor", "--sim")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert "DFURUN_STATE_DIR" in done.out


def test_a_fault_without_a_board_and_one_that_is_none_are_wrong_usage(dfurun: Dfurun) -> None:
    assert dfurun("doctor", "--sim-fault", "no-permission").exit == 2
    assert dfurun("doctor", "--sim", "--sim-fault", "no-permision").exit == 2


def test_this_computer_has_a_verdict(dfurun: Dfurun) -> None:
    done = dfurun("doctor")
    assert done.exit in (0, 5)
    assert done.out.startswith("system        ok       ")


@pytest.mark.skipif(os.name == "nt", reason="no terminal of this kind on Windows")
def test_on_a_terminal_lines_are_wrapped_between_words_and_the_command_stays_whole() -> None:
    from io import StringIO

    from rich.console import Console

    from dfurun.report.checks import print_checks
    from dfurun.usb.doctor import Check, Verdict

    stream = StringIO()
    console = Console(file=stream, force_terminal=True, width=60, color_system=None)
    command = "sudo install -m 644 /a/rather/long/path/of/a/file /another/rather/long/path"
    print_checks(console, [Check("udev rule", Verdict.NOTE, "word " * 20, "do it", command=command)])
    lines = stream.getvalue().splitlines()
    assert command in lines
    assert all(len(line) <= 60 for line in lines if line != command)
    assert [line for line in lines if line.startswith(" " * 23 + "word")]
