"""The entry point: which command is meant, and the exit status of whatever happens."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from dfurun import __version__
from dfurun.cli.recipe_first import with_run
from dfurun.cli.streams import harden, settle
from dfurun.cli.token_value import with_token_value
from dfurun.errors import Code, DfurunError, ExitStatus, Interrupted

if TYPE_CHECKING:
    from dfurun.cli.output import Output

BUG_REPORT = "this is a bug in dfurun: please report it with the lines above, the command and the recipe"


def main() -> None:
    """Run the command line and exit with its status. Ctrl-C ends it at any time, and changes no status that is known."""
    arguments = sys.argv[1:]
    try:
        harden()
        status = run(arguments, on_status=_ignore_interrupts)
    except KeyboardInterrupt:
        _ignore_interrupts()
        status = _stopped(arguments)
    sys.exit(settle(status))


def _nothing() -> None:
    """Stand in for nobody who wants to know."""


def run(arguments: Sequence[str], *, on_status: Callable[[], None] = _nothing) -> int:
    """Run a command line and return its exit status. Nothing that the command does is raised.

    `on_status` is called when the status is known, before it is told. Raises KeyboardInterrupt before there is an output.
    """
    if list(arguments) == ["--version"]:
        print(f"dfurun {__version__}")
        return ExitStatus.DONE
    arguments = with_token_value(with_run(arguments, _run_options))
    output = _output(arguments)
    try:
        status, error = _status_of(arguments, output)
    finally:
        _release()
    on_status()
    _tell(output, status, error)
    return status


def _release() -> None:
    """Give back what the command has kept other processes from, where it has."""
    holding = sys.modules.get("dfurun.cli.holding")
    if holding is not None:
        holding.release()


def _status_of(arguments: Sequence[str], output: Output) -> tuple[ExitStatus, DfurunError | None]:
    """Run the command; return its status, and the failure that has not been told yet."""
    try:
        from dfurun.cli import app, usage_errors

        try:
            status = ExitStatus(app.invoke(arguments, output) or 0)
        except usage_errors.TYPES as failure:
            return ExitStatus.USAGE, usage_errors.translate(failure)
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except DfurunError as failure:
        return failure.exit_status, failure
    except Exception as bug:  # a traceback is for us; the status and one sentence are for everybody
        traceback.print_exc()
        return ExitStatus.BUG, DfurunError(Code.BUG, f"{type(bug).__name__}: {bug}", hint=BUG_REPORT)
    if output.unit_status is not None:  # the unit has told all, and Ctrl-C after its end is none of its own
        return ExitStatus(output.unit_status), None
    return status, _interrupted() if status is ExitStatus.INTERRUPTED else None


def _output(arguments: Sequence[str]) -> Output:
    from dfurun.cli.output import Output

    return Output(as_json=wants_json(arguments), arguments=arguments)


def _tell(output: Output, status: ExitStatus, error: DfurunError | None) -> None:
    if error is not None:
        output.error(error)
    output.result(status, error)


def _interrupted() -> Interrupted:
    return Interrupted(Code.INTERRUPTED, "stopped by Ctrl-C")


def _stopped(arguments: Sequence[str]) -> ExitStatus:
    """Tell of a Ctrl-C that came before there was an output to tell it on."""
    arguments = with_run(arguments, _run_options)
    _tell(_output(arguments), ExitStatus.INTERRUPTED, _interrupted())
    return ExitStatus.INTERRUPTED


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether JSON is asked for, before anything is parsed: a usage error must be JSON as well."""
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words)


def _run_options() -> frozenset[str]:
    from dfurun.cli import app

    return app.run_options()
