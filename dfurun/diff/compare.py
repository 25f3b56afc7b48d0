"""The comparison of two compiled recipes: what the change of one to the other means for the boards."""

from __future__ import annotations

from dfurun.diff.change import Change, Difference, Kind, Rank, Subject
from dfurun.diff.firmware import firmware_changes, paired_names
from dfurun.diff.options import option_changes, option_difference
from dfurun.diff.settings import settings_changes
from dfurun.diff.side import Side
from dfurun.diff.steps import step_changes
from dfurun.diff.variables import variable_changes
from dfurun.plan import Compiled


def compare(old: Compiled, new: Compiled) -> Difference:
    """Return what is different between two recipes; what is only written otherwise is not.

    Raises ValueError where one has no recipe: it does not compile.
    """
    before, after = Side.of(old), Side.of(new)
    names = paired_names(before, after)
    firmware, changes = firmware_changes(before, after, names)
    changes += settings_changes(before, after)
    changes += variable_changes(before, after)
    options = option_difference(before, after)
    told: frozenset[str] = frozenset()
    if options is not None:
        changes += option_changes(before, after, options)
        told = frozenset(field.field.name for field in options.fields)
    changes += step_changes(before, after, names, told)
    return Difference.of(changes, firmware, options)


def added(new: Compiled) -> Difference:
    """Return what a new recipe is, as a difference from none; raise ValueError where it does not compile."""
    side = Side.of(new)
    for_ever = [step.irreversible for step in side.recipe.steps if step.irreversible is not None]
    touched = side.touched_pages
    rank, why = Rank.ROUTINE, "it erases and writes no flash"
    if for_ever:
        rank, why = Rank.CANNOT_BE_UNDONE, for_ever[0]
    elif len(touched) == side.chip.flash.page_count:
        rank, why = Rank.LOSES_DATA, "it erases all of a board's flash"
    elif touched:
        rank, why = Rank.LOSES_DATA, f"it erases {side.chip.flash.count(len(touched))}"
    what = f"a new recipe for {side.chip.title}"
    return Difference.of([Change(rank, Subject.RECIPE, Kind.ADDED, what, why, after=_steps(side))])


def removed(old: Compiled) -> Difference:
    """Return that a recipe is gone, as a difference to none."""
    what = f"the recipe for {old.to_compare.chip.title} is gone" if old.to_compare else "the recipe is gone"
    steps = _steps(Side.of(old)) if old.to_compare and old.interpretation else ""
    why = "nothing is flashed by it any more"
    return Difference.of([Change(Rank.ROUTINE, Subject.RECIPE, Kind.REMOVED, what, why, before=steps)])


def _steps(side: Side) -> str:
    return ", ".join(step.keyword for step in side.recipe.steps)
