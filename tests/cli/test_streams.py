"""What the standard streams may do to the command line: another encoding, a full disk, no reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, in_a_process

RECIPE = 'dfurun: 1\nname: "Prüfstand \U0001f680"\nchip: stm32f072xb\nsteps: [connect]\n'
FULL = Path("/dev/full")

full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")


def test_json_lines_are_json_in_every_encoding_of_the_stream(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    done = in_a_process("recipe.yaml", "--sim", "--json", folder=tmp_path, PYTHONIOENCODING="ascii")
    assert done.exit == 0, done.err
    assert "Prüfstand \U0001f680" in [line.get("recipe") for line in done.lines]


def onto_a_full_disk(*words: str) -> tuple[int, str]:
    with FULL.open("w") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "dfurun", *words], stdout=stream, stderr=subprocess.PIPE, check=False, cwd=ROOT
        )
    return done.returncode, done.stderr.decode()


@full
@pytest.mark.parametrize(
    "words",
    [["--version"], ["check", "recipes/f072-release.yaml"], ["check", "recipes/f072-release.yaml", "--json"]],
)
def test_a_product_that_cannot_be_written_fails_in_one_line(words: list[str]) -> None:
    status, said = onto_a_full_disk(*words)
    assert (status, said) == (1, "standard output cannot be written: No space left on device\n")


@full
def test_a_failure_keeps_its_status_on_a_full_disk() -> None:
    assert onto_a_full_disk("check", "absent.yaml")[0] == 3
