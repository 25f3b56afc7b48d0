"""The boards beside the F072: what sectors, half-words, a ROM that is deaf and the empty check ask of the client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bench import run_on
from command_line import Dfurun, Finished

from dfurun.chips import Chip, load_chip
from dfurun.chips.database import chip_from_facts, read_facts
from dfurun.clock import VirtualClock
from dfurun.image import read_image
from dfurun.simulator import Running, SimulatedBoard, StateFile

F042, F405 = load_chip("stm32f042x6"), load_chip("stm32f405xg")
FLASH = F405.flash.extent.start
SECTOR_4, SECTOR_5 = F405.flash.page(4), F405.flash.page(5)


def application(chip: Chip, size_bytes: int = 5000) -> bytes:
    start = chip.ram.end.to_bytes(4, "little") + (chip.flash.extent.start + 0x189).to_bytes(4, "little")
    return (start + bytes(range(1, 252)) * (size_bytes // 251 + 1))[:size_bytes]


class Place:
    """A folder with a board and a recipe in it."""

    def __init__(self, dfurun: Dfurun, folder: Path, chip: Chip) -> None:
        self.dfurun, self.folder, self.chip = dfurun, folder, chip
        self.file = folder / "board.json"

    def board(self) -> SimulatedBoard:
        board = StateFile(self.file).load(VirtualClock())
        board.clock.sleep(2)
        return board

    def make(self, *, level: int = 0, **settings: Any) -> None:
        board = SimulatedBoard(self.chip, VirtualClock(), **settings)
        board.protect(level)
        StateFile(self.file).keep(board)

    def recipe(self, steps: Sequence[str], *, image: bytes | None = None, at: int = FLASH, **keys: str) -> Path:
        lines = ["dfurun: 1", "name: t", f"chip: {self.chip.name}", *(f"{key}: {value}" for key, value in keys.items())]
        if image is not None:
            (self.folder / "app.bin").write_bytes(image)
            lines += [f"images: {{app: {{file: app.bin, address: 0x{at:08X}}}}}"]
        path = self.folder / "recipe.yaml"
        path.write_text("\n".join([*lines, "steps:", *(f"  - {step}" for step in steps)]), encoding="utf-8")
        return path

    def run(self, recipe: Path, *words: object) -> Finished:
        return self.dfurun(recipe, "--sim-state", self.file, "--sim-clock", "virtual", *words)


@pytest.fixture
def f405(dfurun: Dfurun, tmp_path: Path) -> Place:
    return Place(dfurun, tmp_path, F405)


@pytest.fixture
def f042(dfurun: Dfurun, tmp_path: Path) -> Place:
    return Place(dfurun, tmp_path, F042)


# The shipped recipes -------------------------------------------------------------------------------------------------

RELEASES = {"f042-release": F042, "f072-release": load_chip("stm32f072xb"), "f405-release": F405}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", RELEASES)
def test_a_release_recipe_brings_its_board_to_the_image_and_the_factory_option_bytes(
    dfurun: Dfurun, tmp_path: Path, recipes: Path, name: str, level: int
) -> None:
    chip = RELEASES[name]
    place = Place(dfurun, tmp_path, chip)
    place.make(level=level, flash=bytes(range(256)) * 64)
    done = place.run(recipes / f"{name}.yaml", "--json")
    assert done.exit == 0, done.err
    result = next(line for line in done.lines if line["event"] == "unit-result")
    assert result["verified"] is True
    file = next((recipes / "firmware").glob(f"{name[:4]}-blinky.[!b]*"))
    address = FLASH if file.suffix == ".dfu" else None
    memory = read_image("application", file, address=address).memory
    board = place.board()
    contents = board.flash.contents
    assert memory.pieces
    assert all(contents[p.address - FLASH : p.extent.end - FLASH] == p.data for p in memory.pieces)
    assert board.option_bytes.stored == chip.option_bytes.factory
    assert board.running is Running.APPLICATION


# Sectors -------------------------------------------------------------------------------------------------------------


def test_a_mass_erase_that_reports_100_ms_and_takes_16_s_ends_after_16_s_without_an_anomaly(f405: Place) -> None:
    f405.make(flash=bytes(1 << 20))
    done = f405.run(f405.recipe(["connect", "mass-erase"]), "--json")
    assert done.exit == 0, done.err
    step = next(line for line in done.lines if line["event"] == "step-finished" and line["step"] == "mass-erase")
    assert step["duration_s"] == pytest.approx(16.0, abs=0.02)  # and 15 ms to see some of its blocks blank
    assert next(line for line in done.lines if line["event"] == "unit-result")["anomalies"] == {}
    assert set(f405.board().flash.contents) == {0xFF}


def test_a_mass_erase_that_takes_the_data_sheets_32_s_is_waited_for(f405: Place, tmp_path: Path) -> None:
    facts = dict(read_facts("stm32f405xg"))
    facts["timing"] = facts["timing"] | {"mass-erase": {"typical": "32s", "maximum": "32s", "reported": "100ms"}}
    board = SimulatedBoard(chip_from_facts(facts), VirtualClock(), flash=bytes(1 << 20))
    finished, said = run_on(board, f405.recipe(["connect", "mass-erase"]), tmp_path / "run")
    assert finished.exit_status == 0, said
    assert set(board.flash.contents) == {0xFF}


def test_an_image_erases_the_sectors_that_it_covers_and_no_other(f405: Place) -> None:
    f405.make(flash=bytes(1 << 20))
    image = application(F405, 70_000)
    steps = ["connect", "erase: {image: app}", "write: {image: app}", "verify: {image: app}", "leave-dfu"]
    done = f405.run(f405.recipe(steps, image=image, at=FLASH + 0x8000))
    assert "erase                 changed" in done.err
    assert "3 sectors erased" in done.err
    assert done.exit == 1
    assert "error[no-application]" in done.err, "the image is not at the start of flash"
    contents = f405.board().flash.contents
    assert contents[:0x8000] == bytes(0x8000)
    assert contents[0x8000 : 0x8000 + len(image)] == image
    assert set(contents[0x8000 + len(image) : SECTOR_4.end - FLASH]) == {0xFF}
    assert contents[SECTOR_5.start - FLASH :] == bytes(FLASH + (1 << 20) - SECTOR_5.start)
    assert f405.board().flash.erase_counts == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_sectors_are_named_by_number_or_by_a_range_of_whole_ones(f405: Place) -> None:
    f405.make(flash=bytes(1 << 20))
    done = f405.run(f405.recipe(["connect", "erase: {pages: 3-4}", 'erase: {range: "0x08020000+128K", mode: needed}']))
    assert done.exit == 0, done.err
    assert f405.board().flash.erase_counts == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_a_part_of_a_sector_is_refused_with_the_whole_of_it(f405: Place) -> None:
    done = f405.dfurun("check", f405.recipe(["connect", 'erase: {range: "0x08010000+16K"}', "erase: {pages: 12}"]))
    assert done.exit == 3
    assert "error[misaligned]: a part of a sector cannot be erased" in done.out
    assert "whole sectors: 0x08010000+64K" in done.out
    assert "the flash has sectors 0 to 11" in done.out


def test_a_change_inside_a_large_sector_keeps_what_else_it_holds(f405: Place) -> None:
    before = bytearray(bytes(range(256)) * 4096)
    f405.make(flash=bytes(before))
    patch = b"new calibration!" * 100
    steps = ["connect", "write: {image: app, mode: changed}", "verify: {image: app}"]
    done = f405.run(f405.recipe(steps, image=patch, at=SECTOR_5.start + 0x1000))
    assert done.exit == 0, done.err
    assert "1 of 1 sector changed" in done.err
    offset = SECTOR_5.start + 0x1000 - FLASH
    before[offset : offset + len(patch)] = patch
    assert f405.board().flash.contents == bytes(before)


@pytest.mark.parametrize(
    "fault", ["lost-program:skip=40,count=1", "lost-program:count=1", "lost-program:p=0.05,count=5,seed=3", ""]
)
def test_what_lies_beside_the_image_in_a_sector_survives_blocks_that_are_lost(f405: Place, fault: str) -> None:
    before = bytearray(bytes(range(256)) * 4096)
    f405.make(flash=bytes(before))
    patch = application(F405, 20_000)
    steps = ["connect", "write: {image: app, mode: changed}", "verify: {image: app}"]
    recipe = f405.recipe(steps, image=patch, at=SECTOR_5.start + 0x100)
    done = f405.run(recipe, *(["--sim-fault", fault] if fault else []))
    assert done.exit == 0, done.err
    offset = SECTOR_5.start + 0x100 - FLASH
    before[offset : offset + len(patch)] = patch
    assert f405.board().flash.contents == bytes(before)
    assert not list((f405.folder / "state").rglob("*.bin")), "nothing is left to be put back"


def test_a_board_that_is_lost_inside_a_sector_leaves_what_was_beside_the_image_in_a_file(f405: Place) -> None:
    before = bytes(range(256)) * 4096
    f405.make(flash=before)
    steps = ["connect", "write: {image: app, mode: changed}"]
    recipe = f405.recipe(steps, image=application(F405, 20_000), at=SECTOR_5.start + 0x100)
    done = f405.run(recipe, "--sim-fault", "vanish:at=300")
    assert done.exit == 7
    (kept,) = (f405.folder / "state").rglob("*.bin")
    assert f"what was in {SECTOR_5} is kept in {kept}" in done.err
    wanted = bytearray(before[SECTOR_5.start - FLASH : SECTOR_5.end - FLASH])
    wanted[0x100 : 0x100 + 20_000] = application(F405, 20_000)
    assert kept.read_bytes() == bytes(wanted), "the sector as the run would have left it"


def test_a_step_that_is_too_slow_finishes_the_sector_it_is_in(f405: Place) -> None:
    """Ctrl-C and the timeout share their safe boundaries: none inside a sector that holds something beside the image."""
    before = bytearray(bytes(range(256)) * 4096)
    f405.make(flash=bytes(before))
    patch = application(F405, 20_000)
    steps = ["connect", "write: {image: app, mode: changed, timeout: 4s}"]
    done = f405.run(f405.recipe(steps, image=patch, at=SECTOR_5.start + 0x100))
    assert done.exit == 1
    assert "error[step-timeout]" in done.err
    offset = SECTOR_5.start + 0x100 - FLASH
    before[offset : offset + len(patch)] = patch
    assert f405.board().flash.contents == bytes(before)


def test_a_write_protected_sector_is_refused_before_anything_is_sent(f405: Place) -> None:
    raw = F405.option_bytes.encode(F405.option_bytes.factory, {"nWRP": 0xFFF & ~(1 << 4)})
    f405.make(flash=bytes(1 << 20), option_bytes=raw)
    before = f405.file.read_bytes()
    done = f405.run(f405.recipe(["connect", "erase: {pages: 0-4}"]))
    assert done.exit == 6
    assert f"error[write-protected]: erase: {SECTOR_4} is write-protected" in done.err
    same = json.loads(before)["flash"] == json.loads(f405.file.read_bytes())["flash"]
    assert same


# Option bytes of half-words ------------------------------------------------------------------------------------------


def test_option_bytes_are_in_force_after_the_roms_reset_and_no_power_cycle_is_asked_for(f405: Place) -> None:
    f405.make(flash=application(F405))
    steps = [
        "connect",
        "set-option-bytes: {fields: {BOR_LEV: 1, nWRP: 0xFFE}}",
        "check-option-bytes: {fields: {BOR_LEV: 1, nWRP: 0xFFE, RDP: level-0}}",
        "leave-dfu",
    ]
    done = f405.run(f405.recipe(steps))
    assert done.exit == 0, done.err
    assert "BOR_LEV 3 -> 1" in done.err
    assert "nWRP 0xFFF -> 0xFFE" in done.err
    assert "power-cycle" not in done.err
    options = f405.board().option_bytes
    assert options.stored == bytes.fromhex("E7AA 1855 FFFFFFFF FE0F 01F0 FFFFFFFF")
    assert options.in_force == options.stored


def test_write_protection_that_was_cleared_is_gone_after_the_roms_reset(f405: Place) -> None:
    raw = F405.option_bytes.encode(F405.option_bytes.factory, {"nWRP": 0})
    f405.make(flash=bytes(1 << 20), option_bytes=raw)
    image = application(F405)
    steps = [
        "connect",
        "set-option-bytes: {fields: {nWRP: 0xFFF}}",
        "erase: {image: app}",
        "write: {image: app}",
        "verify: {image: app}",
        "leave-dfu",
    ]
    done = f405.run(f405.recipe(steps, image=image))
    assert done.exit == 0, done.err
    assert f405.board().flash.contents[: len(image)] == image


def test_protecting_the_chip_is_read_back_by_its_refusal_to_be_read(f405: Place) -> None:
    f405.make(flash=application(F405))
    done = f405.run(f405.recipe(["connect", "set-option-bytes: {fields: {RDP: level-1}}", "leave-dfu"]))
    assert done.exit == 0, done.err
    assert "reading is refused now, which is its read-back" in done.err
    assert f405.board().option_bytes.protection_level == 1


# Who the board is ----------------------------------------------------------------------------------------------------


def test_info_tells_the_f405s_version_unique_id_size_and_its_own_serial_number(f405: Place) -> None:
    f405.make()
    done = f405.dfurun("info", "--sim-state", f405.file)
    assert done.exit == 0
    for words in (
        "V9.1 (id 0x91)",
        "2D0030000D50534237343120",
        "1 MiB",
        "@Device Feature/0xFFFF0000/01*004 e",
        "206134644253",
    ):
        assert words in done.out
    assert "the same on every board" not in done.out
    assert done.out.count("\n") < 40


def test_a_board_is_chosen_by_its_own_serial_number(f405: Place) -> None:
    f405.make()
    assert f405.dfurun("info", "--sim-state", f405.file, "--serial", "206134644253").exit == 0
    assert f405.dfurun("info", "--sim-state", f405.file, "--serial", "FFFFFFFEFFFF").exit == 4


def test_a_rom_that_does_not_read_its_unique_id_is_flashed_without_it(f405: Place, tmp_path: Path) -> None:
    """Which addresses the F405's ROM reads is to be confirmed on hardware: a wrong fact must not stop a release."""
    facts = dict(read_facts("stm32f405xg"))
    facts["memory"] = {key: value for key, value in facts["memory"].items() if key != "otp"}
    board = SimulatedBoard(chip_from_facts(facts), VirtualClock())
    recipe = f405.recipe(["connect", "erase: {pages: 0}"])
    finished, said = run_on(board, recipe, tmp_path / "run")
    assert finished.exit_status == 0, said
    assert "connect ok: 1-1, bootloader V9.1, not protected" in said
    expecting = f405.recipe(["connect", "erase: {pages: 0}"], expect="{flash-size: 1M}")
    finished, said = run_on(board, expecting, tmp_path / "run")
    assert finished.exit_status == 6
    assert "the recipe expects a flash of 1 MiB, the board does not tell" in said


