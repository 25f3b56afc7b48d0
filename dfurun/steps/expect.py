"""What a recipe expects of the board before anything is written to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfurun.dfuse.identity import BoardIdentity
from dfurun.errors import Code, Refused
from dfurun.units import format_size, parse_size


@dataclass(frozen=True, slots=True)
class Expect:
    """The recipe's `expect`; None where it does not care."""

    flash_size_bytes: int | None = None
    bootloader_id: int | None = None
    unique_ids: tuple[str, ...] = ()

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Expect:
        """Return the expectations for a schema-valid `expect`."""
        size = body.get("flash-size")
        return cls(
            flash_size_bytes=None if size is None else parse_size(size),
            bootloader_id=body.get("bootloader-id"),
            unique_ids=tuple(uid.upper() for uid in body.get("unique-id", ())),
        )

    def check(self, board: BoardIdentity) -> None:
        """Raise Refused where what the board told is not what is expected, or where it told nothing of it."""
        wanted, found = self.flash_size_bytes, board.flash_size_bytes
        if wanted is not None and wanted != found:
            raise _refused("a flash of " + format_size(wanted), None if found is None else format_size(found))
        rom_id = board.bootloader_id
        if self.bootloader_id is not None and self.bootloader_id != rom_id:
            raise _refused(f"bootloader id 0x{self.bootloader_id:02X}", None if rom_id is None else f"0x{rom_id:02X}")
        if self.unique_ids and board.unique_id not in self.unique_ids:
            raise _refused("one of the listed unique ids", board.unique_id)


def _refused(wanted: str, found: str | None) -> Refused:
    return Refused(
        Code.EXPECTATION,
        f"the recipe expects {wanted}, the board " + ("does not tell" if found is None else f"has {found}"),
        consequence="nothing was written",
        hint="is this the right recipe for this board? `dfurun info` shows what is attached",
    )
