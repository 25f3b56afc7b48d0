"""The simulated STM32F405: sectors, byte programming, a ROM that is deaf, half-word option bytes, OTP and the unique id.

# Ref: RM0090 sections 3 and 39; AN2606; dfu-util's dfuse.c and device logs; the F405's chip data.
"""

from __future__ import annotations

import pytest
from simulated_bench import Bench, busy, error

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import (
    REQUEST_TYPE_IN,
    STATUS_LENGTH,
    DfuState,
    DfuStatus,
    Request,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.simulator import Running, SimulatedBoard
from dfurun.simulator.descriptors import string_descriptor
from dfurun.simulator.transfer import Gone, NoAnswer, Setup

F405 = load_chip("stm32f405xg")
FLASH = F405.flash.extent.start
OTP, UNIQUE_ID, DEVICE_FEATURE = 0x1FFF_7800, 0x1FFF_7A10, 0xFFFF_0000
GETSTATUS = Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH)


def application(stack: int) -> bytes:
    return stack.to_bytes(4, "little") + (FLASH + 0x189).to_bytes(4, "little") + bytes(range(248))


@pytest.fixture
def bench() -> Bench:
    """A board whose first dfuERROR has been cleared."""
    bench = Bench(chip=F405)
    bench.clear()
    return bench


def test_it_is_met_in_dfu_error_with_err_firmware() -> None:
    """dfu-util's device logs: status 10 after every power-on, cleared by CLRSTATUS."""
    bench = Bench(chip=F405)
    assert bench.state() is DfuState.ERROR
    assert bench.status() == error(DfuStatus.ERR_FIRMWARE)
    bench.clear()
    assert bench.state() is DfuState.IDLE
    bench.board.power_cycle()
    bench.clock.sleep(F405.usb.connect_minimum_s)
    assert bench.state() is DfuState.ERROR


@pytest.mark.parametrize(
    ("address", "sector", "size_bytes", "seconds"),
    [
        (FLASH + 0x3FFF, 0, 16 * 1024, 0.4),
        (FLASH + 0xC000, 3, 16 * 1024, 0.4),
        (FLASH + 0x1_0000, 4, 64 * 1024, 1.2),
        (FLASH + 0x1_FFFF, 4, 64 * 1024, 1.2),
        (FLASH + 0x2_0000, 5, 128 * 1024, 2.0),
        (FLASH + 0xF_FFFF, 11, 128 * 1024, 2.0),
    ],
)
def test_a_sector_is_erased_as_a_whole_in_the_time_of_its_size(
    bench: Bench, address: int, sector: int, size_bytes: int, seconds: float
) -> None:
    bench.board.replace_flash(bytes(F405.flash.extent.size_bytes))
    assert bench.start(0, erase_page_payload(address)) == busy(0.1)
    begun = bench.clock.now()
    assert bench.status().state is DfuState.DNLOAD_IDLE, "the ROM is deaf until it has ended"
    assert bench.clock.now() - begun == pytest.approx(seconds, abs=0.001)
    assert bench.board.flash.contents.count(0xFF) == size_bytes
    assert bench.board.flash.erase_counts == [int(index == sector) for index in range(12)]


def test_the_mass_erase_reports_100_ms_and_takes_16_s(bench: Bench) -> None:
    """dfu-util, dfuse.c: "STM32F405 lies about mass erase timeout"."""
    bench.board.replace_flash(bytes(F405.flash.extent.size_bytes))
    assert bench.start(0, mass_erase_payload()) == busy(0.1)
    begun = bench.clock.now()
    with pytest.raises(NoAnswer):
        bench.board.control(GETSTATUS, timeout_s=5.0)
    assert bench.clock.now() - begun == pytest.approx(5.0, abs=0.001)
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.clock.now() - begun == pytest.approx(16.0, abs=0.001)
    assert set(bench.board.flash.contents) == {0xFF}


def test_flash_is_programmed_byte_by_byte_sixteen_microseconds_each(bench: Bench) -> None:
    bench.set_address(FLASH)
    assert bench.start(2, bytes(range(1, 101))) == busy(0.104)
    operation = bench.registers.operation
    assert operation is not None
    bench.clock.sleep(operation.starts_s + 50.5 * 16e-6 - bench.clock.now())
    bench.board.power_cycle(1)
    contents = bench.board.flash.contents
    assert contents[:50] == bytes(range(1, 51))
    assert contents[50] not in (51, 0xFF), "the byte under way is neither"
    assert contents[51:100] == b"\xff" * 49


