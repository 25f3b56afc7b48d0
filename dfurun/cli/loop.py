"""`--loop`: board after board, at one port or at any, until Ctrl-C. Each is a unit of its own, with a number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dfurun.cli.bench import Bench, set_up
from dfurun.cli.board_options import BoardOptions
from dfurun.cli.job import Job
from dfurun.cli.junit_report import Reports
from dfurun.cli.output import Output
from dfurun.cli.several import Meant
from dfurun.errors import Code, DeviceNotFound, ExitStatus
from dfurun.run.interruption import Interruption
from dfurun.run.next_board import NextBoard
from dfurun.steps.event import BoardFound, Event
from dfurun.units import format_duration
from dfurun.usb.discovery import Selector
from dfurun.usb.port import PortPath

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(slots=True)
class Counts:
    """What came of the boards so far."""

    passed: int = 0
    failed: int = 0

    @property
    def units(self) -> int:
        """How many boards there were."""
        return self.passed + self.failed

    def __str__(self) -> str:
        return f"{self.units} {'board' if self.units == 1 else 'boards'}: {self.passed} passed, {self.failed} failed"


def run_loop(output: Output, options: BoardOptions, boards: Meant, job: Job, reports: Reports) -> ExitStatus:
    """Run a recipe on one board after the other; return DONE where all passed, SEVERAL where not.

    INTERRUPTED where Ctrl-C came in the middle of a unit. While a board is waited for it only ends the loop, and so does
    the limit of that wait; raises DeviceNotFound where no board came within it at all.
    """
    options = replace(options, port=str(boards.ports[0]) if boards.ports else None)
    bench = set_up(options, job.recipe.chip, on_made=output.made)
    return _Loop(output, bench, boards, replace(job, patience_s=None), reports).run()


class _Loop:
    """One bench's day."""

    def __init__(self, output: Output, bench: Bench, boards: Meant, job: Job, reports: Reports) -> None:
        self._output = output
        self._bench = bench
        self._port = boards.ports[0] if boards.ports else None
        self._limit_s = math.inf if boards.limit_s is None else boards.limit_s
        self._job = job
        self._reports = reports
        self._counts = Counts()
        self._known: dict[str, str] = {}
        self._is_busy = False

    def run(self) -> ExitStatus:
        """Go on until Ctrl-C, or until no board comes any more."""
        status = ExitStatus.DONE
        next_board = NextBoard(self._bench.bus, self._bench.clock, self._port, self._stays)
        with Interruption(self._stopping) as interruption:
            while not interruption.asked:
                self._tell_waiting()
                port = next_board.wait(lambda: not interruption.asked, self._limit_s)
                if port is None:
                    break
                status = self._unit(port, interruption)
                if status is ExitStatus.INTERRUPTED:
                    break
                next_board.done(port)
            came_to_limit = not interruption.asked
        if came_to_limit and not self._counts.units:
            raise self._nobody_came()
        return self._end(interrupted=status is ExitStatus.INTERRUPTED)

    def _unit(self, port: PortPath, interruption: Interruption) -> ExitStatus:
        number = self._counts.units + 1
        bench = replace(self._bench, selector=Selector(port))
        listen = self._output.listener(str(number))

        def hear(event: Event) -> None:
            listen(event)
            if isinstance(event, BoardFound) and event.unique_id:
                self._tell_known(event.port, event.unique_id)

        self._is_busy = True
        unit = self._job.unit(bench, hear, interruption.check, trace=self._output.trace, report=self._reports(number))
        finished = unit.run()
        if finished.code is None:
            self._counts.passed += 1
        else:
            self._counts.failed += 1
        if not self._output.as_json:
            _show(self._output.messages, passed=finished.code is None)
        return ExitStatus(finished.exit_status)

    def _tell_waiting(self) -> None:
        self._is_busy = False  # not before: a Ctrl-C that has stopped a unit is perhaps told only after it
        where = f" at port {self._port}" if self._port else ""
        so_far = f"; so far {self._counts}" if self._counts.units else ""
        self._output.write({"event": "next-board", "port": str(self._port) if self._port else None})
        self._tell(f"waiting for the next board{where}{so_far}; Ctrl-C ends it")

    def _tell_known(self, port: str, unique_id: str) -> None:
        if self._known.get(port) == unique_id:
            self._tell(f"  note: the same board as before is at {port}")
        self._known[port] = unique_id

    def _stays(self, port: PortPath) -> None:
        self._output.write({"event": "board-stays", "port": str(port)})
        self._tell(f"  note: the board at {port} is still in DFU mode, and is not flashed again before it was away")

    def _tell(self, words: str) -> None:
        if not self._output.as_json and not self._output.is_quiet:
            self._output.messages.print(words, soft_wrap=True)

    def _stopping(self) -> None:
        if self._is_busy:
            self._output.stopping()

    def _nobody_came(self) -> DeviceNotFound:
        where = f" at port {self._port}" if self._port else ""
        return DeviceNotFound(
            Code.NO_DEVICE,
            f"no board in DFU mode came{where} within {format_duration(self._limit_s)}",
            consequence="nothing was sent to any board",
            hint=self._bench.bus.enter_dfu,
        )

    def _end(self, *, interrupted: bool) -> ExitStatus:
        counts, output = self._counts, self._output
        output.counts = {"units": counts.units, "passed": counts.passed, "failed": counts.failed}
        status = ExitStatus.SEVERAL if counts.failed else ExitStatus.DONE
        status = ExitStatus.INTERRUPTED if interrupted else status
        output.unit_status = status
        if not output.as_json:
            output.messages.print(str(counts), style="bold", soft_wrap=True)
        return status


def _show(console: Console, *, passed: bool) -> None:
    """Show PASS or FAIL as large as a terminal lets it; elsewhere the verdict's own line has said it."""
    if not console.is_terminal:
        return
    from dfurun.report.banner import banner

    console.print()
    for line in banner("PASS" if passed else "FAIL"):
        console.print(f"    {line}", style="bold green" if passed else "bold red", soft_wrap=True)
    console.print()
