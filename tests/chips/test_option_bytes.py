"""The option-byte codec on the F072's layout: raw bytes to fields and back, and nothing changed that was not named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import BootTarget, FieldValue, PageRun, load_chip
from dfurun.units import AddressRange

CHIP = load_chip("stm32f072xb")
LAYOUT = CHIP.option_bytes
FACTORY = bytes.fromhex("AA55 FF00 FF00 FF00 FF00 FF00 FF00 FF00")
FACTORY_FIELDS: dict[str, FieldValue] = {
    "RDP": "level-0", "WDG_SW": 1, "nRST_STOP": 1, "nRST_STDBY": 1, "nBOOT0": 1, "nBOOT1": 1, "VDDA_MONITOR": 1,
    "RAM_PARITY_CHECK": 1, "BOOT_SEL": 1, "DATA0": 0xFF, "DATA1": 0xFF, "WRP0": 0xFF, "WRP1": 0xFF, "WRP2": 0xFF,
    "WRP3": 0xFF,
}  # fmt: skip
USER_BITS = {
    0: "WDG_SW", 1: "nRST_STOP", 2: "nRST_STDBY", 3: "nBOOT0", 4: "nBOOT1", 5: "VDDA_MONITOR", 6: "RAM_PARITY_CHECK",
    7: "BOOT_SEL",
}  # fmt: skip


def raw(**data: int) -> bytes:
    """Return the factory bytes with data bytes changed by their offset, complements right: raw(b2=0x77)."""
    image = bytearray(FACTORY)
    for name, value in data.items():
        offset = int(name[1:])
        image[offset : offset + 2] = value, value ^ 0xFF
    return bytes(image)


# Reading -------------------------------------------------------------------------------------------------------------


def test_the_factory_image_is_rm0091s() -> None:
    assert LAYOUT.factory == FACTORY
    assert LAYOUT.blocks == (AddressRange(0x1FFF_F800, 16),)
    assert LAYOUT.decode(FACTORY) == FACTORY_FIELDS
    assert LAYOUT.spoiled(FACTORY) == ()
    assert LAYOUT.cleared_reserved(FACTORY) == ()
    assert LAYOUT.write_protected(FACTORY, CHIP.flash) == ()


@pytest.mark.parametrize(("bit", "field"), USER_BITS.items())
def test_each_bit_of_user_is_the_field_that_the_manual_names(bit: int, field: str) -> None:
    assert LAYOUT.decode(raw(b2=0xFF & ~(1 << bit))) == FACTORY_FIELDS | {field: 0}
    assert LAYOUT.encode(FACTORY, {field: 0}) == raw(b2=0xFF & ~(1 << bit))


@pytest.mark.parametrize(
    ("offset", "field"), [(4, "DATA0"), (6, "DATA1"), (8, "WRP0"), (10, "WRP1"), (12, "WRP2"), (14, "WRP3")]
)
def test_each_other_byte_is_one_field(offset: int, field: str) -> None:
    changed = raw(**{f"b{offset}": 0x5A})
    assert LAYOUT.decode(changed) == FACTORY_FIELDS | {field: 0x5A}
    assert LAYOUT.encode(FACTORY, {field: 0x5A}) == changed


@pytest.mark.parametrize(
    ("rdp", "level"),
    [(0xAA, "level-0"), (0xBB, "level-1"), (0xCC, "level-2"), (0xFF, "level-1"), (0x00, "level-1"), (0x55, "level-1")],
)
def test_every_rdp_value_but_two_is_level_1(rdp: int, level: str) -> None:
    assert LAYOUT.decode(raw(b0=rdp))["RDP"] == level


def test_a_spoiled_complement_is_found_and_its_byte_taken_for_ff_as_the_chip_does() -> None:
    spoiled = bytearray(raw(b2=0x77, b4=0x12))
    spoiled[3] ^= 0x10
    assert LAYOUT.spoiled(bytes(spoiled)) == (2,)
    assert LAYOUT.decode(bytes(spoiled)) == FACTORY_FIELDS | {"DATA0": 0x12}
    assert LAYOUT.effective(bytes(spoiled)) == raw(b4=0x12)


def test_a_spoiled_rdp_is_level_1() -> None:
    assert LAYOUT.decode(b"\xaa\xaa" + FACTORY[2:])["RDP"] == "level-1"


def test_erased_option_bytes_are_level_1_and_not_spoiled() -> None:
    erased = bytes([0xFF] * 16)
    assert LAYOUT.spoiled(erased) == ()
    assert LAYOUT.decode(erased) == FACTORY_FIELDS | {"RDP": "level-1"}
    assert LAYOUT.effective(erased) == raw(b0=0xFF)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_option_bytes_of_a_wrong_length_are_refused(length: int) -> None:
    for act in (LAYOUT.decode, LAYOUT.effective, lambda short: LAYOUT.encode(short, {})):
        with pytest.raises(ValueError, match=f"{length} option bytes where the chip has 16"):
            act(bytes(length))


# Writing -------------------------------------------------------------------------------------------------------------


def test_naming_nothing_changes_nothing() -> None:
    for image in (FACTORY, raw(b0=0x12, b2=0x77, b8=0x0F)):
        assert LAYOUT.encode(image, {}) == image


def test_the_thread_s_user_byte_is_repaired_by_name_and_the_rest_kept() -> None:
    broken = raw(b2=0x77, b4=0x12, b8=0xFE)
    assert LAYOUT.encode(broken, {"BOOT_SEL": 1, "nBOOT0": 1}) == raw(b4=0x12, b8=0xFE)
    assert [field.name for field in LAYOUT.cleared_reserved(broken)] == ["nBOOT0", "BOOT_SEL"]


def test_a_level_is_written_by_its_own_code() -> None:
    for level, code in (("level-0", 0xAA), ("level-1", 0xBB), ("level-2", 0xCC)):
        start = raw(b0=0xBB if level == "level-0" else 0xAA)
        assert LAYOUT.encode(start, {"RDP": level}) == raw(b0=code)


def test_a_level_that_is_there_under_another_code_is_left_as_it_is() -> None:
    assert LAYOUT.encode(raw(b0=0xFF), {"RDP": "level-1"}) == raw(b0=0xFF)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("RDP", "level-3", "RDP takes level-0, level-1 or level-2, not 'level-3'"),
        ("RDP", 0xAA, "RDP takes level-0, level-1 or level-2, by name, not 170"),
        ("nBOOT1", 2, "nBOOT1 takes 0 or 1, not 2"),
        ("nBOOT1", -1, "nBOOT1 takes 0 or 1, not -1"),
        ("nBOOT1", "on", "nBOOT1 takes 0 or 1, not 'on'"),
        ("DATA0", 256, "DATA0 takes 0 to 0xFF, not 256"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_refused_with_what_it_takes(
    field: str, value: FieldValue, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        LAYOUT.encode(FACTORY, {field: value})


def test_a_field_that_the_chip_does_not_have_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nSWBOOT0"):
        LAYOUT.encode(FACTORY, {"nSWBOOT0": 1})


def test_changes_are_told_field_by_field_as_people_read_them() -> None:
    changes = LAYOUT.changes(raw(b2=0x77), raw(b0=0xBB, b4=0x12))
    assert [str(change) for change in changes] == [
        "RDP level-0 -> level-1", "nBOOT0 0 -> 1", "BOOT_SEL 0 -> 1", "DATA0 0xFF -> 0x12",
    ]  # fmt: skip


def _values(name: str) -> st.SearchStrategy[FieldValue]:
    field = LAYOUT.fields[name]
    return st.sampled_from(sorted(field.values)) if field.values else st.integers(0, (1 << field.width) - 1)


_named = st.fixed_dictionaries({}, optional={name: _values(name) for name in LAYOUT.fields})
_data = st.binary(min_size=8, max_size=8).map(lambda data: bytes(byte for b in data for byte in (b, b ^ 0xFF)))
_any_raw = st.one_of(st.binary(min_size=16, max_size=16), _data)


@given(_any_raw, _named)
def test_what_is_named_is_read_back_and_what_is_not_stays(image: bytes, named: dict[str, Any]) -> None:
    written = LAYOUT.encode(image, named)
    assert LAYOUT.decode(written) == LAYOUT.decode(image) | named
    before = LAYOUT.effective(image)
    named_bits = 0
    for name in named:
        named_bits |= LAYOUT.fields[name].mask
    masks = named_bits.to_bytes(len(LAYOUT.data_offsets()), "little")
    for mask, offset in zip(masks, LAYOUT.data_offsets(), strict=True):
        assert written[offset] & ~mask == before[offset] & ~mask
        assert written[offset + 1] == written[offset] ^ 0xFF


@given(_any_raw, _named)
def test_writing_the_same_again_changes_nothing(image: bytes, named: dict[str, Any]) -> None:
    written = LAYOUT.encode(image, named)
    assert LAYOUT.spoiled(written) == ()
    assert LAYOUT.encode(written, named) == LAYOUT.effective(written) == written
    assert LAYOUT.changes(written, LAYOUT.encode(written, named)) == ()


@given(_any_raw, _any_raw)
def test_every_change_between_two_images_is_told(before: bytes, after: bytes) -> None:
    told = {change.field.name: change.after for change in LAYOUT.changes(before, after)}
    assert LAYOUT.decode(before) | told == LAYOUT.decode(after)


# Write protection ----------------------------------------------------------------------------------------------------


def test_a_cleared_bit_protects_its_4_kib() -> None:
    flash = CHIP.flash
    assert LAYOUT.write_protected(raw(b8=0xFE), flash) == (AddressRange(0x0800_0000, 4096),)
    assert LAYOUT.write_protected(raw(b8=0x7D), flash) == (
        AddressRange(0x0800_1000, 4096),
        AddressRange(0x0800_7000, 4096),
    )
    assert LAYOUT.write_protected(raw(b10=0xFE), flash) == (AddressRange(0x0800_8000, 4096),)
    assert LAYOUT.write_protected(raw(b14=0x7F), flash) == (AddressRange(0x0801_F000, 4096),)


def test_all_bits_cleared_protect_the_whole_flash_without_a_gap() -> None:
    sectors = LAYOUT.write_protected(raw(b8=0, b10=0, b12=0, b14=0), CHIP.flash)
    assert [sector.start for sector in sectors] == list(range(0x0800_0000, 0x0802_0000, 4096))


def test_bits_beyond_a_smaller_flash_protect_nothing() -> None:
    half = replace(CHIP.flash, extent=AddressRange(0x0800_0000, 64 * 1024), runs=(PageRun(32, 2048),))
    assert len(LAYOUT.write_protected(raw(b8=0, b10=0, b12=0, b14=0), half)) == 16


# Boot table and guards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "boot0", "starts"),
    [
        (0xFF, 0, "main-flash"),
        (0xFF, 1, "system-memory"),
        (0xEF, 0, "main-flash"),  # nBOOT1 0
        (0xEF, 1, "sram"),
        (0x77, 0, "system-memory"),  # BOOT_SEL 0, nBOOT0 0: the thread's board, the bootloader whatever the pin says
        (0x77, 1, "system-memory"),
        (0x7F, 0, "main-flash"),  # BOOT_SEL 0, nBOOT0 1: the bootloader is never reached
        (0x7F, 1, "main-flash"),
        (0x67, 0, "sram"),
        (0x67, 1, "sram"),
        (0xF7, 0, "main-flash"),  # nBOOT0 alone does nothing while the pin decides
        (0xF7, 1, "system-memory"),
    ],
)
def test_the_boot_table_is_the_manuals(user: int, boot0: int, starts: str) -> None:
    assert CHIP.starts(LAYOUT.decode(raw(b2=user)), boot0=boot0) is BootTarget(starts)


def test_the_boot_table_has_a_line_for_every_user_byte() -> None:
    for user in range(256):
        for boot0 in (0, 1):
            assert CHIP.starts(LAYOUT.decode(raw(b2=user)), boot0=boot0) in BootTarget


def test_where_the_boot_table_has_no_line_that_is_said() -> None:
    with pytest.raises(LookupError, match=r"stm32f072xb: no boot rule for .* with BOOT0=1"):
        CHIP.starts({}, boot0=1)


@pytest.mark.parametrize(
    ("guard", "irreversible", "after"),
    [
        ("rdp-level-2", True, raw(b0=0xCC)),
        ("boot-sel-cleared", False, raw(b2=0x7F)),
        ("nboot0-cleared", False, raw(b2=0xF7)),
        ("bootloader-hidden", False, raw(b2=0xEF)),
    ],
)
def test_a_guard_stands_before_its_condition_and_not_after_it(guard: str, irreversible: bool, after: bytes) -> None:
    (found,) = [g for g in CHIP.guards if g.name == guard]
    open_fields, locked = LAYOUT.decode(FACTORY), LAYOUT.decode(after)
    assert found.irreversible is irreversible
    assert found.entered(open_fields, locked)
    assert not found.entered(locked, locked)
    assert not found.entered(locked, open_fields)
    assert not found.entered(open_fields, open_fields)


def test_the_thread_s_user_byte_enters_both_guards_of_the_boot_bits() -> None:
    before, after = LAYOUT.decode(FACTORY), LAYOUT.decode(raw(b2=0x77))
    assert [g.name for g in CHIP.guards if g.entered(before, after)] == ["boot-sel-cleared", "nboot0-cleared"]


def test_what_does_not_lock_anything_enters_no_guard() -> None:
    before, after = LAYOUT.decode(FACTORY), LAYOUT.decode(raw(b0=0xBB, b2=0x98, b4=0, b6=0, b8=0))
    assert [g.name for g in CHIP.guards if g.entered(before, after)] == []
