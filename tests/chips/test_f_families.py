"""The F families' data against what ST's documents, real logs and other projects say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun

from dfurun.chips import BootTarget, Chip, load_chip
from dfurun.chips.database import chip_from_facts, family_names, read_facts
from dfurun.chips.index import entries
from dfurun.chips.storage import Storage
from dfurun.dfuse.layout import parse_layout
from dfurun.simulator.boot import serial_number
from dfurun.simulator.option_bytes import OptionBytes
from dfurun.units import AddressRange

K, M = 1024, 1024 * 1024
F_FAMILIES = [family for family in family_names() if family.startswith("stm32f")]
every_f_chip = pytest.mark.parametrize("name", [entry.names[0] for entry in entries() if entry.file in F_FAMILIES])


def halves(chip: Chip, *offsets: int) -> list[int]:
    """Return the half-words of the factory's option bytes at these offsets."""
    factory = chip.option_bytes.factory
    return [int.from_bytes(factory[offset : offset + 2], "little") for offset in offsets]


def register(chip: Chip, low: int, high: int) -> int:
    """Return the flash register that the halves at these offsets go to."""
    lower, upper = halves(chip, low, high)
    return upper << 16 | lower


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    layout = load_chip(name).option_bytes
    return layout.encode(layout.factory, fields)


