"""What the bootloader's commands do to the memories. # Ref: AN3156 rev 18 sections 4 and 5; AN2606 tables 5, 7 and 226."""

from __future__ import annotations

import pytest
from simulated_bench import BLOCK, CHIP, FLASH, OPTIONS, Bench, busy, error, options

from dfurun.dfuse.protocol import (
    Command,
    DfuState,
    DfuStatus,
    erase_page_payload,
    mass_erase_payload,
    set_address_payload,
)
from dfurun.simulator.transfer import Stall

FLASH_END = CHIP.flash.extent.end
RAM = CHIP.ram_window.start if CHIP.ram_window else 0
SYSTEM = CHIP.system_memory


def test_get_commands_lists_them_in_a_short_frame(bench: Bench) -> None:
    """AN3156 section 4.2: 00 21 41 92."""
    assert bench.upload(0, 64) == bytes([0x00, 0x21, 0x41, 0x92])
    assert bench.state() is DfuState.IDLE


def test_a_full_frame_of_commands_is_not_the_last(bench: Bench) -> None:
    """DFU 1.1 section A.2.10: only a short frame ends an upload."""
    assert bench.upload(0, 4) == bytes([0x00, 0x21, 0x41, 0x92])
    assert bench.state() is DfuState.UPLOAD_IDLE


def test_the_pointer_is_the_start_of_flash_when_it_was_never_set(bench: Bench) -> None:
    """AN3156 section 4.1: 0x08000000 where no address was specified."""
    bench.board.replace_flash(b"at the start")
    assert bench.upload(2, 12) == b"at the start"


@pytest.mark.parametrize("address", [FLASH, FLASH_END - 1, RAM, SYSTEM.start, SYSTEM.end - 1, OPTIONS, OPTIONS + 15])
def test_set_address_takes_every_memory_of_the_chip(bench: Bench, address: int) -> None:
    """AN3156 section 5.2: flash, RAM, system memory and option bytes."""
    bench.set_address(address)
    assert bench.registers.pointer == address


@pytest.mark.parametrize(
    "address", [0, FLASH - 1, FLASH_END, 0x2000_0000, RAM - 1, CHIP.ram.end, 0x1FFF_F810, 0xFFFF_FFFF]
)
def test_set_address_outside_them_is_err_target_and_leaves_the_pointer(bench: Bench, address: int) -> None:
    """AN3156 section 5.2: "wrong or unsupported"; AN2606 table 226: the ROM keeps the first 6 KiB of RAM."""
    assert bench.execute(0, set_address_payload(address)) == error(DfuStatus.ERR_TARGET)
    assert bench.registers.pointer == FLASH


@pytest.mark.parametrize("address", [0, FLASH - 1, FLASH_END, RAM, SYSTEM.start, OPTIONS])
def test_only_main_flash_has_pages_to_erase(bench: Bench, address: int) -> None:
    """AN3156 section 5.3: "the allowed values for erase page address are: internal flash memory addresses"."""
    assert bench.execute(0, erase_page_payload(address)) == error(DfuStatus.ERR_TARGET)
    assert bench.board.flash.erase_counts == [0] * 64


def test_any_address_in_a_page_erases_that_page_alone(bench: Bench) -> None:
    """AN3156 section 5.3; RM0091 table 5: pages of 2 KiB."""
    bench.board.replace_flash(bytes(CHIP.flash.extent.size_bytes))
    bench.erase_page(FLASH + 3 * 2048 + 1234)
    contents = bench.board.flash.contents
    assert contents[3 * 2048 : 4 * 2048] == b"\xff" * 2048
    assert contents.count(0xFF) == 2048


def test_mass_erase_erases_everything_and_reports_its_own_time(bench: Bench) -> None:
    """AN3156 section 5.3: one byte, 0x41."""
    bench.board.replace_flash(bytes(CHIP.flash.extent.size_bytes))
    bench.dnload(0, mass_erase_payload())
    assert bench.status() == busy(CHIP.timing.mass_erase.reported_s)
    bench.clock.sleep(CHIP.timing.mass_erase.typical_s)
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.board.flash.contents == b"\xff" * CHIP.flash.extent.size_bytes
    assert bench.board.flash.erase_counts == [1] * 64


def test_a_stream_of_blocks_is_written_and_read_back(bench: Bench) -> None:
    """AN3156 sections 4.1 and 5.1: address = (wBlockNum - 2) * wTransferSize + pointer."""
    image = bytes(n * 7 & 0xFF for n in range(5 * BLOCK))
    bench.set_address(FLASH + 0x1000)
    for index in range(5):
        bench.must(2 + index, image[index * BLOCK : (index + 1) * BLOCK])
    bench.set_address(FLASH + 0x1000)
    bench.abort()
    assert b"".join(bench.upload(2 + index, BLOCK) for index in range(5)) == image


