"""Rules about the flash: what is erased in vain, and what is erased and missing when the board starts."""

from __future__ import annotations

from collections.abc import Iterator

from dfurun.errors import Code, Finding, Related
from dfurun.lint.case import Case, Moment
from dfurun.steps.board import AbstractBoard
from dfurun.steps.erase import Erase
from dfurun.steps.leave_dfu import LeaveDfu
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.write import Write
from dfurun.units import AddressRange, format_address


def written_then_erased(case: Case) -> Iterator[Finding]:
    """Find images that a later step erases: their write was in vain, or the erase is at the wrong place."""
    for moment in case.moments:
        if isinstance(moment.step, Write):
            continue
        kept = {written.image.name for written in moment.after.written}
        for written in moment.before.written:
            if written.image.name not in kept:
                yield moment.step.finding(
                    Code.WRITTEN_THEN_ERASED,
                    f"{moment.step.keyword} erases {written.image.name}, which was written before",
                    hint=f"move {moment.step.keyword} before the `write`, or remove one of the two",
                    related=(Related((*written.path, "image"), "written here"),),
                )


def erased_twice(case: Case) -> Iterator[Finding]:
    """Find erases of nothing but pages that are erased already: they cost time, and wear the flash."""
    for moment in case.moments:
        match moment.step:
            case Erase(pages=pages, only_needed=False):
                erased = set(pages)
            case MassErase():
                erased = set(range(case.chip.flash.page_count))
            case _:
                continue
        is_written = any(_is_written(moment.before, case.chip.flash.page(page)) for page in erased)
        if erased <= moment.before.erased_pages and not is_written:
            yield moment.step.finding(
                Code.ERASED_TWICE,
                f"{moment.step.keyword} of pages that an earlier step has erased already",
                hint="remove one of the two, or use `mode: needed` where a page may not be blank",
                related=_erased_by(case, moment),
            )


def entry_erased(case: Case) -> Iterator[Finding]:
    """Find a `leave-dfu` for an address that the recipe has erased and not written: the run would end there, failed."""
    flash = case.chip.flash
    for moment in case.moments:
        if not isinstance(moment.step, LeaveDfu):
            continue
        entry, board = moment.step.entry, moment.before
        if flash.page_index(entry) in board.erased_pages and not _is_written(board, AddressRange(entry, 1)):
            yield moment.step.finding(
                Code.ENTRY_ERASED,
                f"nothing is written at {format_address(entry)}, which the recipe erases: leave-dfu would refuse to start it",
                hint="write the image that begins there, or leave with the `address` of the one that is written",
                related=_erased_by(case, moment),
            )


def bootloader_erased(case: Case) -> Iterator[Finding]:
    """Find flash below the application that is erased and not written: a bootloader of the product's own lives there."""
    flash = case.chip.flash
    for moment in case.moments:
        if not isinstance(moment.step, LeaveDfu) or moment.step.entry == flash.extent.start:
            continue
        below = range(flash.page_index(moment.step.entry))
        lost = [
            page
            for page in below
            if page in moment.before.erased_pages and not _is_written(moment.before, flash.page(page))
        ]
        if lost:
            yield moment.step.finding(
                Code.BOOTLOADER_ERASED,
                f"the application starts at {format_address(moment.step.entry)}, and below it {flash.count(len(lost))} from "
                f"{format_address(flash.page(lost[0]).start)} on are erased and not written",
                "address",
                hint="a bootloader of your own there would be gone: `erase: {image: ...}` spares it; or write it as well",
                related=_erased_by(case, moment),
            )


def _is_written(board: AbstractBoard, extent: AddressRange) -> bool:
    return any(part.overlaps(extent) for written in board.written for part in written.extents)


def _erased_by(case: Case, moment: Moment) -> tuple[Related, ...]:
    """Return the second caret: the last erase before a moment."""
    erases = [other.step for other in case.earlier_than(moment) if isinstance(other.step, Erase | MassErase)]
    return (Related(erases[-1].path, "erased here"),) if erases else ()


RULES = (written_then_erased, erased_twice, entry_erased, bootloader_erased)
