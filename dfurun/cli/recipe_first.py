"""`dfurun RECIPE`: a recipe, or an option of `run`, may stand in the place of a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

RECIPE_SUFFIXES = (".yaml", ".yml")


def with_run(arguments: Sequence[str], run_options: Callable[[], frozenset[str]]) -> list[str]:
    """Return the arguments with `run` before a recipe or an option of `run` that stands first.

    `run_options` is asked only where an option stands first: to know them takes the command line's own time to start.
    """
    if arguments and _means_run(arguments[0], run_options):
        return ["run", *arguments]
    return list(arguments)


def _means_run(first: str, run_options: Callable[[], frozenset[str]]) -> bool:
    if first.startswith("-"):
        return first.split("=", 1)[0] in run_options()
    return first.endswith(RECIPE_SUFFIXES) or "/" in first or "\\" in first or Path(first).is_file()
