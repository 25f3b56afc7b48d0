"""After a run that was perhaps cut short within an erase, what reads blank is not taken for erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import run_on

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.run.journal import UnitJournal
from dfurun.simulator import SimulatedBoard, parse_fault

CHIP = load_chip("stm32f072xb")
PAGE = CHIP.flash.page(0).size_bytes
IMAGE = bytes(range(1, 251)) * 20
STEPS = {
    "needed": ("erase: {image: a, mode: needed}", "write: {image: a}"),
    "changed": ("write: {image: a, mode: changed}",),
}


def recipe(folder: Path, mode: str) -> Path:
    (folder / "a.bin").write_bytes(IMAGE)
    lines = ["dfurun: 1", "name: t", "chip: stm32f072xb", "images: {a: {file: a.bin, address: 0x08000000}}", "steps:"]
    lines += [f"  - {step}" for step in ("connect", *STEPS[mode])]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "recipe.yaml"


def erased(folder: Path, mode: str) -> list[int]:
    """Run on a blank board at the same port, and return which pages were erased."""
    board = SimulatedBoard(CHIP, VirtualClock())
    finished, messages = run_on(board, recipe(folder, mode), folder)
    assert finished.exit_status == 0, messages
    assert board.flash.contents.startswith(IMAGE)
    return [page for page, times in enumerate(board.flash.erase_counts) if times]


@pytest.mark.parametrize("mode", STEPS)
def test_pages_that_read_blank_are_erased_after_a_run_that_was_lost_and_no_more_after_one_that_passes(
    tmp_path: Path, mode: str
) -> None:
    assert erased(tmp_path, mode) == []
    board = SimulatedBoard(CHIP, VirtualClock(), flash=bytes(3 * PAGE), faults=[parse_fault("power-cut:for=erase")])
    finished, _ = run_on(board, recipe(tmp_path, mode), tmp_path)
    assert finished.exit_status == 7
    assert erased(tmp_path, mode) == [0, 1, 2]
    assert erased(tmp_path, mode) == []


@pytest.mark.parametrize(
    ("runs", "is_cut_short"),
    [
        ([], False),
        ([(), ("board",)], False),
        ([("erase", "passed")], False),
        ([("erase", "")], True),
        ([("mass-erase", "lost")], True),
        ([("rewrite", "failed"), ("board", "refused")], True),
        ([("write", "lost"), ("rewrite", "passed")], False),
        ([("option-bytes", "lost")], False),
    ],
)
def test_the_journal_knows_the_last_run_that_changed_flash(
    tmp_path: Path, runs: list[tuple[str, ...]], is_cut_short: bool
) -> None:
    for entries in runs:
        journal = UnitJournal(tmp_path)
        journal.bind("1-1")
        entry, *outcome = entries or ("start",)
        journal.write(entry)
        if any(outcome):
            journal.write("end", outcome=outcome[0])
    assert UnitJournal(tmp_path).bind("1-1").cut_short is is_cut_short


def test_a_journal_that_is_damaged_since_knows_nothing(tmp_path: Path) -> None:
    journal = UnitJournal(tmp_path)
    journal.bind("1-1")
    journal.write("erase")
    journal.write("end", outcome="passed")
    path = tmp_path / "1-1.jsonl"
    assert not UnitJournal(tmp_path).bind("1-1").cut_short
    path.write_text(path.read_text(encoding="utf-8") + '{"entry": "era', encoding="utf-8")
    assert UnitJournal(tmp_path).bind("1-1").cut_short
