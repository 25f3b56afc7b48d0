"""`dfurun schema [NAME]`: the JSON schemas, for editors and CI; that of recipes also for one chip alone."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import OUTPUT, Json
from dfurun.cli.output import Output

NAMES = ("recipe", "chip", "plan", "record")


def _names(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


def schema_command(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="recipe, chip, plan or record.", autocompletion=_names)
    ] = "recipe",
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip",
            metavar="CHIP",
            help="Recipes of this chip alone: its option-byte fields, values, guards and pages.",
            autocompletion=completion.chips,
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write it to this file, which a recipe's first line may name; an older schema there is replaced.",
            rich_help_panel=OUTPUT,
            autocompletion=completion.files,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print a schema (JSON Schema, draft-07): recipes, chip data, plans, or records of units."""
    from dfurun.steps.step import did_you_mean

    if name not in NAMES:
        raise UsageFailure(f"no schema is called {name!r}", did_you_mean(name, NAMES))
    output: Output = context.obj
    text = _text(name, chip)
    if output_file is not None:
        _write(output_file, text)
    if output.as_json:
        file = None if output_file is None else str(output_file)
        output.write({"event": "schema", "name": name, "file": file, "schema": json_module.loads(text)})
    elif output_file is None:
        print(text, end="")
    else:
        output.line(f"wrote {output_file}; a recipe beside it begins with")
        output.line(f"# yaml-language-server: $schema={output_file.name}")


def _text(name: str, chip: str | None) -> str:
    from dfurun.resources import schema_text

    if chip is None:
        return schema_text(f"{name}.schema.json")
    if name != "recipe":
        raise UsageFailure(f"--chip narrows the schema of recipes, not that of a {name}", "leave --chip out")
    from dfurun.recipe.narrowed import narrowed_schema
    from dfurun.steps.chip_called import NoOneChip, chip_called

    try:
        narrowed = narrowed_schema(chip_called(chip), chip)
    except NoOneChip as error:
        raise UsageFailure(error.message, error.hint) from None
    return json_module.dumps(narrowed, indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> None:
    """Write the schema; raise Refused where something else is there, StepFailed where it cannot be written."""
    from dfurun.files import read_file
    from dfurun.steps.files import save

    try:
        there = json_module.loads(read_file(file, 64 * len(text)))
        is_schema = isinstance(there, dict) and "$schema" in there
    except (OSError, ValueError, RecursionError):
        is_schema = False
    save(file, text.encode(), overwrite=is_schema)
