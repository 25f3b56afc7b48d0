"""Several boards at once: `--all`, or several `--port`. A worker each; one `unit-result` each, and one exit status."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from dfurun.cli.bench import Benches, set_up_each
from dfurun.cli.board_options import BoardOptions
from dfurun.cli.job import Job
from dfurun.cli.junit_report import Reports
from dfurun.cli.output import Output
from dfurun.cli.several import Meant
from dfurun.errors import Code, DeviceNotFound, ExitStatus
from dfurun.run.batch import Halt, run_all
from dfurun.run.interruption import Interruption
from dfurun.steps.event import Event, UnitFinished
from dfurun.usb.discovery import Selector
from dfurun.usb.port import PortPath

if TYPE_CHECKING:
    from dfurun.run.interpreter import Unit

CHOOSE = "`--port` for each of them"


def run_batch(output: Output, options: BoardOptions, boards: Meant, job: Job, reports: Reports) -> ExitStatus:
    """Run a recipe on several boards at once; return DONE where all passed, SEVERAL where not.

    INTERRUPTED where Ctrl-C stopped one, BUG where dfurun itself failed one. Raises DeviceNotFound where no board is meant.
    """
    halt = Halt()
    benches = set_up_each(options, job.recipe.chip, halt.clock, on_made=output.made)
    ports = _ports(benches, boards)
    names = [str(port) for port in ports]
    output.write({"event": "units", "units": names})
    with output.several(names) as told, Interruption(output.stopping, halt.ask) as interruption:
        workers: dict[str, Callable[[], UnitFinished]] = {}
        for port, name in zip(ports, names, strict=True):
            listen, watch = told.unit(name)
            unit = job.unit(benches.at(port), listen, interruption.check, trace=watch, report=reports(None))
            workers[name] = _guarded(unit, listen)
        ended = run_all(workers, halt)
    finished = {name: end.finished for name, end in ended.items() if end.finished is not None}
    for bug in (end.bug for end in ended.values() if end.bug is not None):
        raise bug
    return _status(output, finished, is_whole=len(finished) == len(names))


def _ports(benches: Benches, boards: Meant) -> list[PortPath]:
    """Return the ports that are meant, each of one board; nothing has been sent to any of them by then."""
    if boards.ports:
        return list(boards.ports)
    if boards.serials:
        return [benches.bus.select(Selector(serial=serial)).port for serial in boards.serials]
    found = [candidate.port for candidate in benches.bus.candidates()]
    if not found:
        benches.bus.select(Selector())  # which says what is missing, and of a clone that it is one
    for port in set(found):
        if found.count(port) > 1:
            raise DeviceNotFound(
                Code.AMBIGUOUS_DEVICE,
                f"{found.count(port)} boards are at port {port}, as far as this system tells",
                consequence="nothing was sent to any of them",
                hint="one board after the other",
            )
    return found


def _guarded(unit: Unit, listen: Callable[[Event], None]) -> Callable[[], UnitFinished]:
    """Return a unit's run that ends with a unit-result also where dfurun itself is wrong: the others go on."""

    def run() -> UnitFinished:
        try:
            return unit.run()
        except Exception as bug:
            traceback.print_exc()
            finished = _failed_by(bug)
            listen(finished)
            return finished

    return run


def _failed_by(bug: Exception) -> UnitFinished:
    return UnitFinished(
        exit_status=int(ExitStatus.BUG),
        outcome="failed",
        verified=False,
        code=Code.BUG,
        message=f"{type(bug).__name__}: {bug}",
        consequence="its state is unknown; the other boards are not concerned",
        hint="",
        evidence=(),
        duration_s=0.0,
        anomalies={},
        transfers=0,
        pages_redone=0,
    )


def _status(output: Output, units: Mapping[str, UnitFinished], *, is_whole: bool) -> ExitStatus:
    """Tell what came of all; return the status of the process. `is_whole` is whether all units have ended."""
    from dfurun.report.several import tally

    statuses = {ended.exit_status for ended in units.values()} | ({ExitStatus.INTERRUPTED} if not is_whole else set())
    status = next(
        (worst for worst in (ExitStatus.BUG, ExitStatus.INTERRUPTED) if worst in statuses),
        ExitStatus.DONE if statuses == {ExitStatus.DONE} else ExitStatus.SEVERAL,
    )
    passed = sum(ended.code is None for ended in units.values())
    output.counts = {"units": len(units), "passed": passed, "failed": len(units) - passed}
    output.unit_status = status
    if not output.as_json:
        output.messages.print(tally(units), style="bold", soft_wrap=True)
    return status
