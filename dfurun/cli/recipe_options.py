"""What commands that take recipes take with them: values for a recipe's variables, and the recipes that extend it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure

if TYPE_CHECKING:
    from dfurun.recipe import Settings

VARIABLES = "Variables"

SetVariable = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Give a variable of the recipe a value. Repeat it for several.",
        rich_help_panel=VARIABLES,
    ),
]
VarsFile = Annotated[
    Path | None,
    typer.Option(
        "--vars",
        metavar="FILE",
        help="A YAML file with values for the recipe's variables; --set comes before it.",
        rich_help_panel=VARIABLES,
        autocompletion=completion.files,
    ),
]

AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let images and bases lie outside the recipe's repository.")
]
Extending = Annotated[
    bool,
    typer.Option(
        "--extending", help="Look at the recipes that extend these as well: what concerns a base shows in them."
    ),
]


def with_extending(recipes: list[Path], *, wanted: bool) -> list[Path]:
    """Return the recipes, and where it is `wanted` those of their repositories that extend one of them."""
    from dfurun.recipe.extending import with_those_that_extend

    return with_those_that_extend(recipes) if wanted else recipes


def settings_of(given: Sequence[str] | None, file: Path | None) -> Settings:
    """Return what the options and the environment give for variables. Raise UsageFailure for a --set of another form."""
    from dfurun.recipe import Settings
    from dfurun.recipe.variables import ENVIRONMENT_PREFIX

    values: dict[str, str] = {}
    for words in given or ():
        name, equals, value = words.partition("=")
        if not (name and equals):
            raise UsageFailure(f"--set {words}: a variable and its value are needed", "for example --set serial=1")
        if name in values:
            raise UsageFailure(f"--set {name} is given twice", "one of the two")
        values[name] = value
    environment = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    return Settings(values, file, environment)
