"""The option-byte codec on the F405's layout: half-words, fields over two bytes, and nothing touched beside the fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import BootTarget, load_chip
from dfurun.units import AddressRange

CHIP = load_chip("stm32f405xg")
LAYOUT = CHIP.option_bytes
FACTORY = bytes.fromhex("EFAA1055 FFFFFFFF FF0F00F0 FFFFFFFF")
FIELD_BITS = bytes.fromhex("ECFF0000 00000000 FF0F0000 00000000")

_any_raw = st.binary(min_size=16, max_size=16)
_named = st.fixed_dictionaries(
    {},
    optional={
        "RDP": st.sampled_from(["level-0", "level-1", "level-2"]),
        "BOR_LEV": st.integers(0, 3),
        "nRST_STOP": st.integers(0, 1),
        "nWRP": st.integers(0, 0xFFF),
    },
)


def test_the_factory_image_is_rm0090s_optcr() -> None:
    """FLASH_OPTCR 0x0FFFAAED: its upper half is at +8, its lower half at +0, where bits 0 and 1 are no option."""
    assert LAYOUT.factory == FACTORY
    optcr = int.from_bytes(FACTORY[8:10], "little") << 16 | int.from_bytes(FACTORY[:2], "little")
    assert optcr & ~0b11 == 0x0FFF_AAED & ~0b11
    fields = {"BOR_LEV": 3, "WDG_SW": 1, "nRST_STOP": 1, "nRST_STDBY": 1, "RDP": "level-0", "nWRP": 0xFFF}
    assert LAYOUT.decode(FACTORY) == fields


@pytest.mark.parametrize(
    ("fields", "halves"),
    [
        ({"RDP": "level-1"}, "EFBB FF0F"),
        ({"BOR_LEV": 0}, "E3AA FF0F"),
        ({"BOR_LEV": 2, "WDG_SW": 0}, "CBAA FF0F"),
        ({"nWRP": 0x7FE}, "EFAA FE07"),
    ],
)
def test_a_field_changes_its_own_bits_and_leaves_the_hardwares_half(fields: dict[str, Any], halves: str) -> None:
    low, high = bytes.fromhex(halves)[:2], bytes.fromhex(halves)[2:]
    assert LAYOUT.encode(FACTORY, fields) == low + FACTORY[2:8] + high + FACTORY[10:]


@given(_any_raw, _named)
def test_what_is_named_is_read_back_and_every_other_bit_stays(image: bytes, named: dict[str, Any]) -> None:
    written = LAYOUT.encode(image, named)
    assert LAYOUT.decode(written) == LAYOUT.decode(image) | named
    assert all(a & ~f == b & ~f for a, b, f in zip(written, image, FIELD_BITS, strict=True))


@given(_any_raw, _any_raw)
def test_images_that_differ_only_beside_the_fields_mean_the_same(image: bytes, other: bytes) -> None:
    mixed = bytes(a & f | b & ~f & 0xFF for a, b, f in zip(image, other, FIELD_BITS, strict=True))
    assert LAYOUT.effective(mixed) == LAYOUT.effective(image)
    assert LAYOUT.spoiled(mixed) == ()


def test_a_cleared_bit_of_nwrp_protects_its_sector() -> None:
    raw = LAYOUT.encode(FACTORY, {"nWRP": 0xFFF & ~(1 << 0 | 1 << 4 | 1 << 11)})
    assert LAYOUT.write_protected(raw, CHIP.flash) == (
        AddressRange(0x0800_0000, 16 * 1024),
        AddressRange(0x0801_0000, 64 * 1024),
        AddressRange(0x080E_0000, 128 * 1024),
    )


def test_values_are_shown_in_their_width_and_refused_beyond_it() -> None:
    fields = LAYOUT.fields
    assert fields["nWRP"].show(0xFE) == "0x0FE"
    assert fields["BOR_LEV"].show(2) == "2"
    with pytest.raises(ValueError, match="BOR_LEV takes 0 to 3, not 4"):
        LAYOUT.encode(FACTORY, {"BOR_LEV": 4})
    with pytest.raises(ValueError, match="nWRP takes 0 to 0xFFF, not 4096"):
        LAYOUT.encode(FACTORY, {"nWRP": 0x1000})


def test_boot0_alone_decides_what_starts() -> None:
    fields = LAYOUT.decode(FACTORY)
    assert CHIP.starts(fields, boot0=0) is BootTarget.MAIN_FLASH
    assert CHIP.starts(fields, boot0=1) is BootTarget.SYSTEM_MEMORY


@pytest.mark.parametrize(
    ("found", "torn"),
    [
        ("EBAA1055 FFFFFFFF FF0F00F0 FFFFFFFF", True),
        ("FFFF FFFF FFFFFFFF FF0F00F0 FFFFFFFF", True),
        ("EFAA 1055 FFFFFFFF FF0F00F0 FFFFFFFF", False),
        ("FFFF FFFF FFFFFFFF FE0F01F0 FFFFFFFF", False),
    ],
)
def test_what_a_write_that_was_cut_short_leaves_is_told_by_the_fields_alone(found: str, *, torn: bool) -> None:
    """The hardware makes the second half-word itself: it says nothing, whatever the client has sent there."""
    wanted = LAYOUT.encode(FACTORY, {"BOR_LEV": 2})
    assert LAYOUT.is_torn(bytes.fromhex(found), wanted) is torn


def test_the_block_that_holds_a_field_is_the_last() -> None:
    two_banks = load_chip("stm32f427xi").option_bytes
    first, second = two_banks.blocks
    assert two_banks.blocks_with_last("RDP") == (second, first)
    assert two_banks.blocks_with_last("nWRP_bank2") == (first, second)
    assert LAYOUT.blocks_with_last("RDP") == LAYOUT.blocks
