"""The entry point: which command is meant, and the exit status of whatever happens."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dfurun import __version__
from dfurun.cli.streams import harden, settle
from dfurun.errors import Code, DfurunError, ExitStatus, Interrupted

BUG_REPORT = "this is a bug in dfurun: please report it with the lines above, the command and the recipe"
RECIPE_SUFFIXES = (".yaml", ".yml")


def main() -> None:
    """Run the command line and exit with its status."""
    harden()
    sys.exit(settle(run(sys.argv[1:])))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status; never raises, whatever the command does."""
    if list(arguments) == ["--version"]:
        print(f"dfurun {__version__}")
        return ExitStatus.DONE
    from dfurun.cli import app, usage_errors
    from dfurun.cli.output import Output

    arguments = with_run(arguments)
    output = Output(as_json=wants_json(arguments), command=arguments[0] if arguments else "")
    error: DfurunError | None = None
    try:
        status = ExitStatus(app.invoke(arguments, output) or 0)
        if status is ExitStatus.INTERRUPTED:
            error = Interrupted(Code.INTERRUPTED, "stopped by Ctrl-C")
    except DfurunError as failure:
        status, error = failure.exit_status, failure
    except usage_errors.TYPES as failure:
        status, error = ExitStatus.USAGE, usage_errors.translate(failure)
    except Exception as bug:  # a traceback is for us; the status and one sentence are for everybody
        traceback.print_exc()
        status, error = ExitStatus.BUG, DfurunError(Code.BUG, f"{type(bug).__name__}: {bug}", hint=BUG_REPORT)
    if error is not None:
        output.error(error)
    output.result(status, error)
    return status


def with_run(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `run` before a recipe or an option of `run` that stands first."""
    if arguments and _means_run(arguments[0]):
        return ["run", *arguments]
    return list(arguments)


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether JSON is asked for, before anything is parsed: a usage error must be JSON as well."""
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words)


def _means_run(first: str) -> bool:
    if first.startswith("-"):
        from dfurun.cli import app

        return first.split("=", 1)[0] in app.run_options()
    return first.endswith(RECIPE_SUFFIXES) or "/" in first or "\\" in first or Path(first).is_file()
