"""`dfurun show RECIPE`: the recipe as it is run, after bases and variables, with where each line comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.options import Format, FormatOption, Json
from dfurun.cli.output import Output
from dfurun.cli.recipe_options import AllowOutside, SetVariable, VarsFile, settings_of
from dfurun.errors import worst_status


def show_command(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="The recipe, a YAML file.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_outside: AllowOutside = False,
    format: FormatOption = Format.TEXT,
    json: Json = False,
) -> int:
    """Show a recipe after bases and variables, and where each line comes from."""
    from dfurun.plan import compile_recipe
    from dfurun.report.resolved import print_resolved, resolved_object

    output: Output = context.obj
    output.annotate = format is Format.GITHUB
    settings = settings_of(set_variables, vars_file)
    compiled = compile_recipe(recipe, allow_outside=allow_outside, settings=settings)
    output.findings(compiled.findings)
    loaded = compiled.loaded
    if loaded is not None and isinstance(loaded.values, dict):
        output.write(resolved_object(loaded))
        if not output.as_json:
            print_resolved(loaded, output.product)
    return worst_status(compiled.findings)
