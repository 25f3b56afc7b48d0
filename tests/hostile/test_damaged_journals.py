"""A run, and `dfurun info`, at a port whose journal was torn by a power cut or damaged on its disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Dfurun

VIRTUAL = ("--sim-clock", "virtual")


@pytest.fixture
def journal(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> Path:
    """The journal of a board that a run has flashed."""
    assert dfurun("sim", "new", "board.json").exit == 0
    assert dfurun(recipes / "f072-release.yaml", "--sim-state", "board.json", *VIRTUAL).exit == 0
    dfurun("sim", "power-cycle", "board.json", "--boot0", "1")
    (path,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    return path


@pytest.mark.parametrize("damage", ["torn", "zeros", "garbage", "not text"])
def test_the_next_run_tells_of_a_damaged_journal_once_and_goes_on(
    dfurun: Dfurun, recipes: Path, journal: Path, damage: str
) -> None:
    data = journal.read_bytes()
    at = len(data) // 2
    harm = {
        "torn": data[:-20],
        "zeros": data + bytes(4096),
        "garbage": data[:at] + b"\n\n\0\xff{" + data[at:],
        "not text": b"\x1b[2J" * 100 + b"\n" + data,
    }
    journal.write_bytes(harm[damage])
    words = (recipes / "f072-release.yaml", "--sim-state", "board.json", *VIRTUAL)
    done = dfurun(*words)
    assert done.exit == 0, done.err
    assert "journal-damaged" in done.codes
    assert ("is torn, as by a power cut" in done.err) == (damage in ("torn", "zeros"))
    assert "\x1b" not in done.err
    dfurun("sim", "power-cycle", "board.json")
    again = dfurun(*words)
    assert again.exit == 0
    assert "journal-damaged" not in again.codes


def test_a_protected_board_with_a_damaged_journal_is_not_said_to_have_no_cause(dfurun: Dfurun, journal: Path) -> None:
    dfurun("sim", "protect", "board.json", "1")
    journal.write_bytes(journal.read_bytes() + b'{"time": "2026')
    told = dfurun("info", "--sim-state", "board.json", *VIRTUAL)
    assert "cause unknown; the journal is damaged, and what it knew is incomplete" in " ".join(told.out.split())


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_journal_that_is_no_file_stops_the_run_before_anything_is_changed(
    dfurun: Dfurun, recipes: Path, journal: Path, kind: str
) -> None:
    journal.unlink()
    if kind == "folder":
        journal.mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(journal)
    done = dfurun(recipes / "f072-release.yaml", "--sim-state", "board.json", *VIRTUAL)
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert "cannot be read" in done.err
    assert dfurun("info", "--sim-state", "board.json", *VIRTUAL).exit == 0
