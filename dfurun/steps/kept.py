"""Pages that an earlier run took out of this board's flash and could not put back: kept in files, put back by the next write.

A run that rewrites a page keeps a copy of it while what lies beside the image is in no flash. Where it ends before the page is
whole again, the page holds less than it did, and reading it would take what is missing for what was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfurun.errors import Code, Refused
from dfurun.image import MemoryImage
from dfurun.units import AddressRange, format_address


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A page as it was to be: its address, its bytes, and all files that hold it, the last one these."""

    address: int
    data: bytes
    files: tuple[Path, ...]

    @property
    def extent(self) -> AddressRange:
        """Where the page is."""
        return AddressRange(self.address, len(self.data))

    def over(self, found: bytes, memory: MemoryImage, *, erased: int) -> bytes:
        """Return what goes back into the page, of which the flash holds `found` now and `memory` will cover a part.

        Every byte beside the image has to be one that an unfinished rewrite leaves: as it was, erased, or programmed in part.
        Raises Refused where there is another: somebody has written there since, or the power went within an erase.
        """
        covered = memory.overlay(self.extent, bytes(len(found)))
        uncovered = memory.overlay(self.extent, b"\xff" * len(found))
        for offset, (now, was) in enumerate(zip(found, self.data, strict=True)):
            is_beside = covered[offset] != uncovered[offset]
            if is_beside and (now ^ erased) & ~(was ^ erased):
                raise self._refusal(self.address + offset)
        return self.data

    def _refusal(self, at: int) -> Refused:
        return Refused(
            Code.KEPT_PAGE,
            f"an earlier run took {self.extent} out of the flash and did not put it back, and {format_address(at)} holds "
            "something else now",
            consequence="nothing was written by this step; what was in the page is in the file",
            hint=(
                f"copy {self.files[-1]} beside the recipe, list it under `images` with "
                f"`address: {format_address(self.address)}` and put it back with `write: {{image: ..., mode: changed}}`; "
                "or remove the file to give it up; then run again"
            ),
        )
