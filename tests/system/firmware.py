"""Images that the system tests flash: a vector table that the chip starts, and contents that no two places share."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from dfurun.chips import Chip


def image(chip: Chip, size_bytes: int, *, seed: int = 1) -> bytes:
    """Return an application of this size: initial stack pointer, reset vector, noise."""
    vectors = chip.ram.end.to_bytes(4, "little") + (chip.flash.extent.start + 0x101).to_bytes(4, "little")
    return vectors + random.Random(seed).randbytes(size_bytes - len(vectors))


def sha(data: bytes) -> str:
    """Return enough of a SHA-256 to compare by eye."""
    return hashlib.sha256(data).hexdigest()[:16]


def recipe(
    folder: Path, steps: str, *, application: bytes | None = None, chip: str = "stm32f072xb", supply: str = ""
) -> Path:
    """Write a recipe with these steps, and the image `application` beside it; return its path. `supply` is as `3.3V`."""
    text = f"dfurun: 1\nname: system test\nchip: {chip}\n"
    if supply:
        text += f"supply: {supply}\n"
    if application is not None:
        (folder / "application.bin").write_bytes(application)
        digest = hashlib.sha256(application).hexdigest()
        text += f'images:\n  application: {{file: application.bin, address: 0x08000000, sha256: "{digest}"}}\n'
    file = folder / "recipe.yaml"
    file.write_text(f"{text}steps:\n{steps}")
    return file
