"""typer's usage errors. It brings its own click or uses an installed one, by version: only typer itself is imported."""

from __future__ import annotations

import typer

from dfurun.cli.failures import UsageFailure

# BadParameter is a UsageError is a ClickException, in click's own tree as in the one that typer vendors.
TYPES: tuple[type[Exception], ...] = tuple(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


def translate(error: Exception) -> UsageFailure:
    """Return the usage failure for one of typer's."""
    words = getattr(error, "format_message", lambda: str(error))()
    path = getattr(getattr(error, "ctx", None), "command_path", "dfurun")
    hint = "`dfurun --help` lists the commands" if path == "dfurun" else f"`{path} --help` tells what it takes"
    return UsageFailure(words.rstrip(".") or "no command", hint)
