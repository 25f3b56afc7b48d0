"""`dfurun check --faults`: the fault matrix on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun

RECIPE = """\
dfurun: 1
name: a
chip: stm32f072xb
images:
  a: {file: a.bin, address: 0x08000000}
steps:
"""
VECTORS = (0x20004000).to_bytes(4, "little") + (0x08000009).to_bytes(4, "little")


def recipe_with(folder: Path, *steps: str) -> Path:
    (folder / "a.bin").write_bytes(VECTORS + bytes(range(200)))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE + "".join(f"  - {step}\n" for step in steps))
    return recipe


@pytest.fixture
def verified(tmp_path: Path) -> Path:
    return recipe_with(tmp_path, "connect", "erase: {image: a}", "write: {image: a}", "verify: {image: a}", "leave-dfu")


@pytest.fixture
def unverified(tmp_path: Path) -> Path:
    return recipe_with(tmp_path, "connect", "mass-erase", "write: {image: a}")


def test_a_sound_recipe_survives_and_the_table_says_so(dfurun: Dfurun, verified: Path) -> None:
    done = dfurun("check", "--faults", verified, "--fault-budget", 200, "--jobs", 1)
    assert (done.exit, done.codes) == (0, {"unpinned-image"})
    assert "steps: 1 connect, 2 erase, 3 write, 4 verify, 5 leave-dfu\n" in done.out
    runs = int(done.out.split(f"{verified}: ")[2].split(" runs")[0].replace(",", ""))
    assert runs > 500
    rows = {line[:24].strip(): line[24:].split() for line in done.out.splitlines()}
    assert len(rows["stall"]) == 5
    assert all(cell.isdigit() for cell in rows["stall"])
    assert all(cell.startswith("0+") for cell in rows["disconnect"][:4])


def test_a_recipe_that_verifies_nothing_is_told_which_lost_write_it_does_not_see(
    dfurun: Dfurun, unverified: Path
) -> None:
    done = dfurun("check", "--faults", unverified, "--jobs", 1)
    assert done.exit == 1
    assert "faults-not-survived" in done.codes
    assert "broken: lost block in step 3 write, board with other firmware\n" in done.out
    assert (
        "success is reported only of a board that is right: exit 0, and the flash is wrong from 0x08000000 on"
        in done.out
    )
    line = next(line for line in done.out.splitlines() if "to try it" in line and "lost-program" in line)
    again = dfurun(*line.split("dfurun ")[1].split())
    assert again.exit == 0  # and nobody is told: that is the point


def test_a_sample_of_all_cases_says_how_many_are_left_out(dfurun: Dfurun, verified: Path) -> None:
    done = dfurun("check", "--faults", verified, "--fault-sample", 50, "--fault-seed", 3, "--jobs", 1)
    assert done.exit == 0
    assert " runs on a simulated STM32F072xB, 50 cases, " in done.out
    assert " more cases left out" in done.out


def test_json_has_every_cell_and_every_broken_case(dfurun: Dfurun, unverified: Path) -> None:
    done = dfurun("check", "--faults", unverified, "--json", "--jobs", 1)
    assert done.exit == 1
    matrix = next(line for line in done.lines if line["event"] == "survival")
    assert matrix["steps"] == ["connect", "mass-erase", "write"]
    assert (
        sum(sum(row[key] for key in ("in_one_run", "by_second_run", "by_hand", "broken")) for row in matrix["rows"])
        == (matrix["cases"])
    )
    assert matrix["runs"] >= 2 * matrix["cases"]
    assert {(case["kind"], case["step"], case["exit"]) for case in matrix["broken"]} == {
        ("lost block", 3, 0),
        ("flipped bit", 3, 0),
    }
    assert done.lines[-1]["error"]["code"] == "faults-not-survived"


def test_markdown_is_a_table_that_a_pull_request_shows(dfurun: Dfurun, verified: Path) -> None:
    done = dfurun("check", "--faults", verified, "--format", "markdown", "--fault-budget", 100, "--jobs", 1)
    assert done.exit == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("### Fault matrix of `")
    header = next(line for line in lines if line.startswith("| fault |"))
    assert header == "| fault | 1 `connect` | 2 `erase` | 3 `write` | 4 `verify` | 5 `leave-dfu` | whole run |"
    assert {line.count("|") for line in lines if line.startswith("|")} == {header.count("|")}
    assert "**" in lines[-1]
    assert "broken" not in lines[-1]


def test_a_recipe_that_passes_on_no_simulated_board_is_not_tried(dfurun: Dfurun, tmp_path: Path) -> None:
    recipe = recipe_with(
        tmp_path, "connect", "mass-erase", "write: {image: a}", "check-option-bytes: {fields: {DATA0: 5}}"
    )
    done = dfurun("check", "--faults", recipe, "--jobs", 1)
    assert done.exit == 1
    assert "no-clean-run" in done.codes
    assert "DATA0 is 0xFF, not 0x05" in done.err


def test_a_recipe_that_is_not_sound_is_not_tried(dfurun: Dfurun, tmp_path: Path) -> None:
    done = dfurun("check", "--faults", recipe_with(tmp_path, "connect", "write: {image: a}"))
    assert done.exit == 3
    assert "runs on a simulated" not in done.out
