"""Firmware files of every format through a whole run; option bytes that an image holds are never written."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.images.make import FOLDER
from command_line import Dfurun
from firmware_files import FIRMWARE

RECIPE = """dfurun: 1
name: formats
chip: stm32f072xb
images: {{application: {{file: {file}{address}}}}}
steps: [connect, erase: {{image: application}}, write: {{image: application}}, verify: {{image: application}}, leave-dfu]
"""


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ok-firmware.hex", ""),
        ("ok-firmware.s37", ""),
        ("ok-firmware.elf", ""),
        ("ok-firmware.dfu", ""),
        ("ok-suffixed.dfu", ", address: 0x08000000"),
        ("hex-option-bytes.hex", ""),
        ("dfuse-option-bytes.dfu", ""),
    ],
)
def test_a_file_of_any_format_is_flashed(dfurun: Dfurun, tmp_path: Path, name: str, address: str) -> None:
    (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(file=name, address=address))
    assert dfurun("sim", "new", "board.json").exit == 0
    done = dfurun("recipe.yaml", "--sim-state", "board.json", "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    assert ("option-bytes-in-image" in done.codes) == ("option-bytes" in name)
    assert "verify" in done.err
    assert "32 bytes are equal" in done.err
    assert dfurun("sim", "dump", "board.json", "flash.bin").exit == 0
    assert (tmp_path / "flash.bin").read_bytes() == FIRMWARE.ljust(128 * 1024, b"\xff")
    options = dfurun("sim", "show", "board.json", "--json").lines[1]["option_bytes"]
    assert options == dict.fromkeys(("stored", "in_force"), "aa55ff00ff00ff00ff00ff00ff00ff00")
