"""A plan: every step over a board of which as much is known as there is, with what it does, loses and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from dfurun.chips import BootTarget
from dfurun.plan.cost import OF_FLASH, Cost, Meter
from dfurun.recipe.recipe import Recipe
from dfurun.steps.effect import Act, ActKind, Effect, FieldEffect, Will, field_effects
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Step
from dfurun.units import AddressRange

BOOT0_LEVELS = (0, 1)
CLOSED = Effect(Will.FAIL, "the chip is read-protected (RDP level 1): an `unprotect` step before it would open it")


class Fate(Enum):
    """What becomes of a page over all steps: the mark of the flash map, and its meaning.

    SAME needs a live board: only then is it known what a page held.
    """

    KEPT = (".", "not touched")
    SAME = ("=", "erased, and the same afterwards")
    ERASED = ("-", "erased, blank at the end")
    PARTLY = ("w", "written in part")
    WRITTEN = ("W", "written")
    PERHAPS = ("?", "erased and written where it differs")

    def __init__(self, mark: str, means: str) -> None:
        self.mark = mark
        self.means = means


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step, what it will do, what that costs, and the board after it. `refusal`: the board refuses it before anything."""

    step: Step
    effect: Effect
    cost: Cost
    after: ProjectedBoard
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps over a board; `before` is what is known of it: of no board nothing, of a live one what was read."""

    recipe: Recipe
    before: ProjectedBoard
    steps: tuple[PlannedStep, ...]
    refusals: Mapping[int, str] = field(default_factory=dict)

    @property
    def after(self) -> ProjectedBoard:
        """What is known of the board at the end."""
        return self.steps[-1].after if self.steps else self.before

    @property
    def cost(self) -> Cost:
        """What all steps cost."""
        return sum((planned.cost for planned in self.steps), Cost())

    @property
    def changes_anything(self) -> bool:
        """Whether a step changes flash or option bytes, or may."""
        return any(planned.effect.will in (Will.CHANGE, Will.PERHAPS) for planned in self.steps)

    @property
    def fails(self) -> bool:
        """Whether a step is refused by the board, or fails on it."""
        return any(planned.refusal or planned.effect.will is Will.FAIL for planned in self.steps)

    @property
    def touches_flash(self) -> bool:
        """Whether a step erases or writes flash, or may."""
        return any(act.kind in OF_FLASH for planned in self.steps for act in planned.effect.acts)

    @property
    def touched(self) -> tuple[int, ...]:
        """The pages of the flash that a step reads, erases or writes, and the one that says whether the chip is empty."""
        flash = self.recipe.chip.flash
        extents = [act.extent for planned in self.steps for act in planned.effect.acts if act.extent]
        extents += [extent for planned in self.steps for extent in planned.effect.writes]
        pages = {page for extent in extents if flash.extent.contains(extent) for page in flash.pages_of(extent)}
        erased = {page for planned in self.steps for page in planned.effect.erases}
        return tuple(sorted(pages | erased | {0}))

    @property
    def option_changes(self) -> tuple[FieldEffect, ...]:
        """The option-byte fields that differ at the end from the beginning, or may."""
        order = self.recipe.chip.option_bytes.fields
        return field_effects(self.before.fields, self.after.fields, order)

    def boots(self) -> Mapping[int, tuple[BootTarget | None, BootTarget | None]]:
        """Return by the level of BOOT0 what starts at power-on before and after; None where that is not known."""
        return {level: (self.before.starts(boot0=level), self.after.starts(boot0=level)) for level in BOOT0_LEVELS}

    def fates(self) -> tuple[Fate, ...]:
        """Return what becomes of every page."""
        flash = self.recipe.chip.flash
        erased: dict[int, bool] = {}
        written: dict[int, list[AddressRange]] = {}
        for planned in self.steps:
            sure = planned.effect.will is not Will.PERHAPS
            for page in planned.effect.erases:
                erased[page] = erased.get(page, False) or sure
                if sure:
                    written.pop(page, None)
            for extent in planned.effect.writes:
                for page in flash.pages_of(extent):
                    written.setdefault(page, []).append(extent)
        return tuple(
            self._fate(page, erased=erased.get(page), written=written.get(page, [])) for page in range(flash.page_count)
        )

    def _fate(self, page: int, *, erased: bool | None, written: list[AddressRange]) -> Fate:
        before, after = self.before.page(page), self.after.page(page)
        if erased is None and not written:
            return Fate.KEPT
        if before is not None and before == after:
            return Fate.SAME
        if not written:
            return Fate.ERASED if erased else Fate.PERHAPS
        if erased is False:
            return Fate.PERHAPS
        extent = self.recipe.chip.flash.page(page)
        covered = sum(min(e.end, extent.end) - max(e.start, extent.start) for e in written)
        return Fate.WRITTEN if covered >= extent.size_bytes else Fate.PARTLY


def make_plan(recipe: Recipe, board: ProjectedBoard | None = None, refusals: Mapping[int, str] | None = None) -> Plan:
    """Return the plan of a recipe over a board of which so much is known; of none, nothing is.

    `refusals` are what the board refuses, by the index of the step. Steps after the first one that cannot succeed are not
    planned.
    """
    board = board or ProjectedBoard(recipe.chip)
    meter, refusals, steps = Meter(recipe.chip, recipe.width), refusals or {}, list[PlannedStep]()
    before = board
    for index, step in enumerate(recipe.steps):
        after, effect = (board, CLOSED) if board.protected and step.needs_open_chip else step.project(board)
        acts = effect.acts
        if step.destructive and board.protected is not True:
            acts = (Act(ActKind.OPTIONS), *acts)  # guards and write protection are judged before it
        refusal = refusals.get(index, "")
        cost = Cost() if refusal else meter.cost_of(acts)
        board = board if refusal else after
        steps.append(PlannedStep(step, replace(effect, acts=acts), cost, board, refusal))
        if refusal or effect.will is Will.FAIL:
            break
    return Plan(recipe, before, tuple(steps), refusals)
