"""Which pages of the flash are blank: read block by block under one address, and of each page no further than its first mark.

A run and a plan walk the same blocks, the one on a board, the other over what is known of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dfurun.chips import Chip, Flash
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind
from dfurun.steps.projected import ProjectedBoard
from dfurun.units import AddressRange

ReadBlock = Callable[[AddressRange, int], bytes]


def blank_pages(context: Context, pages: Iterable[int]) -> dict[int, bool]:
    """Return for each page whether it is erased already, from one look: what reads otherwise may as well be erased.

    Where reading blank proves nothing (`may_be_cut_short`) no page counts as erased, and none is read. Raise DfurunError.
    """
    asked = list(pages)
    cut_short = {page for page in asked if may_be_cut_short(context, page)}
    marked = cut_short.union(_look(context, [page for page in asked if page not in cut_short]))
    return {page: page not in marked for page in asked}


def may_be_cut_short(context: Context, page: int) -> bool:
    """Say whether an earlier run was perhaps cut short in the middle of the page's erase: it may read blank then, and not be.

    Nobody knows where a run has ended that left no end in the port's journal; or it has kept a copy of the page.
    """
    return page in context.doubts_blank or context.chip.flash.page(page).start in context.inherited


def not_blank(context: Context, pages: Iterable[int]) -> list[int]:
    """Return the pages that do not read blank, in two looks: an upload can be corrupt as well. Raise DfurunError."""
    return _look(context, _look(context, pages))


def look_acts(board: ProjectedBoard, pages: Sequence[int]) -> tuple[Act, ...]:
    """Return what `blank_pages` does on the wire, where all of these pages are known; else at most that."""
    acts: list[Act] = []

    def look(block: AddressRange, under: int) -> bytes:
        last = acts[-1].extent if acts and acts[-1].under == under else None
        if last is not None and last.end == block.start:
            acts[-1] = Act(ActKind.READ, AddressRange.between(last.start, block.end), under=under)
        else:
            acts.append(Act(ActKind.READ, block, under=under))
        return board.seen_at(block)

    _marked(board.chip.flash, pages, board.chip.usb.transfer_size_bytes, look)
    return tuple(acts)


def read_pages(context: Context, pages: Iterable[int]) -> dict[int, bytes]:
    """Return what pages hold, all of them read under one address where their blocks can be counted from it.

    A safe boundary after each block. Raise DfurunError.
    """
    flash, found = context.chip.flash, dict[int, bytes]()
    extents = runs_of(flash, pages)
    for extent, under in zip(extents, _bases(extents, context.session.transfer_size_bytes), strict=True):
        data = context.session.read(extent, lambda _: context.safe_boundary(), under=under)
        for page in flash.pages_of(extent):
            start = flash.page(page).start - extent.start
            found[page] = data[start : start + flash.page(page).size_bytes]
    return found


def read_acts(chip: Chip, pages: Iterable[int]) -> tuple[Act, ...]:
    """Return what `read_pages` does on the wire, and `not_blank` where all of these pages are blank."""
    extents = runs_of(chip.flash, pages)
    bases = _bases(extents, chip.usb.transfer_size_bytes)
    return tuple(Act(ActKind.READ, extent, under=under) for extent, under in zip(extents, bases, strict=True))


def first_block_is_blank(context: Context, page: int) -> bool:
    """Say whether the first block of a page is erased: enough to see whether its erase was done."""
    flash = context.chip.flash
    extent = first_block(flash, page, context.session.transfer_size_bytes)
    blank = bytes([flash.erased]) * extent.size_bytes
    return any(context.session.read(extent, under=flash.extent.start) == blank for _ in range(2))


def first_block(flash: Flash, page: int, transfer_size_bytes: int) -> AddressRange:
    """Return the first block of a page, or all of one that is shorter."""
    return AddressRange(flash.page(page).start, min(flash.page(page).size_bytes, transfer_size_bytes))


def runs_of(flash: Flash, pages: Iterable[int]) -> list[AddressRange]:
    """Return the extents of pages, those that lie side by side as one."""
    runs: list[AddressRange] = []
    for page in map(flash.page, sorted(pages)):
        if runs and runs[-1].end == page.start:
            runs[-1] = AddressRange.between(runs[-1].start, page.end)
        else:
            runs.append(page)
    return runs


def _look(context: Context, pages: Iterable[int]) -> list[int]:
    """Return the pages that do not read blank; a safe boundary before each block."""

    def look(block: AddressRange, under: int) -> bytes:
        context.safe_boundary()
        return context.session.read(block, under=under)

    return _marked(context.chip.flash, pages, context.session.transfer_size_bytes, look)


def _marked(flash: Flash, pages: Iterable[int], block_bytes: int, look: ReadBlock) -> list[int]:
    """Return the pages that are not blank; `look` is asked for blocks, rising, until each of their pages has shown a mark.

    It is told under which address: one serves all blocks that can be counted from it.
    """
    extents, erased, found = runs_of(flash, pages), bytes([flash.erased]), set[int]()
    for extent, under in zip(extents, _bases(extents, block_bytes), strict=True):
        for at in range(extent.start, extent.end, block_bytes):
            block = AddressRange(at, min(block_bytes, extent.end - at))
            if found.issuperset(flash.pages_of(block)):
                continue
            data = look(block, under)
            if not data.strip(erased):
                continue
            for page in flash.pages_of(block):
                part = flash.page(page)
                if data[max(0, part.start - at) : part.end - at].strip(erased):
                    found.add(page)
    return sorted(found)


def _bases(extents: Sequence[AddressRange], block_bytes: int) -> list[int]:
    """Return for each extent the address under which it is read: the first one's start, where blocks can be counted from it."""
    first = extents[0].start if extents else 0
    return [extent.start if (extent.start - first) % block_bytes else first for extent in extents]
