"""Many boards at once beside one alone, each board in a process of its own: python -m benchmarks.boards, or make boards."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.boards_report import BoardsReport, BoardsRow
from benchmarks.computer import computer
from benchmarks.modelled import FIRST_FLASH, LEAVE, NEW, VERIFY
from benchmarks.usbip_bus import UsbIpBackend
from dfurun.cli.bench import known_ids
from dfurun.plan import Compiled, compile_recipe
from dfurun.report.several import LiveBoards
from dfurun.run.batch import Halt, run_all
from dfurun.run.interpreter import Unit
from dfurun.run.journal import UnitJournal
from dfurun.run.operator import HumanOperator
from dfurun.simulator.usbip.attach import Address, exported
from dfurun.steps.context import Context
from dfurun.steps.event import Event
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector
from tests.system.firmware import recipe

COUNTS = (1, 2, 4, 8, 16)
ROUNDS = 5


class Served:
    """One simulated board in a process of its own, which takes as long as a real one."""

    def __init__(self, number: int) -> None:
        self.port = f"1-{number}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dfurun", "sim", "serve", "--new", self.port, "--listen", "127.0.0.1:0", "--json"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        told = (json.loads(line) for line in self._process.stdout)
        self.address = Address.parse(next(line["server"] for line in told if line["event"] == "serving"))

    def power_cycle(self) -> None:
        """Bring its bootloader back, and wait until it is on the bus."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"power-cycle {self.port} 1\n")
        self._process.stdin.flush()
        while not exported(self.address):
            time.sleep(0.05)

    @property
    def cpu_s(self) -> float:
        """The processor time that the board's process has taken; 0 where this system does not tell."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Run:
    """One run of so many boards: wall-clock seconds, and the processor's, a board: dfurun's with and without the stand-in."""

    seconds: float
    cpu_s: float
    stand_in_s: float
    boards_cpu_s: float


@contextmanager
def served(count: int) -> Iterator[list[Served]]:
    """So many boards, each in its process."""
    boards = [Served(number) for number in range(1, count + 1)]
    try:
        yield boards
    finally:
        for board in boards:
            board.end()


def measure(compiled: Compiled, boards: Sequence[Served], folder: Path) -> Run:
    """Flash these boards at once; everything is loaded before."""
    for board in boards:
        board.power_cycle()
    halt, backends, units = Halt(), [], {}
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        told = LiveBoards(Console(file=nowhere, force_terminal=True, width=100), [board.port for board in boards])
        for board in boards:
            backend = UsbIpBackend(board.address)
            backends.append(backend)
            units[board.port] = unit_of(compiled, Bus(backend, known_ids()), halt, folder, told.reporter(board.port))
        gc.collect()
        before_s, cpu_s, began = sum(board.cpu_s for board in boards), time.process_time(), time.perf_counter()
        with told:
            ended = run_all({port: unit.run for port, unit in units.items()}, halt)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    for backend in backends:
        backend.close()
    for port, end in ended.items():
        if end.bug is not None or end.finished is None or end.finished.code is not None:
            raise RuntimeError(f"{port}: {end}")
    count = len(boards)
    return Run(
        seconds,
        cpu_s / count,
        sum(backend.cpu_s for backend in backends) / count,
        (sum(board.cpu_s for board in boards) - before_s) / count,
    )


def unit_of(compiled: Compiled, bus: Bus, halt: Halt, folder: Path, listen: Callable[[Event], None]) -> Unit:
    """Return the run of one unit over this bus."""
    runnable, clock = compiled.runnable(), halt.clock()
    journal = UnitJournal(folder / "journals")
    assert compiled.interpretation is not None
    context = Context(
        chip=runnable.chip,
        clock=clock,
        connection=Connection(bus, runnable.chip, clock, Selector()),
        operator=HumanOperator(),
        journal=journal,
        emit=listen,
        output_folder=folder,
        expect=runnable.expect,
    )
    return Unit(
        recipe=runnable,
        context=context,
        journal=journal,
        listen=listen,
        interpretation=compiled.interpretation,
        journal_name=lambda port: port,
        simulated=True,
        checkpoint=lambda: None,
    )


def rows(runs: Mapping[int, Sequence[Run]]) -> tuple[BoardsRow, ...]:
    """Return the medians, a line a number of boards; one board alone is among them."""
    alone_s = statistics.median(run.seconds for run in runs[1])
    return tuple(_row(count, found, alone_s) for count, found in runs.items())


def _row(count: int, runs: Sequence[Run], alone_s: float) -> BoardsRow:
    seconds = [run.seconds for run in runs]
    median_s = statistics.median(seconds)
    cpu = (statistics.median(getattr(run, name) for run in runs) for name in ("cpu_s", "stand_in_s", "boards_cpu_s"))
    return BoardsRow(count, median_s, min(seconds), max(seconds), median_s / alone_s, *cpu)


def main() -> None:
    """Measure, print it, and write it down."""
    runs: dict[int, list[Run]] = {count: [] for count in COUNTS}
    with tempfile.TemporaryDirectory(prefix="boards-") as name, served(max(COUNTS)) as boards:
        folder = Path(name)
        compiled = compile_recipe(recipe(folder, FIRST_FLASH + VERIFY + LEAVE, application=NEW))
        measure(compiled, boards[:1], folder)  # whatever is imported late is imported now
        for _ in range(ROUNDS):
            for count in COUNTS:
                runs[count].append(measure(compiled, boards[:count], folder))
                print(count, runs[count][-1], flush=True)
    load = f"; load average {os.getloadavg()[0]:.1f}, niceness {os.nice(0)}" if hasattr(os, "getloadavg") else ""
    report = BoardsReport(str(datetime.now(UTC).date()), computer(), ROUNDS, load, rows(runs))
    report.save()
    print(report.page())


if __name__ == "__main__":
    main()
