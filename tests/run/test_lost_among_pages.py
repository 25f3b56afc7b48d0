"""A board lost while `mode: changed` writes pages together: what is not right is begun again, and none counts as erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import run_on

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, parse_fault

CHIP = load_chip("stm32f072xb")
PAGE = CHIP.flash.page(0).size_bytes
IMAGE = bytes(range(1, 252)) * 40  # five pages, the last one not to its end


def run(folder: Path, flash: bytes, fault: str) -> SimulatedBoard:
    (folder / "a.bin").write_bytes(IMAGE)
    lines = ["dfurun: 1", "name: t", "chip: stm32f072xb", "images: {a: {file: a.bin, address: 0x08000000}}"]
    lines += ["steps:", "  - connect", "  - write: {image: a, mode: changed}"]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    faults = [parse_fault(fault)] if fault else []
    board = SimulatedBoard(CHIP, VirtualClock(), flash=flash, faults=faults, trace_length=1000)
    finished, messages = run_on(board, folder / "recipe.yaml", folder)
    assert finished.exit_status == 0, (fault, messages)
    return board


@pytest.mark.parametrize("kind", ["vanish", "power-cut"])
def test_lost_anywhere_the_flash_holds_the_image_without_a_verify(tmp_path: Path, kind: str) -> None:
    old = b"\x5a" * len(IMAGE) + b"beside"
    transfers = len(run(tmp_path, old, "").trace)
    for at in range(0, transfers, 2):
        board = run(tmp_path, old, f"{kind}:at={at},back=1")
        assert board.flash.contents[: len(IMAGE) + 6] == IMAGE + b"beside", at
