"""What a recipe makes of a board, worked out from the recipe alone: the judge's measure, which no session has a part in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dfurun.chips import BootTarget, Chip, Flash
from dfurun.recipe.recipe import Recipe
from dfurun.steps.erase import Erase
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.write import Write


@dataclass(frozen=True, slots=True)
class Contents:
    """What a board holds: main flash, the option bytes as they are stored, and whether read protection is in force."""

    flash: bytes
    option_bytes: bytes
    protected: bool

    def same_as(self, other: Contents, chip: Chip) -> bool:
        """Say whether two boards hold the same, option bytes by their fields: an erased RDP byte is level 1 as well."""
        layout = chip.option_bytes
        return self.flash == other.flash and layout.decode(self.option_bytes) == layout.decode(other.option_bytes)


_WORD_BYTES = 4
_BOOT0_LEVELS = (0, 1)


def starts_rom(chip: Chip, contents: Contents) -> bool:
    """Say whether the bootloader in ROM starts after a power cycle, at one level of BOOT0 at least."""
    empty = contents.flash[:_WORD_BYTES] == bytes([chip.flash.erased]) * _WORD_BYTES
    fields = chip.option_bytes.decode(contents.option_bytes)
    return any(
        chip.starts(fields, boot0=level, flash_empty=empty) is BootTarget.SYSTEM_MEMORY for level in _BOOT0_LEVELS
    )


def stages(recipe: Recipe, contents: Contents) -> Iterator[Contents]:
    """Yield what the board holds before the first step, and after each step, where nothing goes wrong."""
    yield contents
    for step in recipe.steps:
        contents = _after(step, recipe.chip, contents)
        yield contents


def intended(recipe: Recipe, contents: Contents) -> Contents:
    """Return what the board holds after the last step."""
    *_, last = stages(recipe, contents)
    return last


def _after(step: Step, chip: Chip, contents: Contents) -> Contents:
    layout, flash = chip.option_bytes, chip.flash
    match step:
        case Unprotect() if contents.protected:
            return Contents(_erased(flash, contents.flash, range(flash.page_count)), layout.factory, protected=False)
        case MassErase():
            return replace(contents, flash=_erased(flash, contents.flash, range(flash.page_count)))
        case Erase():
            return replace(contents, flash=_erased(flash, contents.flash, step.pages))
        case Write():
            return replace(contents, flash=step.image.memory.overlay(flash.extent, contents.flash))
        case SetOptionBytes():
            base = layout.factory if step.from_factory else contents.option_bytes
            return replace(contents, option_bytes=layout.encode(base, step.fields))
    return contents


def _erased(flash: Flash, contents: bytes, pages: range | tuple[int, ...]) -> bytes:
    cells = bytearray(contents)
    for page in pages:
        extent = flash.page(page)
        start = extent.start - flash.extent.start
        cells[start : start + extent.size_bytes] = flash.blank(page)
    return bytes(cells)
