"""verify: read an image, or the recipe's own bytes, back and compare. It never writes; the interpreter redoes the write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dfurun.errors import Code, Finding, StepFailed
from dfurun.image import ImageFile, MemoryImage, Piece
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.flashable import flashable
from dfurun.steps.flashing import pages_of
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.units import AddressRange, format_address, format_size


class VerifyMismatch(StepFailed):
    """The flash does not hold an image that the run wrote; `pages` are the ones that differ."""

    def __init__(self, message: str, pages: Sequence[int], or_else: str = "") -> None:
        super().__init__(
            Code.VERIFY_MISMATCH,
            message,
            consequence="the flash holds something else than the image",
            hint=f"another USB port or a USB 2.0 hub, then run again{or_else}",
        )
        self.pages = tuple(pages)

    def of_nothing_written(self) -> StepFailed:
        """Return the failure where the run wrote nothing of the image, or has erased it since: no link is to blame."""
        return StepFailed(
            self.code,
            self.message,
            consequence="the flash holds something else than the image",
            hint="nothing of this image that the run wrote is there: `write` it before its `verify`, or mend the name",
        )


@dataclass(frozen=True, slots=True)
class Verify(Step):
    """Every byte of the image is read; what lies between its pieces is not looked at."""

    keyword: ClassVar[str] = "verify"
    image: ImageFile

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for an image or for data that the recipe lists."""
        image = flashable(body, head, scope)
        return None if image is None else cls(head, image)

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Mark the image as verified; verifying what was never written is odd."""
        findings = self.needs_open_flash(board)
        if board.write_of(self.image) is None and not board.in_doubt:
            findings.append(
                self.finding(
                    Code.VERIFY_UNWRITTEN,
                    f"{self.image.name} is not written before this",
                    "data" if self.image.inline else "image",
                    hint=_UNWRITTEN_HINT,
                )
            )
        return replace(board, verified=board.verified | {self.image.name}), findings

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Compare; it fails where the flash is known to hold something else."""
        flash, memory = board.chip.flash, self.image.memory
        acts = tuple(Act(ActKind.READ, piece.extent, under=under) for piece, under in _streamed(memory))
        wrong = [page for page in pages_of(flash, memory) if board.holds(memory, page) is False]
        if wrong:
            where = f"{flash.count(len(wrong))}, the first at {format_address(flash.page(wrong[0]).start)}"
            return board, Effect(
                Will.FAIL, f"the flash holds something else than {self.image.name} in {where}", acts=acts
            )
        return board, Effect(Will.READ, f"reads {format_size(memory.size_bytes)} back and compares", acts=acts)

    def execute(self, context: Context) -> Result:
        """Read everything once, under one address, and what differs once more: an upload can be corrupt as well."""
        context.require_readable("verify")
        flash, memory = context.chip.flash, self.image.memory
        done, wrong = 0, []
        for piece, under in _streamed(memory):
            tell = context.progress("verify", memory.size_bytes, done)
            read = context.session.read(piece.extent, tell, under=under)
            done += len(piece.data)
            wrong += [page for page in flash.pages_of(piece.extent) if _differs(piece, read, flash.page(page))]
        pages = [page for page in sorted(set(wrong)) if self._differs_again(context, page)]
        if pages:
            where = format_address(flash.page(pages[0]).start)
            more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
            raise VerifyMismatch(
                f"the flash differs from {self.image.name} in the {flash.unit} at {where}{more}",
                pages,
                context.or_low_supply,
            )
        return Result(Outcome.OK, f"{self.image.name}: {format_size(memory.size_bytes)} are equal")

    def _differs_again(self, context: Context, page: int) -> bool:
        extent = context.chip.flash.page(page)
        return any(context.session.read(p.extent) != p.data for p in self.image.memory.within(extent))


def _streamed(memory: MemoryImage) -> Iterator[tuple[Piece, int | None]]:
    """Yield the pieces with the address to read them under: the first has it set anew, whatever was read before."""
    for number, piece in enumerate(memory.pieces):
        yield piece, memory.pieces[0].address if number else None


_UNWRITTEN_HINT = "right where the recipe only looks at a board; else `write` it first, or mend the name"


def _differs(piece: Piece, read: bytes, page: AddressRange) -> bool:
    start, end = max(piece.address, page.start), min(piece.extent.end, page.end)
    part = slice(start - piece.address, end - piece.address)
    return piece.data[part] != read[part]
