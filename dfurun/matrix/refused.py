"""The boards that a recipe has to refuse: another one than it expects, one on which what it checks is not so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dfurun.chips import FieldValue, OptionField
from dfurun.matrix.intended import Contents, stages, starts_rom
from dfurun.matrix.starts import Start, starts
from dfurun.recipe.recipe import Recipe
from dfurun.steps.check_option_bytes import CheckOptionBytes


@dataclass(frozen=True, slots=True)
class Wrong:
    """A board, why it is not to pass, and whether it is to stay as it is; `unique_id` None is the one that is expected."""

    start: Start
    why: str
    untouched: bool
    unique_id: bytes | None = None


def wrong_boards(recipe: Recipe) -> Iterator[Wrong]:
    """Yield boards that a recipe has to refuse, with what its steps and its `expect` say."""
    start = starts(recipe)[0]
    for expected in recipe.expect.unique_ids[:1]:
        another = bytes(byte ^ 0xFF for byte in bytes.fromhex(expected))
        yield Wrong(start, "another unique id", untouched=True, unique_id=another)
    for step in recipe.steps:
        if isinstance(step, CheckOptionBytes):
            yield from _unlike(recipe, step, start)


def _unlike(recipe: Recipe, step: CheckOptionBytes, start: Start) -> Iterator[Wrong]:
    """Yield boards on which one field has another value than the step checks, when the run gets there."""
    chip, layout = recipe.chip, recipe.chip.option_bytes
    for name, value in step.fields.items():
        for other in _others(layout.fields[name], value):
            raw = layout.encode(start.option_bytes, {name: other})
            then = list(stages(recipe, Contents(start.flash, raw, protected=False)))[step.head.index]
            found = layout.decode(then.option_bytes)[name]
            if name != "RDP" and found != value and starts_rom(chip, Contents(start.flash, raw, protected=False)):
                words = f"{name} {layout.fields[name].show(found)}, where {step.keyword} asks for {value}"
                yield Wrong(replace(start, option_bytes=raw), words, untouched=False)


def _others(field: OptionField, value: FieldValue) -> list[FieldValue]:
    """Return another value than this one."""
    if isinstance(value, int):
        return [value ^ 1]
    others: list[FieldValue] = [name for name in field.values if name != value]
    return others[:1]
