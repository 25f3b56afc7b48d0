"""Changes of what stands beside the steps: chip, expectations, consent, supply, the names that people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from dfurun.chips.guards import HIDING
from dfurun.diff.change import Change, Kind, Rank, Subject
from dfurun.diff.side import Side
from dfurun.steps.step import PROTECTS_WHAT_FOLLOWS
from dfurun.units import format_size

KEYS = {"flash_size_bytes": "flash-size", "bootloader_id": "bootloader-id", "unique_ids": "unique-id"}


def settings_changes(old: Side, new: Side) -> Iterator[Change]:
    """Yield the changes of everything but images and steps."""
    yield from _chip(old, new)
    yield from _expectations(old, new)
    yield from _consent(old, new)
    yield from _supply(old, new)
    if old.recipe.name != new.recipe.name:
        yield _named(old, new)


def _named(old: Side, new: Side) -> Change:
    why = "only what people and records read"
    before, after = old.recipe.name, new.recipe.name
    return Change(Rank.ROUTINE, Subject.NAME, Kind.CHANGED, "the recipe has another name", why, before, after)


def _chip(old: Side, new: Side) -> Iterator[Change]:
    if old.chip.name == new.chip.name:
        return
    why = "boards that were refused before are flashed now; memory, option bytes and boot table are another chip's"
    before, after = old.chip.name, new.chip.name
    yield Change(Rank.WEAKENS, Subject.CHIP, Kind.CHANGED, "the recipe is for another chip", why, before, after)


def _expectations(old: Side, new: Side) -> Iterator[Change]:
    for field in fields(old.recipe.expect):
        before, after = getattr(old.recipe.expect, field.name), getattr(new.recipe.expect, field.name)
        if before == after:
            continue
        key = KEYS[field.name]
        shown = (_shown(field.name, before), _shown(field.name, after))
        if not before:
            why = "one more check: a board that does not fit is refused before anything is written"
            yield Change(Rank.ROUTINE, Subject.EXPECT, Kind.ADDED, f"`{key}` is expected", why, *shown)
        elif not after:
            why = "a board that was refused for it is flashed now"
            yield Change(Rank.WEAKENS, Subject.EXPECT, Kind.REMOVED, f"`{key}` is not looked at any more", why, *shown)
        elif isinstance(before, tuple) and set(after) < set(before):
            yield Change(
                Rank.ROUTINE, Subject.EXPECT, Kind.CHANGED, f"`{key}` takes fewer", "fewer boards are let pass", *shown
            )
        else:
            why = "boards that were refused before are flashed now"
            yield Change(Rank.WEAKENS, Subject.EXPECT, Kind.CHANGED, f"another `{key}` is expected", why, *shown)


def _shown(name: str, value: object) -> str:
    match value:
        case None | ():
            return ""
        case tuple():
            return ", ".join(sorted(map(str, value)))
        case int():
            return format_size(value) if name.endswith("_bytes") else f"0x{value:02X}"
        case _:
            return str(value)


def _consent(old: Side, new: Side) -> Iterator[Change]:
    meanings = {guard.name: guard.means for guard in (*old.chip.guards, *new.chip.guards)}
    meanings |= {name: means for name, (_, means) in HIDING.items() if name not in meanings}
    meanings[PROTECTS_WHAT_FOLLOWS] = "a step may protect what later steps read or write"
    for name in sorted(new.recipe.allow - old.recipe.allow):
        why = f"dfurun no longer refuses it: {meanings.get(name, name)}"
        yield Change(Rank.WEAKENS, Subject.ALLOW, Kind.ADDED, f"`{name}` is allowed", why, after=name)
    for name in sorted(old.recipe.allow - new.recipe.allow):
        why = "dfurun refuses it again"
        yield Change(Rank.ROUTINE, Subject.ALLOW, Kind.REMOVED, f"`{name}` is not allowed any more", why, before=name)


def _supply(old: Side, new: Side) -> Iterator[Change]:
    before, after = old.recipe.supply_v, new.recipe.supply_v
    if before == after:
        return
    shown = tuple("" if volts is None else f"{volts:g} V" for volts in (before, after))
    kind = Kind.ADDED if before is None else Kind.REMOVED if after is None else Kind.CHANGED
    what = {
        Kind.ADDED: "the supply is named",
        Kind.REMOVED: "the supply is not named any more",
    }.get(kind, "another supply")
    narrow, wide = (side.recipe.programs_bytes_at_once for side in (old, new))
    rank, why = Rank.ROUTINE, "only held against what the chip takes"
    if narrow != wide:
        why = f"the bootloader programs {format_size(wide)} at once, where it was {format_size(narrow)}"
    if new.recipe.width is not None and wide > narrow:
        rank, why = Rank.WEAKENS, f"{why}: a board that has less than {new.recipe.width.minimum_v:g} V is flashed badly"
    yield Change(rank, Subject.SUPPLY, kind, what, why, shown[0], shown[1])
