"""A port's journal: on the disk before anything destructive, and readable after whatever happened to it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.errors import StepFailed
from dfurun.run import journal
from dfurun.run.journal import (
    Recollection,
    UnfinishedRun,
    UnitJournal,
    cause_of_protection,
    known_cause,
    read_journal,
    state_folder,
    unfinished_run,
)
from dfurun.run.journal_lines import Damage, read_lines

RECIPE = {"path": "recipes/f072-release.yaml", "name": "F072 release", "sha256": "0" * 64}


def started(folder: Path, port: str = "1-2") -> tuple[UnitJournal, UnfinishedRun | None]:
    """Begin a run at a port."""
    unit = UnitJournal(folder)
    unit.write("start", recipe=RECIPE)
    return unit, unit.bind(port).unfinished


def kinds(path: Path) -> list[str]:
    return [entry["entry"] for entry in read_journal(path)]


# Writing -------------------------------------------------------------------------------------------------------------


def test_entries_wait_until_the_port_is_known_and_then_go_to_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "journals"
    unit = UnitJournal(folder)
    unit.write("start", recipe=RECIPE)
    unit.write("step-started", step="connect")
    assert not folder.exists()
    assert unit.bind("1-2.3") == Recollection()
    assert kinds(folder / "1-2.3.jsonl") == ["start", "step-started"]
    unit.write("step", step="connect")
    assert kinds(folder / "1-2.3.jsonl") == ["start", "step-started", "step"]


def test_an_entry_has_its_time_its_run_and_its_details(tmp_path: Path) -> None:
    unit, _ = started(tmp_path)
    unit.write("erase", pages=[0, 1])
    (_, line) = (tmp_path / "1-2.jsonl").read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert re.fullmatch("[0-9a-f]{8}", entry.pop("check"))
    assert entry == {"run": unit.run_id, "entry": "erase", "pages": [0, 1]}


def test_runs_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    ids = {UnitJournal(tmp_path).run_id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(run_id) == 12 for run_id in ids)


def test_an_entry_before_destruction_is_on_the_disk_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, _ = started(tmp_path)
    synced: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(kinds(tmp_path / "1-2.jsonl")))
    unit.before_destruction("mass-erase")
    assert synced == [["start", "mass-erase"]]


def test_binding_to_a_port_puts_all_entries_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(kinds(tmp_path / "1-2.jsonl")))
    started(tmp_path)
    assert synced == [["start"]]


def test_an_ordinary_entry_is_written_without_waiting_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, _ = started(tmp_path)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    unit.write("step", step="connect")
    assert synced == []
    assert kinds(tmp_path / "1-2.jsonl") == ["start", "step"]


def test_a_disk_that_fails_is_an_error_before_anything_destructive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, _ = started(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StepFailed, match=r"1-2\.jsonl cannot be written: Input/output error"):
        unit.before_destruction("mass-erase")


def test_whoever_listens_hears_all_entries_after_every_new_one(tmp_path: Path) -> None:
    heard: list[list[str]] = []
    unit = UnitJournal(tmp_path, lambda entries: heard.append([entry["entry"] for entry in entries]))
    unit.write("start")
    unit.before_destruction("mass-erase")
    assert heard == [["start"], ["start", "mass-erase"]]


# The run before ------------------------------------------------------------------------------------------------------


def test_a_run_that_ended_is_not_told(tmp_path: Path) -> None:
    first, _ = started(tmp_path)
    first.write("end", outcome="passed")
    _, before = started(tmp_path)
    assert before is None


def test_a_run_that_did_not_end_is_told_with_its_recipe_and_step(tmp_path: Path) -> None:
    first, _ = started(tmp_path)
    first.write("step-started", step="mass-erase")
    first.before_destruction("mass-erase")
    _, before = started(tmp_path)
    assert before is not None
    assert str(before) == f"the run of F072 release that began at {before.started} did not end, in step mass-erase"
    assert before.last_entry == "mass-erase"


@pytest.mark.parametrize("entry", ["option-bytes", "read-unprotect"])
def test_a_run_that_ended_inside_an_option_byte_write_is_the_probable_cause_of_protection(
    tmp_path: Path, entry: str
) -> None:
    first, _ = started(tmp_path)
    first.before_destruction(entry)
    path = tmp_path / "1-2.jsonl"
    words = cause_of_protection(path)
    assert words is not None
    assert words.startswith(
        "probably interrupted by the run of 20" if entry == "option-bytes" else "Read Unprotect was sent"
    )
    second, _ = started(tmp_path)
    second.write("board", protection="read-protected")
    second.write("end", outcome="refused")
    assert cause_of_protection(path) == words, "a run that only looked does not forget it"


@pytest.mark.parametrize(
    ("entry", "details"),
    [
        ("step", {"step": "set-option-bytes", "outcome": "changed"}),
        ("step", {"step": "unprotect", "outcome": "changed"}),
        ("board", {"protection": "not protected"}),
    ],
)
def test_what_ended_well_or_was_seen_open_explains_no_protection(
    tmp_path: Path, entry: str, details: dict[str, str]
) -> None:
    first, _ = started(tmp_path)
    first.before_destruction("option-bytes")
    first.write(entry, **details)
    assert cause_of_protection(tmp_path / "1-2.jsonl") is None
    assert cause_of_protection(tmp_path / "absent.jsonl") is None


def test_a_journal_is_read_once_for_a_run_however_much_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the runs of a thousand boards, and was parsed seven times before each of them."""
    first, _ = started(tmp_path)
    first.before_destruction("option-bytes")
    read: list[str] = []
    monkeypatch.setattr(
        "dfurun.run.journal_lines.read_file", lambda path, most: read.append(path.name) or path.read_bytes()
    )
    second = UnitJournal(tmp_path)
    known = second.bind("1-2")
    assert known.unfinished is not None
    assert known.cause is not None
    assert sorted(read) == ["1-2.jsonl", "1-2.old.jsonl"]


