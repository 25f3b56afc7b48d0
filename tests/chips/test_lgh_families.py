"""The L, G, H, U, C and WB families' data against what ST's documents, real logs and other projects say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from command_line import Dfurun

from dfurun.chips import BootTarget, FieldValue, load_chip
from dfurun.chips.database import family_names
from dfurun.chips.index import entries
from dfurun.chips.storage import Storage
from dfurun.dfuse.layout import parse_layout
from dfurun.simulator.boot import serial_number
from dfurun.simulator.memory import Memory
from dfurun.units import AddressRange

K = 1024
FAMILIES = [family for family in family_names() if not family.startswith("stm32f")]
CHIPS = [entry.names[0] for entry in entries() if entry.file in FAMILIES]
WITHOUT = [name for name in CHIPS if not load_chip(name).option_bytes.established]


def words(name: str, *offsets: int) -> list[int]:
    """Return words of the factory's option bytes at these offsets."""
    factory = load_chip(name).option_bytes.factory
    return [int.from_bytes(factory[at : at + 4], "little") for at in offsets]


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    layout = load_chip(name).option_bytes
    return layout.encode(layout.factory, fields)


def starts(name: str, boot0: int, *, flash_empty: bool = False, **fields: FieldValue) -> BootTarget:
    chip = load_chip(name)
    return chip.starts(chip.option_bytes.decode(encode(name, fields)), boot0=boot0, flash_empty=flash_empty)


