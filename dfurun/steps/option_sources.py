"""Where the fields of a set-option-bytes step come from beside its `fields`: pages to protect, option bytes in an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dfurun.chips import FieldValue, OptionLayout
from dfurun.errors import Code, RecipePath
from dfurun.image import MemoryImage
from dfurun.steps.step import Scope
from dfurun.units import parse_pages


def protecting_fields(parts: Sequence[Mapping[str, Any]], path: RecipePath, scope: Scope) -> Mapping[str, FieldValue]:
    """Return the fields that write-protect these pages and no others; report pages that cannot be protected so."""
    rule, flash = scope.chip.option_bytes.write_protection, scope.chip.flash
    if rule is None:
        message = f"which option bytes write-protect the pages of {scope.chip.title} is not in the chip data"
        scope.report(Code.BAD_VALUE, message, path, hint="`fields` sets option bytes by their own names")
        return {}
    pages: set[int] = set()
    for index, part in enumerate(parts):
        here = (*path, index, "pages")
        try:
            named = parse_pages(part["pages"])
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), here)
            return {}
        if named[-1] >= flash.page_count:
            scope.report(Code.OUTSIDE_FLASH, f"the flash has {flash.unit}s 0 to {flash.page_count - 1}", here)
            return {}
        pages.update(named)
    try:
        return dict(rule.protecting(pages, flash))
    except ValueError as error:
        scope.report(Code.BAD_VALUE, str(error), path, hint=f"`dfurun chips {scope.chip.name}` shows what is one")
        return {}


def image_fields(name: str, path: RecipePath, scope: Scope) -> Mapping[str, FieldValue]:
    """Return the fields that the option bytes in an image give, each where all of its bytes are there; report what is wrong.

    That `write` leaves them out is no warning any more: this step sets them.
    """
    image, layout = scope.image(name, path), scope.chip.option_bytes
    if image is None:
        return {}
    scope.take_option_bytes(name)
    options = option_part(image.memory, layout)
    raw = raw_option_bytes(options, layout)
    given = offsets_given(options, layout)
    if not given:
        blocks = " and ".join(str(block) for block in layout.blocks)
        message = f"{image.title} holds no option bytes of {scope.chip.title}"
        scope.report(Code.BAD_VALUE, message, path, hint=f"they are at {blocks}")
        return {}
    if spoiled := layout.spoiled(raw):
        places = ", ".join(f"+{offset}" for offset in spoiled)
        message = f"{image.title} holds option bytes whose complement does not fit, at {places}"
        scope.report(Code.BAD_VALUE, message, path, hint="build the image anew, or set the fields by name")
        return {}
    known = sum(0xFF << 8 * at for at, offset in enumerate(layout.data_offsets()) if offset in given)
    values = layout.decode(raw)
    return {field.name: values[field.name] for field in layout.fields.values() if not field.mask & ~known}


def option_part(memory: MemoryImage, layout: OptionLayout) -> MemoryImage:
    """Return what of an image lies in the option bytes."""
    return MemoryImage(tuple(piece for block in layout.blocks for piece in memory.within(block)))


def raw_option_bytes(options: MemoryImage, layout: OptionLayout) -> bytes:
    """Return the factory's bytes with those of an image over them, each datum with its complement where the image has none."""
    raw = b"".join(options.overlay(block, layout.part(layout.factory, block)) for block in layout.blocks)
    return layout.with_complements(raw, offsets_given(options, layout))


def offsets_given(options: MemoryImage, layout: OptionLayout) -> frozenset[int]:
    """Return which of the raw option bytes an image holds."""
    return frozenset(
        layout.offset_of(address) for piece in options.pieces for address in range(piece.address, piece.extent.end)
    )