@pytest.mark.parametrize(
    "faults", [["missed-service:p=0.3,seed=4"], ["stall:request=GETSTATUS,p=0.2,seed=1,count=always"]]
)
def test_a_flaky_link_to_an_f405_ends_with_the_right_bytes(f405: Place, faults: list[str]) -> None:
    f405.make(flash=bytes(1 << 20))
    image = application(F405, 30_000)
    steps = ["connect", "erase: {image: app}", "write: {image: app}", "verify: {image: app}", "leave-dfu"]
    done = f405.run(f405.recipe(steps, image=image), *(word for fault in faults for word in ("--sim-fault", fault)))
    assert done.exit == 0, done.err
    assert f405.board().flash.contents[: len(image)] == image


# The F042 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "guard"),
    [("{BOOT_SEL: 0, nBOOT0: 0}", "application-hidden"), ("{BOOT_SEL: 0, nBOOT0: 1}", "boot-pin-ignored")],
)
def test_boot_option_bytes_that_hide_something_need_consent_by_name(f042: Place, fields: str, guard: str) -> None:
    f042.make()
    before = f042.file.read_bytes()
    steps = ["connect", f"set-option-bytes: {{fields: {fields}}}"]
    done = f042.run(f042.recipe(steps))
    assert done.exit == 6
    assert f"`allow: [{guard}]`" in done.err
    assert f042.file.read_bytes() == before
    assert f042.run(f042.recipe(steps, allow=f"[{guard}]")).exit == 0


