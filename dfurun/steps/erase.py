"""erase: erase the pages of an image, a range of pages or a range of addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dfurun.errors import Code, Finding
from dfurun.image import ImageFile
from dfurun.steps.blank import blank_pages, look_acts
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.effect import Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.flashable import flashable_image
from dfurun.steps.flashing import erase_acts, erase_pages, pages_of
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.known_pages import require_known_pages, require_known_pages_now
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.units import AddressRange, format_range, parse_pages, parse_range


@dataclass(frozen=True, slots=True)
class Erase(Step):
    """`pages` are page numbers. With `only_needed` a page that reads blank is left alone."""

    keyword: ClassVar[str] = "erase"
    destructive: ClassVar[bool] = True
    pages: tuple[int, ...]
    only_needed: bool
    image: ImageFile | None

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for exactly one of `image`, `pages` and `range`."""
        given = [key for key in ("image", "data", "pages", "range") if key in body]
        if len(given) != 1:
            words = " and ".join(given) if given else "none"
            if "image" in body:
                scope.image(body["image"], (*head.path, "image"))
            if "data" in body:
                scope.data_called(body["data"], (*head.path, "data"))
            hint = "keep one" if given else "for example `- erase: {image: application}`"
            scope.report(
                Code.BAD_VALUE, f"erase takes one of image, data, pages and range, not {words}", head.path, hint=hint
            )
            return None
        only_needed = body.get("mode", "all") == "needed"
        flash, path = scope.chip.flash, (*head.path, given[0])
        image = None
        try:
            match given[0]:
                case "image" | "data":
                    image = flashable_image(body[given[0]], scope, path)
                    if image is None:
                        return None
                    pages = pages_of(flash, image.memory)
                case "pages":
                    pages = list(parse_pages(body["pages"]))
                    if pages[-1] >= flash.page_count:
                        scope.report(
                            Code.OUTSIDE_FLASH, f"the flash has {flash.unit}s 0 to {flash.page_count - 1}", path
                        )
                        return None
                case _:
                    extent = parse_range(body["range"])
                    if not flash.extent.contains(extent):
                        scope.report(Code.OUTSIDE_FLASH, f"{extent} is outside the flash, {flash.extent}", path)
                        return None
                    pages = list(flash.pages_of(extent))
                    whole = AddressRange.between(flash.page(pages[0]).start, flash.page(pages[-1]).end)
                    if whole != extent:
                        message = f"a part of a {flash.unit} cannot be erased"
                        scope.report(Code.MISALIGNED, message, path, hint=f"whole {flash.unit}s: {format_range(whole)}")
                        return None
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), path)
            return None
        return cls(head, tuple(pages), only_needed, image)

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Erase the pages of the abstract board."""
        findings = self.needs_open_flash(board) + self.needs_known_pages(board)
        findings += self.needs_writable(board, [board.chip.flash.page(page) for page in self.pages])
        for page in self.pages:
            board = board.with_erased(range(page, page + 1))
        return board, findings

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Erase the pages, or of them what is not blank."""
        if moved := board.moved_pages:
            return board, Effect(Will.FAIL, f"its {board.chip.flash.unit}s are not as they are known: {moved}")
        flash, pages = board.chip.flash, self.pages
        looked = look_acts(board, pages) if self.only_needed else ()
        if self.only_needed:
            pages = tuple(page for page in pages if board.is_blank(page) is not True)
        if not pages:
            return board, Effect(Will.NOTHING, f"{flash.count(len(self.pages))} are blank already", acts=looked)
        unsure = self.only_needed and any(board.is_blank(page) is None for page in pages)
        return board.erased(pages), Effect(
            Will.PERHAPS if unsure else Will.CHANGE,
            f"erases {flash.count(len(pages))}{', those that are not blank' if unsure else ''}",
            erases=pages,
            loses=board.loss(pages),
            acts=(*looked, *erase_acts(board.chip, pages)),
        )

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Refuse where a page is write-protected or not where it is known to be, or holds the DFU program itself."""
        require_known_pages(context.chip, "erase", forecast)
        context.require_writable("erase", [context.chip.flash.page(page) for page in self.pages], forecast)
        return forecast

    def execute(self, context: Context) -> Result:
        """Erase page by page."""
        context.require_readable("erase")
        require_known_pages_now(context, "erase")
        pages = list(self.pages)
        if self.only_needed:
            pages = [page for page, blank in blank_pages(context, pages).items() if not blank]
        count = context.chip.flash.count
        if not pages:
            return Result(Outcome.OK, f"{count(len(self.pages))} blank already")
        context.reached = tuple(pages)
        return self._erase(context, pages)

    def resume(self, context: Context) -> Result:
        """Erase again all that was begun: a page whose erase was cut short may read blank."""
        if not isinstance(context.reached, tuple):
            return self.execute(context)
        context.require_readable("erase")
        require_known_pages_now(context, "erase")
        return self._erase(context, list(context.reached))

    def _erase(self, context: Context, pages: list[int]) -> Result:
        words = context.chip.flash.count(len(pages))
        context.begin_destruction("erase", f"erase {words}", pages=pages)
        erase_pages(context, pages)
        return Result(Outcome.CHANGED, f"{words} erased")