def protected(name: str, fields: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the start and size in KiB of what these fields write-protect."""
    chip = load_chip(name)
    return [(p.start, p.size_bytes // K) for p in chip.option_bytes.write_protected(encode(name, fields), chip.flash)]


# The factory's option bytes --------------------------------------------------------------------------------------------


def test_an_l0_s_words_are_those_that_bigclown_writes() -> None:
    """Half-word and complement: FLASH_OPTR 0x807000AA, WRPROT 0 (bigclown's tool, through alternate setting 1)."""
    assert words("stm32l083xz", 0, 4, 8, 12, 16) == [0xFF5500AA, 0x7F8F8070, 0xFFFF0000, 0xFFFF0000, 0xFFFF0000]
    fields = load_chip("stm32l083xz").option_bytes.decode(load_chip("stm32l083xz").option_bytes.factory)
    assert fields == {
        "RDP": "level-0", "WPRMOD": 0, "BOR_LEV": 0, "WDG_SW": 1, "nRST_STOP": 1, "nRST_STDBY": 1, "BFB2": 0, "nBOOT1": 1,
        "WRPROT1": 0, "WRPROT2": 0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["stm32l151xc", "stm32l152xd", "stm32l162xe"])
def test_an_l1_s_words_fit_flash_obr_after_a_reset(name: str) -> None:
    """FLASH_OBR 0x00F80000: USER 0xF8, RDP level 0."""
    assert words(name, 0, 4, 8, 16, 24) == [0xFF5500AA, 0xFF0700F8, 0xFFFF0000, 0xFFFF0000, 0xFFFF0000]


@pytest.mark.parametrize(
    ("name", "optr"),
    [
        ("stm32l476xg", 0xFFEFF8AA),
        ("stm32l486xg", 0xFFEFF8AA),
        ("stm32l4r5xi", 0xFFEFF8AA),
        ("stm32l412xb", 0xFFFFF8AA),
        ("stm32g431xb", 0xFFEFF8AA),
        ("stm32g474xe", 0xFFEFF8AA),
        ("stm32g0b1xb", 0xFFFFFEAA),
        ("stm32g0c1xe", 0xFFFFFEAA),
        ("stm32g0b0xe", 0xDFFFE1AA),
        ("stm32wb55xg", 0x3FFFF1AA),
    ],
)
def test_flash_optr_is_the_documented_one_with_its_complement_behind_it(name: str, optr: int) -> None:
    """Reference manuals and blackmagic's defaults; the L412's and the WB55's were measured."""
    layout = load_chip(name).option_bytes
    assert layout.storage is Storage.WORD_COMPLEMENT
    assert words(name, 0, 4) == [optr, optr ^ 0xFFFFFFFF]
    assert layout.decode(layout.factory)["RDP"] == "level-0"


def test_a_wb55_has_128_bytes_of_which_every_second_word_is_a_complement() -> None:
    """qFlipper writes a WB55's whole block with complements, each register at the offset that it gives it."""
    layout = load_chip("stm32wb55xg").option_bytes
    assert layout.blocks == (AddressRange(0x1FFF_8000, 128),)
    for at in range(0, 128, 8):
        word, complement = words("stm32wb55xg", at, at + 4)
        assert word ^ complement == 0xFFFFFFFF
    places = {"RDP": 0x00, "PCROP1A_STRT": 0x08, "PCROP1A_END": 0x10, "WRP1A_STRT": 0x18, "WRP1B_END": 0x20}
    places |= {"PCROP1B_STRT": 0x28, "PCROP1B_END": 0x30, "IPCCDBA": 0x68, "SFSA": 0x70, "SBRV": 0x78, "C2OPT": 0x78}
    assert {name: layout.fields[name].byte for name in places} == places
    changed = encode("stm32wb55xg", {"SFSA": 0xCE})
    assert changed[0x70] == 0xCE
    assert changed[0x74] == 0xCE ^ 0xFF
    assert changed[:0x70] + changed[0x78:] == layout.factory[:0x70] + layout.factory[0x78:]


@pytest.mark.parametrize("name", ["stm32h743xi", "stm32h723xg", "stm32h7a3xi"])
def test_an_h7_starts_where_its_boot_register_says(name: str) -> None:
    """FLASH_BOOT_CUR is 0x24 into the block: BOOT_ADD0 0x0800, BOOT_ADD1 0x1FF0, address bits 31 to 16."""
    assert words(name, 0x24, 0x28) == [0x1FF00800, 0x1FF00800]
    assert load_chip(name).option_bytes.address + 0x24 == 0x5200_2040


@pytest.mark.parametrize(("name", "size"), [("stm32h743xi", 128), ("stm32h723xg", 88), ("stm32h7a3xi", 296)])
def test_an_h7_s_change_goes_to_the_program_register_as_well(name: str, size: int) -> None:
    layout = load_chip(name).option_bytes
    assert layout.size_bytes == size
    raw = encode(name, {"RDP": "level-1", "BOOT_ADD0": 0x0810})
    assert raw[1] == raw[5] == 0xBB
    assert raw[0x24:0x2C] == bytes.fromhex("1008F01F 1008F01F")
    untouched = [at for at in range(size) if at not in (1, 5, 0x24, 0x28)]
    assert [raw[at] for at in untouched] == [layout.factory[at] for at in untouched]


@pytest.mark.parametrize("name", ["stm32l552xe", "stm32u575xi", "stm32u5a5xj"])
def test_the_registers_of_l5_and_u5_follow_flash_optr(name: str) -> None:
    layout = load_chip(name).option_bytes
    assert layout.address == 0x4002_2040
    places = {"RDP": 0, "NSBOOTADD0": 4, "NSBOOTADD1": 8, "SECBOOTADD0": 12, "SECWM1_PSTRT": 16, "WRP1A_PSTRT": 24}
    places |= {"WRP1B_PSTRT": 28, "SECWM2_PSTRT": 32, "WRP2A_PSTRT": 40, "WRP2B_PSTRT": 44}
    assert {field: layout.fields[field].byte for field in places} == places
    codes = {"level-0": 0xAA, "level-0.5": 0x55, "level-1": 0xDC, "level-2": 0xCC}
    assert dict(layout.fields["RDP"].values) == codes
    assert layout.decode(b"\xbb" + layout.factory[1:])["RDP"] == "level-1"


def test_a_g431_s_block_is_what_upload_gives_and_not_what_its_name_tells() -> None:
    """ST Community 574813: 48 bytes by name, 40 by UPLOAD, and a write of 40 is taken."""
    chip = load_chip("stm32g431xb")
    assert parse_layout(chip.usb.alternates[1]).size_bytes == 48
    assert chip.option_bytes.size_bytes == 40


def test_a_g0b1_s_option_bytes_are_at_the_second_alternate_setting_whatever_it_is_called() -> None:
    """Three logs: all three alternate settings have the flash's name."""
    chip = load_chip("stm32g0b1xb")
    assert set(chip.usb.alternates) == {"@Internal Flash   /0x08000000/64*02Kg"}
    assert len(chip.usb.alternates) == 3
    assert chip.option_bytes.alternate == 1


# Names and serial numbers of real boards -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "alternates"),
    [
        ("stm32l083xz", ["1536*128g", "@Option Bytes  /0x1FF80000/01*032 e", "@DATA Memory /0x08080000/2*3Ke"]),
        ("stm32l151xc", ["1024*256 g", "@Option Bytes  /0x1FF80000/01*032 e", "@DATA Memory /0x08080000/02*004Ke"]),
        ("stm32l451xe", ["0256*0002Kg", "@Option Bytes  /0x1FFF7800/01*040 e", "@OTP Memory /0x1FFF7000/01*0001Ke"]),
        ("stm32l4r5xi", ["512*0004Kg", "@Option Bytes  /0x1FF00000/01*040 e/0x1FF01000/01*040 e"]),
        ("stm32l552xe", ["256*02Kg", "@Option Bytes   /0x40022040/01*48 e", "@OTP Memory   /0x1FFF7000/01*512 e"]),
        ("stm32g474xe", ["256*02Kg", "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e"]),
        ("stm32h743xi", ["16*128Kg", "@Option Bytes   /0x5200201C/01*128 e"]),
        ("stm32h723xg", ["8*128Kg", "@Option Bytes   /0x5200201C/01*88 e"]),
        ("stm32h7a3xi", ["256*08Kg", "@Option Bytes   /0x5200201C/01*297 e", "@OTP Memory   /0x08FFF000/01*1024 e"]),
        ("stm32u575xg", ["128*08Kg", "@Option Bytes   /0x40022040/01*64 e", "@OTP Memory   /0x0BFA0000/01*512 e"]),
        ("stm32u5a5xj", ["512*08Kg", "@Option Bytes   /0x40022040/01*64 e", "@OTP Memory   /0x0BFA0000/01*512 e"]),
    ],
)
def test_the_names_of_alternate_settings_are_those_of_a_log(name: str, alternates: list[str]) -> None:
    usb = load_chip(name).usb
    assert not usb.predicted
    first, *others = alternates
    blanks = "  " if usb.release == 0x2200 else "   "
    assert list(usb.alternates[: len(alternates)]) == [f"@Internal Flash{blanks}/0x08000000/{first}", *others]


@pytest.mark.parametrize("name", CHIPS)
def test_a_generation_s_descriptors_go_together(name: str) -> None:
    """2048 bytes a transfer and two blanks before; 1024 and three since (a G431 takes no 2048: web-stm32-updater#3)."""
    usb = load_chip(name).usb
    older = usb.product == "STM32  BOOTLOADER"
    assert (usb.release, usb.transfer_size_bytes) == ((0x2200, 2048) if older else (0x0200, 1024))
    assert older or usb.product == "DFU in FS Mode"
    assert usb.alternates[0].startswith("@Internal Flash  /" if older else "@Internal Flash   /")


@pytest.mark.parametrize(
    ("unique_id", "serial"),
    [("2B0007000C50425539393020", "203739645542"), ("30002D000B51343333353132", "325E35633334")],
)
def test_the_serial_number_is_made_of_the_unique_id(unique_id: str, serial: str) -> None:
    """A G0B1's pair, and libopencm3#760's of an F4 (words 002D0030 3334510B 32313533)."""
    assert serial_number(bytes.fromhex(unique_id)) == serial
    assert all(load_chip(name).usb.serial_unique and load_chip(name).usb.serial_word == 1 for name in CHIPS)


@pytest.mark.parametrize("name", ["stm32l083xz", "stm32l151xe"])
def test_the_unique_id_of_l0_and_l1_is_three_words_apart(name: str) -> None:
    chip, unique_id = load_chip(name), bytes.fromhex("2B0007000C50425539393020")
    first = chip.identity.unique_id[0].start
    assert [word.start - first for word in chip.identity.unique_id] == [0, 4, 0x14]
    memory = Memory(chip, unique_id)
    block = memory.read(chip.option_bytes.address, chip.option_bytes.readable_end - chip.option_bytes.address)
    assert block[:32] == chip.option_bytes.factory
    at = first - chip.option_bytes.address
    assert block[at : at + 8] + block[at + 0x14 : at + 0x18] == unique_id
    assert memory.read(first, 4) == b""  # no read begins there


@pytest.mark.parametrize(
    "name", ["stm32l083xz", "stm32l151xc", "stm32l476xg", "stm32g0b1xb", "stm32h743xi", "stm32u575xi"]
)
def test_info_finds_who_a_simulated_board_is(dfurun: Dfurun, name: str) -> None:
    done = dfurun("info", "--sim", "--sim-chip", name, "--chip", name, "--sim-clock", "virtual", "--json")
    assert done.exit == 0, done.err
    (board,) = [line for line in done.lines if line["event"] == "board"]
    assert board["unique_id"] == "2D0030000D50534237343120"
    assert board["flash_size"] == load_chip(name).flash.extent.size_bytes
    assert board["option_bytes"]["raw"] == load_chip(name).option_bytes.factory.hex()


# Write protection ------------------------------------------------------------------------------------------------------


def test_a_bit_of_an_l0_or_l1_protects_when_it_is_1() -> None:
    assert protected("stm32l083xz", {"WRPROT1": 0b101, "WRPROT2": 1 << 15}) == [
        (0x0800_0000, 4), (0x0800_2000, 4), (0x0802_F000, 4),
    ]  # fmt: skip
    assert protected("stm32l151xc", {"WRP2": 1 << 31}) == [(0x0803_F000, 4)]


def test_pages_that_no_reachable_option_byte_covers_are_refused_and_not_forgotten() -> None:
    """WRP4 of a large L1 and the second bank of L4, G0B1 and H743 lie outside the block that the ROM shows."""
    for name, covered in (("stm32l151xe", 1536), ("stm32l476xg", 256), ("stm32g0b1xe", 128), ("stm32h743xi", 8)):
        chip = load_chip(name)
        rule = chip.option_bytes.write_protection
        assert rule is not None
        with pytest.raises(ValueError, match=f"{covered} cannot be protected: no option byte"):
            rule.protecting({covered}, chip.flash)
    assert protected("stm32h743xi", {"WRPSn1": 0}) == [(0x0800_0000 + n * 128 * K, 128) for n in range(8)]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("stm32l476xg", {"WRP1A_STRT": 2, "WRP1A_END": 3}, [(0x0800_1000, 4)]),
        ("stm32l4r5xi", {"WRP2B_STRT": 0, "WRP2B_END": 255}, [(0x0810_0000, 1024)]),
        ("stm32g431xb", {"WRP1B_STRT": 63, "WRP1B_END": 63}, [(0x0801_F800, 2)]),
        ("stm32g474xe", {"WRP2A_STRT": 0, "WRP2A_END": 0}, [(0x0804_0000, 2)]),
        ("stm32g0b1xb", {"WRP1A_STRT": 0, "WRP1A_END": 1}, [(0x0800_0000, 4)]),
        ("stm32wb55xg", {"WRP1A_STRT": 0, "WRP1A_END": 9}, [(0x0800_0000, 40)]),
        ("stm32u575xi", {"WRP2A_PSTRT": 1, "WRP2A_PEND": 2}, [(0x0810_2000, 16)]),
        ("stm32h723xg", {"WRPSn1": 0xFE}, [(0x0800_0000, 128)]),
        ("stm32h7a3xi", {"WRPSGn2": 0x7FFFFFFF}, [(0x081F_8000, 32)]),
    ],
)
def test_areas_and_bits_are_the_pages_that_the_manual_says(
    name: str, fields: dict[str, int], expected: list[tuple[int, int]]
) -> None:
    assert protected(name, fields) == expected


