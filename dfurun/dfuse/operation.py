"""How long each operation may take: the budgets that waiting is done by.

# Ref: docs/reliability.md; AN3156 section 3 for bwPollTimeout, the datasheet for the maxima (chip data).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfurun.chips import Chip, Duration, Timing

BUDGET_FACTOR = 4
MINIMUM_BUDGET_S = 1.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of command: its name for people, the datasheet's maximum, and when to give it up; seconds."""

    name: str
    maximum_s: float
    budget_s: float

    @classmethod
    def of(cls, name: str, duration: Duration) -> Operation:
        """Return the operation whose budget is four times its datasheet maximum, a second at least."""
        return cls(name, duration.maximum_s, max(MINIMUM_BUDGET_S, BUDGET_FACTOR * duration.maximum_s))


@dataclass(frozen=True, slots=True)
class Operations:
    """A chip's operations; `erase_page` is by the page's size in bytes."""

    set_address: Operation
    erase_page: Mapping[int, Operation]
    mass_erase: Operation
    write_block: Operation
    write_option_bytes: Operation
    read_unprotect: Operation

    @classmethod
    def of(cls, chip: Chip, timing: Timing) -> Operations:
        """Return the operations with these times, which depend on how wide the ROM programs."""
        return cls(
            set_address=Operation.of("Set Address", timing.set_address),
            erase_page={
                size: Operation.of(f"{chip.flash.unit} erase", erase) for size, erase in timing.page_erase.items()
            },
            mass_erase=Operation.of("mass erase", timing.mass_erase),
            write_block=Operation.of("write", timing.program_block),
            write_option_bytes=Operation.of("option-byte write", timing.option_bytes),
            read_unprotect=Operation.of("Read Unprotect", timing.read_unprotect),
        )
