"""typer's usage errors. It brings its own click or uses an installed one, by version: only typer itself is imported."""

from __future__ import annotations

import re
from typing import Any

import typer

from dfurun.cli.failures import UsageFailure

# BadParameter is a UsageError is a ClickException, in click's own tree as in the one that typer vendors.
TYPES: tuple[type[Exception], ...] = tuple(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)


# How much of a word must be right: with typer's own 0.6, `pin` is `explain` and `--pin` is `--sim`.
CLOSE = 0.75
_NO_COMMAND = re.compile(r"No such command '(.+)'")
_NONE_OF = re.compile(r"'([^']*)' is not one of ((?:'[^']*'(?:, )?)+)")
# A newer typer has pydantic look at values, in words for programmers.
_OWN_WORDS = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"it is at least \1"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"it is at most \1"),
    (re.compile(r"Input should be a valid integer.*"), "it is a whole number"),
)


def translate(error: Exception) -> UsageFailure:
    """Return the usage failure for one of typer's."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "dfurun")
    hint = "`dfurun --help` lists the commands" if path == "dfurun" else f"`{path} --help` tells what it takes"
    if hasattr(error, "possibilities"):  # an option that there is none of, with typer's own guesses
        words, near = str(getattr(error, "message", error)), _options_like(getattr(error, "option_name", ""), context)
    else:
        words = getattr(error, "format_message", lambda: str(error))()
        for theirs, own in _OWN_WORDS:
            words = theirs.sub(own, words)
        near = _commands_like(words, context) or _choices_like(words)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}? {hint}"
    return UsageFailure(words.rstrip(".") or "no command", hint)


def _commands_like(words: str, context: Any) -> list[str]:
    from dfurun.steps.step import nearest

    unknown = _NO_COMMAND.match(words)
    if unknown is None or context is None:
        return []
    return nearest(unknown[1], list(context.command.commands), cutoff=CLOSE)


def _choices_like(words: str) -> list[str]:
    from dfurun.steps.step import nearest

    found = _NONE_OF.search(words)
    return nearest(found[1], re.findall("'([^']*)'", found[2])) if found else []


def _options_like(name: str, context: Any) -> list[str]:
    """Return the nearest long options: what stands behind their hyphens is compared."""
    from dfurun.steps.step import nearest

    if context is None or not name.startswith("--"):
        return []
    options = (option for parameter in context.command.get_params(context) for option in parameter.opts)
    known = [option.removeprefix("--") for option in options if option.startswith("--")]
    return [f"--{option}" for option in nearest(name.removeprefix("--"), known, cutoff=CLOSE)]
