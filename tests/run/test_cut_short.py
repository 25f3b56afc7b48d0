"""After a run that was perhaps cut short within an erase, what reads blank is not taken for erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import run_on
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.run.doubts import EVERY_PAGE, Doubts, doubts_of
from dfurun.run.journal import UnitJournal
from dfurun.simulator import SimulatedBoard, parse_fault

CHIP = load_chip("stm32f072xb")
PAGE = CHIP.flash.page(0).size_bytes
IMAGE = bytes(range(1, 251)) * 20
NEEDED = ("erase: {image: a, mode: needed}", "write: {image: a}")
OURS, ANOTHER = bytes(range(12)), bytes(range(20, 32))


def recipe(folder: Path, *steps: str) -> Path:
    (folder / "a.bin").write_bytes(IMAGE)
    lines = ["dfurun: 1", "name: t", "chip: stm32f072xb", "images: {a: {file: a.bin, address: 0x08000000}}", "steps:"]
    lines += [f"  - {step}" for step in ("connect", *steps)]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "recipe.yaml"


def erased(folder: Path, *steps: str, unique_id: bytes = OURS) -> list[int]:
    """Run on a blank board at the same port, and return which pages were erased."""
    board = SimulatedBoard(CHIP, VirtualClock(), unique_id=unique_id)
    finished, messages = run_on(board, recipe(folder, *steps), folder)
    assert finished.exit_status == 0, messages
    return [page for page, times in enumerate(board.flash.erase_counts) if times]


def cut(folder: Path) -> None:
    """Let the power go in the first erase of a board that is not blank."""
    faults = [parse_fault("power-cut:for=erase")]
    board = SimulatedBoard(CHIP, VirtualClock(), flash=bytes(3 * PAGE), faults=faults, unique_id=OURS)
    finished, _ = run_on(board, recipe(folder, *NEEDED), folder)
    assert finished.exit_status == 7


def test_pages_that_read_blank_are_erased_after_a_run_that_was_lost_and_no_more_after_one_that_passes(
    tmp_path: Path,
) -> None:
    assert erased(tmp_path, *NEEDED) == []
    cut(tmp_path)
    assert erased(tmp_path, *NEEDED) == [0, 1, 2]
    assert erased(tmp_path, *NEEDED) == []


def test_another_board_that_passes_at_the_port_takes_no_doubt_away(tmp_path: Path) -> None:
    cut(tmp_path)
    assert erased(tmp_path, *NEEDED, unique_id=ANOTHER) == []
    assert erased(tmp_path, *NEEDED) == [0, 1, 2]


def test_another_recipe_takes_away_the_doubt_of_what_it_erases(tmp_path: Path) -> None:
    cut(tmp_path)
    assert erased(tmp_path, "erase: {pages: 1}", "erase: {pages: 60}") == [1, 60]
    assert erased(tmp_path, *NEEDED) == [0, 2]
    cut(tmp_path)
    assert len(erased(tmp_path, "mass-erase")) == CHIP.flash.page_count
    assert erased(tmp_path, *NEEDED) == []


def test_a_page_that_is_to_be_blank_and_reads_so_is_rewritten_where_it_is_in_doubt(tmp_path: Path) -> None:
    cut(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"\xff" * PAGE)
    file = recipe(tmp_path, "write: {image: b, mode: changed}")
    file.write_text(file.read_text().replace("a: {file: a.bin", "b: {file: b.bin"))
    board = SimulatedBoard(CHIP, VirtualClock(), unique_id=OURS)
    finished, messages = run_on(board, file, tmp_path)
    assert finished.exit_status == 0, messages
    assert board.flash.erase_counts[0] == 1


def doubts(folder: Path) -> Doubts:
    """Return what the port's journal doubts of a board that could not be told."""
    return doubts_of(UnitJournal(folder).bind("1-1").flash_runs, None)


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
    assert (0 in doubts(tmp_path)) is is_cut_short


def test_a_journal_that_is_damaged_since_knows_nothing(tmp_path: Path) -> None:
    journal = UnitJournal(tmp_path)
    journal.bind("1-1")
    journal.write("erase")
    journal.write("end", outcome="passed")
    path = tmp_path / "1-1.jsonl"
    assert 0 not in doubts(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + '{"entry": "era', encoding="utf-8")
    assert 0 in doubts(tmp_path)


_some = st.builds(Doubts, st.frozensets(st.integers(0, 7), max_size=5), st.booleans())


@given(_some, _some)
def test_doubts_are_sets_of_pages_that_may_be_all_but_some(one: Doubts, other: Doubts) -> None:
    for page in range(9):
        assert (page in one | other) is (page in one or page in other)
        assert (page in one - other) is (page in one and page not in other)
    assert 8 in EVERY_PAGE
