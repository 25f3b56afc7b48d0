"""A plan as JSON values: what a reviewer's tools read, and what a run can be held to. Its shape is schemas/plan.schema.json."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from dfurun import __version__
from dfurun.plan.observed import Observed
from dfurun.plan.plan import Plan, PlannedStep
from dfurun.steps.effect import OptionEffect
from dfurun.units import page_runs

PLAN_VERSION = 1


def plan_object(plan: Plan, observed: Observed | None) -> dict[str, Any]:
    """Return a plan as JSON values; `observed` is the board that it was made for, None where it was made for none."""
    recipe, cost, contents, fates = plan.recipe, plan.cost, plan.after.contents(), plan.fates()
    pages = {fate: page_runs(number for number, other in enumerate(fates) if other is fate) for fate in fates}
    return {
        "plan": PLAN_VERSION,
        "tool": {"name": "dfurun", "version": __version__},
        "recipe": {"path": str(recipe.path), "name": recipe.name, "sha256": recipe.sha256, "digest": recipe.digest},
        "variables": {name: {"value": v.value, "origin": v.origin} for name, v in recipe.variables.items()},
        "chip": recipe.chip.name,
        "images": {name: image.sha256 for name, image in recipe.images.items()},
        "board": None if observed is None else _board(observed),
        "steps": [_step(planned) for planned in plan.steps],
        "pages": {fate.name.lower(): numbers for fate, numbers in pages.items()},
        "option_bytes": _options(OptionEffect(plan.before.raw, plan.after.raw, plan.option_changes)),
        "protected": {"before": plan.before.protected, "after": plan.after.protected},
        "boots": {
            f"boot0={level}": {"before": before and before.value, "after": after and after.value}
            for level, (before, after) in plan.boots().items()
        },
        "flash_sha256": None if contents is None else sha256(contents).hexdigest(),
        "programs_bytes_at_once": recipe.programs_bytes_at_once,
        "transfers": cost.transfers,
        "seconds": {"flash": cost.flash_s, "wire": cost.wire_s, "away": cost.away_s, "total": cost.seconds},
        "changes": plan.changes_anything,
        "fails": plan.fails,
    }


def _board(observed: Observed) -> dict[str, Any]:
    identity, raw = observed.identity, observed.option_bytes
    return {
        "port": observed.port,
        "unique_id": identity.unique_id,
        "flash_size": identity.flash_size_bytes,
        "bootloader_id": identity.bootloader_id,
        "protected": observed.protected,
        "option_bytes": None if raw is None else raw.hex(),
        "pages": page_runs(observed.pages),
        "pages_sha256": observed.flash_sha256,
    }


def _step(planned: PlannedStep) -> dict[str, Any]:
    step, effect, cost = planned.step, planned.effect, planned.cost
    return {
        "index": step.head.index,
        "step": step.keyword,
        "title": step.title,
        "will": "refused" if planned.refusal else effect.will.value,
        "words": planned.refusal or effect.words,
        "erases": page_runs(effect.erases),
        "writes": [{"address": extent.start, "size": extent.size_bytes} for extent in effect.writes],
        "loses": effect.loses,
        "option_bytes": _options(effect.options) if effect.options else None,
        "permanent": effect.permanent,
        "asks": effect.asks,
        "transfers": cost.transfers,
        "seconds": cost.seconds,
    }


def _options(options: OptionEffect) -> dict[str, Any]:
    return {
        "before": None if options.before is None else options.before.hex(),
        "after": None if options.after is None else options.after.hex(),
        "fields": [{"name": field.name, "before": field.before, "after": field.after} for field in options.fields],
    }
