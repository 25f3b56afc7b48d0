"""`dfurun lint RECIPE...`: what `check` finds in recipes, and advice beyond it. Any finding fails."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.check import worst_of
from dfurun.cli.options import Format, FormatOption, Json, quiet_option
from dfurun.cli.output import Output
from dfurun.cli.recipe_options import AllowOutside, Extending, SetVariable, VarsFile, settings_of, with_extending
from dfurun.errors import ExitStatus


def lint_command(
    context: typer.Context,
    recipes: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECIPE", help="Recipes, YAML files.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    extending: Extending = False,
    format: FormatOption = Format.TEXT,
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_outside: AllowOutside = False,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only findings: nothing of a recipe without any.")] = False,
) -> int:
    """Check recipes, and say what a reviewer would ask about them; exit with 1 where there is any finding."""
    from dfurun.lint import lint
    from dfurun.plan import compile_for_review
    from dfurun.report.diagnostics import silenced_object
    from dfurun.report.variables import standing_in

    output: Output = context.obj
    output.annotate = format is Format.GITHUB
    recipes = with_extending(recipes, wanted=extending)
    settings = settings_of(set_variables, vars_file)
    statuses = []
    for path in recipes:
        compiled = compile_for_review(path, allow_outside=allow_outside, settings=settings)
        linted = lint(compiled)
        statuses.append(linted.status)
        output.findings(linted.findings, product=True)
        for silenced in linted.silenced:
            output.write(silenced_object(silenced.finding, silenced.reason))
        event = {"event": "linted", "recipe": str(path), "exit": int(linted.status)}
        event |= {"base": True} if compiled.is_base else {}
        output.write(event | ({"stand_ins": dict(compiled.stand_ins)} if compiled.stand_ins else {}))
        if output.as_json or quiet:
            continue
        if linted.status not in (ExitStatus.DONE, ExitStatus.FAILED) and compiled.stand_ins:
            output.line(f"{path}: {standing_in(compiled.stand_ins)}")
        if linted.status is ExitStatus.DONE:
            words = "a base, linted in full with each recipe that extends it" if compiled.is_base else "ok"
            output.line(f"{path}: {words}{standing_in(compiled.stand_ins, after='; ')}")
        for silenced in linted.silenced:
            place = silenced.finding.place or path
            output.line(f"{place}: silenced[{silenced.finding.code}]: {silenced.reason}")
    worst = worst_of(statuses)
    return ExitStatus.FAILED if worst is ExitStatus.DONE and ExitStatus.FAILED in statuses else worst
