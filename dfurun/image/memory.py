"""A sparse memory image: pieces of bytes at addresses, with nothing between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dfurun.units import AddressRange


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes without a gap, at an address."""

    address: int
    data: bytes

    @property
    def extent(self) -> AddressRange:
        """The addresses that the piece covers."""
        return AddressRange(self.address, len(self.data))


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """Pieces in rising order; they neither overlap nor touch."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> MemoryImage:
        """Return the image of pieces in any order; touching ones are joined. Raises ValueError where two overlap."""
        joined: list[tuple[int, bytearray]] = []
        for piece in sorted((p for p in pieces if p.data), key=lambda p: p.address):
            if joined:
                address, data = joined[-1]
                end = address + len(data)
                if piece.address < end:
                    raise ValueError(f"two records hold 0x{piece.address:08X}")
                if piece.address == end:
                    data += piece.data
                    continue
            joined.append((piece.address, bytearray(piece.data)))
        return cls(tuple(Piece(address, bytes(data)) for address, data in joined))

    @property
    def size_bytes(self) -> int:
        """How many bytes the image holds, gaps not counted."""
        return sum(len(piece.data) for piece in self.pieces)

    def overlay(self, extent: AddressRange, background: bytes) -> bytes:
        """Return `background`, the bytes of `extent`, with the image's bytes laid over it."""
        merged = bytearray(background)
        for piece in self.within(extent):
            start = piece.address - extent.start
            merged[start : start + len(piece.data)] = piece.data
        return bytes(merged)

    def within(self, extent: AddressRange) -> Iterator[Piece]:
        """Yield the parts of the pieces that lie inside `extent`."""
        for piece in self.pieces:
            start, end = max(piece.address, extent.start), min(piece.extent.end, extent.end)
            if start < end:
                yield Piece(start, piece.data[start - piece.address : end - piece.address])

    def without(self, hole: AddressRange) -> MemoryImage:
        """Return the image without what lies in `hole`."""
        below, above = AddressRange(0, hole.start), AddressRange(hole.end, max(0, (1 << 32) - hole.end))
        return MemoryImage((*self.within(below), *self.within(above)))
