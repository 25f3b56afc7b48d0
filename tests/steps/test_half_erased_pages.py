"""An erase that the power has cut can leave cells that read blank and are not: no run that passes leaves one in its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench import run_on

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, parse_fault
from dfurun.simulator.flash import FlashMemory

CHIP = load_chip("stm32f072xb")
PAGE = CHIP.flash.page(0).size_bytes
BODY = bytes(range(1, 129)) * 16
IMAGES = {
    "with blank pages": BODY + b"\xff" * PAGE + BODY + b"\xff" * PAGE + b"abcdefgh" * 128,
    "solid": BODY * 4 + b"abcdefgh" * 128,
}
MODES = {
    "changed": ("write: {image: a, mode: changed}",),
    "needed": ("erase: {image: a, mode: needed}", "write: {image: a}"),
    "all": ("erase: {image: a}", "write: {image: a}"),
    "mass": ("mass-erase", "write: {image: a}"),
}


@pytest.fixture
def weak(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The pages whose erase was cut, and that read blank; an erase that ends makes them good."""
    pages = set[int]()
    erase_page = FlashMemory.erase_page

    def cut(flash: FlashMemory, index: int) -> None:
        flash._fill(index, flash.layout.blank(index))
        pages.add(index)

    def erase(flash: FlashMemory, index: int, **settings: Any) -> None:
        pages.discard(index)
        erase_page(flash, index, **settings)

    monkeypatch.setattr(FlashMemory, "interrupt_erase", cut)
    monkeypatch.setattr(FlashMemory, "erase_page", erase)
    return pages


def recipe(folder: Path, mode: str, image: bytes) -> Path:
    (folder / "a.bin").write_bytes(image)
    lines = ["dfurun: 1", "name: t", "chip: stm32f072xb", "images: {a: {file: a.bin, address: 0x08000000}}", "steps:"]
    lines += [f"  - {step}" for step in ("connect", *MODES[mode], "verify: {image: a}")]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "recipe.yaml"


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("skip", range(5))
@pytest.mark.parametrize("back", [True, False])
def test_none_is_left(tmp_path: Path, weak: set[int], mode: str, skip: int, back: bool, image: str) -> None:
    file = recipe(tmp_path, mode, IMAGES[image])
    which = "mass-erase,skip=0" if mode == "mass" else f"erase,skip={skip}"
    fault = parse_fault(f"power-cut:for={which}{',back=1' if back else ''}")
    board = SimulatedBoard(CHIP, VirtualClock(), flash=b"\x5a" * 5 * PAGE, faults=[fault])
    done, messages = run_on(board, file, tmp_path)
    if not back:
        assert done.outcome == "lost", messages
        assert weak
        board = SimulatedBoard(CHIP, VirtualClock(), flash=board.flash.contents)
        done, messages = run_on(board, file, tmp_path)
    assert done.outcome == "passed", messages
    assert board.flash.contents.startswith(IMAGES[image])
    assert not weak & set(range(5)), messages
