"""The memory layout that a DfuSe device tells in the names of its alternate settings.

    @Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg

# Ref: UM0424 section 4.3.2 for the grammar, which real ROMs exceed in every number of digits; dfu-util's device logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from dfurun.units import KIBI, AddressRange

_ADDRESS = re.compile(r"\s*(?:0[xX])?([0-9a-fA-F]{1,8})\s*\Z")
_SEGMENT = re.compile(r"\s*(\d{1,7})\s*\*\s*(\d{1,9})\s*([BKM]?)\s*([a-gA-G])\s*\Z")
# What is no printable ASCII, as it was sent or as `dfurun.text` has escaped it.
_GARBAGE = re.compile(r"[^\x20-\x7E]|\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_MULTIPLIER = {"": 1, "B": 1, "K": KIBI, "M": KIBI * KIBI}
_READABLE, _ERASABLE, _WRITABLE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` equal sectors in a row. `access` is the low three bits of the type letter."""

    start: int
    count: int
    sector_size_bytes: int
    access: int

    @property
    def extent(self) -> AddressRange:
        """All sectors of the segment."""
        return AddressRange(self.start, self.count * self.sector_size_bytes)

    @property
    def readable(self) -> bool:
        """Whether UPLOAD may read it."""
        return bool(self.access & _READABLE)

    @property
    def erasable(self) -> bool:
        """Whether the string calls it erasable; only main flash ever is (old ROMs say so of option bytes too)."""
        return bool(self.access & _ERASABLE)

    @property
    def writable(self) -> bool:
        """Whether DNLOAD may write it."""
        return bool(self.access & _WRITABLE)


@dataclass(frozen=True, slots=True)
class MemoryLayout:
    """One alternate setting's memory: its name and its segments, which may lie in several zones."""

    name: str
    segments: tuple[Segment, ...]

    @property
    def size_bytes(self) -> int:
        """The sum of all segments."""
        return sum(segment.extent.size_bytes for segment in self.segments)

    @property
    def is_flash(self) -> bool:
        """Whether this is the main flash: by name, since types and addresses vary."""
        return "flash" in self.name.lower() and "external" not in self.name.lower()

    @property
    def is_option_bytes(self) -> bool:
        """Whether the name says option bytes; clones write `Option byte`."""
        return self.name.lower().startswith("option byte")


@lru_cache(maxsize=64)
def parse_layout(text: str) -> MemoryLayout:
    """Return the layout in an alternate setting's name.

    Tolerates what real ROMs send: more digits than the grammar has, or fewer, blanks anywhere, no multiplier or a blank for
    one, an upper-case or missing 0x, several zones, and whatever follows a NUL or a byte that is not printable ASCII, also
    where that has been escaped.
    Raises ValueError, naming the part, for a name that holds no layout.
    """
    clean = _GARBAGE.split(text, maxsplit=1)[0]
    if not clean.startswith("@"):
        raise ValueError(f"{clean!r} does not start with '@'")
    name, *groups = clean[1:].split("/")
    if not groups or len(groups) % 2:
        raise ValueError(f"{clean!r}: expected /address/sectors after the name")
    segments: list[Segment] = []
    for address_text, sectors in zip(groups[::2], groups[1::2], strict=True):
        address = _ADDRESS.match(address_text)
        if address is None:
            raise ValueError(f"{clean!r}: {address_text!r} is not an address")
        start = int(address[1], 16)
        for token in sectors.split(","):
            segment = _segment(token, start, clean)
            segments.append(segment)
            start = segment.extent.end
    return MemoryLayout(name.strip(), tuple(segments))


def _segment(token: str, start: int, whole: str) -> Segment:
    found = _SEGMENT.match(token)
    if found is None:
        raise ValueError(f"{whole!r}: {token!r} is not count*size and a type letter")
    count, size, multiplier, kind = found.groups()
    segment = Segment(start, int(count), int(size) * _MULTIPLIER[multiplier], ord(kind) & 7)
    if segment.extent.size_bytes == 0 or segment.extent.end > 1 << 32:
        raise ValueError(f"{whole!r}: {token!r} does not fit into the 32-bit address space")
    return segment