def protected(name: str, fields: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the start and size of what these fields write-protect, as the client and the simulated board say."""
    chip = load_chip(name)
    raw = encode(name, fields)
    found = chip.option_bytes.write_protected(raw, chip.flash)
    assert OptionBytes(chip.option_bytes, raw).write_protected(chip.flash) == found
    return [(part.start, part.size_bytes) for part in found]


# The factory's option bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "first"), [("stm32f105xc", "A55A"), ("stm32f303xc", "AA55"), ("stm32f373xc", "AA55")])
def test_the_factory_image_of_bytes_and_complements(name: str, first: str) -> None:
    """OpenOCD and RM0091's production value: the key of read protection, then 0xFF and its complement seven times."""
    layout = load_chip(name).option_bytes
    assert layout.factory == bytes.fromhex(first + "FF00" * 7)
    assert {value for field, value in layout.decode(layout.factory).items() if field.startswith("WRP")} == {0xFF}


@pytest.mark.parametrize(
    ("name", "optcr"),
    [
        ("stm32f205xg", 0x0FFF_AAED),
        ("stm32f401xc", 0x0FFF_AAED),
        ("stm32f401xe", 0x0FFF_AAED),
        ("stm32f405xg", 0x0FFF_AAED),
        ("stm32f411xe", 0x0FFF_AAED),
        ("stm32f412xg", 0x0FFF_AAED),
        ("stm32f413xh", 0x7FFF_AAED),
        ("stm32f427xi", 0x0FFF_AAED),
        ("stm32f446xe", 0x0FFF_AAED),
        ("stm32f469xi", 0x0FFF_AAED),
        ("stm32f722xe", 0xC0FF_AAFD),
        ("stm32f745xg", 0xC0FF_AAFD),
        ("stm32f767xi", 0xFFFF_AAFD),
    ],
)
def test_the_factory_s_halves_are_flash_optcr(name: str, optcr: int) -> None:
    """blackmagic's default words. Bits 0 and 1 of the register are OPTLOCK and OPTSTRT: no option."""
    assert register(load_chip(name), 0, 8) & ~0b11 == optcr & ~0b11


@pytest.mark.parametrize(
    ("name", "low", "high", "word"),
    [
        ("stm32f427xi", 16, 24, 0x0FFF_0000),
        ("stm32f469xi", 16, 24, 0x0FFF_0000),
        ("stm32f722xe", 16, 24, 0x0040_0080),
        ("stm32f745xg", 16, 24, 0x0040_0080),
        ("stm32f767xi", 16, 24, 0x0040_0080),
        ("stm32f722xe", 32, 40, 0x8000_00FF),
    ],
)
def test_the_factory_s_halves_are_the_other_registers(name: str, low: int, high: int, word: int) -> None:
    """blackmagic: OPTCR1 of the F42x in a block of its own, OPTCR1 of the F7 behind OPTCR, OPTCR2 of the F72x behind both."""
    assert register(load_chip(name), low, high) == word


@every_f_chip
def test_behind_each_half_is_its_complement_in_the_factory(name: str) -> None:
    layout = load_chip(name).option_bytes
    if layout.storage is Storage.HALFWORD:
        for at in range(0, layout.size_bytes, 8):
            step = layout.factory[at : at + 8]
            own = bytes(value ^ 0xFF for value in step[:2])
            second_bank_is_unused = step == bytes.fromhex("0000FFFFFFFFFFFF")
            assert step[2:4] == own or second_bank_is_unused
            assert step[4:] == b"\xff" * 4


# Read protection -------------------------------------------------------------------------------------------------------


def test_an_f1_has_a_key_of_its_own_and_no_level_2() -> None:
    chip = load_chip("stm32f105xc")
    layout, rest = chip.option_bytes, bytes.fromhex("FF00" * 7)
    codes = {code: layout.decode(bytes([code, code ^ 0xFF]) + rest)["RDP"] for code in range(256)}
    assert [code for code, level in codes.items() if level == "level-0"] == [0xA5]
    assert codes[0xAA] == codes[0xCC] == codes[0xFF] == "level-1"
    assert layout.encode(layout.factory, {"RDP": "level-1"})[:2] == bytes.fromhex("BB44")
    with pytest.raises(ValueError, match="RDP takes level-0 or level-1, not 'level-2'"):
        layout.encode(layout.factory, {"RDP": "level-2"})


@every_f_chip
def test_level_2_is_guarded_for_ever_where_there_is_one(name: str) -> None:
    chip = load_chip(name)
    guards = {guard.name: guard for guard in chip.guards}
    if "level-2" in chip.option_bytes.fields["RDP"].values:
        assert guards["rdp-level-2"].irreversible
        assert guards["rdp-level-2"].entered({"RDP": "level-1"}, {"RDP": "level-2"})
    else:
        assert "rdp-level-2" not in guards


@pytest.mark.parametrize("name", ["stm32f405xg", "stm32f401xe", "stm32f446xe"])
def test_the_two_bytes_that_an_android_tool_writes_to_an_f4(name: str) -> None:
    """UmbrelaSmart/android-stm32-dfu-programmer sends USER, then RDP, to 0x1FFFC000."""
    layout = load_chip(name).option_bytes
    assert (layout.address, layout.offset_of(0x1FFF_C000)) == (0x1FFF_C000, 0)
    assert layout.fields_at(0) == ("BOR_LEV", "WDG_SW", "nRST_STOP", "nRST_STDBY", "RDP")
    for user, rdp, fields in (
        (0xEF, 0xBB, {"RDP": "level-1"}),
        (0xE3, 0xAA, {"BOR_LEV": 0}),
        (0xCF, 0xAA, {"WDG_SW": 0}),
        (0x8F, 0xBB, {"RDP": "level-1", "WDG_SW": 0, "nRST_STOP": 0}),
    ):
        assert layout.encode(layout.factory, fields) == bytes([user, rdp]) + layout.factory[2:]


# Write protection ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "parts"),
    [
        ("stm32f105xc", {"WRP0": 0xFE}, [(0x0800_0000, 4 * K)]),
        ("stm32f105xc", {"WRP3": 0x7F}, [(0x0801_F000, 132 * K)]),  # bit 31: pages 62 to 127
        ("stm32f105xb", {"WRP3": 0x7F}, [(0x0801_F000, 4 * K)]),
        ("stm32f303xe", {"WRP3": 0x7F}, [(0x0801_F000, 388 * K)]),  # pages 62 to 255
        ("stm32f373xc", {"WRP1": 0xFE, "WRP3": 0x7F}, [(0x0800_8000, 4 * K), (0x0801_F000, 132 * K)]),
        ("stm32f302x8", {"WRP1": 0x7F}, [(0x0800_F000, 4 * K)]),
        ("stm32f205xb", {"nWRP": 0xFEF}, [(0x0801_0000, 64 * K)]),
        ("stm32f401xc", {"nWRP": 0xDF}, [(0x0802_0000, 128 * K)]),
        ("stm32f413xh", {"nWRP": 0x3FFF}, [(0x0814_0000, 256 * K)]),  # bit 14: sectors 14 and 15
        ("stm32f427xi", {"nWRP": 0x7FF, "nWRP_bank2": 0xFFE}, [(0x080E_0000, 128 * K), (0x0810_0000, 16 * K)]),
        ("stm32f427xi", {"nWRP_bank2": 0x7FF}, [(0x081E_0000, 128 * K)]),
        ("stm32f427xg", {"nWRP": 0x7FF}, [(0x080E_0000, 128 * K)]),
        ("stm32f722xe", {"nWRP": 0xEE}, [(0x0800_0000, 16 * K), (0x0801_0000, 64 * K)]),
        ("stm32f745xg", {"nWRP": 0x7F}, [(0x080C_0000, 256 * K)]),
        ("stm32f750x8", {"nWRP": 0xFD}, [(0x0800_8000, 32 * K)]),
        ("stm32f767xi", {"nWRP": 0x7FF}, [(0x081C_0000, 256 * K)]),
    ],
)
def test_a_bit_protects_its_pages(name: str, fields: dict[str, int], parts: list[tuple[int, int]]) -> None:
    assert protected(name, fields) == parts


