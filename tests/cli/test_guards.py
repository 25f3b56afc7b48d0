"""Guards: what locks a chip or hides what is on it is refused, before any transfer where the recipe alone tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench import run_on
from command_line import Dfurun

from dfurun.chips import Chip, Guard, load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.departure import Departure
from dfurun.simulator import SimulatedBoard, StateFile

CHIP = load_chip("stm32f072xb")
VIRTUAL = ("--sim-clock", "virtual")


def write_recipe(folder: Path, *lines: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text("\n".join(["dfurun: 1", "name: a guard", "chip: stm32f072xb", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("RDP: level-2", "RDP level 2 is for ever"),
        ("BOOT_SEL: 0", "the BOOT0 pin no longer decides"),
        ("nBOOT0: 0", "nBOOT0 is reserved on this chip"),
        ("nBOOT1: 0", "the bootloader is reached no more"),
    ],
)
def test_a_recipe_that_would_lock_the_board_sends_no_transfer(
    dfurun: Dfurun, tmp_path: Path, fields: str, words: str
) -> None:
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    before = board.read_bytes()
    recipe = write_recipe(tmp_path, "steps:", "  - connect", f"  - set-option-bytes: {{fields: {{{fields}}}}}")
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL)
    assert (done.exit, done.codes) == (6, {"guard"})
    assert words in done.err
    assert board.read_bytes() == before, "the board has seen no transfer at all"


def test_level_2_needs_the_recipe_and_the_command_line(dfurun: Dfurun, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    dfurun("sim", "new", board, "--option-reload", "reset")
    before = board.read_bytes()
    recipe = write_recipe(
        tmp_path, "allow: [rdp-level-2]", "steps:", "  - connect", "  - set-option-bytes: {fields: {RDP: level-2}}"
    )
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL)
    assert (done.exit, done.codes) == (6, {"irreversible"})
    assert board.read_bytes() == before
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL, "--allow-irreversible")
    assert (done.exit, "not-back" in done.codes) == (7, True), "a lost cable looks the same: this is no success"
    assert "the new bytes do not start the bootloader again" in done.err
    assert "RDP level 2 in force" in dfurun("sim", "show", board).out


def test_a_guard_that_needs_the_boards_own_bytes_refuses_before_the_erase(tmp_path: Path) -> None:
    """The recipe names one half of a condition, the board holds the other; nothing may be erased before it is known."""
    guard_of_two = {"BOOT_SEL": 0, "nBOOT0": 0}
    chip = _with_guard(guard_of_two)
    board = SimulatedBoard(
        chip,
        VirtualClock(),
        flash=b"\x55" * 4096,
        option_bytes=chip.option_bytes.encode(chip.option_bytes.factory, {"BOOT_SEL": 0, "nBOOT0": 1, "nBOOT1": 1}),
        boot0=1,
    )
    board.replace_option_bytes(chip.option_bytes.factory)  # the ROM must run to be asked
    board.memory.option_bytes.replace(chip.option_bytes.encode(chip.option_bytes.factory, {"BOOT_SEL": 0}))
    recipe = write_recipe(
        tmp_path,
        "steps:",
        "  - connect",
        "  - mass-erase",
        "  - set-option-bytes: {fields: {nBOOT0: 0}}",
    )
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 6, messages
    assert str(finished.code) == "guard"
    assert board.flash.contents[:4096] == b"\x55" * 4096, "refused before the mass erase"


def test_bits_that_lock_nothing_more_are_left_alone(dfurun: Dfurun, tmp_path: Path) -> None:
    """A board whose BOOT_SEL is 0 already may get other option bytes: the guard is on the transition."""
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    dfurun("sim", "set-option-bytes", board, "USER=0x77")
    recipe = write_recipe(tmp_path, "steps:", "  - connect", "  - set-option-bytes: {fields: {DATA0: 0x12}}")
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL)
    assert done.exit == 0, done.err
    assert "reserved-bit-cleared" in done.codes
    stored = StateFile(board).load(VirtualClock()).option_bytes.stored
    assert stored.hex() == "aa557788" + "12edff00" + "ff00" * 4


def test_option_bytes_that_did_not_take_are_a_failure(
    dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ROM that acknowledges the write, and neither does it nor resets: only the read-back shows it."""
    monkeypatch.setattr("dfurun.dfuse.session.Session.write_option_bytes", lambda session, block, raw: Departure.STAYED)
    recipe = write_recipe(tmp_path, "steps:", "  - connect", "  - set-option-bytes: {fields: {DATA0: 0x12}}")
    done = dfurun(recipe, "--sim", *VIRTUAL)
    assert (done.exit, done.codes) == (1, {"option-bytes-differ", "unreliable-answers"})
    assert "the option bytes were not taken as a whole: writing them again" in done.err
    assert "read back as AA55 FF00 FF00 FF00" in done.err
    assert "written were AA55 FF00 12ED FF00" in done.err
    result = dfurun(recipe, "--sim", *VIRTUAL, "--json").lines[-2]
    assert result["duration_s"] < 4, "a board that still answers is not waited for as for one that has left"


