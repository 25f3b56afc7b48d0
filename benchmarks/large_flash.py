"""An F405 with 1 MiB in real time, in the virtual machine: its ROM's own reports, and true ones; one run of each program.

The flash and what it takes are the simulated board's; what differs is the bwPollTimeout that goes with an operation. A true
report is that of the operation at hand, at the width that the program has it programmed with.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import paired
from benchmarks.modelled import FIRST_FLASH, LEAVE, SUPPLY, VERIFY
from benchmarks.report import DFU_UTIL, DFU_UTIL_JOB, LargeRow, large_table
from benchmarks.true_reports import TrueReports
from dfurun.chips import load_chip
from dfurun.simulator.fault import Fault, Victim
from dfurun.simulator.operation import Operation
from tests.system.firmware import image, recipe
from tests.system.guest_bench import DFURUN, BoardInGuest, GuestBench

CHIP = load_chip("stm32f405xg")
NEW, OLD = (image(CHIP, CHIP.flash.extent.size_bytes, seed=seed) for seed in (1, 2))


class Work(Fault):
    """No fault: adds up what the board's operations take, in seconds."""

    name = "work"

    def __init__(self) -> None:
        self.total_s = 0.0

    def beginning(self, operation: Operation, board: Victim) -> Operation:
        """Count the operation, and leave it as it is."""
        del board
        self.total_s += operation.duration_s
        return operation


@dataclass(frozen=True)
class Reports:
    """What the ROM reports; `{erase}` and `{block}` of the title are the chip data's, in milliseconds."""

    title: str
    faults: tuple[type[Fault], ...] = ()


@dataclass(frozen=True)
class Program:
    """A line of the report within the reports: a program, and for dfurun the steps of its recipe."""

    title: str
    steps: str = ""


@dataclass(frozen=True)
class Flashed:
    """One run, and how many seconds of it the board's operations took."""

    reports: Reports
    program: Program
    run: paired.Run
    work_s: float

    def figures(self) -> LargeRow:
        """Return what the report tells of it."""
        bus = self.run.bus
        return LargeRow(
            self.program.title,
            self.reports.title,
            bool(self.reports.faults),
            bus.seconds,
            bus.seconds_from_the_erase_on,
            self.work_s,
            bus.requests_from_the_erase_on,
            self.run.process_s,
        )


_ERASE_MS, _BLOCK_MS = (
    round(duration.reported_s * 1000) for duration in (CHIP.timing.mass_erase, CHIP.timing.program_block)
)
REPORTS = (
    Reports(f"its own: {_ERASE_MS} ms for a mass erase, {_BLOCK_MS} ms for a block"),
    Reports("true ones", (TrueReports,)),
)
PROGRAMS = (
    Program(DFU_UTIL),
    Program("dfurun without verify", FIRST_FLASH + LEAVE),
    Program("dfurun with verify", FIRST_FLASH + VERIFY + LEAVE),
)


def measure(bench: GuestBench) -> Iterator[Flashed]:
    """Run every program with every kind of reports, on one board with old firmware."""
    with tempfile.TemporaryDirectory(prefix="large-") as name, bench.board(chip=CHIP, flash=OLD) as board:
        for reports in REPORTS:
            for program in PROGRAMS:
                # a folder a run: the guest remembers what it has read of a file
                yield _run(bench, board, Path(tempfile.mkdtemp(dir=name)), reports, program)


def _run(bench: GuestBench, board: BoardInGuest, folder: Path, reports: Reports, program: Program) -> Flashed:
    words: Iterable[object]
    if program.steps:
        words = DFURUN, recipe(folder, program.steps, application=NEW, chip=CHIP.name, supply=SUPPLY)
    else:
        image_file = folder / "new.bin"
        image_file.write_bytes(NEW)
        words = DFU_UTIL, *DFU_UTIL_JOB, image_file
    paired.renew(bench, board, OLD)
    bench.afflict(board, ())
    work = Work()
    with board.export.board() as simulated:
        simulated.afflict([work, *(fault() for fault in reports.faults)])
    run = paired.run(bench, board, f"{program.title}, {reports.title}", NEW, *words)
    return Flashed(reports, program, run, work.total_s)


def table(results: Sequence[Flashed]) -> str:
    """Return the results as a table in Markdown; each time also as a part of dfu-util's with the same reports."""
    return large_table([result.figures() for result in results])


def main() -> None:
    """Measure and print, without the rest of the benchmark."""
    results = []
    with GuestBench() as bench:
        for result in measure(bench):
            results.append(result)
            print(table(results).splitlines()[-1], flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