# What starts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stm32g0b1xb", "stm32c071xb", "stm32u073xc"])
def test_boot0_of_a_g0_is_ignored_until_nboot_sel_is_0(name: str) -> None:
    """katapult#82: from the factory a chip that was flashed once reaches its bootloader by no pin."""
    assert [starts(name, boot0) for boot0 in (0, 1)] == [BootTarget.MAIN_FLASH] * 2
    assert [starts(name, boot0, flash_empty=True) for boot0 in (0, 1)] == [BootTarget.SYSTEM_MEMORY] * 2
    assert [starts(name, boot0, nBOOT_SEL=0) for boot0 in (0, 1)] == [BootTarget.MAIN_FLASH, BootTarget.SYSTEM_MEMORY]
    assert [starts(name, boot0, nBOOT0=0) for boot0 in (0, 1)] == [BootTarget.SYSTEM_MEMORY] * 2
    assert starts(name, 1, nBOOT_SEL=0, nBOOT1=0) is BootTarget.SRAM
    assert starts(name, 1, nBOOT_SEL=0, BOOT_LOCK=1) is BootTarget.MAIN_FLASH
    assert (
        "the pin is ignored, which is what the factory sets" in load_chip(name).option_bytes.fields["nBOOT_SEL"].means
    )


@pytest.mark.parametrize("name", ["stm32l432xc", "stm32l496xg", "stm32g431xb", "stm32wb55xg"])
def test_boot0_of_l4_g4_and_wb_counts_while_nswboot0_is_1(name: str) -> None:
    assert [starts(name, boot0) for boot0 in (0, 1)] == [BootTarget.MAIN_FLASH, BootTarget.SYSTEM_MEMORY]
    assert [starts(name, boot0, nSWBOOT0=0) for boot0 in (0, 1)] == [BootTarget.MAIN_FLASH] * 2
    assert [starts(name, boot0, nSWBOOT0=0, nBOOT0=0) for boot0 in (0, 1)] == [BootTarget.SYSTEM_MEMORY] * 2
    assert starts(name, 1, nBOOT1=0) is BootTarget.SRAM


