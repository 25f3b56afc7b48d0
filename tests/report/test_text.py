"""A unit's last line: what was done, and what it does not promise."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dfurun.chips import load_chip
from dfurun.errors import AccessDenied, Code
from dfurun.report.board import print_option_bytes
from dfurun.report.text import TextReporter
from dfurun.steps.event import Outcome, Progress, StepFinished, StepStarted, UnitFinished

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
    return Console(file=output, force_terminal=True, width=width, color_system=None, **more), output


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
    assert output.getvalue().splitlines() == [
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
