"""Changes of images and data: which file, which bytes on which pages, where the core starts, what pins the file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from dfurun.diff.change import Change, Firmware, FirmwareChange, Kind, Rank, Subject
from dfurun.diff.side import Side, newly_lost, pages_of
from dfurun.image import ImageFile, MemoryImage
from dfurun.steps.vector_table import TABLE_BYTES, implausible
from dfurun.units import AddressRange, format_address, format_pages, format_size

MOST_BYTES = 16  # of data that are shown in a line
IN_THE_RECIPE = "the recipe itself"  # of bytes that it spells out: they stay the same when it gets another name


def paired_names(old: Side, new: Side) -> dict[str, str]:
    """Return for the names of old images those of the new: the same name, else the same contents under another."""
    before, after = old.recipe.images, new.recipe.images
    pairs = {name: name for name in before if name in after}
    free = [name for name in after if name not in pairs]
    for name in (name for name in before if name not in pairs):
        same = next((other for other in free if after[other].memory == before[name].memory), None)
        if same is not None:
            pairs[name] = same
            free.remove(same)
    return pairs


def firmware_changes(old: Side, new: Side, pairs: Mapping[str, str]) -> tuple[list[FirmwareChange], list[Change]]:
    """Return the images that differ, and what is told of them."""
    differing: list[FirmwareChange] = []
    changes: list[Change] = []
    taken = set(pairs.values())
    for name, image in old.recipe.images.items():
        if name not in pairs:
            differing.append(_difference(old, new, name, image, None))
            why = "nothing of it is written or verified any more"
            changes.append(Change(Rank.ROUTINE, _subject(image), Kind.REMOVED, f"{_noun(image)} {name} is gone", why))
            continue
        other = new.recipe.images[pairs[name]]
        unpinned = any(
            one.inline or one.swapped for one in (image, other)
        )  # bytes of the recipe's own, or another file
        changes += () if unpinned else _pins(name, image, other)
        if name != other.name:
            why = "only what people and records read: the bytes are the same"
            what = f"{_noun(image)} {name} is called {other.name}"
            changes.append(Change(Rank.ROUTINE, Subject.NAME, Kind.CHANGED, what, why, name, other.name))
        found = _difference(old, new, other.name, image, other)
        changes += _contents(old, new, found)
        if image.sha256 != other.sha256 or image.memory != other.memory:
            differing.append(found)
    for name, image in new.recipe.images.items():
        if name not in taken:
            differing.append(_difference(old, new, name, None, image))
            why = "what is done with it, the steps say"
            changes.append(Change(Rank.ROUTINE, _subject(image), Kind.ADDED, f"{_noun(image)} {name} is new", why))
    return differing, changes


def _difference(old: Side, new: Side, name: str, before: ImageFile | None, after: ImageFile | None) -> FirmwareChange:
    one = _firmware(old, before) if before else None
    other = _firmware(new, after) if after else None
    flash = new.chip.flash
    if flash != old.chip.flash:
        return FirmwareChange(name, one, other, None)
    if before is None or after is None:
        return FirmwareChange(name, one, other, flash)
    common = pages_of(new.chip, _extents(new, before.memory)) & pages_of(new.chip, _extents(new, after.memory))
    changed = frozenset(
        page
        for page in common
        if list(before.memory.within(flash.page(page))) != list(after.memory.within(flash.page(page)))
    )
    return FirmwareChange(name, one, other, flash, changed, _differing_bytes(before.memory, after.memory))


def _firmware(side: Side, image: ImageFile) -> Firmware:
    name = IN_THE_RECIPE if image.inline else _file_of(image, side)
    inside = MemoryImage(tuple(image.memory.within(side.chip.flash.extent)))
    table = AddressRange(side.chip.flash.extent.start, TABLE_BYTES)
    words: tuple[int | None, int | None] = (None, None)
    if any(piece.extent == table for piece in image.memory.within(table)):
        words = struct.unpack("<II", image.memory.overlay(table, bytes(TABLE_BYTES)))
    pages = pages_of(side.chip, _extents(side, image.memory))
    return Firmware(image, name, inside.size_bytes, pages, words[0], words[1])


def _file_of(image: ImageFile, side: Side) -> str:
    """Return where an image's file is from the recipe's folder, also where a base elsewhere names it."""
    try:
        return PurePath(os.path.relpath(image.path, side.recipe.path.parent)).as_posix()
    except ValueError:  # on another drive
        return image.path.as_posix()


def _subject(image: ImageFile) -> Subject:
    return Subject.DATA if image.inline else Subject.FIRMWARE


def _noun(image: ImageFile) -> str:
    return "data" if image.inline else "image"


def _extents(side: Side, memory: MemoryImage) -> Iterator[AddressRange]:
    return (piece.extent for piece in memory.within(side.chip.flash.extent))


def _differing_bytes(before: MemoryImage, after: MemoryImage) -> int:
    """Return how many of the bytes that both images hold are not the same."""
    count = 0
    for piece in before.pieces:
        for other in after.within(piece.extent):
            start = other.address - piece.address
            part = piece.data[start : start + len(other.data)]
            if part != other.data:
                count += sum(a != b for a, b in zip(part, other.data, strict=True))
    return count


def _contents(old: Side, new: Side, found: FirmwareChange) -> Iterator[Change]:
    """Yield what is told of an image that both recipes have."""
    before, after = found.before, found.after
    if before is None or after is None:
        return
    subject = _subject(after.image)
    start = new.chip.flash.extent.start
    unfit = implausible(new.chip, after.image, start)
    if unfit and implausible(old.chip, before.image, start):
        unfit = ""  # it was no better before
    if before.image.memory == after.image.memory and not unfit:
        if before.image.sha256 != after.image.sha256 or before.file != after.file:
            why = "what is flashed is the same, byte for byte"
            what = f"{found.name} is {after.file if after.image.inline else 'another file'} with the same contents"
            yield Change(Rank.ROUTINE, subject, Kind.CHANGED, what, why, before.file, after.file)
        return
    same = before.image.memory == after.image.memory
    what = f"{found.name} is {'no firmware for this chip' if same else 'another firmware'}"
    if after.image.inline:
        what = f"data {found.name} {_how_data_differs(before.image, after.image)}"
    shown = (_shown(before), _shown(after))
    lost = found.added_pages & newly_lost(old, new)
    if lost:
        pages = format_pages(lost, new.chip.flash.unit)
        why = f"what the board kept in {pages} is erased or written for it"
        yield Change(Rank.LOSES_DATA, subject, Kind.CHANGED, what, why, *shown)
    elif unfit:
        yield Change(Rank.WEAKENS, subject, Kind.CHANGED, what, f"no core can start it: {unfit}", *shown)
    else:
        why = _in_short(found)
        if after.image.swapped:
            why += "; the recipe pins another file, so no board gets this one"
        elif not after.image.pinned:
            why += "; no sha256 in the recipe says that this is the one that was meant"
        yield Change(Rank.ROUTINE, subject, Kind.CHANGED, what, why, *shown)


def _how_data_differs(before: ImageFile, after: ImageFile) -> str:
    starts = [image.memory.pieces[0].address for image in (before, after)]
    parts = [f"lies at {format_address(starts[1])}"] if starts[0] != starts[1] else []
    parts += ["has other bytes"] if before.memory.pieces[0].data != after.memory.pieces[0].data else []
    return " and ".join(parts)


def _shown(firmware: Firmware) -> str:
    if firmware.image.inline:
        (piece,) = firmware.image.memory.pieces
        words = piece.data[:MOST_BYTES].hex(" ")
        left = len(piece.data) - MOST_BYTES
        return f"{words} and {left} more" if left > 0 else words
    return f"sha256 {firmware.image.sha256[:12]}, {format_size(firmware.size_bytes)}"


def _in_short(found: FirmwareChange) -> str:
    """Say which pages are not what they were."""
    if found.flash is None or found.after is None:
        return "other bytes are written"
    unit, parts = found.flash.unit, []
    for pages, words in (
        (found.changed_pages, "changed"),
        (found.added_pages, "written for the first time"),
        (found.gone_pages, "no longer written"),
    ):
        if pages:
            parts.append(f"{format_pages(pages, unit)} {words}")
    return "; ".join(parts) or "only what lies outside the flash differs"


def _pins(name: str, before: ImageFile, after: ImageFile) -> Iterator[Change]:
    """Yield the changes of what pins an image's file."""
    dropped = "a firmware file that somebody swaps is flashed without a word"
    if before.pinned and not after.pinned:
        what = f"{name} is not pinned by its sha256 any more"
        yield Change(Rank.WEAKENS, Subject.PIN, Kind.REMOVED, what, dropped, before.sha256)
    elif after.pinned and not before.pinned:
        why = "a firmware file that is swapped is refused from now on"
        yield Change(Rank.ROUTINE, Subject.PIN, Kind.ADDED, f"{name} is pinned by its sha256", why, after=after.sha256)
    if before.size_pinned and not after.size_pinned:
        why = "its sha256 pins it all the same" if after.pinned else dropped
        rank = Rank.ROUTINE if after.pinned else Rank.WEAKENS
        yield Change(rank, Subject.PIN, Kind.REMOVED, f"{name} is not pinned by its size any more", why)
    elif after.size_pinned and not before.size_pinned:
        why = "a file of another size is refused from now on"
        yield Change(Rank.ROUTINE, Subject.PIN, Kind.ADDED, f"{name} is pinned by its size", why)