def test_only_the_last_run_counts(tmp_path: Path) -> None:
    started(tmp_path)
    second, _ = started(tmp_path)
    second.write("end", outcome="passed")
    assert unfinished_run(tmp_path / "1-2.jsonl") is None


def test_each_port_has_its_own_journal(tmp_path: Path) -> None:
    started(tmp_path, "1-2")
    _, before = started(tmp_path, "1-3")
    assert before is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-2.jsonl", "1-3.jsonl"]


def test_what_a_killed_run_has_kept_is_named_and_what_it_has_put_back_is_gone(tmp_path: Path) -> None:
    unit, _ = started(tmp_path)
    first = unit.keep(0x0802_0000, b"beside one image")
    second = unit.keep(0x0804_0000, b"beside another")
    assert first is not None
    assert second is not None
    unit.let_go(first)
    assert not first.exists()
    assert second.read_bytes() == b"beside another"
    _, before = started(tmp_path)
    assert before is not None
    assert before.kept == (str(second),)
    assert f"what it would have put back is kept in {second}" in str(before)


def test_a_unit_without_a_journal_on_a_disk_keeps_nothing(tmp_path: Path) -> None:
    assert UnitJournal(tmp_path).keep(0x0802_0000, b"x") is None


# What happens to files -----------------------------------------------------------------------------------------------


def test_a_port_without_a_journal_has_no_entries(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "1-2.jsonl") == []
    assert unfinished_run(tmp_path / "1-2.jsonl") is None


def test_a_line_that_a_power_cut_has_torn_is_told_in_its_place(tmp_path: Path) -> None:
    unit, _ = started(tmp_path)
    unit.write("step-started", step="write")
    path = tmp_path / "1-2.jsonl"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        is_whole = whole[length : length + 1] == b"\n"  # only the end of the line is missing
        end = [] if whole[:length].endswith(b"\n") or not length else ["damaged"]
        expected = ["start", "step-started"][: lines + is_whole] + end * (not is_whole)
        assert kinds(path) == expected, length
        assert all(entry["torn"] for entry in read_journal(path) if entry["entry"] == "damaged")


def test_zeros_that_a_power_cut_has_left_are_a_torn_line(tmp_path: Path) -> None:
    started(tmp_path)
    path = tmp_path / "1-2.jsonl"
    path.write_bytes(path.read_bytes() + bytes(512))
    assert kinds(path) == ["start", "damaged"]
    assert read_journal(path)[-1]["torn"]
    assert read_lines(path).damage == Damage(1, only_torn=True)


_lines = st.lists(st.binary(max_size=40) | st.just(b'{"entry": "step"}') | st.just(b'{"entry": 3}') | st.just(b"[]"))


@given(_lines)
def test_no_file_whatsoever_makes_reading_a_journal_fail(tmp_path_factory: Any, lines: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"\n".join(lines))
    assert all(isinstance(entry, Mapping) and isinstance(entry["entry"], str) for entry in read_journal(path))
    assert unfinished_run(path) is None or read_journal(path)


def test_a_journal_that_has_grown_large_is_put_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT_BYTES", 400)
    for _ in range(3):
        unit, before = started(tmp_path)
        assert before is None
        unit.write("end", outcome="passed", padding="x" * 400)
    assert kinds(tmp_path / "1-2.jsonl") == ["start", "end"]
    assert kinds(tmp_path / "1-2.old.jsonl") == ["start", "end"]


def test_an_unfinished_run_is_told_even_where_its_journal_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, _ = started(tmp_path)
    unit.before_destruction("option-bytes", padding="x" * 400)
    monkeypatch.setattr(journal, "KEPT_BYTES", 100)
    _, before = started(tmp_path)
    assert before is not None
    assert cause_of_protection(tmp_path / "1-2.jsonl") is not None


def test_journals_are_in_the_folder_that_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path))
    assert state_folder() == tmp_path
    monkeypatch.delenv("DFURUN_STATE_DIR")
    assert state_folder().name == "dfurun"


def test_a_run_after_a_torn_line_loses_no_entry_of_its_own(tmp_path: Path) -> None:
    first = UnitJournal(tmp_path)
    first.write("start")
    first.bind("1-2")
    path = tmp_path / "1-2.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    second = UnitJournal(tmp_path)
    second.write("start")
    second.bind("1-2")
    assert [entry["entry"] for entry in read_journal(path)] == ["damaged", "start"]


