"""What was read of a live board for a plan: who it is, its protection, its option bytes, the pages that the plan touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from dfurun.chips import Chip
from dfurun.dfuse.identity import BoardIdentity
from dfurun.image import MemoryImage, Piece
from dfurun.steps.projected import ProjectedBoard


@dataclass(frozen=True, slots=True)
class Observed:
    """One board at one time. Of a protected board nothing is known but that. `pages` are whole pages by their numbers."""

    port: str
    identity: BoardIdentity
    protected: bool
    option_bytes: bytes | None = None
    pages: Mapping[int, bytes] = field(default_factory=dict)

    def as_board(self, chip: Chip) -> ProjectedBoard:
        """Return the board as a plan takes it."""
        flash = {page: MemoryImage((Piece(chip.flash.page(page).start, data),)) for page, data in self.pages.items()}
        return ProjectedBoard(
            chip,
            flash,
            raw=self.option_bytes,
            named={"RDP": "level-1"} if self.protected and chip.option_bytes.fields else {},
            protected=self.protected,
            bootloader_id=self.identity.bootloader_id,
        )

    @property
    def flash_sha256(self) -> str:
        """The SHA-256 over the pages that were read, rising, each after its number in four bytes, low byte first."""
        return digest_of_pages(self.pages)


def digest_of_pages(pages: Mapping[int, bytes]) -> str:
    """Return the SHA-256 over pages, rising, each after its number in four bytes, low byte first."""
    digest = sha256()
    for page in sorted(pages):
        digest.update(page.to_bytes(4, "little") + pages[page])
    return digest.hexdigest()
