"""Under which address blocks are moved, so that one Set Address serves as many of them as it can.

# Ref: AN3156 rev 18, section 3.1: a block's address is counted in blocks of its own length, so only whole ones are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dfurun.dfuse.protocol import FIRST_DATA_BLOCK, LAST_BLOCK, DfuState
from dfurun.units import AddressRange


@dataclass(slots=True)
class Stream:
    """The address that is known to be set in the ROM, None where none is, and which way blocks have gone under it."""

    address: int | None = None
    way: DfuState = DfuState.IDLE

    def forget(self) -> None:
        """Know of no address any more."""
        self.address = None

    def begin(self, way: DfuState, under: int | None) -> None:
        """Forget the address, but where it is the one that is shared.

        A read never takes the one that a write has set: what is verified is not looked for where the write believed to be.
        """
        if under is None or self.address != under or self.way not in (DfuState.UPLOAD_IDLE, way):
            self.forget()

    def number(
        self, way: DfuState, at: AddressRange, under: int | None, whole_bytes: int, set_address: Callable[[int], None]
    ) -> int:
        """Return the number to move a block with: counted from the address that is set, or from one that this sets.

        `whole_bytes` is the length of blocks that can be counted, 0 where none can.
        """
        for base in (self.address, under):
            if base is None or at.size_bytes != whole_bytes or at.start < base or (at.start - base) % whole_bytes:
                continue
            number = FIRST_DATA_BLOCK + (at.start - base) // whole_bytes
            if number <= LAST_BLOCK:
                self._set(way, base, set_address)
                return number
        self.forget()
        self._set(way, at.start, set_address)
        return FIRST_DATA_BLOCK

    def _set(self, way: DfuState, address: int, set_address: Callable[[int], None]) -> None:
        if self.address != address:
            set_address(address)
        self.address, self.way = address, way
