"""What of an image goes into main flash, and what is said of the rest: option bytes are left out, all else is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dfurun.chips import Chip
from dfurun.chips.option_bytes import FieldChange
from dfurun.errors import Code, Finding, RecipePath
from dfurun.image import ImageFile, MemoryImage
from dfurun.steps.option_sources import option_part, raw_option_bytes
from dfurun.steps.step import Head, Scope
from dfurun.units import AddressRange, format_address, format_size


def flashable(body: Mapping[str, Any], head: Head, scope: Scope) -> ImageFile | None:
    """Return what a step that takes one of `image` and `data` names, as `flashable_image` does; report it where it does not."""
    given = [key for key in ("image", "data") if key in body]
    if len(given) == 1:
        return flashable_image(body[given[0]], scope, (*head.path, given[0]))
    scope.report(Code.BAD_VALUE, f"{head.path[-1]} takes one of image and data, not both", head.path, hint="keep one")
    return None


def flashable_image(name: str, scope: Scope, path: RecipePath) -> ImageFile | None:
    """Return the image of this name, without what is not for the flash and can be left out; report that, and what cannot.

    `path` is where the step names the image; where it ends in `data`, the data of this name is meant. None where it is not
    there, or cannot be flashed. Each finding about an image is reported once, whatever the number of steps that name it.
    """
    image, chip = scope.data_called(name, path) if path[-1] == "data" else scope.image(name, path), scope.chip
    if image is None:
        return None
    options = option_part(image.memory, chip.option_bytes)
    inside = MemoryImage(tuple(image.memory.within(chip.flash.extent)))
    outside = image.memory.without(chip.flash.extent)
    for block in chip.option_bytes.blocks:
        outside = outside.without(block)
    findings = _outside(image, chip, outside, path) + _wrong_targets(image, chip, path)
    if not inside.pieces and not findings:
        message = f"{image.title} holds nothing for the flash {chip.flash.extent}"
        findings = [
            Finding(Code.OUTSIDE_FLASH, message, path, hint="option bytes are set by name, with set-option-bytes")
        ]
    if findings:
        known = {(finding.code, finding.message) for finding in scope.findings}
        scope.findings += [finding for finding in findings if (finding.code, finding.message) not in known]
        return None
    if options.pieces and name not in scope.option_images:
        warning = _option_bytes(image, chip, options)
        scope.findings += [] if warning in scope.findings else [warning]
    return replace(image, memory=inside)


def _outside(image: ImageFile, chip: Chip, outside: MemoryImage, path: RecipePath) -> list[Finding]:
    """Return a finding for what is in RAM, and one for what is elsewhere, however many pieces there are of it."""
    in_ram = [piece for piece in outside.pieces if chip.ram.overlaps(piece.extent)]
    elsewhere = [piece for piece in outside.pieces if not chip.ram.overlaps(piece.extent)]
    found = []
    for pieces, hint in (
        (elsewhere, "take the build for this chip, or leave that part out of the image"),
        (in_ram, "that is RAM, which the start-up code fills: give initial data a load address in flash"),
    ):
        if pieces:
            held = f"{pieces[0].extent}{_for(image, pieces[0].extent)}{_and_more(len(pieces) - 1)}"
            message = f"{image.title} holds {held}, outside the flash {chip.flash.extent}"
            found.append(Finding(Code.OUTSIDE_FLASH, message, path, hint=hint))
    return found


def _and_more(pieces: int) -> str:
    return f" and {pieces} more piece{'' if pieces == 1 else 's'}" if pieces else ""


def _wrong_targets(image: ImageFile, chip: Chip, path: RecipePath) -> list[Finding]:
    """Return findings for a DfuSe file's targets that name another alternate setting than the flash's, and hold flash."""
    return [
        Finding(
            Code.OUTSIDE_FLASH,
            f"{image.title} holds {pieces[0].extent}{_and_more(len(pieces) - 1)} for {target}, "
            "and that is flash, alternate setting 0",
            path,
            hint="make the file again, with the right target",
        )
        for target in image.targets
        if target.alternate != 0  # AN3156: a ROM's first alternate setting is its main flash
        and (pieces := tuple(target.memory.within(chip.flash.extent)))
    ]


def _option_bytes(image: ImageFile, chip: Chip, options: MemoryImage) -> Finding:
    """Return the warning that says by name what the option bytes in an image are, where the recipe lists the image."""
    layout, extent = chip.option_bytes, options.pieces[0].extent
    raw = raw_option_bytes(options, layout)
    changes = layout.changes(layout.factory, raw)
    spoiled = layout.spoiled(raw)
    values = _as_fields(changes)
    held = f"{format_size(options.size_bytes)} of option bytes at {format_address(extent.start)}{_for(image, extent)}"
    if changes:
        said, hint = f"not the factory's: {values}", f"write and verify leave them out{_how_to_set(chip, changes)}"
    else:
        said, hint = "the factory's", "write and verify leave them out; build the image without them"
    if spoiled:
        misfit = f"with a complement that does not fit at {', '.join(f'+{offset}' for offset in spoiled)}"
        said = f"{said}; {misfit}" if changes else misfit
    message = f"{image.title} holds {held}, {said}"
    return Finding(Code.OPTION_BYTES_IN_IMAGE, message, ("images", image.name, "file"), hint=hint)


def _how_to_set(chip: Chip, changes: Sequence[FieldChange]) -> str:
    """Return the end of a hint: a step to paste that sets the changes, but for what is for ever, which it tells."""
    for_ever = [
        (change, guard)
        for change in changes
        for guard in chip.guards
        if guard.irreversible and guard.when.get(change.field.name) == change.after
    ]
    offered = [change for change in changes if change not in [kept for kept, _ in for_ever]]
    step = f"; where they are meant, `set-option-bytes: {{fields: {{{_as_fields(offered)}}}}}`" if offered else ""
    return step + "".join(f"; {_as_fields([change])} is left out here, as {guard.means}" for change, guard in for_ever)


def _as_fields(changes: Sequence[FieldChange]) -> str:
    """Return the changes as the `fields` of a recipe: `RDP: level-1, nBOOT0: 0`."""
    return ", ".join(f"{change.field.name}: {change.field.show(change.after)}" for change in changes)


def _for(image: ImageFile, extent: AddressRange) -> str:
    """Return for which target a DfuSe file holds a range; nothing for other formats."""
    named = [target for target in image.targets if any(target.memory.within(extent))]
    return f" for {named[0]}" if named else ""