def test_programming_takes_the_datasheets_typical_time_and_reports_the_chip_datas(bench: Bench) -> None:
    """DS9826: 53.5 us a half-word, typical."""
    bench.set_address(FLASH)
    bench.dnload(2, bytes(BLOCK))
    assert bench.status() == busy(CHIP.timing.program_block.reported_s)
    bench.clock.sleep(1024 * 53.5e-6 - 1e-4)
    assert 0 not in bench.board.flash.contents
    bench.clock.sleep(1e-4)
    assert bench.board.flash.contents[:BLOCK] == bytes(BLOCK)


def test_ram_above_the_roms_own_can_be_written_and_read(bench: Bench) -> None:
    """AN2606 table 226: 0x20001800..0x20003FFF."""
    bench.write(RAM, b"in RAM!!")
    assert bench.read(RAM, 8) == b"in RAM!!"


def test_system_memory_is_read_only(bench: Bench) -> None:
    """AN2606 table 5: system memory, read."""
    bench.set_address(SYSTEM.start)
    before = bench.read(SYSTEM.start, 64)
    bench.set_address(SYSTEM.start)
    assert bench.execute(2, bytes(64)) == error(DfuStatus.ERR_TARGET)
    bench.clear()
    assert bench.read(SYSTEM.start, 64) == before


def test_one_upload_of_system_memory_holds_the_bootloader_id_the_unique_id_and_the_flash_size() -> None:
    """AN2606 table 3 (0xA1 at 0x1FFFF6A6), RM0091 section 33 (unique id, flash size in KiB)."""
    bench = Bench(unique_id=b"twelve bytes")
    page = bench.read(0x1FFF_F000, BLOCK)
    assert len(page) == BLOCK
    assert page[0x6A6] == 0xA1
    assert page[0x7AC : 0x7AC + 12] == b"twelve bytes"
    assert page[0x7CC:0x7CE] == (128).to_bytes(2, "little")


def test_an_upload_ends_with_its_memory_in_a_short_frame(bench: Bench) -> None:
    """Inference: what lies behind is not there; a G431's option bytes end short in the same way."""
    bench.set_address(FLASH_END - 16)
    bench.abort()
    assert len(bench.upload(2, 64)) == 16
    assert bench.state() is DfuState.IDLE


def test_an_upload_from_nowhere_stalls_with_err_target(bench: Bench) -> None:
    """AN3156 section 4.1, figure of the device side: address not allowed."""
    with pytest.raises(Stall):
        bench.upload(2 + 64, BLOCK)
    assert bench.status() == error(DfuStatus.ERR_TARGET)


def test_option_bytes_are_read_as_a_whole_from_their_start(bench: Bench) -> None:
    """AN3156 section 4.1: "for option bytes: read size should be" the size of the block."""
    assert bench.read(OPTIONS, 16) == CHIP.option_bytes.factory
    bench.set_address(OPTIONS)
    bench.abort()
    with pytest.raises(Stall):
        bench.upload(2, 8)
    assert bench.status() == error(DfuStatus.ERR_TARGET)


@pytest.mark.parametrize(("offset", "length"), [(2, 4), (0, 6), (1, 2)])
def test_a_write_that_is_not_aligned_fails_and_so_does_every_one_after_it(
    bench: Bench, offset: int, length: int
) -> None:
    """AN2606 table 7: "the operation fails and all following program operations fail as well"."""
    bench.set_address(FLASH + offset)
    assert bench.execute(2, bytes(length)) == error(DfuStatus.ERR_TARGET)
    bench.clear()
    bench.set_address(FLASH)
    assert bench.execute(2, bytes(4)) == error(DfuStatus.ERR_TARGET)
    assert bench.board.flash.contents == b"\xff" * CHIP.flash.extent.size_bytes
    bench.board.power_cycle()
    bench.clock.sleep(1)
    bench.write(FLASH, bytes(4))


def test_a_write_past_the_end_of_flash_writes_nothing(bench: Bench) -> None:
    """AN3156 section 5.1: address not allowed, errTARGET; that nothing of it is written is an inference."""
    bench.set_address(FLASH_END - 8)
    assert bench.execute(2, bytes(16)) == error(DfuStatus.ERR_TARGET)
    assert 0 not in bench.board.flash.contents