def test_a_guard_of_two_fields_is_judged_on_the_boards_own_bytes_where_the_recipe_names_one(f042: Place) -> None:
    raw = F042.option_bytes.encode(F042.option_bytes.factory, {"nBOOT0": 0})
    f042.make(option_bytes=raw)
    done = f042.run(f042.recipe(["connect", "set-option-bytes: {fields: {BOOT_SEL: 0}}"]))
    assert done.exit == 6
    assert "`allow: [application-hidden]`" in done.err
    assert f042.board().option_bytes.stored == raw


def test_a_blank_f042_is_in_its_bootloader_with_boot0_low_and_leaves_it_for_the_application(f042: Place) -> None:
    """The empty check: a new board needs no hands."""
    f042.make(boot0=0)
    image = application(F042)
    steps = ["connect", "mass-erase", "write: {image: app}", "verify: {image: app}", "leave-dfu"]
    done = f042.run(f042.recipe(steps, image=image))
    assert done.exit == 0, done.err
    board = f042.board()
    assert board.running is Running.APPLICATION
    board.power_cycle()
    assert board.running is Running.APPLICATION


def test_the_f042_and_the_f405_are_recognised_by_their_layouts(f042: Place, f405: Place) -> None:
    for place in (f042, f405):
        place.make()
        done = place.dfurun("info", "--sim-state", place.file, "--json")
        assert next(line["chip"] for line in done.lines if "chip" in line) == place.chip.name