@pytest.mark.parametrize("name", ["stm32f401xc", "stm32f411xe", "stm32f446xe"])
def test_with_sprmod_a_bit_of_nwrp_that_is_1_protects(name: str) -> None:
    """RM0383: with SPRMOD at 1 nWRP chooses sectors for PCROP, which can be neither read nor written."""
    assert protected(name, {"SPRMOD": 1, "nWRP": 0x02}) == [(0x0800_4000, 16 * K)]
    chip = load_chip(name)
    assert protected(name, {"SPRMOD": 1})[-1][0] == chip.flash.page(chip.flash.page_count - 1).start
    rule = chip.option_bytes.write_protection
    assert rule is not None
    assert rule.protecting([1], chip.flash) == {"nWRP": 0xFD, "SPRMOD": 0}


def test_a_chip_without_sprmod_has_nothing_that_turns_its_bits_round() -> None:
    for name in ("stm32f205xg", "stm32f405xg", "stm32f745xg"):
        rule = load_chip(name).option_bytes.write_protection
        assert rule is not None
        assert rule.decided_by == rule.fields == ("nWRP",)


# Layout strings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("stm32f105xc", [(128, 2 * K)]),
        ("stm32f303xc", [(128, 2 * K)]),
        ("stm32f401xc", [(4, 16 * K), (1, 64 * K), (1, 128 * K)]),
        ("stm32f411xe", [(4, 16 * K), (1, 64 * K), (3, 128 * K)]),
        ("stm32f413xh", [(4, 16 * K), (1, 64 * K), (11, 128 * K)]),
        ("stm32f427xi", [(4, 16 * K), (1, 64 * K), (7, 128 * K)] * 2),
        ("stm32f722xe", [(4, 16 * K), (1, 64 * K), (3, 128 * K)]),
        ("stm32f745xg", [(4, 32 * K), (1, 128 * K), (3, 256 * K)]),
    ],
)
def test_flash_strings_of_logs_tell_the_pages(name: str, runs: list[tuple[int, int]]) -> None:
    usb = load_chip(name).usb
    assert not usb.predicted
    told = parse_layout(usb.alternates[0])
    assert [(segment.count, segment.sector_size_bytes) for segment in told.segments] == runs


