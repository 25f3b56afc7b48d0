"""Option bytes, stored and in force. # Ref: RM0091 section 4."""

from __future__ import annotations

import pytest
from simulated_bench import BACK_S, CHIP, FACTORY, FLASH, Bench, options

from dfurun.simulator.option_bytes import OptionBytes
from dfurun.units import AddressRange


@pytest.fixture
def option_bytes() -> OptionBytes:
    return OptionBytes(CHIP.option_bytes)


def test_a_new_chip_has_the_production_values(option_bytes: OptionBytes) -> None:
    """RM0091 section 4: ST production value 0x00FF55AA."""
    assert option_bytes.stored == bytes.fromhex("AA55FF00" + "FF00" * 6)
    assert option_bytes.in_force == option_bytes.stored
    assert option_bytes.protection_level == 0
    assert option_bytes.fields["BOOT_SEL"] == 1
    assert option_bytes.fields["RDP"] == "level-0"


def test_what_is_stored_is_in_force_only_after_it_was_loaded(option_bytes: OptionBytes) -> None:
    option_bytes.erase()
    option_bytes.program(options(b0=0xBB))
    assert option_bytes.protection_level == 0
    option_bytes.load()
    assert option_bytes.protection_level == 1


def test_a_wrong_complement_counts_as_ff_and_raises_opterr(option_bytes: OptionBytes) -> None:
    option_bytes.replace(bytes.fromhex("AA55 7700") + FACTORY[4:])
    option_bytes.load()
    assert option_bytes.option_error
    assert option_bytes.in_force[2:4] == bytes.fromhex("FF00")
    assert option_bytes.stored[2:4] == bytes.fromhex("7700")


def test_a_wrong_complement_of_rdp_is_level_1(option_bytes: OptionBytes) -> None:
    option_bytes.replace(bytes.fromhex("AA54") + FACTORY[2:])
    option_bytes.load()
    assert option_bytes.protection_level == 1


def test_an_erased_pair_counts_as_ff_without_opterr(option_bytes: OptionBytes) -> None:
    option_bytes.erase()
    option_bytes.load()
    assert not option_bytes.option_error
    assert option_bytes.in_force == bytes.fromhex("FF00" * 8)
    assert option_bytes.protection_level == 1


def test_wrp_bits_at_zero_protect_four_kibibytes_each(option_bytes: OptionBytes) -> None:
    option_bytes.replace(options(b8=0b1111_1101, b14=0b0111_1111))
    option_bytes.load()
    assert option_bytes.write_protected(CHIP.flash) == (
        AddressRange(FLASH + 0x1000, 0x1000),
        AddressRange(FLASH + 31 * 0x1000, 0x1000),
    )


def test_a_wrong_number_of_bytes_is_refused(option_bytes: OptionBytes) -> None:
    with pytest.raises(ValueError, match="4 option bytes where the chip has 16"):
        option_bytes.replace(bytes(4))


def test_the_boards_written_option_bytes_wait_for_the_power_cycle(bench: Bench) -> None:
    """RM0091 section 4: not after a system reset."""
    bench.write_options(options(b2=0xEF))
    assert bench.board.option_bytes.stored == options(b2=0xEF)
    assert bench.board.option_bytes.in_force == FACTORY
    bench.board.power_cycle()
    assert bench.board.option_bytes.in_force == options(b2=0xEF)


def test_replacing_them_loads_them_and_the_board_is_there_at_once(bench: Bench) -> None:
    bench.board.replace_option_bytes(options(b2=0x77))
    assert bench.board.option_bytes.in_force == options(b2=0x77)
    assert bench.board.present


def test_protect_sets_the_level_and_leaves_every_other_byte(bench: Bench) -> None:
    bench.board.replace_option_bytes(options(b4=0x12))
    bench.board.protect(1)
    assert bench.board.option_bytes.stored == options(b0=0xBB, b4=0x12)
    bench.board.protect(0)
    assert bench.board.option_bytes.protection_level == 0
    bench.board.protect(2)
    bench.clock.sleep(BACK_S)
    assert not bench.board.present
    with pytest.raises(ValueError, match="levels 0, 1 and 2, not 3"):
        bench.board.protect(3)
