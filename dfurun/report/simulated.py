"""A simulated board as people and tools read it: also what no bootloader would tell."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dfurun.report.board import LABEL_WIDTH
from dfurun.report.words import raw_rows

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.simulator import SimulatedBoard


def simulated_object(board: SimulatedBoard) -> dict[str, Any]:
    """Return a simulated board as JSON values."""
    flash, options = board.flash, board.option_bytes
    return {
        "chip": board.chip.name,
        "port": f"{board.bus}-{'.'.join(str(port) for port in board.port)}",
        "boot0": board.boot0,
        "running": board.running.value,
        "on_the_bus": board.present,
        "protection_level": options.protection_level,
        "option_bytes": {"stored": options.stored.hex(), "in_force": options.in_force.hex()},
        "flash_sha256": sha256(bytes(flash.contents)).hexdigest(),
        "blank_pages": len(_blank_pages(board)),
        "erases": sum(flash.erase_counts),
        "most_erases_of_a_page": max(flash.erase_counts),
        "programmed_units": flash.programmed_units,
        "transfers": dict(board.transfers),
    }


def print_simulated(console: Console, board: SimulatedBoard) -> None:
    """Print a simulated board."""
    told = simulated_object(board)
    pages, unit = board.chip.flash.page_count, board.chip.flash.unit

    def line(label: str, text: str) -> None:
        console.print(label.ljust(LABEL_WIDTH) + text, soft_wrap=True)

    def lines(label: str, texts: Sequence[str]) -> None:
        for index, text in enumerate(texts):
            line("" if index else label, text)

    line("chip", f"{board.chip.title}, simulated, at port {told['port']}")
    line("BOOT0", "high" if board.boot0 else "low")
    line("running", told["running"] + (", in DFU mode on the bus" if told["on_the_bus"] else ""))
    line("protection", f"RDP level {told['protection_level']} in force")
    used = pages - told["blank_pages"]
    line("flash", f"{used} of {board.chip.flash.count(pages)} hold something, sha256 {told['flash_sha256'][:16]}...")
    line("wear", f"{told['erases']} {unit} erases, at most {told['most_erases_of_a_page']} of one {unit}")
    line("transfers", str(sum(told["transfers"].values())))
    options = board.option_bytes
    layout = board.chip.option_bytes
    if layout.effective(options.stored) != layout.effective(options.in_force):
        *rows, last = raw_rows(options.in_force, options.stored)
        lines("in force", [*rows, f"{last} until the next power-on"])
    lines("option bytes", raw_rows(options.stored))
    for change in layout.changes(layout.factory, options.stored):
        field = change.field
        line("", f"{field.name} is {field.show(change.after)}, from the factory {field.show(change.before)}")


def _blank_pages(board: SimulatedBoard) -> list[int]:
    flash = board.flash
    return [page for page in range(flash.layout.page_count) if flash.page_bytes(page) == flash.layout.blank(page)]
