"""A plan as people read it: the steps and what each loses, the flash as a map, option bytes bit by bit, what starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfurun.chips import BootTarget, FieldValue, OptionField
from dfurun.plan.observed import Observed
from dfurun.plan.plan import Plan, PlannedStep
from dfurun.report.board import LABEL_WIDTH, TARGETS
from dfurun.report.flash_map import cells, legend, map_rows
from dfurun.report.sheet import print_row
from dfurun.report.words import count, print_folded
from dfurun.steps.effect import FieldEffect, OptionEffect, Will
from dfurun.units import format_duration, format_hex, format_size

if TYPE_CHECKING:
    from rich.console import Console

VERBS = {
    Will.CHANGE: "changes",
    Will.PERHAPS: "perhaps",
    Will.NOTHING: "nothing",
    Will.READ: "reads",
    Will.LEAVE: "leaves",
    Will.HANDS: "by hand",
    Will.FAIL: "FAILS",
}
REFUSED = "REFUSED"
LOUD, WARNING = "bold red", "yellow"
VERB_WIDTH = 9
NOT_KNOWN = "?"


def print_plan(console: Console, plan: Plan, observed: Observed | None) -> None:
    """Print a plan; `observed` is the board that it was made over, None: no board was looked at."""
    recipe = plan.recipe
    print_folded(console, f"{recipe.name}, for {recipe.chip.title}", style="bold")
    print_folded(console, _over(plan, observed))
    console.print()
    width = max(len(planned.step.title) for planned in plan.steps) + 6
    for planned in plan.steps:
        _print_step(console, planned, width)
    left_out = recipe.steps[len(plan.steps) :]
    if left_out:
        print_folded(console, f"    not planned, as they are not reached: {', '.join(step.title for step in left_out)}")
    console.print()
    _print_flash(console, plan)
    _print_options(console, plan)
    for level, (before, after) in plan.boots().items():
        print_row(console, f"BOOT0 {'high' if level else 'low'}", _starts(before, after), width=LABEL_WIDTH)
    console.print()
    for label, words in (
        ("lost", _distinct(planned.effect.loses for planned in plan.steps)),
        ("for ever", _distinct(planned.effect.permanent for planned in plan.steps) or ["nothing"]),
        ("by hand", _distinct(planned.effect.asks for planned in plan.steps)),
        ("predicted", [_predicted(plan)]),
    ):
        for number, line in enumerate(words):
            style = LOUD if label == "for ever" and line != "nothing" else ""
            print_row(console, "" if number else label, line, width=LABEL_WIDTH, style=style)
    print_row(console, "so", _verdict(plan), width=LABEL_WIDTH, style=LOUD if plan.fails else "bold")


def _over(plan: Plan, observed: Observed | None) -> str:
    if observed is None:
        return "no board was looked at: what hangs on what a board holds is told as `perhaps`, or with a `?`"
    who = f", unique id {observed.identity.unique_id}" if observed.identity.unique_id else ""
    held = "read-protected: what it holds cannot be read" if observed.protected else "not protected"
    pages = plan.recipe.chip.flash.count(len(observed.pages))
    looked = "" if observed.protected else f"; its option bytes and {pages} were read"
    return f"the board at port {observed.port}{who}, {held}{looked}"


def _print_step(console: Console, planned: PlannedStep, width: int) -> None:
    step, effect = planned.step, planned.effect
    fails = bool(planned.refusal) or effect.will is Will.FAIL
    label = f"{step.head.index + 1:2}  {step.title}".ljust(width)
    verb = (REFUSED if planned.refusal else VERBS[effect.will]).ljust(VERB_WIDTH)
    print_row(
        console, label + verb, planned.refusal or effect.words, width=width + VERB_WIDTH, style=LOUD if fails else ""
    )
    if planned.refusal:
        return
    for words, style in (
        (effect.loses and f"lost: {effect.loses}", WARNING),
        (effect.permanent and f"for ever: {effect.permanent}", LOUD),
        (effect.asks and f"by hand: {effect.asks}", WARNING),
    ):
        if words:
            print_row(console, "", words, width=width + VERB_WIDTH, style=style)
    for field in effect.options.fields if effect.options else ():
        print_row(
            console, "", _change(planned.after.chip.option_bytes.fields[field.name], field), width=width + VERB_WIDTH
        )


def _print_flash(console: Console, plan: Plan) -> None:
    size_bytes, _ = cells(plan)
    console.print(f"flash, a mark is {format_size(size_bytes)}")
    for address, marks in map_rows(plan):
        console.print(f"  {address}  {marks}", soft_wrap=True)
    for fate, means in legend(plan):
        print_row(console, f"  {fate.mark}", means, width=4)
    console.print()


def _print_options(console: Console, plan: Plan) -> None:
    layout, changes = plan.recipe.chip.option_bytes, plan.option_changes
    if not changes:
        print_row(console, "option bytes", "stay as they are", width=LABEL_WIDTH)
        return
    print_row(console, "option bytes", _raw(OptionEffect(plan.before.raw, plan.after.raw, changes)), width=LABEL_WIDTH)
    offsets = layout.data_offsets()
    width = max(len(_change(layout.fields[change.name], change)) for change in changes) + 2
    for change in changes:
        known = layout.fields[change.name]
        at = f"+{offsets[known.position // 8]} bit {known.position % 8}"
        where = at if known.width == 1 else f"{at}, {known.width} bits"
        label = f"  {_change(known, change).ljust(width)}{where.ljust(14)}"
        print_row(console, label, known.means, width=len(label) + 1)
    console.print()


def _raw(options: OptionEffect) -> str:
    before, after = (NOT_KNOWN if raw is None else format_hex(raw, group=2) for raw in (options.before, options.after))
    return f"{before} -> {after}" if (before, after) != (NOT_KNOWN, NOT_KNOWN) else "by name, the rest stays as it is"


def _change(field: OptionField, change: FieldEffect) -> str:
    before = NOT_KNOWN if change.before is None else field.show(change.before)
    return f"{change.name} {before} -> {_shown(field, change.after)}"


def _shown(field: OptionField, value: FieldValue) -> str:
    return field.show(value)


def _starts(before: BootTarget | None, after: BootTarget | None) -> str:
    first, then = (NOT_KNOWN if target is None else TARGETS[target] for target in (before, after))
    return f"starts {then}" if first == then else f"starts {first} -> {then}"


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _predicted(plan: Plan) -> str:
    cost = plan.cost
    parts = [("flash", cost.flash_s), ("wire", cost.wire_s), ("off the bus", cost.away_s)]
    split = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in parts)
    return (
        f"{count(cost.transfers, 'control transfer', 'control transfers')}, {format_duration(cost.seconds)} ({split})"
    )


def _verdict(plan: Plan) -> str:
    if plan.fails:
        return "this run would not succeed"
    if plan.changes_anything:
        return "there are changes to make"
    return "nothing to do: the board holds all of it already"
