"""What a person does where no second run of the recipe puts a board right: done on the simulated board, and seen to help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dfurun.errors import Code
from dfurun.image import read_image
from dfurun.matrix.intended import intended, starts_rom
from dfurun.matrix.trial import Run, TrialBench
from dfurun.plan import Compiled, interpret
from dfurun.recipe.recipe import Recipe
from dfurun.steps.connect import Connect
from dfurun.steps.step import Head, Step
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.write import Write

OPEN_IT = (
    "the board reads as protected: run a recipe with `unprotect`, which erases all flash and sets the factory's option bytes, "
    "then this one"
)
AND_FLASH_IT = f"{OPEN_IT}, which finds no application: flash the board anew"
PUT_IT_BACK = "put back what the run has kept of a page, or remove the file: the message says how; then run this recipe"
DEBUGGER = (
    "the power went while option bytes were written, and erased ones start no bootloader on this chip: a debugger sets those "
    "of the factory, then this recipe"
)
LOCKED = "nothing helps: the power went while option bytes were written, and erased ones lock this chip for good"
LOST_IN_UNPROTECT = (
    "`unprotect` opened a board whose option bytes the power had cut: what the recipe does not set of them, and does not write "
    "of the flash, is lost; the journal has the option bytes"
)


def by_hand(bench: TrialBench, compiled: Compiled, second: Run, wanted: Run) -> str:
    """Do what the second run's ending asks for; return it in words, empty where nothing that a person can do helps.

    `wanted` is what the board is like after two runs without a fault.
    """
    recipe = compiled.runnable()
    code = second.finished.code if second.finished else None
    if code is Code.KEPT_PAGE:
        return PUT_IT_BACK if _put_back(bench, compiled, wanted) else ""
    if code is Code.NO_DEVICE and recipe.chip.lost_with_torn_options and not starts_rom(recipe.chip, second.before):
        return LOCKED if recipe.chip.locked_with_torn_options else _with_debugger(bench, compiled)
    if code is Code.PROTECTED and second.after.protected:
        return _unprotect(bench, compiled)
    was_opened = second.passed and second.before.protected and not second.after.protected
    right = second.after.same_as(intended(recipe, second.before), recipe.chip)
    return LOST_IN_UNPROTECT if was_opened and right else ""


def _unprotect(bench: TrialBench, compiled: Compiled) -> str:
    """Open the board with a recipe that unprotects, run the recipe again, and say what a person did where all is right."""
    recipe = compiled.runnable()
    opened = bench.run(_other(recipe, (Connect(_head(0)), Unprotect(_head(1)))))
    again = bench.run(compiled)
    right = opened.passed and again.after.same_as(intended(recipe, again.before), recipe.chip)
    if right and again.passed:
        return OPEN_IT
    lacks_firmware = again.finished is not None and again.finished.code is Code.NO_APPLICATION
    return AND_FLASH_IT if right and lacks_firmware else ""


def _with_debugger(bench: TrialBench, compiled: Compiled) -> str:
    """Set the factory's option bytes on an empty board, as a regression by a debugger does, and run the recipe again."""
    recipe, board = compiled.runnable(), bench.board
    board.replace_flash(b"")
    board.replace_option_bytes(recipe.chip.option_bytes.factory)
    bench.power_cycle()
    again = bench.run(compiled)
    lacks_firmware = again.finished is not None and again.finished.code is Code.NO_APPLICATION
    right = again.after.same_as(intended(recipe, again.before), recipe.chip)
    return DEBUGGER if right and (again.passed or lacks_firmware) else ""


def _put_back(bench: TrialBench, compiled: Compiled, wanted: Run) -> bool:
    """Write what was kept as the message says, run the recipe again, and say whether the board is right."""
    recipe = compiled.runnable()
    writes = tuple(_writes(bench.journals))
    written = bench.run(_other(recipe, (Connect(_head(0)), *writes)))
    again = bench.run(compiled)
    ended = again.passed or again.ends_like(
        wanted
    )  # a recipe that protects what it writes ends otherwise the next time
    return written.passed and ended and again.after.same_as(wanted.after, recipe.chip)


def _writes(journals: Path) -> Iterator[Step]:
    for index, file in enumerate(sorted(journals.glob("*.bin")), start=1):
        address = int(file.stem.rpartition("-")[2], 16)
        image = read_image(file.name, file, address=address, sha256=None, size_bytes=None)
        yield Write(_head(index), image, only_changed=True)


def _other(recipe: Recipe, steps: tuple[Step, ...]) -> Compiled:
    """Return a recipe for the same board with other steps."""
    other = replace(recipe, steps=steps)
    return Compiled(other, interpret(other), ())


def _head(index: int) -> Head:
    return Head(index, ("steps", index))
