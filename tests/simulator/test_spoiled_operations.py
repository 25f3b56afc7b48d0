"""Faults of uploads and of operations: a good answer, and behind it something that is not so."""

from __future__ import annotations

import pytest
from simulated_bench import APPLICATION, CHIP, FLASH, Bench, error, idle, options

from dfurun.dfuse.protocol import (
    DfuState,
    DfuStatus,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    set_address_payload,
)
from dfurun.simulator import parse_fault

PAGE = 2048
ERASED = b"\xff" * PAGE


def with_faults(*texts: str, **settings: object) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


# What arrives ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"), [("short-upload", 32), ("short-upload:bytes=1", 1), ("short-upload:bytes=0", 0)]
)
def test_a_short_upload_is_the_beginning_and_the_rom_has_sent_all(text: str, length: int) -> None:
    bench = with_faults(text, flash=APPLICATION)
    bench.upload(0, 64)
    bench.abort()
    assert bench.upload(2, 64) == APPLICATION[:length]
    assert bench.state() is DfuState.UPLOAD_IDLE
    assert bench.upload(2, 64) == APPLICATION[:64]


def test_a_short_upload_is_never_longer_than_what_was_sent() -> None:
    bench = with_faults("short-upload:bytes=100", flash=APPLICATION)
    assert bench.upload(2, 64) == APPLICATION[:64]


# What is programmed ------------------------------------------------------------------------------------------------------


def test_one_bit_of_a_block_is_programmed_the_other_way_round() -> None:
    bench = with_faults("flip-program:skip=1,seed=3")
    bench.set_address(FLASH)
    sent = bytes(range(256)) * 8
    for block in (2, 3, 4):
        bench.must(block, sent)
    contents = bench.board.flash.contents
    assert contents[:PAGE] == contents[2 * PAGE : 3 * PAGE] == sent
    difference = int.from_bytes(contents[PAGE : 2 * PAGE], "little") ^ int.from_bytes(sent, "little")
    assert difference.bit_count() == 1


def test_which_bit_it_is_depends_on_the_seed_alone() -> None:
    def contents(seed: int) -> bytes:
        bench = with_faults(f"flip-program:seed={seed}")
        bench.write(FLASH, bytes(64))
        return bench.board.flash.contents[:64]

    assert contents(1) == contents(1) != contents(2)


# What is erased ----------------------------------------------------------------------------------------------------------


def test_a_lost_erase_takes_its_time_and_erases_nothing() -> None:
    bench = with_faults("lost-erase", flash=bytes(2 * PAGE))
    begun_s = bench.clock.now()
    bench.erase_page(FLASH)
    assert bench.clock.now() - begun_s >= CHIP.timing.shortest_erase.typical_s
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)
    assert bench.board.flash.erase_counts[0] == 0
    bench.erase_page(FLASH)
    assert bench.board.flash.contents[: 2 * PAGE] == ERASED + bytes(PAGE)


def test_a_lost_mass_erase_is_that_of_a_rom_whose_mass_erase_does_not_work() -> None:
    """AN2606 table 136, STM32H74x V13.3."""
    bench = with_faults("lost-erase:for=mass-erase,count=always", flash=bytes(2 * PAGE))
    bench.mass_erase()
    assert bench.board.flash.contents[: 2 * PAGE] == bytes(2 * PAGE)
    bench.erase_page(FLASH)
    assert bench.board.flash.contents[: 2 * PAGE] == ERASED + bytes(PAGE)


def test_a_lost_erase_that_the_power_cuts_erases_nothing_either() -> None:
    bench = with_faults("lost-erase", "power-cut:for=erase,back=0", flash=bytes(PAGE))
    bench.start(0, erase_page_payload(FLASH))
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)


def test_a_silently_protected_page_is_neither_programmed_nor_erased_for_good() -> None:
    """AN3156 table 4, note."""
    bench = with_faults("silent-protection:page=1", flash=bytes(3 * PAGE))
    for page in range(3):
        bench.erase_page(FLASH + page * PAGE)
    assert bench.board.flash.contents[: 3 * PAGE] == ERASED + bytes(PAGE) + ERASED
    bench.mass_erase()
    assert bench.board.flash.contents[PAGE : 2 * PAGE] == bytes(PAGE)
    bench.board.power_cycle()
    bench.clock.sleep(1)
    bench.erase_page(FLASH + PAGE)
    assert bench.board.flash.contents[PAGE : 2 * PAGE] == bytes(PAGE)
    assert bench.board.flash.erase_counts[1] == 0


