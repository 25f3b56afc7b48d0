"""Whether a board is of the chip that somebody has named for it: its own memory layout must be that chip's."""

from __future__ import annotations

from dfurun.chips import Chip
from dfurun.dfuse.link import DeviceDescription
from dfurun.errors import Code, Refused
from dfurun.units import format_size


def require_layout(chip: Chip, description: DeviceDescription, *, named: str, consequence: str, hint: str) -> None:
    """Refuse a board whose own memory layout is not the chip's; one that tells none that can be read is let pass.

    `named` begins the sentence, `the recipe is for`: it says who has named the chip. To be called before anything is read at
    the chip's addresses: the wrong chip's are elsewhere, and what comes back from there looks like a bad link, or like flash.
    """
    layout, flash = description.flash_layout, chip.flash.extent
    if layout is None or (layout.segments[0].start, layout.size_bytes) == (flash.start, flash.size_bytes):
        return
    raise Refused(
        Code.EXPECTATION,
        f"{named} {chip.title} with {format_size(flash.size_bytes)}, "
        f"the board tells {format_size(layout.size_bytes)} ({description.flash_layout_text})",
        consequence=consequence,
        hint=hint,
    )
