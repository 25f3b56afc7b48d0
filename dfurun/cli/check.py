"""`dfurun check RECIPE...`: everything that is wrong with recipes and their images, without hardware."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dfurun.cli.options import Json, Quiet
from dfurun.cli.output import Output
from dfurun.errors import ExitStatus, worst_status


class Format(StrEnum):
    """How diagnostics are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def check_command(
    context: typer.Context,
    recipes: Annotated[list[Path], typer.Argument(help="Recipes, YAML files.", show_default=False)],
    format: Annotated[Format, typer.Option(help="github: annotations for a workflow.")] = Format.TEXT,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let images lie outside the recipe's repository.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check recipes and their images, without hardware."""
    from dfurun.plan import compile_recipe

    output: Output = context.obj
    chosen = format
    if output.as_json:
        chosen = Format.JSON  # --json is --format json, and no other format may come between its lines
    statuses = []
    for path in recipes:
        compiled = compile_recipe(path, allow_outside=allow_outside)
        status = worst_status(compiled.findings)
        statuses.append(status)
        if chosen is Format.GITHUB:
            from dfurun.report.diagnostics import github_annotation

            for finding in compiled.findings:
                output.product.print(github_annotation(finding), soft_wrap=True)
        else:
            output.findings(compiled.findings, product=True)
        output.write({"event": "checked", "recipe": str(path), "exit": int(status)})
        if compiled.recipe and status is ExitStatus.DONE and not output.as_json and not quiet:
            steps, chip = len(compiled.recipe.steps), compiled.recipe.chip.title
            output.line(f"{path}: ok, {steps} steps for {chip}")
    return worst_of(statuses)


def worst_of(statuses: list[ExitStatus]) -> ExitStatus:
    """Return INVALID where a recipe is, else REFUSED where one is, else DONE."""
    return next((s for s in (ExitStatus.INVALID, ExitStatus.REFUSED) if s in statuses), ExitStatus.DONE)