@pytest.mark.parametrize("payload", [b"\x00", b"\x50", b"\x41\x00", b"\x21\x00\x00", b"\x92\x00", bytes(5)])
def test_an_unsupported_command_is_err_stalledpkt_when_it_is_executed(bench: Bench, payload: bytes) -> None:
    """AN2662 figure 55: unsupported command -> dfuERROR, errSTALLEDPKT."""
    assert bench.execute(0, payload) == error(DfuStatus.ERR_STALLEDPKT)


def test_a_command_that_the_chip_does_not_list_is_unsupported(bench: Bench) -> None:
    """AN3156 section 4.2: the list varies; this is the F072's."""
    assert set(CHIP.rom.commands) == set(Command)
    assert bench.execute(0, b"\x82") == error(DfuStatus.ERR_STALLEDPKT)


@pytest.mark.parametrize("sector", [0, 7, 31])
def test_writes_and_erases_of_write_protected_sectors_are_acknowledged_and_not_done(sector: int) -> None:
    """AN3156 table 4, note: no error is returned; RM0091 section 4: one WRP bit for 4 KiB, 0 protects."""
    wrp = [0xFF] * 4
    wrp[sector // 8] &= ~(1 << sector % 8)
    raw = options(b8=wrp[0], b10=wrp[1], b12=wrp[2], b14=wrp[3])
    bench = Bench(option_bytes=raw, flash=b"\x55" * CHIP.flash.extent.size_bytes)
    start = sector * 4096
    for page in (start, start + 2048):
        bench.erase_page(FLASH + page)
    assert bench.board.flash.contents[start : start + 4096] == b"\x55" * 4096
    bench.write(FLASH + start, bytes(64))
    assert bench.board.flash.contents[start : start + 64] == b"\x55" * 64
    neighbour = (start + 4096) % CHIP.flash.extent.size_bytes
    bench.erase_page(FLASH + neighbour)
    assert bench.board.flash.contents[neighbour : neighbour + 2048] == b"\xff" * 2048


def test_one_write_protected_sector_keeps_mass_erase_from_erasing_anything() -> None:
    """PM0059 section 2.5 for F2 and F4; inferred for F0."""
    full = b"\x55" * CHIP.flash.extent.size_bytes
    bench = Bench(option_bytes=options(b8=0xFE), flash=full)
    bench.mass_erase()
    assert bench.board.flash.contents == full


def test_option_bytes_are_erased_first_then_programmed_and_then_the_chip_resets(bench: Bench) -> None:
    """AN3156 section 5.1 and figure 7; one GETSTATUS, then the device is gone."""
    wanted = options(b2=0xFB, b4=0x12)
    assert bench.start_option_write(wanted) == busy(CHIP.timing.option_bytes.reported_s)
    assert bench.board.option_bytes.stored == CHIP.option_bytes.factory
    bench.clock.sleep(CHIP.timing.option_bytes.typical_s)
    assert bench.board.option_bytes.stored == wanted
    assert not bench.board.present


def test_a_partial_option_write_leaves_the_rest_erased(bench: Bench) -> None:
    """AN3156: all option bytes are erased first. Whether an F0 takes a part at all is not known; the damage is modelled."""
    bench.write_options(bytes.fromhex("AA55FF00"))
    assert bench.board.option_bytes.stored == bytes.fromhex("AA55FF00") + b"\xff" * 12


def test_the_hardware_makes_the_complements_whatever_the_host_sends(bench: Bench) -> None:
    """RM0091 section 3.2.3: the low byte is taken, the high byte computed."""
    bench.write_options(bytes.fromhex("AA00FB00") + b"\x12\x12" * 6)
    assert bench.board.option_bytes.stored == bytes.fromhex("AA55FB04") + b"\x12\xed" * 6


def test_option_bytes_are_written_only_from_their_start(bench: Bench) -> None:
    """AN3156 section 5.1: the pointer must be the start of the option bytes."""
    bench.set_address(OPTIONS + 4)
    assert bench.execute(2, bytes(4)) == error(DfuStatus.ERR_TARGET)
    assert bench.board.option_bytes.stored == CHIP.option_bytes.factory


def test_the_alternate_setting_does_not_matter_the_address_does(bench: Bench) -> None:
    """An inference, to confirm on hardware: the ROM goes by the address."""
    assert bench.board.device is not None
    bench.board.device.alternate = 1
    bench.write(FLASH, b"flash via alternate 1...")
    assert bench.board.flash.contents.startswith(b"flash via")
