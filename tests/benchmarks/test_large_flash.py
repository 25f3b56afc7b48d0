"""The benchmark of a large flash: what a true report is, what is counted as work, and the table that comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bus import OnTheBus
from benchmarks.large_flash import CHIP, PROGRAMS, REPORTS, Flashed, Work, table
from benchmarks.paired import Run
from benchmarks.true_reports import TrueReports
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import (
    FIRST_DATA_BLOCK,
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    STATUS_LENGTH,
    DfuState,
    Request,
    StatusReport,
    mass_erase_payload,
)
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.transfer import Setup


def execute(board: SimulatedBoard, block: int, data: bytes) -> tuple[float, float]:
    """Send a DNLOAD, have it executed, wait as long as it says and ask again.

    Return what it said, and for how long the second question was kept waiting; in seconds.
    """
    board.control(Setup(REQUEST_TYPE_OUT, Request.DNLOAD, block, 0, len(data)), data)
    status = Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH)
    report = StatusReport.unpack(board.control(status))
    board.clock.sleep(report.poll_timeout_s)
    asked_s = board.clock.now()
    assert StatusReport.unpack(board.control(status)).state is DfuState.DNLOAD_IDLE
    return report.poll_timeout_s, board.clock.now() - asked_s


def test_a_true_report_is_the_operations_time_to_the_next_millisecond() -> None:
    """2048 bytes at 16 us each are 32.768 ms; a report of 32 would be too short."""
    work = Work()
    board = SimulatedBoard(CHIP, VirtualClock(), faults=[work, TrueReports()])
    board.control(Setup(REQUEST_TYPE_OUT, Request.CLRSTATUS, 0, 0, 0))
    assert execute(board, 0, mass_erase_payload()) == (16.0, pytest.approx(0.0, abs=0.001))
    assert execute(board, FIRST_DATA_BLOCK, bytes(2048)) == (0.033, pytest.approx(0.0, abs=0.001))
    assert work.total_s == pytest.approx(16.032768)


def test_seconds_are_counted_from_the_erase_on_too() -> None:
    board = SimulatedBoard(CHIP, VirtualClock())
    board.control(Setup(REQUEST_TYPE_OUT, Request.CLRSTATUS, 0, 0, 0))
    board.clock.sleep(3.0)
    execute(board, 0, mass_erase_payload())
    measured = OnTheBus.of(board.trace)
    assert measured.seconds - measured.seconds_from_the_erase_on == pytest.approx(3.0, abs=0.001)


def test_each_time_stands_beside_dfu_utils_with_the_same_reports() -> None:
    seconds = iter((90.0, 70.0, 72.0, 36.0, 34.0, 36.0))
    results = [
        Flashed(reports, program, Run(OnTheBus(taken, 3100, 3082, 3200, taken - 0.5), taken + 2), 32.8)
        for reports in REPORTS
        for program, taken in zip(PROGRAMS, seconds, strict=False)
    ]
    rows = table(results).splitlines()[2:]
    assert len(rows) == len(REPORTS) * len(PROGRAMS)
    assert rows[0].startswith(f"| dfu-util | {REPORTS[0].title} | 90.00 | 1.00 | 89.50 |")
    assert rows[4].startswith("| dfurun without verify | true ones | 34.00 | 0.94 | 33.50 | 32.80 | 3082 | 36.0 |")


def test_the_report_has_every_program_with_every_kind_of_reports() -> None:
    report = (Path(__file__).parents[2] / "benchmarks" / "report.md").read_text(encoding="utf-8")
    rows = [f"| {program.title} | {reports.title} |" for reports in REPORTS for program in PROGRAMS]
    assert [row for row in rows if row not in report] == []