def test_info_says_why_an_f042_with_an_empty_flash_starts_its_bootloader(f042: Place) -> None:
    f042.make(boot0=0)
    done = f042.dfurun("info", "--sim-state", f042.file)
    assert (
        "BOOT0 low       starts the bootloader: the flash is empty\nBOOT0 high      starts the bootloader\n" in done.out
    )
    assert "whatever BOOT0 says" not in done.out
    assert "! the flash is empty" in done.out
    assert "from: factory" not in done.out
    told = next(line for line in f042.dfurun("info", "--sim-state", f042.file, "--json").lines if "boots" in line)
    assert (told["flash_empty"], told["always_boots_bootloader"]) == (True, False)
    assert told["boots"] == {"boot0=0": "system-memory", "boot0=1": "system-memory"}
    f042.make(boot0=1, flash=application(F042))
    done = f042.dfurun("info", "--sim-state", f042.file)
    assert "BOOT0 low       starts the application in main flash" in done.out
    assert "the flash is empty" not in done.out


def test_a_power_cycle_into_an_empty_flash_names_the_empty_check(f042: Place) -> None:
    f042.make()
    done = f042.run(f042.recipe(["connect", "mass-erase", "wait-for-power-cycle: {boot0: 0}"]))
    assert done.exit == 1
    assert "an empty flash starts the bootloader as well" in done.err


