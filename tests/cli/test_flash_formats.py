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


def hex_line(address: int, kind: int, data: bytes) -> str:
    record = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{record.hex().upper()}{-sum(record) & 0xFF:02X}\n"


@pytest.mark.parametrize(
    ("options", "pasteable"),
    [
        ("CC33 FE01", "set-option-bytes: {fields: {WDG_SW: 0}}"),
        ("CC33 FF00", ""),
    ],
)
def test_what_is_for_ever_is_in_no_hint_to_paste(dfurun: Dfurun, tmp_path: Path, options: str, pasteable: str) -> None:
    pieces = ((0x0800_0000, FIRMWARE), (0x1FFF_F800, bytes.fromhex(options)))
    lines = [
        line
        for address, data in pieces
        for line in (hex_line(0, 4, address.to_bytes(4, "big")[:2]), hex_line(address & 0xFFFF, 0, data))
    ]
    (tmp_path / "sealed.hex").write_text("".join([*lines, hex_line(0, 1, b"")]))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(file="sealed.hex", address=""))
    done = dfurun("check", "recipe.yaml")
    assert (done.exit, done.codes) == (0, {"option-bytes-in-image", "unpinned-image"}), done.out
    assert "the factory's: RDP: level-2" in done.out, "that it is in the image is told"
    (hint,) = [line for line in done.out.splitlines() if "hint: write and verify leave them out" in line]
    assert "; RDP: level-2 is left out here, as RDP level 2 is for ever: no debugger, no bootloader" in hint
    assert (f"`{pasteable}`" in hint) if pasteable else ("set-option-bytes" not in hint)


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
