"""What a recipe writes into flash: a firmware file that it names, read, or bytes that it spells out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfurun.image.contents import Target, UsbIds
from dfurun.image.memory import MemoryImage


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where a firmware file is, what its bytes hash to, what it puts where.

    `pinned` and `size_pinned`: the recipe has a sha256, or a size, that it fits. `usb` is the device that it is for and
    `targets` the alternate settings that it names, where its format has such things.
    `inline`: the bytes are spelt out in the recipe at `path`, and `sha256` is theirs.
    `swapped`: the file is another than the recipe pins. It is read to be looked at; an error stands against the recipe.
    """

    name: str
    path: Path
    sha256: str
    pinned: bool
    memory: MemoryImage
    usb: UsbIds | None = None
    targets: tuple[Target, ...] = ()
    size_pinned: bool = False
    inline: bool = False
    swapped: bool = False

    @property
    def title(self) -> str:
        """What people call it: the file's name, or the name that the recipe gives to bytes of its own."""
        return f"data `{self.name}`" if self.inline else self.path.name
