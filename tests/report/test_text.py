"""A unit's last line: what was done, and what it does not promise."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console
from terminal import screen

from dfurun.chips import load_chip
from dfurun.errors import AccessDenied, Code
from dfurun.report.board import print_option_bytes
from dfurun.report.running import in_seconds
from dfurun.report.several import LiveBoards
from dfurun.report.text import TextReporter
from dfurun.steps.event import (
    BoardAwaited,
    Notice,
    OperatorAsked,
    Outcome,
    Progress,
    StepFinished,
    StepStarted,
    UnitFinished,
    Waiting,
)

FAILED = {
    "exit_status": 7, "outcome": "lost", "verified": False, "code": Code.NO_POWER_CYCLE, "message": "nobody came",
    "consequence": "", "hint": "", "evidence": (), "duration_s": 120.0, "anomalies": {}, "transfers": 12, "pages_redone": 0,
}  # fmt: skip
IN_FORCE_LATER = "option bytes come into force at the next power-on"


@pytest.mark.parametrize(
    ("verified", "power_cycle_needed", "verdict"),
    [
        (True, False, "PASS in"),
        (False, False, "PASS (written, not verified) in"),
        (True, True, f"PASS ({IN_FORCE_LATER}) in"),
        (False, True, f"PASS (written, not verified; {IN_FORCE_LATER}) in"),
    ],
)
@pytest.mark.parametrize("verbosity", [0, -1])
def test_the_verdict_names_its_reserves(verified: bool, power_cycle_needed: bool, verdict: str, verbosity: int) -> None:
    output = io.StringIO()
    finished = UnitFinished(
        exit_status=0,
        outcome="passed",
        verified=verified,
        code=None,
        message="",
        consequence="",
        hint="",
        evidence=(),
        duration_s=1.0,
        anomalies={},
        transfers=12,
        pages_redone=0,
        power_cycle_needed=power_cycle_needed,
    )
    TextReporter(Console(file=output, width=80), verbosity=verbosity)(finished)
    assert output.getvalue() == f"{verdict} 1.0 s (12 transfers)\n"


def on_a_terminal(width: int, **more: object) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    environment = {"TERM": "xterm"}
    return Console(
        file=output, force_terminal=True, width=width, color_system=None, _environ=environment, **more
    ), output


def test_on_a_terminal_a_failure_is_wrapped_between_words_and_what_is_to_be_copied_stays_whole() -> None:
    console, output = on_a_terminal(40)
    rule = 'SUBSYSTEM=="usb", ATTR{idVendor}=="0483", MODE="0660"'
    hint = f"as root, write this line to a file of rules, and replug the board:\n{rule}"
    TextReporter(console).error(AccessDenied(Code.NO_PERMISSION, "the board may not be opened by this user", hint=hint))
    assert output.getvalue().splitlines() == [
        "error[no-permission]: the board may",
        "  not be opened by this user",
        "  what to do: as root, write this line",
        "    to a file of rules, and replug the",
        "    board:",
        rule,
    ]


def test_on_a_pipe_a_failure_has_a_line_for_each_of_its_parts() -> None:
    output = io.StringIO()
    reporter = TextReporter(Console(file=output, width=20))
    reporter.error(
        AccessDenied(Code.NO_PERMISSION, "the board may not be opened", consequence="nothing was sent to it")
    )
    assert output.getvalue().splitlines() == [
        "error[no-permission]: the board may not be opened",
        "  the board: nothing was sent to it",
    ]


def test_on_a_terminal_what_a_step_did_stays_in_its_column() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "read", "read"))
    reporter(StepFinished(0, "read", Outcome.OK, "16 bytes saved to f072-backup-option-bytes.bin", 0.01))
    assert screen(output.getvalue()) == [
        "  read                  ok         10 ms  16 bytes saved to",
        "                                          f072-backup-option-bytes.bin",
    ]


def test_a_bar_outside_of_a_step_is_named_by_what_goes_on_and_leaves_nothing() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(Progress(0, "reading again", 1, 2))
    reporter.end_bar()
    assert "  reading again" in output.getvalue()
    assert output.getvalue().endswith("\x1b[1A\x1b[2K"), "the line of the bar is erased"


def redraw(reporter: TextReporter) -> None:
    """Do what a thread does ten times a second."""
    assert reporter._running is not None
    assert reporter._running._progress is not None
    reporter._running._progress.refresh()


def test_while_a_step_goes_on_its_time_is_shown_and_nothing_of_it_stays() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "mass-erase", "all [b]of it[/b]"))
    assert screen(output.getvalue()) == ["  all [b]of it[/b]  0 s"]
    reporter(Waiting(0, "mass-erase", 16.0))
    reporter(Notice("a line that comes meanwhile"))
    assert screen(output.getvalue()) == [
        "  note: a line that comes meanwhile",
        "  all [b]of it[/b]: mass-erase " + " " * 24 + " 0 s of about 16 s",
    ]
    reporter(StepFinished(0, "mass-erase", Outcome.CHANGED, "1 MiB erased", 16.0))
    assert screen(output.getvalue()) == [
        "  note: a line that comes meanwhile",
        "  all [b]of it[/b]      changed   16.0 s  1 MiB erased",
    ]


def test_while_hands_are_waited_for_no_operation_seems_to_go_on() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "unprotect", "unprotect"))
    reporter(Waiting(0, "erase", 0.04))
    reporter(OperatorAsked("1-1", 1, 120.0))
    assert screen(output.getvalue())[-1] == "  waiting for the power cycle  0 s"
    reporter(UnitFinished(**FAILED))
    assert "waiting for the power cycle" not in "".join(screen(output.getvalue()))


def test_while_a_board_is_gone_that_is_shown_until_it_is_back() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "verify", "verify"))
    reporter(Progress(0, "verify", 1, 2))
    reporter(BoardAwaited(0, 15.0, is_lost=True))
    assert screen(output.getvalue()) == ["  verify: gone from the bus, waiting 15.0 s  0 s"]
    reporter(Notice("the board left the bus and is back"))
    assert screen(output.getvalue())[-1] == "  verify  0 s"
    reporter(BoardAwaited(0, None, is_lost=False))
    assert screen(output.getvalue())[-1] == "  verify: waiting for the board  0 s"
    reporter(Progress(0, "verify", 1, 2))
    redraw(reporter)
    assert screen(output.getvalue())[-1].startswith("  verify ━━━")
    reporter(Notice("of something else"))
    redraw(reporter)
    assert screen(output.getvalue())[-1].startswith("  verify ━━━")


def test_of_several_boards_the_line_of_the_one_that_is_gone_says_so() -> None:
    console, output = on_a_terminal(80)
    with LiveBoards(console, ["1-1", "1-3"]) as boards:
        gone = boards.reporter("1-3")

        def line() -> str:
            assert boards._live is not None
            boards._live.refresh()
            return screen(output.getvalue())[-1]

        gone(StepStarted(0, "verify", "verify"))
        gone(Progress(0, "verify", 1, 2))
        gone(BoardAwaited(0, 15.0, is_lost=True))
        assert re.fullmatch(r"1-3  verify: gone from the bus, waiting 15\.0 s +\S+ (ms|s)", line())
        gone(Notice("the board left the bus and is back"))
        assert re.fullmatch(r"1-3  verify +\S+ (ms|s)", line())
        gone(BoardAwaited(0, None, is_lost=False))
        assert re.fullmatch(r"1-3  verify: waiting for the board +\S+ (ms|s)", line())


@pytest.mark.parametrize(
    ("terminal", "verbosity", "term"), [(False, 0, "xterm"), (True, -1, "xterm"), (True, 0, "dumb")]
)
def test_nothing_is_drawn_on_a_pipe_nor_quietly_nor_where_it_could_not_be_taken_away(
    terminal: bool, verbosity: int, term: str
) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=80, _environ={"TERM": term}, color_system=None)
    reporter = TextReporter(console, verbosity=verbosity)
    for event in (StepStarted(0, "mass-erase", "mass-erase"), Waiting(0, "mass-erase", 16.0), Progress(0, "x", 1, 2)):
        reporter(event)
    reporter.end_bar()
    assert output.getvalue() == ""


def test_an_operation_that_takes_longer_than_it_should_says_so() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "mass-erase", "mass-erase"))
    reporter(Waiting(0, "mass-erase", 0.001))
    time.sleep(0.01)
    redraw(reporter)
    assert screen(output.getvalue()) == ["  mass-erase " + "━" * 24 + " 0 s, longer than the usual 0 s"]
    reporter.end_bar()


def test_what_has_a_count_shows_how_far_it_is() -> None:
    console, output = on_a_terminal(80)
    reporter = TextReporter(console)
    reporter(StepStarted(0, "write", "write"))
    reporter(Progress(0, "write", 1, 4))
    redraw(reporter)
    assert screen(output.getvalue()) == ["  write " + "━" * 6 + " " * 18 + "  25%  0 s"]
    reporter(Progress(0, "check", 1, 4))
    assert [line.split("  ")[1] for line in screen(output.getvalue())] == ["write", "write: check"]
    reporter.end_bar()


@pytest.mark.parametrize(("seconds", "words"), [(0.9, "0 s"), (59.9, "59 s"), (119.0, "119 s"), (125.0, "2 min 5 s")])
def test_time_that_passes_ticks_in_seconds(seconds: float, words: str) -> None:
    assert in_seconds(seconds) == words


def test_the_table_of_option_bytes_fits_80_columns_and_is_a_field_a_line_on_a_pipe() -> None:
    chip = load_chip("stm32f072xb")
    raw = bytes.fromhex("AA557788FF00FF00FF00FF00FF00FF00")
    console, output = on_a_terminal(80)
    print_option_bytes(console, chip, raw)
    lines = output.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "nBOOT0            0, factory 1  +2 77   stands for the inverted BOOT0 pin, only" in lines
    assert "                                        while BOOT_SEL is 0; reserved on this" in lines

    output = io.StringIO()
    print_option_bytes(Console(file=output, width=80), chip, raw)
    lines = output.getvalue().splitlines()
    assert len(lines) == 2 + len(chip.option_bytes.fields)
    assert "VDDA_MONITOR      1             +2 77   1: VDDA supervisor on, 0: off" in lines
    assert all(line == line.rstrip() for line in lines)
