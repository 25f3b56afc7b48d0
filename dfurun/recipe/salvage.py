"""What is left of a part of a recipe when its mistakes are taken out: the rest of it can still be judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dfurun.errors import RecipePath
from dfurun.recipe.schema import shape_findings, step_keywords


def without(value: Any, path: RecipePath, wrong: Collection[RecipePath]) -> Any:
    """Return a value less every entry of its mappings that is wrong, all the way down."""
    if not isinstance(value, dict):
        return value
    return {key: without(item, (*path, key), wrong) for key, item in value.items() if (*path, key) not in wrong}


def readable_step(step: Any, path: RecipePath, wrong: Collection[RecipePath]) -> Mapping[str, Any] | None:
    """Return a step less its mistakes, or None where what is left is none."""
    rest = None if path in wrong else without(step, path, wrong)
    if not isinstance(rest, dict):
        return None
    recipe = {"dfurun": 1, "name": "-", "chip": "-", "steps": [rest]}
    return None if shape_findings(recipe) else rest


def keyword_of(step: Any) -> str | None:
    """Return the one keyword that a step names, whatever else is wrong with it; None where it names none or several."""
    words = [step] if isinstance(step, str) else list(step) if isinstance(step, dict) else []
    known = [word for word in words if word in step_keywords()]
    return known[0] if len(known) == 1 else None
