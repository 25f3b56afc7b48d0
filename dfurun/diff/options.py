"""Changes of the option bytes that a recipe leaves behind, bit by bit: what starts then, what is protected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from dfurun.chips import BootTarget, Chip, FieldValue, Guard, OptionField
from dfurun.diff.change import Boot, Change, FieldDifference, Kind, OptionDifference, Rank, Subject
from dfurun.diff.side import Side
from dfurun.steps.projected import OPEN_LEVEL
from dfurun.units import format_pages

READ_PROTECTION = "RDP"
MOST_OPEN_FIELDS = 8
AS_ON_THE_BOARD = "as it is on the board"


def option_difference(old: Side, new: Side) -> OptionDifference | None:
    """Return how the option bytes differ that both recipes leave behind; None where they do not, nor what starts."""
    before, after = old.known_fields, new.known_fields
    names = [name for name in new.chip.option_bytes.fields if before.get(name) != after.get(name)]
    names += [n for n in before if n not in new.chip.option_bytes.fields]
    found = OptionDifference(
        fields=tuple(_field(old, new, name) for name in names),
        boots_before=_boots(old),
        boots_after=_boots(new),
        unit=new.chip.flash.unit,
        protected_before=_protected(old),
        protected_after=_protected(new),
    )
    same_boot = found.boots_before == found.boots_after
    if not found.fields and same_boot and found.protected_before == found.protected_after:
        return None
    return found


def option_changes(old: Side, new: Side, found: OptionDifference) -> Iterator[Change]:
    """Yield what is told of option bytes, of what starts, and of write protection."""
    yield from _field_changes(old, new, found)
    yield from _boot_changes(found)
    yield from _protection_changes(new, found)


# Fields --------------------------------------------------------------------------------------------------------------


def _field(old: Side, new: Side, name: str) -> FieldDifference:
    side = new if name in new.chip.option_bytes.fields else old
    layout = side.chip.option_bytes
    field = layout.fields[name]
    (before, before_bits), (after, after_bits) = _value(old, name), _value(new, name)
    offset = layout.data_offsets()[field.position // 8]
    return FieldDifference(field, before, after, before_bits, after_bits, offset)


def _value(side: Side, name: str) -> tuple[str | None, str | None]:
    """Return a field's value at a recipe's end as people read it, and its bits; None where the recipe does not say."""
    value, field = side.known_fields.get(name), side.chip.option_bytes.fields.get(name)
    if value is None or field is None:
        return None, None
    try:
        number = field.number(value)
    except ValueError:  # a name for all values that have none of their own
        return field.show(value), None
    return field.show(value), f"{number:0{field.width}b}"


def _field_changes(old: Side, new: Side, found: OptionDifference) -> Iterator[Change]:
    """Yield a change a field; those that only `from: factory` sets or leaves are one."""
    entered = [guard for guard in _guards(new) if guard.name not in {other.name for other in _guards(old)}]
    protecting = new.chip.option_bytes.write_protection
    told = protecting.fields if protecting and found.protected_before != found.protected_after else ()
    filled, left, open_now = [], [], []
    for field in found.fields:
        name = field.field.name
        if name in told:
            continue  # as pages
        if field.before is None and not new.final.option_fields[name].named:
            filled.append(name)
        elif field.after is None and not old.final.option_fields[name].named:
            left.append(name)
        elif field.after is None and (name != READ_PROTECTION or field.before == OPEN_LEVEL):
            open_now.append(field)
        else:
            rank, why = _judge(field, new, entered)
            kind = Kind.ADDED if field.before is None else Kind.REMOVED if field.after is None else Kind.CHANGED
            shown = (field.before or AS_ON_THE_BOARD, field.after or AS_ON_THE_BOARD)
            yield Change(rank, Subject.OPTION_BYTES, kind, f"option byte {name}", why, *shown)
    if open_now:
        names, before = [field.field.name for field in open_now], [str(field.before) for field in open_now]
        what = f"option byte{'' if len(names) == 1 else 's'} {', '.join(names)}"
        why = "the recipe does not set this any more" if len(names) == 1 else "the recipe does not set these any more"
        yield Change(Rank.ROUTINE, Subject.OPTION_BYTES, Kind.REMOVED, what, why, ", ".join(before), AS_ON_THE_BOARD)
    if filled:
        why = f"what a board has in {', '.join(filled)} is overwritten with the factory's values"
        what = f"{len(filled)} option bytes that are not named"
        yield Change(
            Rank.LOSES_DATA, Subject.OPTION_BYTES, Kind.ADDED, what, why, AS_ON_THE_BOARD, "as the factory set them"
        )
    if left:
        why = f"{', '.join(left)} keep what a board has in them"
        what = f"{len(left)} option bytes that are not named"
        yield Change(
            Rank.ROUTINE, Subject.OPTION_BYTES, Kind.REMOVED, what, why, "as the factory set them", AS_ON_THE_BOARD
        )


def _guards(side: Side) -> list[Guard]:
    return side.chip.guards_of(side.known_fields)


def _judge(found: FieldDifference, new: Side, entered: list[Guard]) -> tuple[Rank, str]:
    """Return a field's rank and why: by the guards that it enters, by read protection, by what its bit must stay at."""
    field = found.field
    guard = next((guard for guard in entered if field.name in guard.fields), None)
    if guard is not None and guard.irreversible:
        return Rank.CANNOT_BE_UNDONE, guard.means
    if field.name == READ_PROTECTION:
        return _judge_read_protection(found)
    if guard is not None:
        return Rank.WEAKENS, guard.means
    after = new.known_fields.get(field.name)
    if field.keep is not None and after is not None and after != field.keep:
        return Rank.WEAKENS, f"a bit that must stay {field.keep}: {field.means}"
    return Rank.ROUTINE, field.means


