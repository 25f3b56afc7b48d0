"""The blocks of one write in their order, and what of them is told: both looked after while the ROM is at work.

A ROM that programs a block asks to be left alone for tens of milliseconds; between two blocks it waits for the host. So the
next block is made ready, and the last one told, in the first of these times and not in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dfurun.units import AddressRange


class Outgoing:
    """The data of one write, cut into blocks; those that are as the erase has left them are not among them.

    `tell` hears how many bytes are done, blocks that need not be sent among them.
    """

    def __init__(
        self, address: int, data: bytes, block_bytes: int, erased: int, tell: Callable[[int], None] | None
    ) -> None:
        self._blocks = _blocks(address, data, block_bytes, bytes([erased]))
        self._address = address
        self._size_bytes = len(data)
        self._tell = tell
        self._told = 0
        self._next: tuple[AddressRange, bytes] | None = None
        self.current = next(self._blocks, None)
        if self.current is None:
            self._tell_up_to(self._size_bytes)

    def meanwhile(self) -> None:
        """Tell of what was done before the current block, and make the next one ready; once for each block."""
        if self._next is None and self.current is not None:
            self._tell_up_to(self.current[0].start - self._address)
            self._next = next(self._blocks, None)

    def advance(self) -> None:
        """Go on to the next block: the current one is done. After the last one all is told."""
        self.meanwhile()
        self.current, self._next = self._next, None
        if self.current is None:
            self._tell_up_to(self._size_bytes)

    def _tell_up_to(self, done: int) -> None:
        if self._tell is not None and done > self._told:
            self._told = done
            self._tell(done)


def _blocks(address: int, data: bytes, block_bytes: int, erased: bytes) -> Iterator[tuple[AddressRange, bytes]]:
    for offset in range(0, len(data), block_bytes):
        chunk = data[offset : offset + block_bytes]
        if chunk.strip(erased):
            yield AddressRange(address + offset, len(chunk)), chunk
