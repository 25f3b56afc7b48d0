"""The evidence behind a difference as tables: firmware, option bytes bit by bit, what starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dfurun.diff import Difference, Rank
from dfurun.diff.change import Firmware, FirmwareChange, OptionDifference
from dfurun.diff.options import AS_ON_THE_BOARD, bit_name, boot_in_words, protection_in_words
from dfurun.report.words import count
from dfurun.units import format_address, format_pages, format_size

NO_CHANGE = "no change in what happens"
SHORT_HASH = 12
BYTES_A_ROW, MOST_ROWS = 8, 32
BEFORE_AND_AFTER = ("", "before", "after")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its title, the headings of its columns, its rows."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def headline(difference: Difference) -> str:
    """Return how many changes there are, and of which ranks: `3 changes: cannot be undone (1), routine (2)`."""
    if not difference.changes:
        return NO_CHANGE
    return f"{count(len(difference.changes), 'change', 'changes')}: {ranks_in_words(difference)}"


def ranks_in_words(difference: Difference) -> str:
    """Return the ranks that there are, the worst first, each with its number of changes where there are several."""
    counts = {rank.words: number for rank in Rank if (number := difference.count(rank))}
    if len(difference.changes) == 1:
        return next(iter(counts))
    return ", ".join(f"{words} ({number})" for words, number in counts.items())


def tables(difference: Difference, *, hash_length: int = SHORT_HASH) -> Iterator[Table]:
    """Yield the tables that stand behind a difference."""
    for firmware in difference.firmware:
        yield _firmware(firmware, hash_length)
    if difference.options is not None:
        yield from _options(difference.options)


def _firmware(change: FirmwareChange, hash_length: int) -> Table:
    sides = (change.before, change.after)
    if all(side.image.inline for side in sides if side):
        return _data(change, sides)
    rows = [
        ("file", *(side.file if side else "" for side in sides)),
        ("sha256", *(_hash(side, hash_length) for side in sides)),
        ("pinned", *(_pinned(side) for side in sides)),
        ("in flash", *(format_size(side.size_bytes) if side else "" for side in sides)),
    ]
    if change.flash is not None:
        whole, unit = change.flash.page_count, change.flash.unit
        rows.append(("fills", *(f"{len(side.pages)} of {whole} {unit}s" if side else "" for side in sides)))
    rows += [
        ("stack pointer", *(_word(side.stack) if side else "" for side in sides)),
        ("reset vector", *(_word(side.reset) if side else "" for side in sides)),
    ]
    return Table(f"firmware {change.name}", BEFORE_AND_AFTER, (*rows, *_pages(change)))


def _data(change: FirmwareChange, sides: tuple[Firmware | None, ...]) -> Table:
    pieces = [side.image.memory.pieces[0] if side else None for side in sides]
    rows = [
        ("at", *(format_address(piece.address) if piece else "" for piece in pieces)),
        ("size", *(format_size(len(piece.data)) if piece else "" for piece in pieces)),
    ]
    for start in range(0, max(len(piece.data) for piece in pieces if piece), BYTES_A_ROW):
        parts = [piece.data[start : start + BYTES_A_ROW].hex(" ") if piece else "" for piece in pieces]
        if start >= MOST_ROWS * BYTES_A_ROW:
            rows.append(("...", "", ""))
            break
        if parts[0] != parts[1]:
            rows.append((f"+{start}", *parts))
    return Table(f"data {change.name}", BEFORE_AND_AFTER, tuple(rows))


def _hash(side: Firmware | None, length: int) -> str:
    return side.image.sha256[:length] if side else ""


def _pinned(side: Firmware | None) -> str:
    if side is None:
        return ""
    if side.image.swapped:
        return "to another file"
    return "yes" if side.image.pinned else "by its size alone" if side.image.size_pinned else "no"


def _word(word: int | None) -> str:
    return "none" if word is None else format_address(word)


def _pages(change: FirmwareChange) -> Iterator[tuple[str, str, str]]:
    if change.flash is None or change.before is None or change.after is None:
        return
    unit = change.flash.unit
    if change.changed_pages:
        bytes_ = count(change.changed_bytes, "byte", "bytes")
        yield "changed", format_pages(change.changed_pages, unit), f"{bytes_} that both hold"
    if change.added_pages:
        yield "only after", "", format_pages(change.added_pages, unit)
    if change.gone_pages:
        yield "only before", format_pages(change.gone_pages, unit), ""


def _options(options: OptionDifference) -> Iterator[Table]:
    if options.fields:
        rows = tuple(
            (
                found.field.name,
                f"+{found.offset} {bit_name(found.field)}",
                _value(found.before, found.before_bits),
                _value(found.after, found.after_bits),
            )
            for found in options.fields
        )
        yield Table("option bytes at the end", ("field", "byte", "before", "after"), rows)
    pairs = [
        (f"BOOT0 {'high' if level else 'low'}", boot_in_words(before), boot_in_words(options.boots_after[level]))
        for level, before in options.boots_before.items()
    ]
    protected = [
        protection_in_words(pages, options.unit) for pages in (options.protected_before, options.protected_after)
    ]
    if protected != [AS_ON_THE_BOARD, AS_ON_THE_BOARD]:
        pairs.append(("write-protected", protected[0], protected[1]))
    yield Table("what starts at power-on", BEFORE_AND_AFTER, tuple(pairs))


def _value(value: str | None, bits: str | None) -> str:
    if value is None:
        return AS_ON_THE_BOARD
    return value if bits is None or bits == value else f"{value} (0b{bits})"