def _judge_read_protection(found: FieldDifference) -> tuple[Rank, str]:
    if found.after is not None and found.after != OPEN_LEVEL:
        return Rank.LOSES_DATA, "the chip refuses to be read, and opening it again erases all of its flash"
    if found.before is not None and found.before != OPEN_LEVEL:
        return Rank.WEAKENS, "the recipe no longer protects the firmware: whoever has the board can read it"
    return Rank.ROUTINE, "the chip can be read"


# What starts ---------------------------------------------------------------------------------------------------------


def _boots(side: Side) -> dict[int, Boot]:
    return {level: boot_of(side.chip, side.known_fields, level, _empty(side)) for level in (0, 1)}


def _empty(side: Side) -> tuple[bool, ...]:
    """Return whether the flash may be empty at the end, as far as the chip looks at that."""
    if not side.chip.checks_for_empty_flash or 0 in side.written_pages:
        return (False,)
    return (True,) if 0 in side.final.erased_pages else (False, True)


def boot_of(chip: Chip, known: Mapping[str, FieldValue], boot0: int, empty: tuple[bool, ...] = (False,)) -> Boot:
    """Return what may start with these fields, whatever the others are on the board."""
    open_fields = [chip.option_bytes.fields[name] for name in sorted(chip.boot.fields - known.keys())]
    wide = tuple(field.name for field in open_fields if field.width > 1)
    if wide or len(open_fields) > MOST_OPEN_FIELDS:
        return Boot(frozenset(), wide or tuple(field.name for field in open_fields))
    targets: set[BootTarget] = set()
    for values in product((0, 1), repeat=len(open_fields)):
        fields = {**dict(zip((field.name for field in open_fields), values, strict=True)), **known}
        targets |= {chip.starts(fields, boot0=boot0, flash_empty=is_empty) for is_empty in empty}
    return Boot(frozenset(targets), tuple(field.name for field in open_fields) if len(targets) > 1 else ())


def boot_in_words(boot: Boot) -> str:
    """Return what starts, for people."""
    order = list(BootTarget)
    targets = listed([target.words for target in sorted(boot.targets, key=order.index)], "or")
    if not boot.open_fields:
        return targets
    deciding = f"{listed(boot.open_fields, 'and')} on the board decide{'s' if len(boot.open_fields) == 1 else ''}"
    return f"{targets}: {deciding}" if boot.targets else deciding


