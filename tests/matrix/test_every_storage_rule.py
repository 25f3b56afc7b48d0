"""A sample of the fault matrix over one chip of every storage rule, and what was once broken there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dfurun.chips import load_chip
from dfurun.matrix import KINDS, Matrix, Survived, fault_matrix
from dfurun.matrix.hands import DEBUGGER, LOCKED, PUT_IT_BACK
from dfurun.matrix.matrix import Case, Trying
from dfurun.matrix.starts import starts
from dfurun.plan import compile_recipe

SAMPLE = 25
# What a product with the chip may set: what starts, the brownout level, what is protected.
BOOT = {
    "stm32f042x6": "nBOOT0: 1, nBOOT1: 1, BOOT_SEL: 1",
    "stm32f072xb": "nBOOT0: 1, nBOOT1: 1, BOOT_SEL: 1",
    "stm32f303xc": "nBOOT1: 1, SRAM_PE: 0",
    "stm32f405xg": "BOR_LEV: 0, WDG_SW: 1",
    "stm32f427xi": "BFB2: 0, BOR_LEV: 1, nWRP: 0xFFF, nWRP_bank2: 0xFFF",
    "stm32f722xe": "BOOT_ADD0: 0x0080, BOOT_ADD1: 0x0040, nWRP: 0xFF, BOR_LEV: 2",
    "stm32l072xz": "nBOOT1: 1, BFB2: 0, WRPROT1: 0, WRPROT2: 0, BOR_LEV: 8",
    "stm32l476xg": "nBOOT1: 1, BFB2: 0, DUALBANK: 1, BOR_LEV: 2, WRP1A_STRT: 0xFF, WRP1A_END: 0",
    "stm32g431xb": "nSWBOOT0: 1, nBOOT0: 1, nBOOT1: 1, BOR_LEV: 4",
    "stm32g0b1xb": "nBOOT_SEL: 0, nBOOT0: 1, nBOOT1: 1, BOR_EN: 1",
    "stm32h743xi": "BOOT_ADD0: 0x0800, BOOT_ADD1: 0x1FF0, BOR_LEV: 2",
    "stm32wb55xg": "nSWBOOT0: 1, nBOOT0: 1, nBOOT1: 1, BOR_LEV: 1",
    "stm32u575xi": "nSWBOOT0: 1, nBOOT0: 1, BOR_LEV: 1",
}
PIN_IGNORED = "stm32g0b1xb"
RecipeFor = Callable[..., Path]


@pytest.fixture
def recipe_for(tmp_path: Path) -> RecipeFor:
    """Write a recipe for a chip with an image of its own, of no whole block."""

    def write(name: str, *steps: str) -> Path:
        chip = load_chip(name)
        start = chip.flash.extent.start
        table = chip.ram.end.to_bytes(4, "little") + (start | 0x101).to_bytes(4, "little")
        (tmp_path / "app.bin").write_bytes(table + bytes(range(1, 250)) * 9)
        lines = ["dfurun: 1", "name: a", f"chip: {name}"]
        if any("app" in step for step in steps):
            lines.append(f"images: {{app: {{file: app.bin, address: 0x{start:08X}}}}}")
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text("\n".join([*lines, "steps:", *(f"  - {step}" for step in ("connect", *steps))]) + "\n")
        return recipe

    return write


def tried(recipe: Path, *kinds: str, most: int = SAMPLE) -> Matrix:
    """Return what comes of faults of these kinds, of all where none is named."""
    return fault_matrix(recipe, kinds=[k for k in KINDS if not kinds or k.name in kinds], most=most, jobs=1)


def first_hand(recipe: Path) -> str:
    """Return what only a person can do, of the first power cut within the second step that needs one, on the first board."""
    trying = Trying(compile_recipe(recipe))
    start, kind = starts(trying.compiled.runnable())[0], next(kind for kind in KINDS if kind.name == "power cut")
    for n, step in enumerate(trying.clean(start)[0].seen.transfers):
        if step == 1:
            trial = trying.trial(Case(kind, f"power-cut:at={n}", step, start))
            assert [breach.words for breach in trial.breaches] == []
            if trial.survived is Survived.BY_HAND:
                return trial.hand
    return ""


def complaints(matrix: Matrix) -> list[str]:
    return [
        f"{trial.case.fault} on a board with {trial.case.start.name}: {breach.invariant}: {breach.words}"
        for trial in matrix.broken
        for breach in trial.breaches
    ]


@pytest.mark.parametrize("name", BOOT)
def test_a_release_survives_on_every_kind_of_option_bytes(recipe_for: RecipeFor, name: str) -> None:
    """Option bytes and their read-back, before the write where the bootloader is not reached otherwise."""
    setting = f"{{fields: {{RDP: level-0, {BOOT[name]}}}}}"
    options = (f"set-option-bytes: {setting}", f"check-option-bytes: {setting}")
    write = ("erase: {image: app}", "write: {image: app}", "verify: {image: app}")
    steps = (*options, *write) if name == PIN_IGNORED else (*write, *options)
    matrix = tried(recipe_for(name, "unprotect", *steps, "leave-dfu"))
    assert complaints(matrix) == []
    assert len(matrix.trials) == SAMPLE
    assert {start.name for start in matrix.starts} >= {"other firmware", "read-protected"}


@pytest.mark.parametrize("kind", ["disconnect, back in 1 s", "disconnect"])
def test_a_board_that_is_lost_between_two_blocks_of_option_bytes_gets_the_second(
    recipe_for: RecipeFor, kind: str
) -> None:
    """Each bank of an F42x has a block of its own, and each write of one resets the board."""
    setting = "set-option-bytes: {fields: {BOR_LEV: 1, nWRP: 0xFFF, nWRP_bank2: 0xFFF}}"
    matrix = tried(recipe_for("stm32f427xi", setting), kind, most=45)
    assert complaints(matrix) == []
    assert [start.name for start in matrix.starts] == ["other firmware", "other option bytes"]


def test_a_recipe_that_opens_and_locks_a_board_survives(recipe_for: RecipeFor) -> None:
    """Its second run opens what the first has locked, and begins anew: on a board whose first run was lost it need not."""
    lock = "set-option-bytes: {fields: {RDP: level-1, SRAM_PE: 0}}"
    steps = ("unprotect", "erase: {image: app}", "write: {image: app}", "verify: {image: app}", lock, "leave-dfu")
    matrix = tried(recipe_for("stm32f303xc", *steps), "disconnect", "disconnect, back in 1 s", "power cut", most=45)
    assert complaints(matrix) == []


def test_a_page_that_was_kept_is_put_back_on_a_board_that_is_write_protected_at_the_end(recipe_for: RecipeFor) -> None:
    """The run by hand passes, where one without a fault finds the pages protected."""
    steps = ("write: {image: app, mode: changed}", "verify: {image: app}")
    protect = "set-option-bytes: {write-protect: [{pages: 0-1}]}"
    assert first_hand(recipe_for("stm32f303xc", *steps, protect)) == PUT_IT_BACK


def test_a_page_that_holds_the_image_is_erased_to_put_back_what_was_beside_it(recipe_for: RecipeFor) -> None:
    """The power went between the two blocks of a page, the second of which is beside the image."""
    steps = ("write: {image: app, mode: changed}", "verify: {image: app}")
    matrix = tried(recipe_for("stm32g431xb", *steps), "power cut", most=60)
    assert complaints(matrix) == []


@pytest.mark.parametrize(("name", "hand"), [("stm32f722xe", DEBUGGER), ("stm32g0b1xb", LOCKED)])
def test_a_chip_whose_erased_option_bytes_start_no_bootloader_is_told_apart(
    recipe_for: RecipeFor, name: str, hand: str
) -> None:
    """An F7 whose power goes within the write is reached by a debugger alone, a G0B1 (BOOT_LOCK) by nothing."""
    assert first_hand(recipe_for(name, "set-option-bytes: {fields: {nRST_STOP: 0}}")) == hand


def test_a_chip_that_ignores_boot0_from_the_factory_is_tried_on_boards_that_start_the_bootloader(
    recipe_for: RecipeFor,
) -> None:
    recipe = compile_recipe(recipe_for(PIN_IGNORED, "set-option-bytes: {fields: {BOR_EN: 1}}")).runnable()
    chip, layout = recipe.chip, recipe.chip.option_bytes
    assert not chip.reaches_bootloader(layout.decode(layout.factory))
    assert all(chip.reaches_bootloader(layout.decode(start.option_bytes)) for start in starts(recipe))


@pytest.mark.parametrize("name", ["stm32g0b1xb", "stm32g474xe", "stm32f767xi", "stm32h743xi", "stm32l552xc"])
def test_a_recipe_that_erases_pages_is_tried_on_boards_whose_pages_are_known(recipe_for: RecipeFor, name: str) -> None:
    """All other fields have other values than the factory's there: with one that moves pages every run would be refused."""
    recipe = compile_recipe(recipe_for(name, "write: {image: app, mode: changed}", "verify: {image: app}")).runnable()
    layout = recipe.chip.option_bytes
    for start in starts(recipe):
        assert recipe.chip.moved_pages(layout.decode(start.option_bytes)) == ()
        assert start.option_bytes != layout.factory


def test_option_bytes_behind_the_write_are_too_late_for_a_bootloader_that_is_out_of_reach(
    recipe_for: RecipeFor,
) -> None:
    """`unprotect` has set the factory's option bytes, and once the flash has a program BOOT0 does not count."""
    write = ("mass-erase", "write: {image: app}", "verify: {image: app}")
    late = recipe_for(PIN_IGNORED, "unprotect", *write, "set-option-bytes: {fields: {nBOOT_SEL: 0}}")
    matrix = tried(late, "disconnect", most=60)
    assert {trial.case.start.name for trial in matrix.broken} == {"read-protected"}
    assert {breach.words.partition(",")[0] for trial in matrix.broken for breach in trial.breaches} >= {
        "no level of BOOT0 starts the bootloader"
    }
