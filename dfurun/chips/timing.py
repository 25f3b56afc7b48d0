"""How long a chip's operations take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duration:
    """One operation: what it takes, what the datasheet allows, and the bwPollTimeout that the ROM reports; seconds."""

    typical_s: float
    maximum_s: float
    reported_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the chip's operations take.

    `page_erase` is by the page's size in bytes; `program_unit` is one program unit, `program_block` a whole transfer of them.
    """

    set_address: Duration
    page_erase: Mapping[int, Duration]
    mass_erase: Duration
    program_unit: Duration
    program_block: Duration
    option_bytes: Duration
    read_unprotect: Duration

    @property
    def shortest_erase(self) -> Duration:
        """The erase of the smallest page, which is what an erase of the option bytes takes."""
        return self.page_erase[min(self.page_erase)]

    @property
    def longest_s(self) -> float:
        """The datasheet maximum of the longest operation."""
        kinds = (self.mass_erase, self.program_block, self.option_bytes, self.read_unprotect)
        return max(kind.maximum_s for kind in (*self.page_erase.values(), *kinds))
