"""`dfurun check RECIPE...`: everything that is wrong with recipes and their images, without hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.options import Format, FormatOption, Json, quiet_option
from dfurun.cli.output import Output
from dfurun.errors import ExitStatus, worst_status


def check_command(
    context: typer.Context,
    recipes: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECIPE", help="Recipes, YAML files.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    format: FormatOption = Format.TEXT,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let images lie outside the recipe's repository.")
    ] = False,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only findings: nothing of a recipe that is sound.")] = False,
) -> int:
    """Check recipes and their images, without hardware."""
    from dfurun.plan import compile_recipe
    from dfurun.report.words import count

    output: Output = context.obj
    output.annotate = format is Format.GITHUB
    statuses = []
    for path in recipes:
        compiled = compile_recipe(path, allow_outside=allow_outside)
        status = worst_status(compiled.findings)
        statuses.append(status)
        output.findings(compiled.findings, product=True)
        output.write({"event": "checked", "recipe": str(path), "exit": int(status)})
        if compiled.recipe and status is ExitStatus.DONE and not output.as_json and not quiet:
            steps, chip = count(len(compiled.recipe.steps), "step", "steps"), compiled.recipe.chip.title
            output.line(f"{path}: ok, {steps} for {chip}")
    return worst_of(statuses)


def worst_of(statuses: list[ExitStatus]) -> ExitStatus:
    """Return INVALID where a recipe is, else REFUSED where one is, else DONE."""
    return next((s for s in (ExitStatus.INVALID, ExitStatus.REFUSED) if s in statuses), ExitStatus.DONE)
