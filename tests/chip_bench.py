"""One chip of every storage rule and of every known fault of a ROM, each with a board, an image and recipes of a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import BootTarget, Chip, OptionField
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile

CHIPS = [
    "stm32f042x6", "stm32f072xb", "stm32f303xc", "stm32f405xg", "stm32f427xi", "stm32f722xe", "stm32l072xz", "stm32l476xg",
    "stm32g431xb", "stm32g0b1xb", "stm32h743xi", "stm32wb55xg", "stm32u575xi",
]  # fmt: skip
every_kind = pytest.mark.parametrize("name", CHIPS)
QUIET_FIELDS = ("nRST_STOP", "nRST_STDBY", "nRST_STOP_D1", "NRST_STOP", "WDG_SW", "IWDG_SW", "IWDG1_SW")


def reachable_options(chip: Chip) -> bytes:
    """Return factory option bytes, but for what lets BOOT0 start the bootloader beside an application (G0: nBOOT_SEL)."""
    layout = chip.option_bytes
    for changed in ({}, *({name: 0} for name in sorted(chip.boot.fields) if layout.fields[name].width == 1)):
        raw = layout.encode(layout.factory, changed)
        if chip.starts(layout.decode(raw), boot0=1) is BootTarget.SYSTEM_MEMORY:
            return raw
    raise AssertionError(f"{chip.name}: no option bytes start the bootloader")


class Place:
    """A folder with a board of one chip and an image for it."""

    def __init__(self, dfurun: Dfurun, folder: Path, chip: Chip) -> None:
        self.dfurun, self.folder, self.chip, self.board = dfurun, folder, chip, folder / "board.json"
        table = chip.ram.end.to_bytes(4, "little") + (chip.flash.extent.start | 0x101).to_bytes(4, "little")
        self.image = table + bytes(range(1, 250)) * 20
        (folder / "app.bin").write_bytes(self.image)

    def make(self, level: int = 0, flash: bytes = b"") -> None:
        board = SimulatedBoard(self.chip, VirtualClock(), flash=flash, option_bytes=self.reachable() if flash else None)
        board.protect(level)
        StateFile(self.board).keep(board)

    def reachable(self) -> bytes:
        """Return option bytes of its chip with which BOOT0 starts the bootloader."""
        return reachable_options(self.chip)

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def write(self, *steps: str, keys: tuple[str, ...] = ()) -> None:
        head = ["dfurun: 1", "name: t", f"chip: {self.chip.name}", *keys]
        head += [f"images: {{app: {{file: app.bin, address: 0x{self.chip.flash.extent.start:08X}}}}}", "steps:"]
        text = "\n".join([*head, *(f"  - {step}" for step in ("connect", *steps))]) + "\n"
        self.recipe.write_text(text, encoding="utf-8")

    def run(self, *steps: str, keys: tuple[str, ...] = ()) -> int:
        self.write(*steps, keys=keys)
        self.done = self.dfurun(self.recipe, "--sim-state", self.board, "--sim-clock", "virtual")
        return int(self.done.exit)

    @property
    def state(self) -> SimulatedBoard:
        board = StateFile(self.board).load(VirtualClock())
        board.clock.sleep(60)
        return board


def harmless(chip: Chip) -> OptionField:
    """Return a field that a board may have either way."""
    return next(chip.option_bytes.fields[name] for name in QUIET_FIELDS if name in chip.option_bytes.fields)