def listed(words: Sequence[str], last: str) -> str:
    """Return `a, b or c`."""
    *others, end = words or [""]
    return f"{', '.join(others)} {last} {end}" if others else end


def _boot_changes(found: OptionDifference) -> Iterator[Change]:
    before, after = found.boots_before, found.boots_after
    bootloader_gone = _may_start(before, BootTarget.SYSTEM_MEMORY) and not _may_start(after, BootTarget.SYSTEM_MEMORY)
    application_gone = _may_start(before, BootTarget.MAIN_FLASH) and not _may_start(after, BootTarget.MAIN_FLASH)
    for level in (0, 1):
        if before[level] == after[level]:
            continue
        lost = before[level].targets - after[level].targets
        rank, why = Rank.ROUTINE, "what starts at power-on is not what it was"
        if bootloader_gone and BootTarget.SYSTEM_MEMORY in lost:
            rank = Rank.CANNOT_BE_UNDONE
            why = "no level of BOOT0 reaches the bootloader: over USB nothing is flashed or mended any more"
        elif application_gone and BootTarget.MAIN_FLASH in lost:
            rank, why = Rank.WEAKENS, "the application starts at no level of BOOT0"
        elif BootTarget.MAIN_FLASH in lost and level == 0:
            rank, why = Rank.WEAKENS, "with the BOOT0 pin low the application may not start"
        elif BootTarget.SYSTEM_MEMORY in lost and level == 1:
            rank, why = Rank.WEAKENS, "the BOOT0 pin may not reach the bootloader"
        elif after[level].open_fields and not before[level].open_fields:
            rank, why = Rank.WEAKENS, "the recipe no longer settles it: each board's own option bytes do"
        elif before[level].open_fields and not after[level].open_fields:
            why = "the recipe settles it, whatever a board's option bytes were"
        words = (boot_in_words(before[level]), boot_in_words(after[level]))
        name = "high" if level else "low"
        yield Change(rank, Subject.BOOT, Kind.CHANGED, f"what starts with BOOT0 {name}", why, *words)


def _may_start(boots: Mapping[int, Boot], target: BootTarget) -> bool:
    """Say whether some level of BOOT0 may start this; an address that is not known may be anything."""
    return any(target in boot.targets or not boot.targets for boot in boots.values())


# Write protection ----------------------------------------------------------------------------------------------------


def _protected(side: Side) -> frozenset[int] | None:
    if side.final.write_protected_by is None:
        return None
    flash = side.chip.flash
    return frozenset(page for extent in side.final.write_protected for page in flash.pages_of(extent))


def protection_in_words(pages: frozenset[int] | None, unit: str) -> str:
    """Return which pages are write-protected, for people."""
    if pages is None:
        return AS_ON_THE_BOARD
    return format_pages(pages, unit) if pages else "none"


def _protection_changes(new: Side, found: OptionDifference) -> Iterator[Change]:
    before, after, unit = found.protected_before, found.protected_after, new.chip.flash.unit
    if before == after:
        return
    shown = (protection_in_words(before, unit), protection_in_words(after, unit))
    kind = Kind.ADDED if not before else Kind.REMOVED if not after else Kind.CHANGED
    gone, more = (before or frozenset()) - (after or frozenset()), (after or frozenset()) - (before or frozenset())
    if gone:
        rank, why = Rank.WEAKENS, f"{format_pages(gone, unit)}: a bug of the application can overwrite them"
    elif more:
        rank = Rank.ROUTINE
        why = f"{format_pages(more, unit)} cannot be flashed again before the protection is taken off"
    elif after is None:
        rank, why = Rank.ROUTINE, "the recipe leaves it as it finds it"
    else:
        rank, why = Rank.WEAKENS, "a board that came with protected pages loses that protection"
    yield Change(rank, Subject.PROTECTION, kind, "write protection", why, *shown)


def bit_name(field: OptionField) -> str:
    """Return where a field's bits are, for a table: `bit 7`, `bits 0-7`."""
    return f"bit {field.bit}" if field.width == 1 else f"bits {field.bit}-{field.bit + field.width - 1}"
