"""What a firmware file of any format comes to, and the one narrow shape that all formats have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from dfurun.image.error import Mark
from dfurun.image.memory import MemoryImage, Piece
from dfurun.units import format_address

ADDRESS_SPACE = 1 << 32


@dataclass(frozen=True, slots=True)
class UsbIds:
    """The USB device that a DFU suffix says a file is for; 0xFFFF stands for every one (DFU 1.1, appendix B)."""

    vendor_id: int
    product_id: int

    def fits(self, vendor_id: int, product_id: int) -> bool:
        """Say whether a device with these ids is meant."""
        return self.vendor_id in (0xFFFF, vendor_id) and self.product_id in (0xFFFF, product_id)

    def __str__(self) -> str:
        return f"{self.vendor_id:04X}:{self.product_id:04X}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a DfuSe file holds for one alternate setting of the bootloader; the name may be empty."""

    alternate: int
    name: str
    memory: MemoryImage

    def __str__(self) -> str:
        return (
            f'alternate setting {self.alternate} ("{self.name}")'
            if self.name
            else f"alternate setting {self.alternate}"
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """A file's bytes at their addresses; the device it is for and the targets it names, where its format says so."""

    memory: MemoryImage
    usb: UsbIds | None = None
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format of firmware files.

    `matches` tells it by content. A file whose name ends in one of `suffixes` and that matches no format at all is damaged,
    never raw binary. `parse` raises ImageError for whatever is wrong; what a format without addresses holds begins at 0.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes], bool]
    parse: Callable[[bytes], Contents]
    has_addresses: bool = True


def join(parts: Iterable[tuple[int, Piece]], mark: Mark) -> MemoryImage:
    """Return the image of pieces, each with its place in the file; raise ImageError where two of them overlap."""
    pieces = sorted((part for part in parts if part[1].data), key=lambda part: part[1].address)
    for (place, piece), (next_place, next_piece) in pairwise(pieces):
        if next_piece.address < piece.extent.end:
            first, second = sorted((place, next_place))
            message = f"a second value for {format_address(next_piece.address)}, the first is {mark.words(first)}"
            raise mark.damaged(second, message, hint="link or convert the image again")
    return MemoryImage.of(piece for _, piece in pieces)