def test_the_unique_id_is_read_in_a_block_that_begins_in_the_otp_area(bench: Bench) -> None:
    """stm32loader reads it so; a block that begins at the id itself finds no memory."""
    raw = bench.read(0x1FFF_7A00, 36)
    assert raw[:16] == b"\xff" * 16, "lock bytes"
    assert raw[16:28] == bench.board.memory.unique_id
    assert int.from_bytes(raw[34:36], "little") == 1024
    assert bench.execute(0, set_address_payload(UNIQUE_ID)) == error(DfuStatus.ERR_TARGET)


def test_the_serial_number_is_made_of_the_unique_id() -> None:
    """libopencm3#760: 002D0030 3334510B 32313533 is 325E35633334."""
    words = (0x002D0030, 0x3334510B, 0x32313533)
    board = SimulatedBoard(F405, VirtualClock(), unique_id=b"".join(word.to_bytes(4, "little") for word in words))
    device = board.connected_device
    assert device is not None
    assert string_descriptor(device.usb, 3) == bytes([26, 3]) + "325E35633334".encode("utf-16-le")


def test_otp_takes_bits_once(bench: Bench) -> None:
    bench.write(OTP, bytes.fromhex("F0F0F0F0"))
    bench.abort()
    bench.write(OTP, bytes.fromhex("3C3C3C3C"))
    bench.abort()
    assert bench.read(OTP, 8) == bytes.fromhex("30303030FFFFFFFF")


def test_the_device_feature_is_a_word_that_keeps_what_is_written(bench: Bench) -> None:
    bench.write(DEVICE_FEATURE, bytes([3, 0, 0, 0]))
    bench.abort()
    assert bench.read(DEVICE_FEATURE, 4) == bytes([3, 0, 0, 0])


def test_option_bytes_are_half_words_with_their_complement_behind_them_and_loaded_at_once(bench: Bench) -> None:
    """RM0090 section 3.6: FLASH_OPTCR is written; the complement that is sent does not count."""
    first = bench.start_option_write(bytes.fromhex("EFAA 0000 00000000 FE0F 0000 00000000"))
    assert first == busy(0.1)
    with pytest.raises(Gone):
        bench.status()
    assert bench.board.option_bytes.stored == bytes.fromhex("EFAA 1055 FFFFFFFF FE0F 01F0 FFFFFFFF")
    assert bench.board.option_bytes.fields["nWRP"] == 0xFFE
    bench.clock.sleep(F405.usb.connect_minimum_s)
    assert bench.state() is DfuState.ERROR
    bench.clear()
    bench.board.replace_flash(bytes(F405.flash.extent.size_bytes))
    bench.erase_page(FLASH)
    assert bench.board.flash.contents[:4] == bytes(4), "sector 0 is write-protected: acknowledged, not done"
    bench.erase_page(FLASH + 0x4000)
    assert bench.board.flash.contents.count(0xFF) == 16 * 1024
    bench.mass_erase()
    assert bench.board.flash.contents.count(0xFF) == 16 * 1024


def test_read_unprotect_erases_everything_and_needs_no_power_cycle() -> None:
    bench = Bench(chip=F405, flash=application(0x2002_0000))
    bench.board.protect(1)
    bench.clear()
    assert bench.execute(0, set_address_payload(FLASH)) == error(DfuStatus.ERR_VENDOR)
    bench.clear()
    assert bench.start(0, read_unprotect_payload()) == busy(0.1)
    with pytest.raises(Gone):
        bench.status()
    assert bench.board.option_bytes.stored == F405.option_bytes.factory
    assert set(bench.board.flash.contents) == {0xFF}
    bench.clock.sleep(F405.usb.connect_minimum_s)
    bench.clear()
    bench.set_address(FLASH)


def test_a_user_dfu_has_its_own_read_only_sectors_and_is_met_idle() -> None:
    """STM32Cube's DFU example for an F4 keeps its first three sectors."""
    bench = Bench(chip=F405, user_dfu=True)
    bench.clock.sleep(F405.usb.connect_minimum_s)
    assert bench.state() is DfuState.IDLE
    device = bench.board.connected_device
    assert device is not None
    assert device.usb.alternates == ("@Internal Flash  /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",)


@pytest.mark.parametrize(
    ("stack", "running"),
    [
        (0x2002_0000, Running.APPLICATION),
        (0x1001_0000, Running.APPLICATION),
        (0x2002_0004, Running.CRASHED),
        (0x1000_0000, Running.CRASHED),
    ],
)
def test_an_application_has_its_stack_in_sram_or_in_the_core_coupled_memory(stack: int, running: Running) -> None:
    bench = Bench(chip=F405, flash=application(stack))
    bench.board.power_cycle(0)
    assert bench.board.running is running