def test_an_l476_has_neither_nswboot0_nor_nboot0() -> None:
    assert not {"nSWBOOT0", "nBOOT0"} & set(load_chip("stm32l476xg").option_bytes.fields)
    assert [starts("stm32l476xg", boot0) for boot0 in (0, 1)] == [BootTarget.MAIN_FLASH, BootTarget.SYSTEM_MEMORY]


def test_boot_addresses_say_what_starts() -> None:
    assert [starts("stm32h743xi", 0, BOOT_ADD0=a) for a in (0x0800, 0x0810, 0x1FF0, 0x2400, 0x0900)] == [
        BootTarget.MAIN_FLASH, BootTarget.MAIN_FLASH, BootTarget.SYSTEM_MEMORY, BootTarget.SRAM, BootTarget.ELSEWHERE,
    ]  # fmt: skip
    assert starts("stm32u575xi", 0, NSBOOTADD0=0x0BF9_0000 >> 7) is BootTarget.SYSTEM_MEMORY
    assert starts("stm32u575xi", 1, nSWBOOT0=0) is BootTarget.MAIN_FLASH
    assert starts("stm32u575xi", 1, TZEN=1) is BootTarget.SYSTEM_MEMORY
    assert starts("stm32u575xi", 0, TZEN=1) is BootTarget.MAIN_FLASH  # 0x0C000000, as the secure world has it
    assert starts("stm32u575xi", 1, TZEN=1, BOOT_LOCK=1) is BootTarget.MAIN_FLASH


