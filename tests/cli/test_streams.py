"""What the standard streams may do to the command line: another encoding, a full disk, no reader."""

from __future__ import annotations

import os
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


CLOSE = {"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}


def with_closed(*streams: str, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a shell does that closes these streams first."""
    command = f'exec "$0" -m dfurun "$@" {" ".join(CLOSE[stream] for stream in streams)}'
    return subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state")},
    )


shell = pytest.mark.skipif(os.name == "nt", reason="no /bin/sh on this system")


@shell
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr"), ("stdin", "stdout", "stderr")])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["chips"], 0),
        (["info", "--sim"], 0),
        (["info", "--sim", "--json"], 0),
        (["check", str(ROOT / "recipes/f072-release.yaml")], 0),
        (["check", "absent.yaml"], 3),
        (["chips", "show", "stm32"], 2),
    ],
    ids=lambda value: " ".join(value).replace(str(ROOT), "") if isinstance(value, list) else str(value),
)
def test_a_stream_closed_from_the_start_is_as_dev_null(
    streams: tuple[str, ...], words: list[str], status: int, tmp_path: Path
) -> None:
    done = with_closed(*streams, words=words, folder=tmp_path)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@shell
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdin", "stdout", "stderr")])
def test_a_board_is_flashed_and_its_file_is_whole_with_streams_closed(streams: tuple[str, ...], tmp_path: Path) -> None:
    recipe = str(ROOT / "recipes/f072-release.yaml")
    words = [recipe, "--sim-state", "board.json", "--sim-clock", "virtual", "--log", "run.log"]
    done = with_closed(*streams, words=words, folder=tmp_path)
    assert done.returncode == 0
    assert ("PASS" in done.stderr) == ("stderr" not in streams)
    assert "Traceback" not in done.stderr
    assert in_a_process("sim", "show", "board.json", folder=tmp_path).exit == 0
