"""Putting an image into flash: order, alignment, and the pages whose fate is not known.

The page that holds the image's vector table is erased first and written last, so that a half-new image never boots.
Blocks that the link left in doubt are read back; a page that is wrong is erased and written once more, twice at most. A page
that holds something beside the image is rewritten by itself and read back whole, and never left half-written but by a power
cut or a lost board.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dfurun.chips import Chip, Flash
from dfurun.errors import Code, StepFailed
from dfurun.image import MemoryImage, Piece
from dfurun.steps.blank import may_be_cut_short, not_blank, read_acts, read_pages
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind
from dfurun.steps.known_pages import require_redoable
from dfurun.steps.regain import persist
from dfurun.units import AddressRange, format_address

REDO_LIMIT = 2
ERASES = 2
SPREAD = 2


def aligned(flash: Flash, memory: MemoryImage) -> list[Piece]:
    """Return the image's pieces widened to the ROM's alignment with the erased value (AN2606 table 7).

    Pieces that touch or overlap once they are widened are one.
    """
    unit = flash.granule_bytes
    extents: list[AddressRange] = []
    for piece in memory.pieces:
        start, end = piece.address // unit * unit, -(-piece.extent.end // unit) * unit
        if extents and start <= extents[-1].end:
            start = extents.pop().start
        extents.append(AddressRange(start, end - start))
    return [Piece(e.start, memory.overlay(e, bytes([flash.erased]) * e.size_bytes)) for e in extents]


def pages_of(flash: Flash, memory: MemoryImage) -> list[int]:
    """Return the numbers of the pages that the image touches, rising."""
    return sorted({page for piece in memory.pieces for page in flash.pages_of(piece.extent)})


def vector_page(flash: Flash, memory: MemoryImage) -> int:
    """Return the page of the image's vector table, which is its first word."""
    return flash.page_index(memory.pieces[0].address)


def erase_pages(context: Context, pages: Iterable[int]) -> None:
    """Erase these pages one by one, and see that they are blank; erase once more what is not. Raise StepFailed."""
    flash, todo = context.chip.flash, list(pages)
    for attempt in range(ERASES):
        tell = context.progress("erase", len(todo))
        for count, page in enumerate(todo, start=1):
            context.session.erase_page(flash.page(page).start)
            tell(count)
        left = not_blank(context, todo)
        for page in sorted(set(todo) - set(left)):
            context.let_go_inherited(flash.page(page))
        todo = left
        if not todo:
            return
        if attempt + 1 < ERASES:
            context.connection.anomalies.note("erase not done", str(flash.page(todo[0])))
            context.pages_redone += len(todo)
    raise not_erased(context, todo[0])