# Guards ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "after", "guard"),
    [
        ("stm32l083xz", {"WPRMOD": 1}, "pcrop-enabled"),
        ("stm32l476xg", {"BFB2": 1}, "boot-from-bank-2"),
        ("stm32l476xg", {"DUALBANK": 0}, "dualbank-cleared"),
        ("stm32l432xc", {"PCROP1_STRT": 5}, "pcrop-changed"),
        ("stm32l4r5xi", {"DBANK": 0}, "pages-doubled"),
        ("stm32g474xe", {"PCROP2_END": 9}, "pcrop-changed"),
        ("stm32g0b1xe", {"BOOT_LOCK": 1}, "boot-locked"),
        ("stm32g0b1xe", {"SEC_SIZE": 4}, "securable-area-changed"),
        ("stm32g0b1xe", {"nBOOT0": 0}, "application-hidden"),
        ("stm32wb55xg", {"ESE": 0}, "ese-changed"),
        ("stm32wb55xg", {"AGC_TRIM": 5}, "calibration-changed"),
        ("stm32wb55xg", {"SFSA": 0x10}, "radio-area-changed"),
        ("stm32h743xi", {"SECURITY": 1}, "security-enabled"),
        ("stm32h743xi", {"BOOT_ADD1": 0x0800}, "bootloader-hidden"),
        ("stm32h7a3xi", {"SEC_AREA_END2": 7}, "secure-area-changed"),
        ("stm32u575xi", {"TZEN": 1}, "trustzone-enabled"),
        ("stm32u575xi", {"RDP": "level-0.5"}, "rdp-level-half"),
        ("stm32l552xe", {"NSBOOTADD1": 0}, "boot-address-changed"),
    ],
)
def test_what_locks_or_hides_is_guarded(name: str, after: dict[str, FieldValue], guard: str) -> None:
    chip = load_chip(name)
    layout = chip.option_bytes
    before, then = layout.decode(layout.factory), layout.decode(encode(name, after))
    assert guard in [g.name for g in chip.guards if g.entered(before, then)]
    assert guard not in [g.name for g in chip.guards if g.entered(then, then)]


