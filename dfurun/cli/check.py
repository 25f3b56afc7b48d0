"""`dfurun check RECIPE...`: everything that is wrong with recipes and their images, without hardware."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.options import OUTPUT, CheckFormat, Json, quiet_option
from dfurun.cli.output import Output
from dfurun.cli.recipe_options import AllowOutside, Extending, SetVariable, VarsFile, settings_of, with_extending
from dfurun.errors import ExitStatus, worst_status

if TYPE_CHECKING:
    from dfurun.recipe import Settings

FAULTS = "Faults"
DEFAULT_BUDGET = 2000


def check_command(
    context: typer.Context,
    recipes: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECIPE", help="Recipes, YAML files.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    extending: Extending = False,
    faults: Annotated[
        bool,
        typer.Option(
            "--faults", help="Run each recipe on simulated boards with every fault, twice.", rich_help_panel=FAULTS
        ),
    ] = False,
    fault_budget: Annotated[
        int,
        typer.Option(
            "--fault-budget",
            metavar="RUNS",
            min=0,
            help="Runs for the faults that are sampled.",
            rich_help_panel=FAULTS,
        ),
    ] = DEFAULT_BUDGET,
    fault_sample: Annotated[
        int | None,
        typer.Option(
            "--fault-sample",
            metavar="CASES",
            min=1,
            help="At most so many cases of all, for a large image; none left out if not given.",
            show_default=False,
            rich_help_panel=FAULTS,
        ),
    ] = None,
    fault_seed: Annotated[
        int, typer.Option("--fault-seed", metavar="N", help="Which of them are chosen.", rich_help_panel=FAULTS)
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            help="Processes to share the runs; one a core.",
            show_default=False,
            rich_help_panel=FAULTS,
        ),
    ] = None,
    format: Annotated[
        CheckFormat,
        typer.Option(
            "--format",
            help="Of findings; github: annotations for a workflow; markdown: of the --faults table.",
            rich_help_panel=OUTPUT,
        ),
    ] = CheckFormat.TEXT,
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_outside: AllowOutside = False,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only findings: nothing of a recipe that is sound.")] = False,
) -> int:
    """Check recipes and their images, without hardware."""
    from dfurun.plan import compile_for_review
    from dfurun.recipe import StandIns
    from dfurun.report.variables import standing_in
    from dfurun.report.words import count

    output: Output = context.obj
    output.annotate, markdown = format is CheckFormat.GITHUB, format is CheckFormat.MARKDOWN
    recipes = with_extending(recipes, wanted=extending)
    settings = settings_of(set_variables, vars_file)
    statuses: list[ExitStatus] = []
    sound: list[tuple[Path, Settings]] = []
    for path in recipes:
        compiled = compile_for_review(path, allow_outside=allow_outside, settings=settings)
        is_base = compiled.is_base
        findings = compiled.findings_of_a_base if is_base else compiled.findings
        status = worst_status(findings)
        statuses.append(status)
        output.findings(findings, product=not markdown)
        event = {"event": "checked", "recipe": str(path), "exit": int(status)} | ({"base": True} if is_base else {})
        output.write(event | ({"stand_ins": dict(compiled.stand_ins)} if compiled.stand_ins else {}))
        if is_base:
            if status is ExitStatus.DONE and not output.as_json and not quiet and not markdown:
                output.line(f"{path}: a base, checked in full with each recipe that extends it")
            continue
        if compiled.recipe and status is ExitStatus.DONE and not output.as_json and not quiet and not markdown:
            steps, chip = count(len(compiled.recipe.steps), "step", "steps"), compiled.recipe.chip.title
            output.line(f"{path}: ok, {steps} for {chip}{standing_in(compiled.stand_ins, after='; ')}")
        elif compiled.stand_ins and not output.as_json and not markdown:
            output.line(f"{path}: {standing_in(compiled.stand_ins)}")
        if status is ExitStatus.DONE:
            sound.append((path, replace(settings, stand_ins=StandIns(compiled.stand_ins))))
    if faults:
        from dfurun.cli.check_faults import FaultOptions, require_survival, try_faults

        options = FaultOptions(fault_budget, fault_sample, fault_seed, jobs, allow_outside, markdown, quiet)
        matrices = [try_faults(output, path, options, tried_with) for path, tried_with in sound]
        if worst_of(statuses) is ExitStatus.DONE:
            require_survival(matrices)
    return worst_of(statuses)


def worst_of(statuses: list[ExitStatus]) -> ExitStatus:
    """Return INVALID where a recipe is, else REFUSED where one is, else DONE."""
    return next((s for s in (ExitStatus.INVALID, ExitStatus.REFUSED) if s in statuses), ExitStatus.DONE)
