"""What a rule of lint looks at: a sound recipe, and the abstract board before and after each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dfurun.chips import Chip, FieldValue
from dfurun.errors import Finding
from dfurun.recipe import Recipe
from dfurun.steps.board import AbstractBoard
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step


@dataclass(frozen=True, slots=True)
class Moment:
    """One step, and the abstract board before and after it."""

    step: Step
    before: AbstractBoard
    after: AbstractBoard


@dataclass(frozen=True, slots=True)
class Case:
    """A recipe that `check` finds no error in; `values` are its plain values."""

    recipe: Recipe
    moments: tuple[Moment, ...]
    values: Mapping[str, Any]

    @property
    def chip(self) -> Chip:
        """The recipe's chip."""
        return self.recipe.chip

    @property
    def end(self) -> AbstractBoard:
        """The abstract board after the last step."""
        return self.moments[-1].after

    def later_than(self, moment: Moment) -> tuple[Moment, ...]:
        """Return what comes after a moment."""
        return self.moments[moment.step.head.index + 1 :]

    def earlier_than(self, moment: Moment) -> tuple[Moment, ...]:
        """Return what comes before a moment."""
        return self.moments[: moment.step.head.index]


Rule = Callable[[Case], Iterator[Finding]]


def fields_after(step: SetOptionBytes) -> Mapping[str, FieldValue]:
    """Return the fields whose value the step alone decides: those that it names, or all with `from: factory`."""
    layout = step.chip.option_bytes
    return layout.decode(layout.encode(layout.factory, step.fields)) if step.from_factory else step.fields


def place_of(step: SetOptionBytes, field: str) -> tuple[str, ...]:
    """Return the keys in the step's body where a field is written; none for one that comes of something else there."""
    return ("fields", field) if field in step.written else ()
