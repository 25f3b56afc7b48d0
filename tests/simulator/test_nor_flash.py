"""NOR rules. # Ref: RM0091 section 3.2.2: PGERR unless the half-word is erased or the new value is 0x0000."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_bench import CHIP, FLASH, Bench

from dfurun.simulator.flash import FlashMemory
from dfurun.units import AddressRange


@pytest.fixture
def flash() -> FlashMemory:
    return FlashMemory(CHIP.flash)


def test_an_erased_half_word_takes_any_value(flash: FlashMemory) -> None:
    flash.program(FLASH, bytes.fromhex("1234"))
    assert flash.contents[:4] == bytes.fromhex("1234FFFF")


def test_a_programmed_half_word_takes_only_zero(flash: FlashMemory) -> None:
    flash.program(FLASH, bytes.fromhex("FF0F FF0F"))
    flash.program(FLASH, bytes.fromhex("0F0F 0000"))
    assert flash.contents[:4] == bytes.fromhex("FF0F 0000")


def test_a_programmed_half_word_keeps_its_value_even_where_only_bits_would_be_cleared(flash: FlashMemory) -> None:
    """Unlike other NOR flashes: the interface checks for erased, not for bits."""
    flash.program(FLASH, bytes.fromhex("FEFF"))
    flash.program(FLASH, bytes.fromhex("FCFF"))
    assert flash.contents[:2] == bytes.fromhex("FEFF")


def test_erasing_makes_a_page_programmable_again_and_wears_it(flash: FlashMemory) -> None:
    flash.program(FLASH + 2048, bytes(2048))
    flash.erase_page(1)
    flash.program(FLASH + 2048, b"\x12\x34")
    assert flash.contents[2048:2052] == bytes.fromhex("1234FFFF")
    assert flash.erase_counts[:3] == [0, 1, 0]
    assert flash.programmed_units == 1024 + 1


def test_protected_sectors_are_skipped_half_word_by_half_word(flash: FlashMemory) -> None:
    flash.program(FLASH + 4092, bytes(8), protected=[AddressRange(FLASH + 4096, 4096)])
    assert flash.contents[4092:4100] == bytes(4) + b"\xff" * 4


def test_a_debugger_can_put_an_image_there_but_not_a_larger_one(flash: FlashMemory) -> None:
    flash.replace(b"image")
    assert flash.contents == b"image".ljust(CHIP.flash.extent.size_bytes, b"\xff")
    with pytest.raises(ValueError, match="131073 bytes for a flash of 131072"):
        flash.replace(bytes(131073))


def test_the_host_is_not_told_of_a_skipped_half_word(bench: Bench) -> None:
    """Inference: no document gives the ROM a status for PGERR; only reading back shows it."""
    bench.write(FLASH, bytes.fromhex("11111111"))
    bench.write(FLASH, bytes.fromhex("22222222"))
    assert bench.read(FLASH, 4) == bytes.fromhex("11111111")


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("erase"), st.integers(0, 3), st.just(b"")),
        st.tuples(st.just("program"), st.integers(0, 4000).map(lambda n: n * 2), st.binary(max_size=64)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(_steps)
def test_only_an_erase_ever_sets_a_bit(steps: list[tuple[str, int, bytes]]) -> None:
    flash = FlashMemory(CHIP.flash)
    for what, where, data in steps:
        before = flash.contents[:8192]
        if what == "erase":
            flash.erase_page(where)
            page = slice(where * 2048, where * 2048 + 2048)
            assert flash.contents[page] == b"\xff" * 2048
        else:
            flash.program(FLASH + where, data)
            assert all(new & ~old == 0 for old, new in zip(before, flash.contents[:8192], strict=True))
