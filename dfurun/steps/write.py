"""write: program an image, or bytes of the recipe's own, into flash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dfurun.chips import Chip
from dfurun.errors import Code, Finding, Related
from dfurun.image import ImageFile, MemoryImage
from dfurun.steps import vector_table
from dfurun.steps.blank import runs_of
from dfurun.steps.board import AbstractBoard, Written
from dfurun.steps.context import Context
from dfurun.steps.effect import Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.flashable import flashable
from dfurun.steps.flashing import (
    aligned,
    changed_pages,
    compare_acts,
    in_order,
    pages_of,
    rewrite,
    rewrite_acts,
    vector_page,
    write_acts,
    write_erased,
)
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.known_pages import require_known_pages, require_known_pages_now, require_redoable
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.units import AddressRange, format_address, format_size

WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Write(Step):
    """`only_changed`: read first, erase and write the pages that differ; else the flash was erased by an earlier step."""

    keyword: ClassVar[str] = "write"
    destructive: ClassVar[bool] = True
    image: ImageFile
    only_changed: bool

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for an image or for data that the recipe lists."""
        image = flashable(body, head, scope)
        if image is None:
            return None
        start, unit = image.memory.pieces[0].address, scope.chip.flash.write_alignment_bytes
        if start % unit:
            message = f"{image.title} starts at {format_address(start)}"
            hint = f"the ROM writes from multiples of {unit} (AN2606 table 7)"
            scope.report(Code.MISALIGNED, message, (*head.path, "data" if image.inline else "image"), hint=hint)
            return None
        return cls(head, image, body.get("mode", "all") == "changed")

    @property
    def key(self) -> str:
        """The key of the body that names what is written."""
        return "data" if self.image.inline else "image"

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Write the abstract board; every page must be erased, no byte written twice."""
        flash = board.chip.flash
        findings = self.needs_open_flash(board)
        extents = tuple(piece.extent for piece in aligned(flash, self.image.memory))
        findings += self.needs_known_pages(board) if self.only_changed else self._not_erased(board)
        findings += self._overlaps(board, extents)
        findings += self.needs_writable(board, extents, self.key)
        if unfit := vector_table.implausible(board.chip, self.image, flash.extent.start):
            findings.append(
                self.finding(
                    Code.VECTOR_TABLE, unfit, self.key, hint=f"the core would hang at power-on: {vector_table.LINK_IT}"
                )
            )
        kept = tuple(w for w in board.written if w.image.name != self.image.name)
        written = Written(self.path, self.image, extents)
        return replace(board, written=(*kept, written), verified=board.verified - {self.image.name}), findings

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Write the image into flash that is erased; or what of it is not there yet, and keep what lies beside it."""
        flash, memory = board.chip.flash, self.image.memory
        size = format_size(memory.size_bytes)
        if not self.only_changed:
            pieces = [piece for group in in_order(flash, memory) for piece in group]
            return board.written(pieces), Effect(
                Will.CHANGE,
                f"writes {self.image.name}, {size} at {format_address(memory.pieces[0].address)}",
                writes=tuple(piece.extent for piece in aligned(flash, memory)),
                acts=write_acts(flash, memory),
            )
        if moved := board.moved_pages:
            return board, Effect(Will.FAIL, f"its {flash.unit}s are not as they are known: {moved}")
        pages = pages_of(flash, memory)
        looked = compare_acts(memory)
        held = {page: board.holds(memory, page) for page in pages}
        changed = [page for page in pages if held[page] is not True]
        if not changed:
            return board, Effect(Will.NOTHING, f"all {size} of {self.image.name} are there already", acts=looked)
        touched = sorted({*changed, vector_page(flash, memory)})
        parts = [part for page in touched for part in memory.within(flash.page(page))]
        after = board.written(parts)
        contents = {page: after.page(page) or _at_most(board.chip, memory, page) for page in touched}
        unsure = any(held[page] is None for page in changed)
        of_all = f"{flash.count(len(changed))} of {len(pages)} of {self.image.name}"
        if unsure:
            words = f"writes what of {self.image.name} is not there yet, at most {flash.count(len(pages))}"
        else:
            words = f"rewrites {of_all}, and keeps what lies beside it"
        return after, Effect(
            Will.PERHAPS if unsure else Will.CHANGE,
            words,
            erases=tuple(touched),
            writes=tuple(part.extent for part in parts),
            acts=(*looked, *rewrite_acts(board.chip, memory, contents)),
        )

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Refuse where a page is write-protected, or holds the DFU program itself; or is to be erased, and is not known."""
        if self.only_changed:
            require_known_pages(context.chip, "write with `mode: changed`", forecast)
        flash = context.chip.flash
        context.require_writable("write", runs_of(flash, pages_of(flash, self.image.memory)), forecast)
        return forecast

    def execute(self, context: Context) -> Result:
        """Program the image, the page of its vector table last."""
        context.require_readable("write")
        self._tell_out_of_reach(context)
        memory, size = self.image.memory, format_size(self.image.memory.size_bytes)
        if not self.only_changed:
            image = self.image
            pages = pages_of(context.chip.flash, memory)
            context.begin_destruction(
                "write", f"write {image.name}", image=image.name, sha256=image.sha256, pages=pages
            )
            context.reached = WRITING
            write_erased(context, memory)
            return Result(Outcome.CHANGED, f"{self.image.name}: {size} at {format_address(memory.pieces[0].address)}")
        require_known_pages_now(context, "write with `mode: changed`")
        changed = changed_pages(context, memory)
        if not changed:
            return Result(Outcome.OK, f"{self.image.name}: all {size} are there already")
        self.redo(context, changed)
        return Result(Outcome.CHANGED, f"{self.image.name}: {len(changed)} of {_pages(context, self.image)} changed")

    @staticmethod
    def _tell_out_of_reach(context: Context) -> None:
        """Say that the bootloader runs only because the flash is empty, where the board's own option bytes have it so."""
        chip, layout = context.chip, context.chip.option_bytes
        if not (chip.checks_for_empty_flash and layout.established):
            return
        if not chip.reaches_bootloader(layout.decode(context.option_bytes())):
            context.notice(
                "with the option bytes of this board the application starts from now on, whatever BOOT0 says",
                code=Code.OUT_OF_REACH,
                hint="to reach the bootloader later, set the boot option bytes before `write`",
            )

    def resume(self, context: Context) -> Result:
        """Read back, and redo only the pages that do not hold the image; what lies beside it in them is kept."""
        context.require_readable("write")
        changed = changed_pages(context, self.image.memory)
        if changed:
            self.redo(context, changed)
        size, pages = format_size(self.image.memory.size_bytes), context.chip.flash.count(len(changed))
        outcome = Outcome.CHANGED if context.reached else Outcome.OK
        return Result(outcome, f"{self.image.name}: {size}, {pages} of it after the board was regained")

    def require_redoable(self, context: Context, pages: Sequence[int]) -> None:
        """Raise StepFailed where these pages, which are wrong, cannot be erased by themselves."""
        require_redoable(context, context.chip.flash.page(pages[0]), Code.VERIFY_MISMATCH)

    def redo(self, context: Context, pages: Sequence[int]) -> None:
        """Erase and write these pages again, the vector table's page first and last."""
        self.require_redoable(context, pages)
        image, words = self.image, f"rewrite pages of {self.image.name}"
        erased = sorted({*pages, vector_page(context.chip.flash, image.memory)})
        context.begin_destruction("rewrite", words, image=image.name, sha256=image.sha256, pages=erased)
        context.reached = WRITING
        rewrite(context, self.image.memory, pages)

    def _not_erased(self, board: AbstractBoard) -> list[Finding]:
        missing = [p for p in pages_of(board.chip.flash, self.image.memory) if p not in board.erased_pages]
        if not missing:
            return []
        return [
            self.finding(
                Code.NOT_ERASED,
                f"no earlier step erases {board.chip.flash.page(missing[0])}"
                + _and_more(len(missing) - 1, board.chip.flash.unit),
                self.key,
                hint=f"put `mass-erase` or `erase: {{{self.key}: ...}}` before it, or write with `mode: changed`",
            )
        ]

    def _overlaps(self, board: AbstractBoard, extents: tuple[AddressRange, ...]) -> list[Finding]:
        findings = []
        for earlier in board.written:
            same = earlier.image.name == self.image.name
            shared = next((e for e in extents for other in earlier.extents if e.overlaps(other)), None)
            if shared is not None and not (same and self.only_changed):
                findings.append(
                    self.finding(
                        Code.OVERLAP,
                        f"{shared} was written by an earlier step already",
                        self.key,
                        hint="flash takes one write after an erase",
                        related=(Related(earlier.named_at, f"written here, from {earlier.image.title}"),),
                    )
                )
        return findings


def _at_most(chip: Chip, memory: MemoryImage, page: int) -> bytes:
    """Return a page of the image, with what takes the most transfers beside it: the last of several blocks is a short one."""
    flash, size_bytes = chip.flash, chip.flash.page(page).size_bytes
    short = flash.granule_bytes if size_bytes > chip.usb.transfer_size_bytes else 0
    beside = bytes([flash.erased ^ 0xFF]) * (size_bytes - short) + bytes([flash.erased]) * short
    return memory.overlay(flash.page(page), beside)


def _pages(context: Context, image: ImageFile) -> str:
    flash = context.chip.flash
    return flash.count(len(pages_of(flash, image.memory)))


def _and_more(count: int, unit: str) -> str:
    return f" and {count} more {unit}{'' if count == 1 else 's'}" if count else ""
