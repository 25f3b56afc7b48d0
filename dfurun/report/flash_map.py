"""What becomes of every page, as a map: rows of marks for a terminal, and a picture (SVG) for a review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from dfurun.chips import Flash
from dfurun.plan.plan import Fate, Plan
from dfurun.units import format_address, format_pages, format_size

MARKS_A_ROW = 64
MOST_ROWS = 16
WORST_FIRST = (Fate.WRITTEN, Fate.PARTLY, Fate.PERHAPS, Fate.ERASED, Fate.SAME, Fate.KEPT)
COLOURS = {
    Fate.KEPT: "#d0d7de",
    Fate.SAME: "#8fb8e8",
    Fate.ERASED: "#eec26a",
    Fate.PARTLY: "#7cc48a",
    Fate.WRITTEN: "#2f8f46",
    Fate.PERHAPS: "#b48ad6",
}
MADE_BY = "a flash map of dfurun"
CELL, GAP, LEFT, LINE = 12, 2, 96, 20


@dataclass(frozen=True, slots=True)
class Cell:
    """One mark: so many bytes of flash from an address on, the pages in it, and the fate that weighs most among theirs."""

    address: int
    pages: range
    fate: Fate


def cells(plan: Plan) -> tuple[int, list[Cell]]:
    """Return how many bytes a mark stands for, and the marks: a page each, or several where there are too many pages.

    A page that is larger than the smallest has several marks.
    """
    flash, fates = plan.recipe.chip.flash, plan.fates()
    size_bytes = min(flash.page_sizes_bytes)
    while flash.extent.size_bytes > size_bytes * MARKS_A_ROW * MOST_ROWS:
        size_bytes *= 2
    found = []
    for address in range(flash.extent.start, flash.extent.end, size_bytes):
        last = min(address + size_bytes, flash.extent.end) - 1
        pages = range(flash.page_index(address), flash.page_index(last) + 1)
        held = {fates[page] for page in pages}
        found.append(Cell(address, pages, next(fate for fate in WORST_FIRST if fate in held)))
    return size_bytes, found


def map_rows(plan: Plan) -> list[tuple[str, str]]:
    """Return the map's rows, an address and its marks each."""
    _, marks = cells(plan)
    rows = [marks[at : at + MARKS_A_ROW] for at in range(0, len(marks), MARKS_A_ROW)]
    return [(format_address(row[0].address), "".join(cell.fate.mark for cell in row)) for row in rows]


def legend(plan: Plan) -> list[tuple[Fate, str]]:
    """Return the fates that occur, each with what it means and which pages it has."""
    flash, fates = plan.recipe.chip.flash, plan.fates()
    occurring = Counter(fates)
    return [(fate, f"{fate.means}: {_named(flash, fates, fate)}") for fate in Fate if fate in occurring]


def _named(flash: Flash, fates: Sequence[Fate], fate: Fate) -> str:
    pages = [page for page, other in enumerate(fates) if other is fate]
    size_bytes = sum(flash.page(page).size_bytes for page in pages)
    return f"{format_pages(pages, flash.unit)} ({format_size(size_bytes)})"


def svg(plan: Plan) -> str:
    """Return the map as a picture; every mark tells its pages and their fate where it is pointed at."""
    size_bytes, marks = cells(plan)
    flash, notes = plan.recipe.chip.flash, legend(plan)
    rows = -(-len(marks) // MARKS_A_ROW)
    pitch = CELL + GAP
    width, top = LEFT + MARKS_A_ROW * pitch + LINE, 2 * LINE + GAP
    height = top + rows * pitch + LINE * (len(notes) + 1)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(width),
            "height": str(height),
            "viewBox": f"0 0 {width} {height}",
            "font-family": "sans-serif",
            "font-size": "12",
        },
    )
    _add(root, "desc", {}, MADE_BY)
    _add(root, "rect", {"width": str(width), "height": str(height), "fill": "#ffffff"})
    title = f"{plan.recipe.name}, {plan.recipe.chip.title}: the flash, a mark is {format_size(size_bytes)}"
    _add(root, "text", {"x": "10", "y": str(LINE), "font-weight": "bold"}, title)
    for number, cell in enumerate(marks):
        row, column = divmod(number, MARKS_A_ROW)
        y = top + row * pitch
        if column == 0:
            _add(
                root,
                "text",
                {"x": "10", "y": str(y + CELL - GAP), "font-family": "monospace"},
                format_address(cell.address),
            )
        place = {"x": str(LEFT + column * pitch), "y": str(y), "width": str(CELL), "height": str(CELL)}
        box = _add(root, "rect", {**place, "fill": COLOURS[cell.fate]})
        _add(
            box,
            "title",
            {},
            f"{format_pages(cell.pages, flash.unit)}, {format_address(cell.address)}: {cell.fate.means}",
        )
    for number, (fate, means) in enumerate(notes):
        y = top + rows * pitch + LINE * (number + 1)
        place = {"x": "10", "y": str(y - CELL + GAP), "width": str(CELL), "height": str(CELL)}
        _add(root, "rect", {**place, "fill": COLOURS[fate]})
        _add(root, "text", {"x": str(10 + CELL + 6), "y": str(y)}, means)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def is_flash_map(data: bytes) -> bool:
    """Say whether a file is such a picture."""
    return data.startswith(b"<svg") and MADE_BY.encode() in data


def _add(parent: ElementTree.Element, tag: str, attributes: dict[str, str], text: str = "") -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text or None
    return element
