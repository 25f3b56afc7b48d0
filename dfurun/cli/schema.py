"""`dfurun schema [NAME]`: the JSON schemas, for editors and CI."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import Json
from dfurun.cli.output import Output

NAMES = ("recipe", "chip", "record")


def _names(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


def schema_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="recipe, chip or record.", autocompletion=_names)] = "recipe",
    json: Json = False,
) -> None:
    """Print a schema (JSON Schema, draft-07): recipes, chip data, or records of units."""
    from dfurun.resources import schema_text
    from dfurun.steps.step import did_you_mean

    if name not in NAMES:
        raise UsageFailure(f"no schema is called {name!r}", did_you_mean(name, NAMES))
    output: Output = context.obj
    text = schema_text(f"{name}.schema.json")
    if output.as_json:
        output.write({"event": "schema", "name": name, "schema": json_module.loads(text)})
    else:
        print(text, end="")
