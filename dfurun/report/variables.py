"""A recipe's variables in words: which values a run has, and which stand in for those that only a run is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfurun.recipe import Value, Variable


def shown(value: Value) -> str:
    """Return a value for people."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def standing_in(values: Mapping[str, Value], *, after: str = "") -> str:
    """Return which values stand in for what a run is given, `after` something; nothing where none does."""
    words = compared_with({name: (value,) for name, value in values.items()})
    return f"{after}{words}" if words else ""


def compared_with(values: Mapping[str, tuple[Value, ...]]) -> str:
    """Return with which values recipes were compared, for want of those that a run is given; nothing where none was wanted."""
    listed = ", ".join(f"{name} {' and '.join(map(shown, both))}" for name, both in values.items())
    verb = "stands" if sum(map(len, values.values())) == 1 else "stand"
    return f"{listed} {verb} in for what a run is given" if values else ""


def origin_words(variable: Variable) -> str:
    """Return a value with where it comes from: `4711, from --set`."""
    if variable.is_stand_in:
        return f"{shown(variable.value)}, in place of what a run is given"
    return f"{shown(variable.value)}, from {variable.origin}"


def variables_object(variables: Mapping[str, Variable]) -> dict[str, Any]:
    """Return variables as JSON values."""
    return {name: {"value": variable.value, "origin": variable.origin} for name, variable in variables.items()}