# What cannot be set ----------------------------------------------------------------------------------------------------


def recipe(folder: Path, chip: str, step: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(f"dfurun: 1\nname: Example\nchip: {chip}\nsteps:\n  - connect\n  - {step}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "step", ["set-option-bytes: {fields: {RDP: level-0}}", "check-option-bytes: {fields: {RDP: level-0}}"]
)
@pytest.mark.parametrize("name", ["stm32h563xi", "stm32wba65xi", "stm32u375xg"])
def test_option_bytes_that_are_not_established_are_neither_set_nor_checked(
    dfurun: Dfurun, tmp_path: Path, name: str, step: str
) -> None:
    done = dfurun("check", recipe(tmp_path, name, step))
    assert (done.exit, done.codes) == (3, {"no-option-bytes"})
    assert "how its bootloader shows and takes option bytes is not established" in " ".join(done.out.split())


@pytest.mark.parametrize("name", ["stm32wb55xg", "stm32h743xi", "stm32u575xi", "stm32g0b1xb"])
def test_factory_bytes_that_are_not_every_board_s_are_never_written(dfurun: Dfurun, tmp_path: Path, name: str) -> None:
    done = dfurun("check", recipe(tmp_path, name, "set-option-bytes: {from: factory}"))
    assert (done.exit, done.codes) == (3, {"factory-not-known"})
    named = recipe(tmp_path, name, "set-option-bytes: {fields: {RDP: level-0}}")
    assert dfurun("check", named).exit == 0


@pytest.mark.parametrize("name", WITHOUT)
def test_a_chip_without_known_option_bytes_is_shown_read_and_told_as_that(dfurun: Dfurun, name: str) -> None:
    shown = dfurun("chips", name)
    assert shown.exit == 0
    assert "how its bootloader shows and takes option bytes is not established" in " ".join(shown.out.split())
    done = dfurun("info", "--sim", "--sim-chip", name, "--chip", name, "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    assert "how its bootloader shows and takes option bytes is not established" in done.out
    board = ("--sim", "--sim-chip", name, "--chip", name, "--sim-clock", "virtual")
    told = [line for line in dfurun("info", *board, "--json").lines if line["event"] == "board"]
    assert [(line["option_bytes"], line["boots"]["boot0=1"]) for line in told] == [(None, "system-memory")]
    kept = dfurun("read", "--option-bytes", "-o", "options.bin", *board)
    assert kept.exit != 0
    assert "is not established" in " ".join(kept.err.split())


# On the simulated board ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("stm32l083xz", "nRST_STOP: 0, WRPROT2: 0x8000"),
        ("stm32l151xe", "nRST_STOP: 0, WRP3: 1"),
        ("stm32l476xg", "nRST_STOP: 0, WRP1A_STRT: 2, WRP1A_END: 3"),
        ("stm32l4r5xi", "nRST_STOP: 0, WRP2A_STRT: 3, WRP2A_END: 4"),
        ("stm32g431xb", "nRST_STOP: 0"),
        ("stm32g474xe", "nRST_STOP: 0, WRP2B_STRT: 0, WRP2B_END: 0"),
        ("stm32g0b1xb", "nBOOT_SEL: 0"),
        ("stm32wb55xg", "nRST_STOP: 0"),
        ("stm32h743xi", "nRST_STOP_D1: 0, WRPSn1: 0x7F"),
        ("stm32h723xg", "nRST_STOP_D1: 0"),
        ("stm32h7a3xi", "nRST_STOP_D1: 0, WRPSGn2: 0x7FFFFFFF"),
        ("stm32u575xi", "nRST_STOP: 0, WRP2A_PSTRT: 1, WRP2A_PEND: 2"),
        ("stm32l552xe", "nRST_STOP: 0"),
    ],
)
def test_a_recipe_sets_option_bytes_and_reads_them_back(dfurun: Dfurun, tmp_path: Path, name: str, fields: str) -> None:
    """Of every rule of storage and both sorts of two blocks: written, reset, and read back."""
    steps = f"set-option-bytes: {{fields: {{{fields}}}}}\n  - check-option-bytes: {{fields: {{{fields}}}}}"
    board = tmp_path / "board.json"
    assert dfurun("sim", "new", board, "--chip", name).exit == 0
    done = dfurun("run", recipe(tmp_path, name, steps), "--sim-state", board, "--sim-clock", "virtual", "--json")
    assert done.exit == 0, done.err
    (told,) = [line["option_bytes"] for line in dfurun("sim", "show", board, "--json").lines if "option_bytes" in line]
    layout = load_chip(name).option_bytes
    changed = {change.field.name for change in layout.changes(layout.factory, bytes.fromhex(told["stored"]))}
    assert changed == {part.split(":")[0].strip() for part in fields.split(",")} - {"WRP2B_END"}


