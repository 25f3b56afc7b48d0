"""Raw binary: bytes that go, as they are, to the address that the recipe gives. Every file is that, if it is nothing else."""

from __future__ import annotations

from dfurun.image.contents import Contents, Format
from dfurun.image.memory import MemoryImage, Piece


def _parse(data: bytes) -> Contents:
    return Contents(MemoryImage.of([Piece(0, data)]))


RAW_BINARY = Format("raw binary", (), bool, _parse, has_addresses=False)
