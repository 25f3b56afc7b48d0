"""`dfurun check` on a recipe with each firmware file of tests/cases/images: the broken ones have their findings, the good none.

DFURUN_UPDATE_GOLDEN=1 writes the .txt files anew; the diff is for a review.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from cases.images.make import CASES, FOLDER, TOOLS
from command_line import Dfurun, Finished
from firmware_files import FIRMWARE, FLASH

from dfurun.errors import Code, ExitStatus, Severity
from dfurun.image import ImageError, MemoryImage, Piece, read_image
from dfurun.image.formats import format_of
from dfurun.image.raw_binary import RAW_BINARY

WARNINGS = {str(code) for code in Code if code.severity is Severity.WARNING}
ADDRESSES = {name: case.address for name, case in CASES.items()} | {
    name: FLASH if name == "ok-tool-dfu-suffix.dfu" else None for name in TOOLS
}
RECIPE = """dfurun: 1
name: an image
chip: stm32f072xb
images:
  application:
    file: {file}
    sha256: "{sha256}"
{address}steps:
  - connect
  - mass-erase
  - write: {{image: application}}
  - verify: {{image: application}}
  - leave-dfu
"""


def check(dfurun: Dfurun, folder: Path, name: str) -> Finished:
    """Check a recipe with this file, pinned."""
    shutil.copy(FOLDER / name, folder / name)
    sha256 = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    given = ADDRESSES[name]
    address = "" if given is None else f"    address: 0x{given:08X}\n"
    (folder / "recipe.yaml").write_text(RECIPE.format(file=name, sha256=sha256, address=address))
    return dfurun("check", "recipe.yaml")


@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_a_firmware_file_gives_the_findings_of_its_golden_file(dfurun: Dfurun, tmp_path: Path, name: str) -> None:
    done = check(dfurun, tmp_path, name)
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("DFURUN_UPDATE_GOLDEN"):
        golden.write_text(done.out, encoding="utf-8", newline="\n")
    assert done.out == golden.read_text(encoding="utf-8")
    assert done.err == ""
    errors = done.codes - WARNINGS
    assert done.exit == (ExitStatus.INVALID if errors else ExitStatus.DONE)
    assert name.startswith("ok-") == (not done.codes)


@pytest.mark.parametrize("name", sorted(name for name in ADDRESSES if name.startswith("ok-")))
def test_a_good_file_of_any_format_holds_the_same_firmware(name: str) -> None:
    image = read_image("application", FOLDER / name, address=ADDRESSES[name])
    assert image.memory == MemoryImage((Piece(FLASH, FIRMWARE),))


# A web page without a record, and a binary without its suffix: only the name says what they were meant to be.
TOLD_BY_NAME = {"srec-page.s37", "suffix-missing.dfu"}


def is_raw_binary(data: bytes) -> bool:
    """Say whether a file of this content and no telling name would be flashed as it is."""
    try:
        return format_of("firmware.bin", data) is RAW_BINARY
    except ImageError:
        return False


def test_a_damaged_file_is_never_taken_for_raw_binary_whatever_it_is_called() -> None:
    formats = ("hex-", "srec-", "elf-", "dfuse-", "suffix-")
    damaged = {name: case.data for name, case in CASES.items() if name.startswith(formats)}
    assert {name for name, data in damaged.items() if is_raw_binary(data)} == TOLD_BY_NAME


def test_the_files_are_those_that_the_script_makes() -> None:
    assert {name: (FOLDER / name).read_bytes() for name in CASES} == {name: case.data for name, case in CASES.items()}


def test_every_file_is_a_case_and_every_golden_file_has_its_file() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.is_file()} - {"make.py", ".gitattributes"}
    assert files == set(ADDRESSES) | {f"{name}.txt" for name in ADDRESSES}
    assert len([name for name in CASES if not name.startswith("ok-")]) >= 35


def test_a_file_of_100_mebibytes_is_a_finding(dfurun: Dfurun, tmp_path: Path) -> None:
    with (tmp_path / "disk.bin").open("wb") as file:
        file.truncate(100 * 1024 * 1024)  # sparse
    recipe = RECIPE.format(file="disk.bin", sha256="0" * 64, address="    address: 0x08000000\n")
    (tmp_path / "recipe.yaml").write_text(recipe)
    done = dfurun("check", "recipe.yaml")
    assert (done.exit, done.codes) == (3, {"image-invalid"})
    assert "disk.bin is larger than 64 MiB, no firmware for a microcontroller" in done.out
