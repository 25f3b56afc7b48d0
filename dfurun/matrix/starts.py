"""The boards that a recipe is tried on: one with other firmware, one that is protected, one whose option bytes differ.

Each has option bytes of its own in all fields that the recipe leaves alone, so that it is seen where they are not.
Which of them a recipe meets follows from its steps: an `unprotect` must cope with a protected board and with an open one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dfurun.chips import BootTarget, Chip, FieldValue, InForce, OptionField
from dfurun.recipe.recipe import Recipe
from dfurun.simulator import OptionReload
from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.unprotect import Unprotect

_WORD_BYTES = 4
_BLANK = 4


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
    firmware, named = other_firmware(chip), _fields_set(recipe)
    base = _reaching_rom(chip)
    own = _with_others(recipe, base, {n: v for n, v in layout.decode(base).items() if n not in named})
    yield Start("other firmware", firmware, own)
    if "RDP" in layout.fields and any(isinstance(step, Unprotect) for step in recipe.steps):
        yield Start("read-protected", firmware, layout.encode(own, {"RDP": "level-1"}))
    different = _with_others(recipe, own, named)
    if different != own:
        yield Start("other option bytes", firmware, different)
        if layout.in_force_at is InForce.POWER_ON:  # whether the ROM's own reset loads them is not established
            yield Start("other option bytes, loaded at reset", firmware, different, OptionReload.RESET)


def _reaching_rom(chip: Chip) -> bytes:
    """Return the factory's option bytes, with one bit set otherwise where they do not start the ROM beside a program."""
    layout = chip.option_bytes
    factory = layout.decode(layout.factory)
    others = ({name: _another(layout.fields[name], factory[name])} for name in sorted(chip.boot.fields))
    for change in ({}, *others):
        raw = layout.encode(layout.factory, change)
        if _starts_rom(chip, raw) and chip.starts(layout.decode(raw), boot0=0) is BootTarget.MAIN_FLASH:
            return raw
    return layout.factory


def other_firmware(chip: Chip) -> bytes:
    """Return a flash with firmware that is not the recipe's: a vector table that starts, and every fourth page is blank."""
    flash, extent = chip.flash, chip.flash.extent
    contents = bytearray(random.Random(chip.name).randbytes(extent.size_bytes))
    vectors = (chip.ram.end, extent.start + 0x101)
    table = b"".join(word.to_bytes(_WORD_BYTES, "little") for word in vectors)
    contents[: len(table)] = table
    for index in range(_BLANK - 1, flash.page_count, _BLANK):
        page = flash.page(index)
        contents[page.start - extent.start : page.end - extent.start] = flash.blank(index)
    return bytes(contents)


def _fields_set(recipe: Recipe) -> dict[str, FieldValue]:
    """Return the fields that the recipe sets, by name or by going back to the factory's, and their values."""
    layout = recipe.chip.option_bytes
    wanted: dict[str, FieldValue] = {}
    for step in recipe.steps:
        if isinstance(step, SetOptionBytes):
            wanted |= (layout.decode(layout.factory) if step.from_factory else {}) | dict(step.fields)
    return wanted


def _with_others(recipe: Recipe, raw: bytes, values: Mapping[str, FieldValue]) -> bytes:
    """Return `raw` with another value than these in each of the fields, as far as the ROM still starts.

    Read protection has a board of its own. Write protection covers what no step erases or writes. A reserved bit has another
    value only where the recipe sets it right, and a field that moves pages as well: of such a board no page is redone.
    """
    chip, layout, named = recipe.chip, recipe.chip.option_bytes, _fields_set(recipe)
    moving = {field.name for field in chip.page_fields}
    checked = {name for step in recipe.steps if isinstance(step, CheckOptionBytes) for name in step.fields}
    for _ in range(2):  # some values keep the ROM reachable only together with others
        for name, value in values.items():
            field = layout.fields[name]
            if name == "RDP" or (name not in named and (field.keep is not None or name in checked | moving)):
                continue
            changed = layout.encode(raw, {name: _another(field, value)})
            if _starts_rom(chip, changed) and not _protects_what_is_written(recipe, changed):
                raw = changed
    return raw


def _protects_what_is_written(recipe: Recipe, raw: bytes) -> bool:
    """Say whether these option bytes write-protect something that the recipe erases or writes."""
    layout, flash = recipe.chip.option_bytes, recipe.chip.flash
    if not layout.write_protected(raw, flash):
        return False
    return any(step.destructive and not isinstance(step, SetOptionBytes | Unprotect) for step in recipe.steps)


def _another(field: OptionField, value: FieldValue) -> FieldValue:
    if field.values:
        return next((name for name in field.values if name != value), value)
    assert isinstance(value, int)
    return value ^ 1


def _starts_rom(chip: Chip, raw: bytes) -> bool:
    return chip.starts(chip.option_bytes.decode(raw), boot0=1) is BootTarget.SYSTEM_MEMORY
