"""What a power cut inside a write of option bytes makes of a chip, told before one is begun and where a board is not back.

# Ref: RM0444 section 3.4 (an interrupted write of option bytes is to be ruled out, "only in a safe environment").
"""

from __future__ import annotations

from dfurun.chips import Chip
from dfurun.steps.context import Context


def to_keep_power(chip: Chip) -> str:
    """Return that the power must not go while option bytes are written, of a chip that is lost then; empty for others."""
    words = "keep the power on: were option bytes cut short now, the bootloader would not start again"
    return words if chip.lost_with_torn_options else ""


def tell_to_keep_power(context: Context) -> None:
    """Say that the power must not go now, on a chip that is lost then."""
    if words := to_keep_power(context.chip):
        context.notice(words)


def if_power_went(chip: Chip) -> str:
    """Return what else may have become of a board that is not back, to be put behind a hint; empty where nothing has."""
    if not chip.lost_with_torn_options:
        return ""
    way_back = "nothing brings it back" if chip.locked_with_torn_options else "only a debugger brings it back"
    return f"; if the power went meanwhile, its option bytes are erased and start no bootloader: {way_back}"
