"""A unit's record: what real runs leave behind, whatever became of them, and the contract that it keeps."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun
from jsonschema import Draft7Validator

from dfurun import __version__
from dfurun.chips import load_chip
from dfurun.dfuse.protection import Verdict
from dfurun.run.interpreter import OUTCOMES, PASSED
from dfurun.run.journal import UnitJournal, read_journal
from dfurun.run.record import RecordFile, record_of
from dfurun.steps.event import Outcome, StepFinished

ROOT = Path(__file__).parents[2]
SCHEMA: Any = json.loads((ROOT / "schemas" / "record.schema.json").read_text(encoding="utf-8"))
SIMULATED = ("--sim", "--sim-clock", "virtual")
FACTORY = load_chip("stm32f072xb").option_bytes.factory.hex()


def mistakes(record: Any) -> list[str]:
    """Return what the schema finds wrong."""
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(record)]


def read(path: Path) -> dict[str, Any]:
    """Return a record that keeps the contract."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert mistakes(record) == []
    return record


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "unit.json"


# Runs ----------------------------------------------------------------------------------------------------------------


def test_a_run_that_passed_tells_what_was_done_to_which_board(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    assert dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", record).exit == 0
    told = read(record)
    assert (told["outcome"], told["exit"], told["verified"], told["simulated"]) == ("passed", 0, True, True)
    assert told["tool"] == {"name": "dfurun", "version": __version__}
    assert told["chip"] == "stm32f072xb"
    assert told["recipe"]["name"] == "F072 release"
    assert told["recipe"]["path"].endswith("f072-release.yaml")
    assert told["started"] <= told["ended"]
    assert "error" not in told
    assert [(step["index"], step["step"], step["outcome"]) for step in told["steps"]] == [
        (0, "connect", "ok"),
        (1, "unprotect", "ok"),
        (2, "mass-erase", "changed"),
        (3, "write", "changed"),
        (4, "verify", "ok"),
        (5, "set-option-bytes", "ok"),
        (6, "leave-dfu", "changed"),
    ]
    assert told["board"]["port"] == "1-1"
    assert told["board"]["bootloader"] == "V10.1"
    assert told["board"]["flash_size_bytes"] == 131072
    assert told["board"]["protection"] == "not protected"
    assert told["option_bytes"] == []
    assert (told["anomalies"], told["pages_redone"]) == ({}, 0)
    assert told["transfers"] > 50


def test_the_recipe_and_the_images_are_told_by_their_hashes(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    from hashlib import sha256

    dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", record)
    told = read(record)
    assert told["recipe"]["sha256"] == sha256((recipes / "f072-release.yaml").read_bytes()).hexdigest()
    image = (recipes / "firmware" / "f072-blinky.hex").read_bytes()
    assert told["images"] == {"application": sha256(image).hexdigest()}


def test_option_bytes_that_were_written_are_told_raw(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    assert dfurun(recipes / "f072-protect.yaml", *SIMULATED, "--record", record).exit == 0
    assert read(record)["option_bytes"] == [{"before": FACTORY, "after": "bb44" + FACTORY[4:]}]


@pytest.mark.parametrize(
    ("fault", "outcome", "status", "code"),
    [
        ("stays", "failed", 1, "still-in-dfu"),
        ("lost-program:count=always", "failed", 1, "verify-mismatch"),
        ("vanish:at=40", "lost", 7, "device-lost"),
        ("stall:count=always", "lost", 7, "link-unreliable"),
        ("no-permission", "no-access", 5, "no-permission"),
    ],
)
def test_a_run_that_did_not_pass_tells_why(
    dfurun: Dfurun, recipes: Path, record: Path, fault: str, outcome: str, status: int, code: str
) -> None:
    finished = dfurun(recipes / "f072-release.yaml", *SIMULATED, "--sim-fault", fault, "--record", record)
    told = read(record)
    assert finished.exit == told["exit"] == status
    assert (told["outcome"], told["error"]["code"]) == (outcome, code)
    assert told["error"]["message"]
    assert told["error"]["consequence"]
    assert told["error"]["hint"]
    assert [step["index"] for step in told["steps"]] == list(range(7))
    (failed,) = [step for step in told["steps"] if step["outcome"] == "failed"]
    assert failed["detail"] == told["error"]["message"]
    after = told["steps"][failed["index"] + 1 :]
    assert all(step["outcome"] == "skipped" and step["detail"] for step in after)
    assert told["verified"] is False


def test_evidence_and_counts_of_a_bad_link_are_told(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    stalls = [f"--sim-fault=stall:request={request},count=always" for request in ("GETSTATE", "GETSTATUS")]
    dfurun(recipes / "f072-release.yaml", *SIMULATED, *stalls, "--record", record)
    told = read(record)
    assert told["anomalies"]["GETSTATE STALL"] >= 3
    assert "GETSTATE STALL (Pipe error)" in told["error"]["evidence"]


def test_a_bad_link_that_was_coped_with_is_told_as_well(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    faults = ("--sim-fault", "timeout:p=0.02,count=9,seed=3", "--sim-fault", "lost-program:skip=1")
    dfurun(recipes / "f072-release.yaml", *SIMULATED, *faults, "--record", record)
    told = read(record)
    assert (told["outcome"], told["verified"], told["pages_redone"]) == ("passed", True, 1)
    assert sum(told["anomalies"].values()) > 0


def test_a_board_that_was_not_found_is_null(dfurun: Dfurun, recipes: Path, record: Path) -> None:
    dfurun(recipes / "f072-release.yaml", *SIMULATED, "--port", "1-9", "--record", record)
    told = read(record)
    assert (told["outcome"], told["exit"], told["board"]) == ("not-found", 4, None)


def test_a_protected_board_tells_what_it_can(dfurun: Dfurun, recipes: Path, record: Path, tmp_path: Path) -> None:
    state = tmp_path / "board.yaml"
    assert dfurun("sim", "new", state).exit == 0
    assert dfurun("sim", "protect", state, "1").exit == 0
    dfurun(recipes / "f072-protect.yaml", "--sim-state", state, "--sim-clock", "virtual", "--record", record)
    told = read(record)
    assert (told["outcome"], told["exit"], told["error"]["code"]) == ("refused", 6, "protected")
    assert told["board"]["protection"] == "read-protected"
    assert (told["board"]["unique_id"], told["board"]["flash_size_bytes"]) == (None, None)


# Runs that did not end -----------------------------------------------------------------------------------------------


def test_a_run_killed_after_any_entry_leaves_a_record_that_says_interrupted(
    dfurun: Dfurun, recipes: Path, tmp_path: Path
) -> None:
    for recipe in ("f072-release.yaml", "f072-protect.yaml"):
        dfurun(recipes / recipe, "--sim-state", tmp_path / f"{recipe}.json", "--sim-clock", "virtual")
    paths = list((tmp_path / "state" / "journals").glob("*.jsonl"))
    assert len(paths) == 2
    entries = [entry for path in paths for entry in read_journal(path)]
    for run_id in {entry["run"] for entry in entries}:
        run = [entry for entry in entries if entry["run"] == run_id]
        assert run[-1]["entry"] == "end"
        for killed_after in range(1, len(run)):
            told = record_of(run[:killed_after])
            assert mistakes(told) == []
            assert (told["outcome"], told["exit"], told["ended"]) == ("interrupted", None, None)
            assert "transfers" not in told
        assert record_of(run)["outcome"] == "passed"


def test_the_record_is_on_the_disk_after_every_entry(record: Path, tmp_path: Path) -> None:
    start = {
        "tool": {"name": "dfurun", "version": "0.1"},
        "recipe": {"path": "r.yaml", "name": "R", "sha256": "0" * 64},
        "chip": "stm32f072xb",
        "images": {},
        "simulated": False,
    }
    unit = UnitJournal(tmp_path, RecordFile(record, is_folder=False).save)
    unit.write("start", **start)
    assert read(record)["steps"] == []
    unit.write("step", **asdict(StepFinished(0, "connect", Outcome.OK, "", 0.1)))
    told = read(record)
    assert [step["step"] for step in told["steps"]] == ["connect"]
    assert (told["outcome"], told["run"]) == ("interrupted", unit.run_id)


def test_a_record_is_replaced_whole(record: Path, tmp_path: Path) -> None:
    record.write_text("something that was there before, and longer than a record" * 100)
    unit = UnitJournal(tmp_path, RecordFile(record, is_folder=False).save)
    unit.write("start")
    assert json.loads(record.read_text(encoding="utf-8"))["run"] == unit.run_id
    assert [path.name for path in tmp_path.iterdir()] == ["unit.json"]


# Where it goes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_gets_a_file_a_unit_named_by_time_and_run(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path / "records"
    if exists:
        folder.mkdir()
    for _ in range(2):
        target = str(folder) if exists else f"{folder}/"
        assert dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", target).exit == 0
    files = sorted(folder.iterdir())
    assert len(files) == 2
    for file in files:
        told = read(file)
        assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{12}\.json", file.name)
        assert file.name.endswith(f"-{told['run']}.json")
        assert file.name.startswith(told["started"][:10].replace("-", ""))


def test_folders_on_the_way_to_a_record_are_made(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    target = tmp_path / "line-3" / "today" / "unit.json"
    assert dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", target).exit == 0
    assert read(target)["outcome"] == "passed"


def test_a_record_that_cannot_be_written_stops_the_run_before_anything_is_sent(
    dfurun: Dfurun, recipes: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    finished = dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", tmp_path / "file" / "unit.json")
    assert finished.exit == 1
    assert "file-unwritable" in finished.codes
    assert "(0 transfers)" in finished.out + finished.err


# The contract --------------------------------------------------------------------------------------------------------


def test_the_schema_and_the_code_have_the_same_words() -> None:
    properties = SCHEMA["properties"]
    assert set(properties["outcome"]["enum"]) == {PASSED, "failed", *OUTCOMES.values()}
    assert properties["steps"]["items"]["properties"]["outcome"]["enum"] == [str(outcome) for outcome in Outcome]
    assert properties["board"]["properties"]["protection"]["enum"] == [
        Verdict.UNPROTECTED.value,
        Verdict.PROTECTED.value,
        Verdict.UNDETERMINED.value,
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("record",), 2),
        (("run",), "XYZ"),
        (("outcome",), "ok"),
        (("started",), "today"),
        (("images", "application"), "4EF1"),
        (("recipe", "author"), "somebody"),
        (("board", "port"), "usb1"),
        (("steps", 0, "outcome"), "passed"),
        (("steps", 0, "duration_s"), -1),
        (("anomalies", "STALL"), 0),
        (("colour",), "green"),
    ],
)
def test_the_schema_refuses_what_is_no_record(
    dfurun: Dfurun, recipes: Path, record: Path, path: tuple[str | int, ...], value: Any
) -> None:
    dfurun(recipes / "f072-release.yaml", *SIMULATED, "--record", record)
    told: Any = read(record)
    parent = told
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    assert len(mistakes(told)) == 1