def test_the_strings_of_logs_are_as_odd_as_the_logs_show_them() -> None:
    """A count of three digits; one blank for two; a size without zeros; no blank before the letter; two areas in one."""
    assert load_chip("stm32f413xh").usb.alternates[0] == "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,011*128Kg"
    f427, f722 = load_chip("stm32f427xi").usb.alternates, load_chip("stm32f722xe").usb.alternates
    assert f427[0].startswith("@Internal Flash /0x08000000/")
    assert f722[0] == "@Internal Flash  /0x08000000/04*016Kg,01*64Kg,03*128Kg"
    assert f722[2] == "@OTP Memory /0x1FF07800/01*528e"
    assert parse_layout(f722[2]).size_bytes == 528
    areas = parse_layout(f427[1])
    assert [segment.start for segment in areas.segments] == [0x1FFF_C000, 0x1FFE_C000]
    assert [block.start for block in load_chip("stm32f427xi").option_bytes.blocks] == [0x1FFF_C000, 0x1FFE_C000]
    assert parse_layout(f722[1]).size_bytes == load_chip("stm32f722xe").option_bytes.size_bytes == 48


@pytest.mark.parametrize(
    "name", ["stm32f205xg", "stm32f373xc", "stm32f302x8", "stm32f303xe", "stm32f412xg", "stm32f469xi", "stm32f767xi"]
)
def test_a_chip_of_which_no_log_is_known_is_said_to_be_predicted(name: str) -> None:
    assert load_chip(name).usb.predicted


@every_f_chip
def test_the_size_in_a_part_number_is_that_of_the_flash(name: str) -> None:
    letters = dict(zip("468BZCDEFGHI", (16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048), strict=True))
    assert load_chip(name).flash.extent.size_bytes == letters[name[-1].upper()] * K


# How a board presents itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "serial"),
    [("stm32f105xc", "STM32"), ("stm32f446xe", "STM32FxSTM32"), ("stm32f722xe", "STM32FxSTM32"), ("stm32f427xi", None)],
)
def test_serial_numbers_that_are_the_same_on_every_board(name: str, serial: str | None) -> None:
    assert load_chip(name).usb.serial == serial


def test_the_serial_number_of_an_f3_ends_with_the_third_word_of_the_unique_id() -> None:
    """libopencm3#760 has the pair of an F4; the F3's ROM takes its last four digits of another word."""
    unique_id = b"".join(word.to_bytes(4, "little") for word in (0x002D_0030, 0x3334_510B, 0x3231_3533))
    assert serial_number(unique_id, load_chip("stm32f411xe").usb.serial_word) == "325E35633334"
    assert serial_number(unique_id, load_chip("stm32f303xc").usb.serial_word) == "325E35633231"


def test_an_f105_takes_long_until_it_is_on_the_bus() -> None:
    """AN2606 table 229: 13.7 s with a crystal of 8 MHz, 460 ms with 25 MHz."""
    usb = load_chip("stm32f105xc").usb
    assert (usb.product, usb.release) == ("STM32 0x418 DFU Bootloader", 0x2200)
    assert usb.connect_minimum_s == pytest.approx(0.46)
    assert usb.reconnect_timeout_s > 13.7
    assert load_chip("stm32f105xc").identity.bootloader_id_address is None


def test_a_flash_of_more_sectors_takes_longer_to_erase() -> None:
    f4 = [
        load_chip(f"stm32f{name}").timing.mass_erase.maximum_s
        for name in ("401xb", "401xc", "411xe", "427xg", "413xh", "427xi")
    ]
    assert f4 == [6, 10, 18, 32, 48, 64]
    assert load_chip("stm32f427xi").timing.read_unprotect.maximum_s > 64


