"""What a recipe makes of a board, worked out from the recipe alone, held against hand-made boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfurun.chips import load_chip
from dfurun.matrix.intended import Contents, intended, stages
from dfurun.matrix.starts import other_firmware, starts
from dfurun.plan import compile_recipe
from dfurun.recipe.recipe import Recipe

CHIP = load_chip("stm32f072xb")
FACTORY = CHIP.option_bytes.factory
FIRMWARE = other_firmware(CHIP)
BOOT_BITS_CLEARED = bytes.fromhex("aa557788ff00ff00ff00ff00ff00ff00")
LEVEL_1 = bytes.fromhex("bb44ff00ff00ff00ff00ff00ff00ff00")


def recipe_of(folder: Path, *steps: str) -> Recipe:
    (folder / "a.bin").write_bytes(bytes(range(8)))
    lines = [
        "dfurun: 1",
        "name: a",
        "chip: stm32f072xb",
        "images:",
        "  a: {file: a.bin, address: 0x08000800}",
        "steps:",
    ]
    recipe = folder / "recipe.yaml"
    recipe.write_text("\n".join([*lines, *(f"  - {step}" for step in ("connect", *steps))]) + "\n")
    return compile_recipe(recipe).runnable()


def test_a_write_lays_the_image_over_the_page_that_was_erased(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "erase: {pages: 1}", "write: {image: a}", "verify: {image: a}")
    flash = intended(recipe, Contents(FIRMWARE, FACTORY, protected=False)).flash
    assert flash == FIRMWARE[:0x800] + bytes(range(8)) + b"\xff" * 0x7F8 + FIRMWARE[0x1000:]


def test_a_mass_erase_leaves_option_bytes(tmp_path: Path) -> None:
    after = intended(recipe_of(tmp_path, "mass-erase"), Contents(FIRMWARE, BOOT_BITS_CLEARED, protected=False))
    assert after == Contents(b"\xff" * len(FIRMWARE), BOOT_BITS_CLEARED, protected=False)


@pytest.mark.parametrize(
    ("protected", "flash", "option_bytes"),
    [(True, b"\xff" * len(FIRMWARE), FACTORY), (False, FIRMWARE, BOOT_BITS_CLEARED)],
)
def test_unprotect_erases_a_protected_board_alone(
    tmp_path: Path, *, protected: bool, flash: bytes, option_bytes: bytes
) -> None:
    recipe = recipe_of(tmp_path, "unprotect")
    after = intended(recipe, Contents(FIRMWARE, BOOT_BITS_CLEARED, protected=protected))
    assert (after.flash, after.option_bytes) == (flash, option_bytes)


@pytest.mark.parametrize(
    ("body", "option_bytes"),
    [
        ("{fields: {BOOT_SEL: 1}}", "aa55f708ff00ff00ff00ff00ff00ff00"),
        ("{from: factory}", "aa55ff00ff00ff00ff00ff00ff00ff00"),
        ("{from: factory, fields: {DATA0: 0x12}}", "aa55ff0012edff00ff00ff00ff00ff00"),
    ],
)
def test_option_bytes_that_are_not_named_stay(tmp_path: Path, body: str, option_bytes: str) -> None:
    recipe = recipe_of(tmp_path, f"set-option-bytes: {body}")
    before = Contents(FIRMWARE, BOOT_BITS_CLEARED, protected=False)
    assert [stage.option_bytes.hex() for stage in stages(recipe, before)] == [
        BOOT_BITS_CLEARED.hex(),
        BOOT_BITS_CLEARED.hex(),
        option_bytes,
    ]


def test_the_boards_that_a_recipe_is_tried_on(recipes: Path) -> None:
    """Each has option bytes of its own where the recipe sets none; write-protected is nothing that it erases or writes."""
    release = compile_recipe(recipes / "f072-release.yaml").runnable()
    boards = {start.name: CHIP.option_bytes.decode(start.option_bytes) for start in starts(release)}
    assert list(boards) == [
        "other firmware",
        "read-protected",
        "other option bytes",
        "other option bytes, loaded at reset",
    ]
    factory = CHIP.option_bytes.decode(FACTORY)
    own, protected, different, reloaded = boards.values()
    assert {name for name, value in own.items() if value != factory[name]} == {
        *("nRST_STOP", "nRST_STDBY", "WDG_SW", "VDDA_MONITOR", "RAM_PARITY_CHECK"),
        *("DATA0", "DATA1"),
    }
    assert protected == own | {"RDP": "level-1"}
    assert different == reloaded == own | {"nBOOT0": 0, "BOOT_SEL": 0}
    unprotect = compile_recipe(recipes / "f072-unprotect.yaml").runnable()
    assert [start.name for start in starts(unprotect)] == ["other firmware", "read-protected"]
