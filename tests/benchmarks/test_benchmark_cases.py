"""A case that is written into files takes as long, run by hand, as the page says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import cases, modelled
from benchmarks.modelled import Case

CASES = {case.name: case for case in cases.WRITTEN}
AROUND_S = 0.002  # what the page allows for what comes before the first DFU request, and for the last one's answer


def run(case: Case, folder: Path, seed: int = 0) -> float:
    """Return the seconds that dfurun tells."""
    words = cases.options(case, cases.write(folder, case), seed)
    done = subprocess.run(
        [sys.executable, "-m", "dfurun", *words, "--json"],
        env=os.environ | {"DFURUN_STATE_DIR": str(folder / "state")}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return next(float(event["duration_s"]) for event in events if event["event"] == "unit-result")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if name.startswith("f072") and not case.faults])
def test_a_clean_case_takes_as_long_by_hand(name: str, tmp_path: Path) -> None:
    assert 0 <= run(CASES[name], tmp_path) - modelled.measure(CASES[name]).median.seconds <= AROUND_S


def test_the_seed_that_is_told_is_that_of_the_median(tmp_path: Path) -> None:
    result = modelled.measure(CASES["f072-no-getstate-busy"], most_seeds=5)
    assert 0 <= run(result.case, tmp_path, result.seed) - result.median.seconds <= AROUND_S
    assert f"missed-service:p=0.7,getstate=1,seed={result.seed} " in cases.command(result)


@pytest.mark.parametrize("name", ["f405-verify-bytes-true", "f405-verify-words-true"])
def test_true_reports_can_be_had_by_faults(name: str, tmp_path: Path) -> None:
    case = replace(CASES[name], new=CASES[name].new[: 64 * 1024])
    assert 0 <= run(case, tmp_path) - modelled.measure(case).median.seconds <= AROUND_S


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == len(cases.WRITTEN)
    assert "" not in CASES


def test_dfu_util_flashes_the_image_of_the_case() -> None:
    expected = "dfu-util -a 0 -s 0x08000000:mass-erase:force:leave -D build/cases/f072-verify/application.bin"
    assert cases.dfu_util_command("f072-verify") == expected
