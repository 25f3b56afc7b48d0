"""`-v`, `-vv`, `-q` and `--log`: what is told of the link, where, and what happens to the log's file."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from unittest.mock import patch

import pytest
from command_line import Dfurun

from dfurun import __version__
from dfurun.report.log import LogFile

VIRTUAL = ("--sim-clock", "virtual")
STALL = ("--sim-fault", "stall:request=GETSTATUS,skip=2")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ")


def test_verbose_tells_operations_and_what_went_wrong_on_standard_error(dfurun: Dfurun, recipes: Path) -> None:
    done = dfurun(recipes / "f072-release.yaml", "--sim", *VIRTUAL, "-v", *STALL)
    assert done.exit == 0
    assert done.out == ""
    lines = done.err.splitlines()
    for words in (
        "    opened 1-1  0483:df11 at address 1",
        "    state dfuIDLE",
        "    Set Address 0x08000000: dfuDNBUSY (0 ms), dfuDNLOAD-IDLE, 0 ms",
        "    mass erase: dfuDNBUSY (40 ms), dfuDNLOAD-IDLE, 40 ms",
        "    write 2 KiB at 0x08000000: 1 block, dfuDNBUSY (62 ms), dfuDNLOAD-IDLE, 64 ms",
        "    ! GETSTATUS STALL (Pipe error)",
        "    1-1 has left the bus",
    ):
        assert words in lines
    assert "wValue" not in done.err
    assert lines.index("  mass-erase") < lines.index("    mass erase: dfuDNBUSY (40 ms), dfuDNLOAD-IDLE, 40 ms")


def test_very_verbose_tells_each_transfer(dfurun: Dfurun) -> None:
    done = dfurun("info", "--sim", *VIRTUAL, "-vv")
    assert done.exit == 0
    assert re.search(r"^ +0\.0000 s  GETSTATE  wValue=0 wLength=1: 02  dfuIDLE  \[", done.err, re.MULTILINE)
    assert re.search(r"UPLOAD    wValue=0 wLength=2048: 00 21 41 92  4 bytes", done.err)
    assert done.out == dfurun("info", "--sim", *VIRTUAL).out


def test_verbose_leaves_json_alone(dfurun: Dfurun) -> None:
    plain, watched = dfurun("info", "--sim", *VIRTUAL, "--json"), dfurun("info", "--sim", *VIRTUAL, "--json", "-vv")
    assert watched.out == plain.out
    assert "wValue" in watched.err
    assert plain.err == ""


def test_quiet_and_verbose_contradict_each_other(dfurun: Dfurun, recipes: Path) -> None:
    done = dfurun(recipes / "f072-release.yaml", "--sim", "-q", "-v")
    assert (done.exit, done.codes) == (2, {"usage"})


def test_a_log_holds_what_a_support_request_needs(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    recipe = recipes / "f072-release.yaml"
    done = dfurun(recipe, "--sim", *VIRTUAL, *STALL, "--log", "run.log")
    assert done.exit == 0
    assert "wValue" not in done.err, "a log alone shows nothing more"
    header, *_ = log = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert header == "# dfurun log 1"
    about, lines = [line for line in log if line.startswith("#")], [line for line in log if not line.startswith("#")]
    assert f"# command: dfurun run {recipe} --sim --sim-clock virtual" in "\n".join(about)
    assert any(line.startswith(f"# dfurun {__version__}, ") for line in about)
    assert "\n".join(about).count("Python ") == 1, "told once"
    assert "pyusb" in about[-1]
    assert "libusb" in about[-1]
    assert all(STAMP.match(line) for line in lines)
    text = "\n".join(lines)
    for words in (
        "event     UnitStarted recipe='F072 release'",
        "transfer      0.0000 s  GETSTATE  wValue=0 wLength=1: 02  dfuIDLE",
        "operation mass erase: dfuDNBUSY (40 ms), dfuDNLOAD-IDLE, 40 ms",
        "note      ! GETSTATUS STALL (Pipe error)",
        "event     StepFinished index='1' step='unprotect' outcome='ok'",
    ):
        assert words in text
    assert lines[-1].endswith("exit      0")


def test_a_log_tells_how_a_run_failed(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    done = dfurun("info", "--sim", *VIRTUAL, "--sim-fault", "no-permission", "--log", "run.log", "--json")
    assert done.exit == 5
    log = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert "error     [no-permission] the board at 1-1 may not be opened by this user; nothing was sent to it" in log
    assert log.endswith("exit      5\n")


def test_a_log_is_appended_to_and_nothing_else_is_written_over(dfurun: Dfurun, tmp_path: Path) -> None:
    read = ("info", "--sim", *VIRTUAL, "--log")
    assert dfurun(*read, "run.log").exit == 0
    first = (tmp_path / "run.log").read_bytes()
    assert dfurun(*read, "run.log").exit == 0
    both = (tmp_path / "run.log").read_bytes()
    assert both.startswith(first)
    assert both.count(b"# dfurun log 1\n") == 2

    dfurun("sim", "new", "board.json")
    before = (tmp_path / "board.json").read_bytes()
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL, "--log", "board.json")
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert "is no log of dfurun" in done.err
    assert (tmp_path / "board.json").read_bytes() == before, "nothing was sent, nothing was overwritten"


@pytest.mark.parametrize(
    ("log", "status", "code", "said"),
    [
        ("absent/run.log", 1, "file-unwritable", "--log absent/run.log cannot be written: "),
        (".", 2, "usage", "--log: . is a folder\n"),
    ],
)
def test_a_log_that_cannot_be_written_is_told_before_anything_is_sent(
    dfurun: Dfurun, tmp_path: Path, log: str, status: int, code: str, said: str
) -> None:
    dfurun("sim", "new", "board.json")
    before = (tmp_path / "board.json").read_bytes()
    done = dfurun("read", "--sim-state", "board.json", *VIRTUAL, "-o", "flash.bin", "--log", log)
    assert (done.exit, done.codes) == (status, {code})
    assert said in done.err
    assert "nothing was sent to any board" in done.err
    assert (tmp_path / "board.json").read_bytes() == before
    assert not (tmp_path / "flash.bin").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_at_the_logs_first_line(dfurun: Dfurun) -> None:
    done = dfurun("info", "--sim", *VIRTUAL, "--log", "/dev/full")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert os.strerror(errno.ENOSPC) in done.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no /dev/null of this kind on this system")
def test_a_log_may_be_a_device(dfurun: Dfurun) -> None:
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert dfurun("info", "--sim", *VIRTUAL, "--log", os.devnull).exit == 0


def test_a_disk_that_is_full_in_the_middle_stops_the_log_and_no_flashing(dfurun: Dfurun, recipes: Path) -> None:
    calls, write = [], LogFile._write

    def full(self: LogFile, text: str) -> None:
        calls.append(text)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, text)

    with patch.object(LogFile, "_write", full):
        done = dfurun(recipes / "f072-release.yaml", "--sim", *VIRTUAL, "--log", "run.log")
    assert done.exit == 0
    assert done.err.splitlines()[-1] == f"the log is not complete: {os.strerror(errno.ENOSPC)}"


def test_text_from_a_file_keeps_to_its_line_of_the_log(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text('dfurun: 1\nname: "two\\nlines\\e[2J"\nchip: stm32f072xb\nsteps: [connect]\n')
    assert dfurun("odd.yaml", "--sim", *VIRTUAL, "--log", "run.log").exit == 3
    log = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert "finding   odd.yaml:2:7: error[bad-value] `name` is one line of text, not " in log
    assert all(line.startswith("#") or STAMP.match(line) for line in log.splitlines())
    assert "\x1b" not in log
