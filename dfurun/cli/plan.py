"""`dfurun plan RECIPE`: what a run would do, lose and take, before it does; over the board that is attached with --live."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.board_options import BoardOptions, survey_options
from dfurun.cli.options import (
    OUTPUT,
    Format,
    FormatOption,
    Json,
    Log,
    Port,
    Serial,
    Sim,
    SimChip,
    SimFault,
    SimState,
    SimToken,
    Verbose,
)
from dfurun.cli.output import Output
from dfurun.cli.products import object_with, write_product
from dfurun.cli.recipe_options import AllowOutside, SetVariable, VarsFile, settings_of
from dfurun.errors import ExitStatus
from dfurun.steps.event import BoardFound, Event

if TYPE_CHECKING:
    from dfurun.plan.observed import Observed
    from dfurun.plan.plan import Plan
    from dfurun.recipe.recipe import Recipe

UNIT = "1"


def plan_command(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="The recipe, a YAML file.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Read the board, and plan over what it holds. Options that say which board imply it."
        ),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the plan as JSON: `run --plan FILE` holds a run to it.",
            rich_help_panel=OUTPUT,
            autocompletion=completion.files,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--svg",
            metavar="FILE",
            help="Write the map of the flash as a picture.",
            rich_help_panel=OUTPUT,
            autocompletion=completion.files,
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 where there are changes to make.", rich_help_panel=OUTPUT)
    ] = False,
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_outside: AllowOutside = False,
    port: Port = None,
    serial: Serial = None,
    format: FormatOption = Format.TEXT,
    json: Json = False,
    verbose: Verbose = 0,
    log: Log = None,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_fault: SimFault = None,
    sim_token: SimToken = None,
) -> int:
    """Tell what a recipe would do to a board, without doing it."""
    from dfurun.plan import compile_for_review, compile_recipe
    from dfurun.plan.plan import make_plan
    from dfurun.plan.plan_file import plan_object

    output: Output = context.obj
    output.watch(verbose=verbose, log=log)
    settings = settings_of(set_variables, vars_file)
    looked_at = survey_options(
        sim=sim, sim_chip=sim_chip, sim_state=sim_state, sim_fault=sim_fault, sim_token=sim_token
    )
    options = replace(looked_at, port=port, serial=serial)
    live = live or options != BoardOptions()
    # A plan of a board, or one that a run is held to, is of what that run is given
    compile_it = compile_recipe if live or save is not None else compile_for_review
    compiled = compile_it(recipe, allow_outside=allow_outside, settings=settings)
    output.annotate = format is Format.GITHUB
    output.findings(compiled.findings)
    runnable, observed, plan = compiled.runnable(), None, make_plan(compiled.runnable())
    if live:
        observed, plan = _over_a_board(output, options, runnable, plan)
    body = plan_object(plan, observed)
    if save is not None:
        text = json_format.dumps(body, indent=2) + "\n"
        write_product("--output", save, text, object_with("plan", "tool", "recipe"), "plan of dfurun")
    if picture is not None:
        from dfurun.report.flash_map import is_flash_map, svg

        write_product("--svg", picture, svg(plan), is_flash_map, "flash map of dfurun")
    output.write({"event": "plan", **body})
    if not output.as_json:
        from dfurun.report.plan import print_plan

        print_plan(output.product, plan, observed)
    return _status(plan, with_changes=exit_code)


def _looking(output: Output) -> Callable[[Event], None]:
    """Return what renders the events of a look; who the board is, the plan's text tells."""
    listen = output.listener(UNIT)

    def hear(event: Event) -> None:
        if output.as_json or not isinstance(event, BoardFound):
            listen(event)

    return hear


def _status(plan: Plan, *, with_changes: bool) -> ExitStatus:
    """Return REFUSED and FAILED for a run that would end so; else CHANGES where it is asked for and there are some."""
    if any(planned.refusal for planned in plan.steps):
        return ExitStatus.REFUSED
    if plan.fails:
        return ExitStatus.FAILED
    return ExitStatus.CHANGES if with_changes and plan.changes_anything else ExitStatus.DONE


def _over_a_board(output: Output, options: BoardOptions, recipe: Recipe, plan: Plan) -> tuple[Observed, Plan]:
    """Look at the board that is meant, and plan over what it holds where the plan touches it."""
    from dfurun.cli.bench import set_up
    from dfurun.plan.plan import make_plan
    from dfurun.run.journal import UnitJournal, journals_folder
    from dfurun.run.observe import connect, observe, refusals
    from dfurun.steps.context import Context

    bench = set_up(options, recipe.chip, on_made=output.made)
    connection = bench.connection(recipe.chip, output.trace)
    bench.keep_to_itself(connection)
    context = Context(
        chip=recipe.chip,
        clock=bench.clock,
        connection=connection,
        operator=bench.operator,
        journal=UnitJournal(journals_folder()),  # nothing is written to it: nothing is destroyed
        emit=_looking(output),
        output_folder=Path.cwd(),
        expect=recipe.expect,
        allow_irreversible=True,  # it is told, and nothing is done
        overwrite_files=True,
    )
    try:
        connect(context, recipe.steps)
        observed = observe(context, plan.touched)
        return observed, make_plan(recipe, observed.as_board(recipe.chip), refusals(context, recipe.steps))
    finally:
        connection.close()
        output.end_progress()