@pytest.mark.parametrize("name", ["stm32l083xz", "stm32h743xi", "stm32u575xi", "stm32h563xi"])
def test_an_image_of_an_odd_length_is_flashed_and_verified(dfurun: Dfurun, tmp_path: Path, name: str) -> None:
    """Whole flash words go out, however the image ends; an L0's flash is erased to zeros."""
    chip = load_chip(name)
    image = (chip.ram.start + 0x1000).to_bytes(4, "little") + bytes.fromhex("01010008") + bytes(range(1, 252)) * 5
    (tmp_path / "app.bin").write_bytes(image)
    text = f"""\
        dfurun: 1
        name: Example
        chip: {name}
        images: {{app: {{file: app.bin, address: 0x08000000}}}}
        steps:
          - connect
          - erase: {{image: app}}
          - write: {{image: app}}
          - verify: {{image: app}}
        """
    path = tmp_path / "flash.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    board = tmp_path / "board.json"
    assert dfurun("sim", "new", board, "--chip", name).exit == 0
    done = dfurun("run", path, "--sim-state", board, "--sim-clock", "virtual")
    assert done.exit == 0, done.err + done.out
    assert dfurun("sim", "dump", board, tmp_path / "flash.bin").exit == 0
    flash = (tmp_path / "flash.bin").read_bytes()
    assert flash == image.ljust(chip.flash.extent.size_bytes, bytes([chip.flash.erased]))
