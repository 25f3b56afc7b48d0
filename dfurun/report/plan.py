"""A plan as people read it: the steps and what each loses, the flash as a map, option bytes bit by bit, what starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dfurun.chips import BootTarget, OptionField, OptionLayout
from dfurun.plan.observed import Observed
from dfurun.plan.plan import Plan, PlannedStep
from dfurun.report.board import LABEL_WIDTH
from dfurun.report.flash_map import cells, legend, map_rows
from dfurun.report.sheet import print_row
from dfurun.report.variables import origin_words
from dfurun.report.words import count, print_folded, raw_rows
from dfurun.steps.effect import FieldEffect, Will
from dfurun.units import format_duration, format_size

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
MOST_FIELDS = 6  # of a step; all stand under the flash map
NOT_KNOWN = "?"
PROTECTION = {None: NOT_KNOWN, False: "allowed", True: "refused: the chip is read-protected"}


def print_plan(console: Console, plan: Plan, observed: Observed | None) -> None:
    """Print a plan; `observed` is the board that it was made over, None: no board was looked at."""
    recipe = plan.recipe
    print_folded(console, f"{recipe.name}, for {recipe.chip.title}", style="bold")
    for name, variable in recipe.variables.items():
        print_folded(console, f"  {name}: {origin_words(variable)}")
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
    if plan.before.protected is not False or plan.after.protected or plan.after.protects:
        print_row(console, "reading", _protection(plan), width=LABEL_WIDTH)
    for level, (before, after) in plan.boots().items():
        print_row(console, f"BOOT0 {'high' if level else 'low'}", _starts(before, after), width=LABEL_WIDTH)
    console.print()
    for label, words in (
        ("lost", _distinct(planned.effect.loses for planned in plan.steps)),
        ("for ever", _distinct(planned.effect.permanent for planned in plan.steps) or ["nothing"]),
        ("by hand", _distinct(planned.effect.asks for planned in plan.steps)),
        ("programmed", _programmed(plan)),
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
    fields = effect.options.fields if effect.options else ()
    names = planned.after.chip.option_bytes.fields
    shown = [_change(names[field.name], field) for field in fields[:MOST_FIELDS]]
    if len(fields) > MOST_FIELDS:
        shown.append(f"and {len(fields) - MOST_FIELDS} more, see below")
    for words in shown:
        print_row(console, "", words, width=width + VERB_WIDTH)


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
    for number, line in enumerate(_raw(plan.before.raw, plan.after.raw)):
        print_row(console, "" if number else "option bytes", line, width=LABEL_WIDTH)
    rows = [(_change(layout.fields[c.name], c), _where(layout, layout.fields[c.name])) for c in changes]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    for change, (words, where) in zip(changes, rows, strict=True):
        label = f"  {words.ljust(widths[0])}{where.ljust(widths[1])}"
        print_row(console, label, layout.fields[change.name].means, width=len(label))
    console.print()


def _where(layout: OptionLayout, field: OptionField) -> str:
    """Return the byte and the lowest bit of a field, in raw option bytes."""
    at = f"+{layout.data_offsets()[field.position // 8]} bit {field.position % 8}"
    return at if field.width == 1 else f"{at}, {field.width} bits"


def _raw(before: bytes | None, after: bytes | None) -> list[str]:
    """Return the lines of raw option bytes, of long ones those that differ."""
    if after is None:
        return ["by name, the rest stays as it is" if before is None else "not known afterwards"]
    was = ["before ?"] if before is None else [f"before {row}" for row in raw_rows(before, after)]
    return [*was, *(f"after  {row}" for row in raw_rows(after, before))]


def _change(field: OptionField, change: FieldEffect) -> str:
    before = NOT_KNOWN if change.before is None else field.show(change.before)
    return f"{change.name} {before} -> {field.show(change.after)}"


def _protection(plan: Plan) -> str:
    first, then = PROTECTION[plan.before.protected], PROTECTION[plan.after.protected]
    if plan.after.protects and not plan.after.protected:
        then = f"{then} until the next power-on, then {PROTECTION[True]}"
    return first if first == then else f"{first} -> {then}"


def _starts(before: BootTarget | None, after: BootTarget | None) -> str:
    first, then = (NOT_KNOWN if target is None else target.words for target in (before, after))
    return f"starts {then}" if first == then else f"starts {first} -> {then}"


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _programmed(plan: Plan) -> list[str]:
    """Say how wide the ROM programs, where the recipe's supply has a say in it."""
    chip, supply_v, at_once = plan.recipe.chip, plan.recipe.supply_v, format_size(plan.recipe.programs_bytes_at_once)
    if chip.widths is None or not plan.touches_flash:
        return []
    if supply_v is None:
        return [
            f"{at_once} at once, as the bootloader does by itself: a recipe that states the `supply` may have it do more"
        ]
    return [f"{at_once} at once: the bootloader is told so, as the recipe states a supply of {supply_v:g} V"]


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