def test_of_a_block_that_reaches_into_a_silently_protected_page_the_rest_is_programmed() -> None:
    bench = with_faults("silent-protection:page=1")
    bench.write(FLASH + PAGE // 2, bytes(PAGE))
    assert bench.board.flash.contents[: 2 * PAGE] == b"\xff" * (PAGE // 2) + bytes(PAGE // 2) + ERASED


def test_a_silently_protected_page_does_not_survive_read_unprotect() -> None:
    bench = with_faults("silent-protection:page=0", flash=APPLICATION)
    bench.board.protect(1)
    bench.unprotect()
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:PAGE] == ERASED


def test_a_silently_protected_page_is_spared_by_a_power_cut_too() -> None:
    bench = with_faults("silent-protection:page=0", "power-cut:for=erase,back=0", flash=bytes(PAGE))
    bench.start(0, erase_page_payload(FLASH))
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)


def test_a_page_that_the_chip_does_not_have_is_protected_by_nobody() -> None:
    bench = with_faults("silent-protection:page=64", flash=bytes(PAGE))
    bench.mass_erase()
    assert bench.board.flash.contents[:PAGE] == ERASED


# What is said ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in DfuStatus if status is not DfuStatus.OK])
def test_a_false_status_refuses_an_operation_that_nothing_is_wrong_with(status: DfuStatus) -> None:
    bench = with_faults(f"false-status:status={status.spelled}", flash=bytes(PAGE))
    assert bench.execute(0, erase_page_payload(FLASH)) == error(status)
    assert bench.board.flash.contents[:PAGE] == bytes(PAGE)
    bench.clear()
    assert bench.status() == idle()
    bench.erase_page(FLASH)
    assert bench.board.flash.contents[:PAGE] == ERASED


def test_a_false_status_is_aimed_by_the_operation() -> None:
    bench = with_faults("false-status:status=errERASE,for=mass-erase")
    bench.erase_page(FLASH)
    bench.write(FLASH, b"1234")
    assert bench.execute(0, mass_erase_payload()) == error(DfuStatus.ERR_ERASE)


def test_a_false_status_of_uploads_touches_no_operation() -> None:
    bench = with_faults("false-status:status=errADDRESS,upload=1,count=always")
    bench.set_address(FLASH)
    bench.abort()
    assert bench.is_refused(lambda: bench.upload(2, 64))
    assert bench.status() == error(DfuStatus.ERR_ADDRESS)


def test_a_refusal_of_the_roms_own_is_no_occasion() -> None:
    bench = with_faults("false-status:status=errUNKNOWN")
    assert bench.execute(0, set_address_payload(0x9000_0000)) == error(DfuStatus.ERR_TARGET)
    bench.clear()
    assert bench.execute(0, set_address_payload(FLASH)) == error(DfuStatus.ERR_UNKNOWN)


@pytest.mark.parametrize("text", ["false-status:status=OK", "false-status:status=errUNKOWN"])
def test_a_status_has_to_be_an_error_by_its_name(text: str) -> None:
    with pytest.raises(ValueError, match="no such status"):
        parse_fault(text)


def test_a_false_status_of_both_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="the fault false-status: upload=1 touches no operation: leave for= away"):
        parse_fault("false-status:status=errUNKNOWN,upload=1,for=erase")


def test_a_false_status_before_option_bytes_leaves_them_alone() -> None:
    bench = with_faults("false-status:status=errVENDOR,for=option-bytes")
    assert bench.start_option_write(options(b4=1)).state is DfuState.DNBUSY
    assert bench.status() == StatusReport(DfuStatus.ERR_VENDOR, 0.0, DfuState.ERROR)
    assert bench.board.option_bytes.stored == CHIP.option_bytes.factory
