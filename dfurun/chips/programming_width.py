"""How many bytes a ROM programs at once, where that can be chosen: ST's program/erase parallelism, PSIZE in FLASH_CR.

The supply voltage limits it, and the ROM, which does not know the voltage, starts with the narrowest. The first byte of a
virtual memory, the device feature, chooses another until the next reset.

# Ref: AN2606 rev 70 table 4; RM0090 section 3.6.2: programming or erasing with a parallelism that the voltage does not allow
# "may lead to unpredicted results", and what reads right afterwards "may not be retained".
"""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.chips.timing import Timing


@dataclass(frozen=True, slots=True)
class Width:
    """One width: the byte that chooses it, what is programmed at once, from which supply on, and how long things take then."""

    code: int
    unit_bytes: int
    minimum_v: float
    timing: Timing

    @property
    def parallelism(self) -> str:
        """ST's word for it: `x8` to `x64`."""
        return f"x{8 * self.unit_bytes}"


@dataclass(frozen=True, slots=True)
class ProgrammingWidths:
    """The widths of one ROM, rising; the first one is its own, from every reset on."""

    widths: tuple[Width, ...]

    @property
    def own(self) -> Width:
        """The one that the ROM starts with."""
        return self.widths[0]

    def allowed_at(self, supply_v: float) -> Width:
        """Return the widest that this supply allows; the ROM's own where it allows none."""
        return next((width for width in reversed(self.widths) if supply_v >= width.minimum_v), self.own)

    def chosen_by(self, code: int) -> Width | None:
        """Return the width that this byte chooses; None where that is not known."""
        return next((width for width in self.widths if width.code == code), None)
