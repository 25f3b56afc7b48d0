"""`--junit FILE`: the report of a run for CI, also of one that never had a board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.options import OUTPUT
from dfurun.cli.products import refuse_another
from dfurun.errors import DfurunError

if TYPE_CHECKING:
    from dfurun.run.journal_lines import Entry

Listener = Callable[[Sequence["Entry"]], None]
Reports = Callable[[int | None], Listener | None]  # with a unit's number, where it has one

JUnit = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write the run as JUnit XML to this file; an older one there is replaced.",
        rich_help_panel=OUTPUT,
        autocompletion=completion.files,
    ),
]


def _no_report(number: int | None) -> None:
    """Report nothing of a unit."""


@contextmanager
def junit_report(target: Path | None, recipe: Path) -> Iterator[Reports]:
    """Have a report of what happens inside, whatever that is; yield what returns, for each unit, who has to hear its entries.

    Raises Refused where another file is there, StepFailed where it cannot be written.
    """
    if target is None:
        yield _no_report
        return
    from dfurun.report.junit import JUnitFile, is_junit

    refuse_another("--junit", target, is_junit, "JUnit XML")
    report = JUnitFile(target, recipe)
    report.begin()
    try:
        yield report.unit
    except DfurunError as failure:
        report.fail(failure)
        raise