# What is damaged -----------------------------------------------------------------------------------------------------


def journal_of(folder: Path, *entries: str) -> Path:
    """Write a run with these entries."""
    unit, _ = started(folder)
    for entry in entries:
        unit.before_destruction(entry)
    return folder / "1-2.jsonl"


def test_every_flipped_bit_of_a_line_is_found(tmp_path: Path) -> None:
    path = journal_of(tmp_path, "option-bytes", "end")
    whole = path.read_bytes()
    second, third = (index + 1 for index, byte in enumerate(whole) if byte == 0x0A and index + 1 < len(whole))
    for at in range(second, third - 1):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            found = kinds(path)
            assert found[0] == "start"
            assert found[-1] == "end"
            assert set(found[1:-1]) == {"damaged"}, (at, bit)


def test_a_journal_from_before_the_lines_had_a_check_is_read(tmp_path: Path) -> None:
    path = tmp_path / "1-2.jsonl"
    path.write_text('{"time": "then", "run": "a", "entry": "start"}\n{"run": "a", "entry": "end"}\n', encoding="utf-8")
    assert kinds(path) == ["start", "end"]
    journal_of(tmp_path, "end")
    assert kinds(path) == ["start", "end", "start", "end"]
    with path.open("a", encoding="utf-8") as file:
        file.write('{"run": "b", "entry": "end"}\n')
    assert kinds(path)[-1] == "damaged", "a line that has lost its check is none from before"


def test_a_torn_end_is_told_once_and_stays_in_its_place(tmp_path: Path) -> None:
    path = journal_of(tmp_path, "mass-erase")
    path.write_bytes(path.read_bytes()[:-5])
    found = UnitJournal(tmp_path).bind("1-2")
    assert found.damage == (
        f"the last line of the journal {path} is torn, as by a power cut: the run before did more than it tells"
    )
    assert "`dfurun info`" in found.damage_hint
    assert kinds(path) == ["start", "damaged"]
    assert "mass-erase" in read_journal(path)[-1]["shown"]
    assert UnitJournal(tmp_path).bind("1-2").damage == ""
    assert [file.name for file in tmp_path.iterdir()] == ["1-2.jsonl"]


def test_garbage_in_the_middle_is_told_from_a_torn_end_and_the_file_is_kept(tmp_path: Path) -> None:
    path = journal_of(tmp_path, "mass-erase", "end")
    damaged = path.read_bytes().replace(b"mass-erase", b"mass\0erase")
    path.write_bytes(damaged)
    found = UnitJournal(tmp_path).bind("1-2")
    assert found.damage.startswith(f"the journal {path} is damaged, 1 line of it cannot be read")
    assert "torn" not in found.damage
    (copy,) = tmp_path.glob("*.damaged")
    assert copy.read_bytes() == damaged
    assert str(copy) in found.damage_hint
    assert kinds(path) == ["start", "damaged", "end"]


def test_a_damaged_journal_names_the_files_beside_it_that_runs_have_kept(tmp_path: Path) -> None:
    unit, _ = started(tmp_path)
    kept = unit.keep(0x0802_0000, b"beside one image")
    assert kept is not None
    path = tmp_path / "1-2.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    found = UnitJournal(tmp_path).bind("1-2")
    assert found.unfinished is not None
    assert found.unfinished.kept == ()
    assert kept.name in found.damage_hint


@pytest.mark.parametrize("tear", [True, False])
def test_what_a_damaged_journal_knows_of_a_protection_is_called_incomplete(tmp_path: Path, tear: bool) -> None:
    path = journal_of(tmp_path, "option-bytes", "step-started")
    data = path.read_bytes()
    path.write_bytes(data[:-9] if tear else data.replace(b"step-started", b"step_started"))
    words = cause_of_protection(path)
    assert words is not None
    assert words.startswith("probably interrupted by the run of 20")
    assert words.endswith("; the journal is damaged, and what it knew is incomplete")
    assert UnitJournal(tmp_path).bind("1-2").cause == words
    assert cause_of_protection(path) == words, "it stays so for the runs after"


def test_a_cause_that_is_lost_with_its_line_is_not_called_absent(tmp_path: Path) -> None:
    path = journal_of(tmp_path, "option-bytes")
    path.write_bytes(path.read_bytes()[:-9])
    assert cause_of_protection(path) == "cause unknown; the journal is damaged, and what it knew is incomplete"
    seen_open, _ = started(tmp_path)
    seen_open.write("board", protection="not protected")
    assert cause_of_protection(path) is None, "what came before a board that was seen open is of no matter"


def test_a_journal_that_is_no_file_is_a_failure_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "journals" / "1-2.jsonl").mkdir(parents=True)
    with pytest.raises(StepFailed, match=r"1-2\.jsonl cannot be read: Is a directory"):
        UnitJournal(tmp_path / "journals").bind("1-2")
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path))
    assert known_cause("1-2").startswith("cause unknown: the journal ")
