"""Two recipes that differ in one thing, in folders of their own, and what `dfurun diff` makes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from firmware_files import vector_table

from dfurun.plan import Compiled, compile_recipe

PAGE = 2048
FIRMWARE = vector_table() + bytes(range(248)) * 20  # 4968 bytes, pages 0 to 2
CALIBRATION = bytes.fromhex("0102030405060708") * 4

# One of everything, each value another than the default of its key.
RICH: Mapping[str, Any] = {
    "dfurun": 1,
    "name": "Rig",
    "chip": "stm32f072xb",
    "supply": "3.3V",
    "allow": ["protects-what-follows"],
    "expect": {"flash-size": "128K", "bootloader-id": 0xA1, "unique-id": ["00112233445566778899AABB"]},
    "images": {
        "application": {"file": "app.bin", "address": "0x08000000"},
        "calibration": {"file": "calibration.bin", "address": "0x0801F800"},
    },
    "steps": [
        {"connect": {"timeout": "20s"}},
        {"check-option-bytes": {"fields": {"RDP": "level-0", "nBOOT1": 1}}},
        {"read": {"range": "0x0801F000+2K", "file": "saved.bin"}},
        {"erase": {"pages": "0-9"}},
        {"write": {"image": "application", "timeout": "1min"}},
        {"verify": {"image": "application"}},
        {"write": {"image": "calibration", "mode": "changed"}},
        {"verify": {"image": "calibration"}},
        {"set-option-bytes": {"fields": {"BOOT_SEL": 1, "nBOOT0": 1, "DATA0": 0x5A}}},
        {"wait-for-power-cycle": {"boot0": 1, "name": "Hold BOOT0"}},
        {"leave-dfu": {"address": "0x08000000"}},
    ],
}


def rich() -> dict[str, Any]:
    return copy.deepcopy(dict(RICH))


def written(folder: Path, recipe: Mapping[str, Any] | str, images: Mapping[str, bytes] | None = None) -> Path:
    """Write a recipe and its images into a folder; return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {"app.bin": FIRMWARE, "calibration.bin": CALIBRATION, **(images or {})}.items():
        (folder / name).write_bytes(data)
    path = folder / "rig.yaml"
    path.write_text(recipe if isinstance(recipe, str) else yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def compiled(folder: Path, recipe: Mapping[str, Any] | str, images: Mapping[str, bytes] | None = None) -> Compiled:
    return compile_recipe(written(folder, recipe, images))
