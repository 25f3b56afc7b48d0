"""mass-erase: erase the whole main flash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dfurun.chips import MassErase as MassEraseOf
from dfurun.errors import Finding
from dfurun.steps.blank import first_block, first_block_is_blank
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.flashing import ERASES, erase_acts, erase_pages, not_erased, spread_pages
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.known_pages import require_known_pages, require_known_pages_now
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Result, Step
from dfurun.units import format_size

BY_PAGES = "mass-erase, which this ROM does page by page"


@dataclass(frozen=True, slots=True)
class MassErase(Step):
    """Option bytes stay as they are."""

    keyword: ClassVar[str] = "mass-erase"
    destructive: ClassVar[bool] = True

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Erase all pages of the abstract board."""
        findings = self.needs_open_flash(board) + self.needs_writable(board, [board.chip.flash.extent])
        return board.with_all_erased(), findings

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Erase all flash, whatever it holds."""
        flash = board.chip.flash
        pages = tuple(range(flash.page_count))
        if board.chip.rom_of(board.bootloader_id).mass_erase is MassEraseOf.WORKS:
            words = f"erases all {format_size(flash.extent.size_bytes)} of flash at once"
            seen = [first_block(flash, page, board.chip.usb.transfer_size_bytes) for page in spread_pages(flash)]
            under = flash.extent.start
            acts = (Act(ActKind.MASS_ERASE), *(Act(ActKind.READ, extent, under=under) for extent in seen))
        else:
            words = f"erases all {flash.count(len(pages))} one by one: this ROM has no mass erase that works"
            acts = erase_acts(board.chip, pages)
        return board.erased(pages), Effect(Will.CHANGE, words, erases=pages, loses=board.loss(pages), acts=acts)

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Refuse where a part of the flash is write-protected, or is the DFU program itself; or is erased by unknown pages."""
        if context.rom.mass_erase is not MassEraseOf.WORKS:
            require_known_pages(context.chip, BY_PAGES, forecast)
        context.require_writable("mass-erase", [context.chip.flash.extent], forecast)
        return forecast

    def execute(self, context: Context) -> Result:
        """Erase at once, or page by page where the board's ROM has no mass erase that works."""
        context.require_readable("mass-erase")
        flash = context.chip.flash
        if context.rom.mass_erase is not MassEraseOf.WORKS:
            require_known_pages_now(context, BY_PAGES)
        context.begin_destruction("mass-erase", "erase all flash")
        if context.rom.mass_erase is MassEraseOf.WORKS:
            self._erase_all(context)
        else:
            erase_pages(context, range(flash.page_count))
        return Result(Outcome.CHANGED, f"{format_size(flash.extent.size_bytes)} erased")

    def _erase_all(self, context: Context) -> None:
        """Erase at once, and see in some blocks from the first page to the last that it was done; else erase once more.

        Some ROMs acknowledge a mass erase and do nothing (AN2606, STM32H74x V13.3), and write protection is silent (AN3156).
        """
        for attempt in range(ERASES):
            context.waiting("mass-erase", context.timing.mass_erase)
            context.session.mass_erase()
            left = [page for page in spread_pages(context.chip.flash) if not first_block_is_blank(context, page)]
            if not left:
                context.let_go_inherited(context.chip.flash.extent)
                return
            context.connection.anomalies.note("mass erase not done", f"attempt {attempt + 1}")
        raise not_erased(context, left[0])