# What starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "starts"),
    [
        ("stm32f722xe", 0x0080, BootTarget.MAIN_FLASH),  # 0x00200000, through ITCM
        ("stm32f722xe", 0x2000, BootTarget.MAIN_FLASH),  # 0x08000000
        ("stm32f722xe", 0x009F, BootTarget.MAIN_FLASH),  # the last 16 KiB of 512
        ("stm32f722xe", 0x00A0, BootTarget.ELSEWHERE),  # behind them
        ("stm32f722xc", 0x0090, BootTarget.ELSEWHERE),  # behind the 256 KiB of this one
        ("stm32f722xe", 0x0040, BootTarget.SYSTEM_MEMORY),  # 0x00100000, through ITCM
        ("stm32f722xe", 0x7FC0, BootTarget.SYSTEM_MEMORY),  # 0x1FF00000
        ("stm32f722xe", 0x8000, BootTarget.SRAM),  # 0x20000000
        ("stm32f722xe", 0x0000, BootTarget.SRAM),  # ITCM RAM
        ("stm32f722xe", 0xFFFF, BootTarget.ELSEWHERE),  # what rusefi#3597 found
        ("stm32f767xi", 0x00C0, BootTarget.MAIN_FLASH),  # the second MiB
        ("stm32f745xg", 0x00C0, BootTarget.ELSEWHERE),
    ],
)
@pytest.mark.parametrize("boot0", [0, 1])
def test_an_f7_starts_what_lies_at_the_address_that_boot0_chooses(
    name: str, number: int, starts: BootTarget, boot0: int
) -> None:
    chip = load_chip(name)
    fields = chip.option_bytes.decode(encode(name, {f"BOOT_ADD{boot0}": number}))
    assert chip.starts(fields, boot0=boot0) is starts
    assert chip.starts(fields, boot0=1 - boot0) is (BootTarget.MAIN_FLASH if boot0 else BootTarget.SYSTEM_MEMORY)


def test_with_nboot1_at_0_an_f3_starts_sram() -> None:
    chip = load_chip("stm32f303xc")
    fields = chip.option_bytes.decode(encode("stm32f303xc", {"nBOOT1": 0}))
    assert (chip.starts(fields, boot0=0), chip.starts(fields, boot0=1)) == (BootTarget.MAIN_FLASH, BootTarget.SRAM)


def test_no_option_byte_of_an_f1_f2_or_f40x_says_what_starts() -> None:
    for name in ("stm32f105xc", "stm32f205xg", "stm32f405xg"):
        assert all(not rule.when for rule in load_chip(name).boot.rules)


# Guards ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "guards"),
    [
        ("stm32f303xc", {"nBOOT1": 0}, ["bootloader-hidden"]),
        ("stm32f401xc", {"SPRMOD": 1}, ["pcrop"]),
        ("stm32f411xe", {"SPRMOD": 1}, ["pcrop"]),
        ("stm32f427xi", {"BFB2": 1}, ["bank-swap"]),
        ("stm32f427xg", {"DB1M": 1}, ["dual-bank"]),
        ("stm32f469xi", {"SPRMOD": 1, "BFB2": 1}, ["pcrop", "bank-swap"]),
        ("stm32f722xe", {"BOOT_ADD0": 0xFFFF, "BOOT_ADD1": 0xFFFF}, ["application-moved", "bootloader-hidden"]),
        ("stm32f722xe", {"BOOT_ADD0": 0x2000, "BOOT_ADD1": 0x7FC0}, []),
        ("stm32f722xe", {"BOOT_ADD0": 0x0040}, ["application-moved"]),
        ("stm32f722xe", {"PCROP": 0xFE}, ["pcrop"]),
        ("stm32f722xe", {"PCROP_RDP": 0}, ["pcrop-kept"]),
        ("stm32f767xi", {"nDBANK": 0}, ["dual-bank"]),
        ("stm32f767xi", {"nDBOOT": 0}, []),
        ("stm32f767xi", {"nDBANK": 0, "nDBOOT": 0}, ["dual-bank", "dual-boot"]),
    ],
)
def test_a_change_that_hides_or_locks_something_is_guarded(
    name: str, fields: dict[str, int], guards: list[str]
) -> None:
    chip = load_chip(name)
    before = chip.option_bytes.decode(chip.option_bytes.factory)
    after = chip.option_bytes.decode(encode(name, fields))
    assert [guard.name for guard in chip.guards if guard.entered(before, after)] == guards
    assert [guard.name for guard in chip.guards if guard.holds(fields)] == guards, "the recipe alone says it"
    assert not any(guard.entered(after, before) or guard.entered(after, after) for guard in chip.guards)


