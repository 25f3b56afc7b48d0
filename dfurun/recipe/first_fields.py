"""Option-byte fields for a new recipe: those by which a chip starts its application, and what a board has of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from dfurun.chips import BootTarget, Chip, FieldValue

RDP = "RDP"


def starting_fields(chip: Chip, present: Mapping[str, FieldValue] | None = None) -> dict[str, FieldValue]:
    """Return the fields that decide on the start, so that BOOT0 low starts the application; in the layout's order.

    They are as near as may be to `present`, a board's own, else to the factory's. Empty where the BOOT0 pin alone decides, or
    where the data does not tell which values are right.
    """
    layout, boot = chip.option_bytes, chip.boot
    if not layout.established or not boot.is_in_option_bytes:
        return {}
    factory = layout.decode(layout.factory)
    for values in _candidates(chip, {**factory, **(present or {})}):
        named = {name: values[name] for name in layout.fields if name in boot.fields}
        if _starts_application(chip, values) and not chip.guards_of(named):
            return named
    return {}


def own_fields(chip: Chip, raw: bytes) -> tuple[dict[str, FieldValue], tuple[str, ...]]:
    """Return the fields of a board that differ from the factory's and can be set like that, and those that had better not be.

    The second are told by name and value: reserved bits, protection, and what would need consent. Fields that decide on the
    start are in neither.
    """
    layout = chip.option_bytes
    own: dict[str, FieldValue] = {}
    left: list[str] = []
    for change in layout.changes(layout.factory, raw):
        name, value = change.field.name, change.after
        if name in chip.boot.fields:
            continue
        if name == RDP or change.field.keep is not None or chip.guards_of({**own, name: value}):
            left.append(f"{name} {change.field.show(value)}")
        else:
            own[name] = value
    return own, tuple(left)


def _candidates(chip: Chip, base: Mapping[str, FieldValue]) -> Iterator[Mapping[str, FieldValue]]:
    """Yield sets of values, those with the fewest changes first: of single bits all, of boot addresses the factory's alone."""
    layout = chip.option_bytes
    names = sorted(chip.boot.fields)
    if any(layout.fields[name].width > 1 for name in names):
        if layout.factory_known:
            yield base
            yield {**base, **{name: layout.decode(layout.factory)[name] for name in names}}
        return
    others = [dict(zip(names, values, strict=True)) for values in product((0, 1), repeat=len(names))]
    for values in sorted(others, key=lambda values: sum(base[name] != values[name] for name in names)):
        yield {**base, **values}


def _starts_application(chip: Chip, fields: Mapping[str, FieldValue]) -> bool:
    try:
        return chip.starts(fields, boot0=0) is BootTarget.MAIN_FLASH
    except LookupError:
        return False
