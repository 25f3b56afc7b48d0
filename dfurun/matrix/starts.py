"""The boards that a recipe is tried on: one with other firmware, one that is protected, one whose option bytes differ.

Which of them a recipe meets follows from its steps: an `unprotect` must cope with a protected board and with an open one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from dfurun.chips import BootTarget, Chip, FieldValue, InForce, OptionField
from dfurun.recipe.recipe import Recipe
from dfurun.simulator import OptionReload
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.unprotect import Unprotect

_WORD_BYTES = 4


@dataclass(frozen=True, slots=True)
class Start:
    """A board before the recipe: its name in the table, its flash, its stored option bytes, when new ones come into force.

    `option_reload` None is what the chip's data says.
    """

    name: str
    flash: bytes
    option_bytes: bytes
    option_reload: OptionReload | None = None


def starts(recipe: Recipe) -> tuple[Start, ...]:
    """Return the boards to try the recipe on; the first is an open one with other firmware."""
    return tuple(_starts(recipe))


def _starts(recipe: Recipe) -> Iterator[Start]:
    chip, layout = recipe.chip, recipe.chip.option_bytes
    firmware = other_firmware(chip)
    yield Start("other firmware", firmware, layout.factory)
    if any(isinstance(step, Unprotect) for step in recipe.steps):
        yield Start("read-protected", firmware, layout.encode(layout.factory, {"RDP": "level-1"}))
    different = _option_bytes_that_differ(recipe)
    if different != layout.factory:
        yield Start("other option bytes", firmware, different)
        if layout.in_force_at is InForce.POWER_ON:  # whether the ROM's own reset loads them is not established
            yield Start("other option bytes, loaded at reset", firmware, different, OptionReload.RESET)


def other_firmware(chip: Chip) -> bytes:
    """Return a flash full of firmware that is not the recipe's, with a vector table that starts."""
    extent = chip.flash.extent
    noise = random.Random(chip.name).randbytes(extent.size_bytes)
    vectors = (chip.ram.end, extent.start + 0x101)
    table = b"".join(word.to_bytes(_WORD_BYTES, "little") for word in vectors)
    return table + noise[len(table) :]


def _option_bytes_that_differ(recipe: Recipe) -> bytes:
    """Return option bytes in which every field that the recipe sets has another value, as far as the ROM still starts."""
    chip, layout = recipe.chip, recipe.chip.option_bytes
    wanted: dict[str, FieldValue] = {}
    for step in recipe.steps:
        if isinstance(step, SetOptionBytes):
            known = layout.decode(layout.factory) if step.from_factory else {}
            wanted |= known | dict(step.fields)
    protecting = layout.write_protection.fields if layout.write_protection else ()
    raw = layout.factory
    for _ in range(2):  # some values keep the ROM reachable only together with others
        for name, value in wanted.items():
            field = layout.fields[name]
            if name == "RDP" or name in protecting:
                continue
            changed = layout.encode(raw, {name: _another(field, value)})
            if _starts_rom(chip, changed):
                raw = changed
    return raw


def _another(field: OptionField, value: FieldValue) -> FieldValue:
    if field.values:
        return next((name for name in field.values if name != value), value)
    assert isinstance(value, int)
    return value ^ 1


def _starts_rom(chip: Chip, raw: bytes) -> bool:
    return chip.starts(chip.option_bytes.decode(raw), boot0=1) is BootTarget.SYSTEM_MEMORY
