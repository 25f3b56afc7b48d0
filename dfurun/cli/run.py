"""`dfurun run RECIPE`, which is `dfurun RECIPE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.bench import Bench, set_up
from dfurun.cli.board_options import BoardOptions, SimClock, SimOperator
from dfurun.cli.job import Job
from dfurun.cli.junit_report import JUnit, Listener, Reports, junit_report
from dfurun.cli.options import (
    Format,
    FormatOption,
    Json,
    Log,
    Sim,
    SimChip,
    SimClockOption,
    SimFault,
    SimOperatorOption,
    SimReload,
    SimState,
    SimToken,
    Verbose,
    quiet_option,
)
from dfurun.cli.output import Output
from dfurun.cli.products import object_with, refuse_another
from dfurun.cli.recipe_options import AllowOutside, SetVariable, VarsFile, settings_of
from dfurun.cli.several import All, Loop, Ports, Serials, Wait, WaitLimit, meant, require_several
from dfurun.plan.interpret import Interpretation
from dfurun.recipe.recipe import Recipe
from dfurun.recipe.variables import Settings

if TYPE_CHECKING:
    from dfurun.plan.reviewed import Reviewed

UNIT = "1"
LARGEST_RECORD_BYTES = 16 * 1024 * 1024


def run_command(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="The recipe, a YAML file.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    port: Ports = None,
    serial: Serials = None,
    all: All = False,
    wait: Wait = False,
    wait_limit: WaitLimit = None,
    loop: Loop = False,
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_irreversible: Annotated[
        bool, typer.Option("--allow-irreversible", help="Consent to what nothing undoes and the recipe allows.")
    ] = False,
    allow_outside: AllowOutside = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Refuse unless recipe, images and board are as in this plan, which `dfurun plan -o` has written.",
            autocompletion=completion.files,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let `read` steps overwrite files.")] = False,
    record: Annotated[
        str | None,
        typer.Option(
            "--record",
            metavar="PATH",
            help="Write the unit's record to this file, or each unit's into this folder.",
            autocompletion=completion.files,
        ),
    ] = None,
    junit: JUnit = None,
    format: FormatOption = Format.TEXT,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Annotated[bool, quiet_option("Only failures, what to do by hand, the verdict.")] = False,
    log: Log = None,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_clock: SimClockOption = SimClock.REAL,
    sim_fault: SimFault = None,
    sim_operator: SimOperatorOption = SimOperator.PRESENT,
    sim_option_reload: SimReload = None,
    sim_token: SimToken = None,
) -> int:
    """Run a recipe on a board, or on several."""
    output: Output = context.obj
    output.watch(quiet=quiet, verbose=verbose, log=log)
    settings = settings_of(set_variables, vars_file)
    output.annotate = format is Format.GITHUB
    boards = meant(port, serial, all=all, wait=wait, loop=loop, wait_limit=wait_limit)
    options = BoardOptions(
        port[0] if port and boards.is_one else None,
        serial[0] if serial and boards.is_one else None,
        sim,
        sim_chip,
        tuple(sim_state or ()),
        sim_clock,
        tuple(sim_fault or ()),
        sim_operator,
        sim_option_reload,
        sim_token,
    )
    with junit_report(junit, recipe) as reports:
        runnable, interpretation = _compiled(output, recipe, settings, allow_outside=allow_outside)
        job = Job(
            recipe=runnable,
            interpretation=interpretation,
            allow_irreversible=allow_irreversible,
            overwrite_files=force,
            reviewed=_reviewed(plan, runnable),
            save_record=_record(record),
            patience_s=boards.limit_s,
        )
        require_several(job, boards, record)
        if boards.loop:
            from dfurun.cli.loop import run_loop

            return run_loop(output, options, boards, job, reports)
        if boards.is_batch:
            from dfurun.cli.batch import run_batch

            return run_batch(output, options, boards, job, reports)
        return _run_unit(output, set_up(options, runnable.chip, on_made=output.made), job, reports)


def _compiled(
    output: Output, recipe: Path, settings: Settings, *, allow_outside: bool
) -> tuple[Recipe, Interpretation]:
    """Return a recipe that can be run and what it comes to, with its findings shown; raise InvalidInput."""
    from dfurun.plan import compile_recipe

    compiled = compile_recipe(recipe, allow_outside=allow_outside, settings=settings)
    output.findings(compiled.findings)
    runnable = compiled.runnable()
    assert compiled.interpretation is not None
    return runnable, compiled.interpretation


def _reviewed(path: Path | None, recipe: Recipe) -> Reviewed | None:
    """Return the plan that the run is held to; raise Refused where it was made for another recipe or other images."""
    if path is None:
        return None
    from dfurun.plan.reviewed import Reviewed

    reviewed = Reviewed.load(path)
    reviewed.require_recipe(recipe)
    return reviewed


def _run_unit(output: Output, bench: Bench, job: Job, reports: Reports) -> int:
    from dfurun.run.interruption import Interruption

    with Interruption(output.stopping) as interruption:
        unit = job.unit(bench, output.listener(UNIT), interruption.check, trace=output.trace, report=reports(None))
        return unit.run().exit_status


def _record(target: str | None) -> Listener | None:
    """Return what writes each unit's record; raise Refused where that would take another file's place."""
    if target is None:
        return None
    from dfurun.run.record import RecordFile, names_folder

    if not Path(target).is_dir():
        is_record = object_with("record", "run")
        refuse_another("--record", Path(target), is_record, "record of dfurun", hint="another name, or a folder")
    return RecordFile(Path(target), is_folder=names_folder(target)).save