def test_write_protection_on_an_f405_is_cleared_without_a_power_cycle(f405: Place) -> None:
    raw = F405.option_bytes.encode(F405.option_bytes.factory, {"nWRP": 0xFFE})
    f405.make(option_bytes=raw)
    done = f405.run(f405.recipe(["connect", "erase: {pages: 0}"]))
    assert done.exit == 6
    assert "clear nWRP with `set-option-bytes`" in done.err
    assert "wait-for-power-cycle" not in done.err


def test_one_false_err_target_costs_no_unique_id(f405: Place) -> None:
    f405.make()
    fault = "false-errtarget:count=1,skip=3"
    done = f405.run(f405.recipe(["connect", "erase: {pages: 0}"], expect="{flash-size: 1M}"), "--sim-fault", fault)
    assert done.exit == 0, done.err
    assert "unique id 2D0030000D50534237343120" in done.err


def test_one_false_err_target_among_lost_transfers_is_no_chip_without_a_unique_id(f405: Place) -> None:
    f405.make()
    faults = ("--sim-fault", "false-errtarget:count=1,skip=2", "--sim-fault", "timeout:request=DNLOAD,count=4,skip=3")
    look = ("info", "--sim-state", f405.file, "--sim-clock", "virtual", "--chip", F405.name)
    done = f405.dfurun(*look, *faults)
    assert (done.exit, done.codes) == (7, {"link-unreliable"})
    always = ("--sim-fault", "false-errtarget:count=5,skip=2")
    done = f405.dfurun(*look, *always)
    assert done.exit == 0, done.err
    assert "unique id" not in done.out


def test_a_refusal_is_shown_at_the_step_that_is_refused(f405: Place, recipes: Path) -> None:
    raw = F405.option_bytes.encode(F405.option_bytes.factory, {"nWRP": 0xFFE})
    f405.make(option_bytes=raw)
    before = f405.board().flash.contents[:]
    release = recipes / "f405-release.yaml"
    done = f405.run(release, "--json")
    assert (done.exit, done.codes) == (6, {"write-protected"})
    ends = [(line["step"], line["outcome"], line["code"]) for line in done.lines if line["event"] == "step-finished"]
    refused = next(end for end in ends if end[1] == "failed")
    assert refused == ("erase", "failed", "write-protected")
    assert ("unprotect", "skipped", None) in ends[: ends.index(refused)]
    assert {outcome for _, outcome, _ in ends[ends.index(refused) + 1 :]} == {"skipped"}
    assert len(ends) == 1 + max(line["index"] for line in done.lines if line["event"] == "step-finished")
    assert "not begun: erase would be refused" in f405.run(release).err
    assert f405.board().flash.contents == before