def test_a_guard_on_all_but_some_values_knows_nothing_of_a_field_that_is_not_named() -> None:
    (guard,) = (guard for guard in load_chip("stm32f722xe").guards if guard.name == "pcrop")
    assert guard.fields == ("PCROP",)
    assert not guard.holds({})
    assert not guard.holds({"RDP": "level-1"})


def test_what_an_f7_loses_in_a_regression_is_told_with_its_document() -> None:
    """rusefi#3597: both boot addresses 0xFFFF and nDBANK turned; the board answered nothing until a debugger put them back."""
    facts = read_facts("stm32f767xi")
    said = {guard["name"] for guard in facts["guards"] if "rusefi-3597" in guard["source"]}
    assert said == {"application-moved", "bootloader-hidden", "dual-bank"}
    assert "rusefi#3597" in facts["sources"]["rusefi-3597"]


@pytest.mark.parametrize(("name", "is_told"), [("stm32f722xe", True), ("stm32f767xi", True), ("stm32f405xg", False)])
def test_what_a_regression_has_done_to_such_a_chip_is_told_before_it_is_taken(
    dfurun: Dfurun, tmp_path: Path, name: str, is_told: bool
) -> None:
    (tmp_path / "open.yaml").write_text(f"dfurun: 1\nname: t\nchip: {name}\nsteps: [connect, unprotect]\n")
    board = ("--sim-state", "board.json", "--sim-clock", "virtual")
    words = "left the boot addresses at 0xFFFF and nDBANK turned"
    dfurun("sim", "new", "board.json", "--chip", name)
    assert words not in " ".join(dfurun("open.yaml", *board).err.split()), "nothing is sent to a board that is open"
    dfurun("sim", "protect", "board.json", "1")
    told, opened, _ = " ".join(dfurun("open.yaml", *board).err.split()).partition("unprotect changed")
    assert opened
    assert (words in told) is is_told
    assert (words in " ".join(dfurun("chips", "show", name).out.split())) is is_told


# The form of the data --------------------------------------------------------------------------------------------------


def test_a_mirror_without_a_size_is_as_large_as_its_memory() -> None:
    facts = dict(read_facts("stm32f745xg"))
    facts["boot"] = facts["boot"] | {"mirrors": [{"address": 0x0020_0000, "is": "main-flash"}]}
    assert (AddressRange(0x0020_0000, M), BootTarget.MAIN_FLASH) in chip_from_facts(facts).boot.memories
    facts["boot"] = facts["boot"] | {"mirrors": [{"address": 0x0020_0000, "size": "64K", "is": "main-flash"}]}
    assert (AddressRange(0x0020_0000, 64 * K), BootTarget.MAIN_FLASH) in chip_from_facts(facts).boot.memories


def test_a_line_takes_away_a_field_of_its_family() -> None:
    fields = load_chip("stm32f302x8").option_bytes.fields
    assert {"WRP2", "WRP3", "SRAM_PE"}.isdisjoint(fields)
    assert fields["Reserved6"].keep == 1
    assert {"WRP2", "WRP3", "SRAM_PE"} <= set(load_chip("stm32f302xc").option_bytes.fields)


@pytest.mark.parametrize("name", ["stm32f105xc", "stm32f303xc"])
def test_a_reserved_bit_that_is_0_is_found(name: str) -> None:
    layout = load_chip(name).option_bytes
    spoiled = bytearray(layout.factory)
    spoiled[2], spoiled[3] = 0xF7, 0x08
    assert len(layout.cleared_reserved(bytes(spoiled))) == 1