@pytest.mark.parametrize(
    ("chip", "fields", "allow", "low", "high"),
    [
        (
            "stm32f722xe",
            "BOOT_ADD0: 0x0040",
            "application-moved",
            "the application in main flash -> the bootloader",
            "the bootloader, as before",
        ),
        (
            "stm32g0b1xb",
            "nBOOT_SEL: 0",
            "",
            "the application in main flash, as before",
            "the application in main flash -> the bootloader",
        ),
        (
            "stm32g431xb",
            "nSWBOOT0: 0",
            "boot-pin-ignored",
            "the application in main flash, as before",
            "the bootloader -> the application in main flash",
        ),
        (
            "stm32f042x6",
            "nBOOT1: 0",
            "bootloader-hidden",
            "the application in main flash, as before",
            "the bootloader -> whatever is in SRAM",
        ),
        (
            "stm32h743xi",
            "BOOT_ADD0: 0x0900",
            "application-hidden",
            "the application in main flash -> what lies outside all memories that hold programs",
            "the bootloader, as before",
        ),
    ],
)
def test_a_change_says_what_starts_at_each_level_of_boot0_before_and_after(
    dfurun: Dfurun, tmp_path: Path, chip: str, fields: str, allow: str, low: str, high: str
) -> None:
    recipe = tmp_path / "boots.yaml"
    step = f"set-option-bytes: {{fields: {{{fields}}}}}"
    recipe.write_text(f"dfurun: 1\nname: t\nchip: {chip}\nallow: [{allow}]\nsteps:\n  - connect\n  - {step}\n")
    done = dfurun(recipe, "--sim", *VIRTUAL)
    assert f"BOOT0 low  starts {low}\n" in done.err
    assert f"BOOT0 high starts {high}\n" in done.err
    (planned,) = [line for line in dfurun(recipe, "--sim", *VIRTUAL, "--json").lines if "boots_after" in line]
    assert set(planned["boots_before"]) == set(planned["boots_after"]) == {"boot0=0", "boot0=1"}
    assert (planned["boots_before"] != planned["boots_after"]) is ("->" in low + high)


def test_a_change_of_what_starts_nothing_says_nothing_of_it(dfurun: Dfurun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "steps:", "  - connect", "  - set-option-bytes: {fields: {DATA0: 0x12}}")
    assert "BOOT0 low" not in dfurun(recipe, "--sim", *VIRTUAL).err
    (planned,) = [line for line in dfurun(recipe, "--sim", *VIRTUAL, "--json").lines if "boots_after" in line]
    assert planned["boots_before"] == planned["boots_after"] == {}


def _with_guard(when: dict[str, int]) -> Chip:
    return replace(
        CHIP, guards=(Guard("boots-for-ever", when, False, "the board would start its bootloader for ever"),)
    )
