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
    return UsageFailure(
        words.rstrip(".") or "no command", "`dfurun --help` lists the commands, `dfurun COMMAND --help` its options"
    )