def spread_pages(flash: Flash) -> list[int]:
    """Return some pages, from the first to the last, that show whether a mass erase was done at all."""
    last, some = flash.page_count - 1, min(SPREAD, flash.page_count)
    return sorted({last * n // max(some - 1, 1) for n in range(some)})


def not_erased(context: Context, page: int) -> StepFailed:
    """Return the failure of an erase that the ROM has acknowledged, and that was not done."""
    flash = context.chip.flash
    return StepFailed(
        Code.STEP_FAILED,
        f"the {flash.unit} at {format_address(flash.page(page).start)} is not blank after {ERASES} erases",
        consequence="the flash is erased in part, and must not be used like this",
        hint="write protection that is in force and not shown, or worn-out flash; power-cycle the board and run again"
        + context.or_low_supply,
        evidence=context.connection.anomalies.evidence,
    )


def write_acts(flash: Flash, memory: MemoryImage) -> tuple[Act, ...]:
    """Return what `write_erased` does on the wire."""
    under = flash.page(vector_page(flash, memory)).start
    pieces = (piece for group in in_order(flash, memory) for piece in group)
    return tuple(Act(ActKind.WRITE, piece.extent, data=piece.data, under=under) for piece in pieces)


def in_order(flash: Flash, memory: MemoryImage) -> tuple[list[Piece], list[Piece]]:
    """Return what is written into erased flash, aligned: first all but the vector table's page, then that."""
    last = flash.page(vector_page(flash, memory))
    pieces = aligned(flash, memory)
    rest = [part for piece in pieces for part in _without(piece, last)]
    return rest, [part for piece in pieces for part in MemoryImage((piece,)).within(last)]


def erase_acts(chip: Chip, pages: Sequence[int]) -> tuple[Act, ...]:
    """Return what `erase_pages` does on the wire: each page erased, and all of them read back."""
    return (*(Act(ActKind.ERASE, chip.flash.page(page)) for page in pages), *read_acts(chip, pages))


def rewrite_acts(chip: Chip, memory: MemoryImage, contents: Mapping[int, bytes]) -> tuple[Act, ...]:
    """Return what `rewrite` does on the wire for pages that are to hold this."""
    flash, vectors = chip.flash, vector_page(chip.flash, memory)
    order = [vectors, *sorted(set(contents) - {vectors})]
    kept = [
        p for p in order if sum(len(piece.data) for piece in memory.within(flash.page(p))) < flash.page(p).size_bytes
    ]
    plain = [p for p in order[1:] if _beside(flash, memory, p, contents[p]) is None]
    alone = [p for p in order[1:] if p not in plain]
    acts = [Act(ActKind.READ, flash.page(page)) for page in kept for _ in range(2)]
    acts += [Act(ActKind.ERASE, flash.page(page)) for page in [vectors, *plain]]
    acts += [
        Act(ActKind.WRITE, piece.extent, data=piece.data, under=flash.page(vectors).start)
        for piece in _in_pages(flash, memory, plain)
    ]
    acts += read_acts(chip, plain)
    for page in [*alone, vectors]:
        extent, data = flash.page(page), _without_erased_tail(flash, contents[page])
        acts += [] if page == vectors else [Act(ActKind.ERASE, extent)]
        acts += [Act(ActKind.WRITE, AddressRange(extent.start, len(data)), data=data)] if data else []
        acts.append(Act(ActKind.READ, extent))
    return tuple(acts)


def write_erased(context: Context, memory: MemoryImage) -> None:
    """Write the image into flash that is erased, the vector table's page last, all of it under that page's address."""
    flash = context.chip.flash
    groups, under = in_order(flash, memory), flash.page(vector_page(flash, memory)).start
    total = sum(len(piece.data) for group in groups for piece in group)
    done = 0
    for group in groups:
        for piece in group:
            tell = context.telling("write", total, done)
            context.session.write(piece.address, piece.data, tell, under=under, between=context.safe_boundary)
            done += len(piece.data)
        settle(context, memory)


def rewrite(context: Context, memory: MemoryImage, pages: Iterable[int]) -> None:
    """Erase and write these pages so that they hold the image; what the image does not cover in them stays.

    A page that reads blank is erased as well: nobody knows that it was. Every page is read back whole. While what lies beside
    the image is in no flash, nothing stops the work, and a copy of it is kept in a file; a board that is lost meanwhile is
    regained here, where that copy is.
    """
    flash = context.chip.flash
    vectors = vector_page(flash, memory)
    others = sorted(set(pages) - {vectors})
    contents = {page: _wanted(context, memory, page) for page in [vectors, *others]}
    beside = {page: piece for page, content in contents.items() if (piece := _beside(flash, memory, page, content))}
    plain, done = {page: contents[page] for page in others if page not in beside}, 0
    tell = context.telling("write", sum(len(content) for content in contents.values()))
    with context.holding(beside.get(vectors)):
        persist(context, lambda: context.session.erase_page(flash.page(vectors).start))
        _place_together(context, memory, plain, tell)
        done = sum(len(content) for content in plain.values())
        for page in [*(page for page in others if page in beside), vectors]:
            with context.holding(beside.get(page) if page != vectors else None):
                _place(context, page, contents[page], erased=page == vectors)
            done += len(contents[page])
            tell(done)
            context.safe_boundary()


def _place_together(
    context: Context,
    memory: MemoryImage,
    contents: Mapping[int, bytes],
    tell: Callable[[int], None],
) -> None:
    """Put pages into flash that hold nothing beside the image: what can be streamed takes fewer waits than page by page."""
    if not contents:
        return
    filling = _Filling(context, memory, contents, tell)
    for page in persist(context, filling.attempt):
        context.journal.before_destruction("rewrite", pages=[page])
        context.pages_redone += 1
        _place(context, page, contents[page], attempts=REDO_LIMIT)
    for page in contents:
        context.let_go_inherited(context.chip.flash.page(page))


def settle(context: Context, memory: MemoryImage) -> None:
    """Read back the blocks that the link left in doubt, and redo their pages where they are wrong.

    Raises StepFailed where a page is still wrong after two more attempts.
    """
    flash = context.chip.flash
    pages = sorted({page for extent in context.session.doubtful for page in flash.pages_of(extent)})
    context.session.doubtful.clear()
    for page in pages:
        if holds(context, memory, flash.page(page)):
            continue
        require_redoable(context, flash.page(page), Code.STEP_FAILED)
        content = _wanted(context, memory, page)
        context.journal.before_destruction("rewrite", pages=[page])
        context.pages_redone += 1
        with context.holding(_beside(flash, memory, page, content)):
            _place(context, page, content, attempts=REDO_LIMIT, failure=Code.STEP_FAILED)


def _place(
    context: Context,
    page: int,
    content: bytes,
    *,
    erased: bool = False,
    attempts: int = REDO_LIMIT + 1,
    failure: Code = Code.VERIFY_MISMATCH,
) -> None:
    """Erase a page, write all of it and read all of it back; raise StepFailed where it is wrong after so many attempts.

    `erased`: it is erased already. `failure` is the code of what is raised. A board that is lost meanwhile is regained, and
    the page is begun again.
    """
    extent = context.chip.flash.page(page)
    for attempt in range(attempts):
        if attempt:
            context.journal.before_destruction("rewrite", pages=[page])
            context.pages_redone += 1
        placing = _Placing(context, page, content, erased and not attempt)
        if persist(context, placing.attempt):
            context.let_go_inherited(extent)
            return
    raise StepFailed(
        failure,
        f"the {context.chip.flash.unit} at {format_address(extent.start)} is still wrong after {REDO_LIMIT} more attempts",
        consequence="the flash holds a part of the image, and must not be used like this",
        hint=f"another USB port or a USB 2.0 hub, then run again; a {context.chip.flash.unit} that stays wrong is worn out"
        + context.or_low_supply,
        evidence=context.connection.anomalies.evidence,
    )


@dataclass(slots=True)
class _Placing:
    """One page on its way into flash; `erased` says whether that can be taken for granted."""

    context: Context
    page: int
    content: bytes
    erased: bool

    def attempt(self) -> bool:
        """Erase it, write all of it, read all of it back; say whether it is right."""
        context, extent = self.context, self.context.chip.flash.page(self.page)
        if not self.erased:
            context.session.erase_page(extent.start)
        self.erased = False
        _write_page(context, self.page, self.content)
        context.session.doubtful.clear()  # the page is read back whole
        return any(context.session.read(extent) == self.content for _ in range(2))  # an upload can be corrupt as well


@dataclass(slots=True)
class _Filling:
    """Pages on their way into flash together; `erasing` is the one whose erase was begun and has not ended."""

    context: Context
    memory: MemoryImage
    contents: Mapping[int, bytes]
    tell: Callable[[int], None]
    begun: bool = False
    erasing: int | None = None

    def attempt(self) -> list[int]:
        """Erase them, write what the image has of them, read all of them back; return those that are wrong.

        After a board was regained those are begun again that are wrong, and the one in whose erase it was lost, whatever it
        reads: half erased it may read blank.
        """
        context, flash = self.context, self.context.chip.flash
        pages = sorted({*self._wrong(self.contents), *self._torn}) if self.begun else sorted(self.contents)
        self.begun = True
        for page in pages:
            self.erasing = page
            context.session.erase_page(flash.page(page).start)
            self.erasing = None
            context.safe_boundary()
        under, done = flash.page(vector_page(flash, self.memory)).start, 0
        for piece in _in_pages(flash, self.memory, pages):
            tell = partial(self._tell, done)
            context.session.write(piece.address, piece.data, tell, under=under, between=context.safe_boundary)
            done += len(piece.data)
        context.session.doubtful.clear()  # the pages are read back whole
        return self._wrong(pages)

    @property
    def _torn(self) -> tuple[int, ...]:
        return () if self.erasing is None else (self.erasing,)

    def _tell(self, before: int, count: int) -> None:
        self.tell(before + count)

    def _wrong(self, pages: Iterable[int]) -> list[int]:
        """Return which of these pages hold something else, in two reads: an upload can be corrupt as well."""
        for _ in range(2):
            found = read_pages(self.context, pages)
            pages = [page for page, data in found.items() if data != self.contents[page]]
        return list(pages)


def holds(context: Context, memory: MemoryImage, extent: AddressRange) -> bool:
    """Say whether the flash holds the image's bytes within `extent`."""
    return all(context.session.read(piece.extent) == piece.data for piece in memory.within(extent))


def _wanted(context: Context, memory: MemoryImage, page: int) -> bytes:
    """Return what a page should hold: the image over what is there."""
    extent = context.chip.flash.page(page)
    if sum(len(piece.data) for piece in memory.within(extent)) == extent.size_bytes:
        return memory.overlay(extent, bytes(extent.size_bytes))
    found, kept = context.session.read_stable(extent), context.inherited.get(extent.start)
    if kept is not None:
        found = kept.over(found, memory, erased=context.chip.flash.erased)
    return memory.overlay(extent, found)


def _is_inherited(context: Context, memory: MemoryImage, page: int) -> bool:
    """Say whether an earlier run has taken something out of a page that is not back there; let go what is."""
    extent = context.chip.flash.page(page)
    kept = context.inherited.get(extent.start)
    if kept is None:
        return False
    if context.session.read_stable(extent) != memory.overlay(extent, kept.data):
        return True
    context.let_go_inherited(extent)
    return False


def _beside(flash: Flash, memory: MemoryImage, page: int, content: bytes) -> Piece | None:
    """Return the page's content where there is something beside the image in it, None where all else is erased."""
    extent = flash.page(page)
    alone = memory.overlay(extent, flash.blank(page))
    return None if content == alone else Piece(extent.start, content)


def _write_page(context: Context, page: int, content: bytes) -> None:
    """Write a page that is erased, without its erased tail."""
    flash = context.chip.flash
    data = _without_erased_tail(flash, content)
    if data:
        context.session.write(flash.page(page).start, data)


def _without_erased_tail(flash: Flash, content: bytes) -> bytes:
    unit = flash.granule_bytes
    used = len(content.rstrip(bytes([flash.erased])))
    return content[: -(-used // unit) * unit]


def _in_pages(flash: Flash, memory: MemoryImage, pages: Iterable[int]) -> list[Piece]:
    """Return what the image has of these pages, aligned."""
    parts = [part for page in pages for part in memory.within(flash.page(page))]
    return aligned(flash, MemoryImage.of(parts))


def _without(piece: Piece, hole: AddressRange) -> list[Piece]:
    """Return what is left of a piece outside `hole`."""
    whole = MemoryImage((piece,))
    before = AddressRange(piece.address, max(0, min(hole.start, piece.extent.end) - piece.address))
    start = max(piece.address, min(hole.end, piece.extent.end))
    after = AddressRange(start, piece.extent.end - start)
    return [part for extent in (before, after) if extent.size_bytes > 0 for part in whole.within(extent)]


def changed_pages(context: Context, memory: MemoryImage) -> list[int]:
    """Return the pages of the image that do not hold it yet, or not what an earlier run has kept of them.

    A page that reads blank where the image goes, and whose erase an earlier run may have been cut short in, is among them.
    """
    flash, found, done = context.chip.flash, list[Piece](), 0
    under, erased = memory.pieces[0].address, bytes([context.chip.flash.erased])
    for piece in memory.pieces:
        tell = context.progress("compare", memory.size_bytes, done)
        found.append(Piece(piece.address, context.session.read(piece.extent, tell, under=under)))
        done += len(piece.data)
    there, changed = MemoryImage(tuple(found)), list[int]()
    for page in pages_of(flash, memory):
        parts = tuple(there.within(flash.page(page)))
        weak = may_be_cut_short(context, page) and not any(part.data.strip(erased) for part in parts)
        if weak or parts != tuple(memory.within(flash.page(page))) or _is_inherited(context, memory, page):
            changed.append(page)
    return changed


def compare_acts(memory: MemoryImage) -> tuple[Act, ...]:
    """Return what `changed_pages` does on the wire."""
    under = memory.pieces[0].address
    return tuple(Act(ActKind.READ, piece.extent, under=under) for piece in memory.pieces)
