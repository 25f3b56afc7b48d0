"""What starts, and when it is on the bus. # Ref: AN2606 tables 2 and 229; RM0091 section 2.5; AN2662 section 4.5.5 (leave)."""

from __future__ import annotations

import pytest
from simulated_bench import (
    APPLICATION,
    BACK_S,
    CHIP,
    FLASH,
    Bench,
    idle,
    options,
    vector_table,
)

from dfurun.dfuse.protocol import DfuState, erase_page_payload, set_address_payload
from dfurun.simulator import Running
from dfurun.simulator.transfer import Gone

USER = {
    "factory": 0xFF,
    "nBOOT1=0": 0xEF,
    "BOOT_SEL=0": 0x7F,
    "BOOT_SEL=0 nBOOT0=0": 0x77,
    "BOOT_SEL=0 nBOOT0=0 nBOOT1=0": 0x67,
}


def test_a_board_starts_with_boot0_held_high_in_the_bootloader_and_on_the_bus(bench: Bench) -> None:
    assert (bench.board.boot0, bench.board.running, bench.board.present) == (1, Running.BOOTLOADER, True)
    assert bench.board.flash.contents == b"\xff" * CHIP.flash.extent.size_bytes


@pytest.mark.parametrize(
    ("user", "boot0", "starts"),
    [
        ("factory", 0, Running.APPLICATION),
        ("factory", 1, Running.BOOTLOADER),
        ("nBOOT1=0", 0, Running.APPLICATION),
        ("nBOOT1=0", 1, Running.SRAM),
        ("BOOT_SEL=0", 0, Running.APPLICATION),
        ("BOOT_SEL=0", 1, Running.APPLICATION),
        ("BOOT_SEL=0 nBOOT0=0", 0, Running.BOOTLOADER),
        ("BOOT_SEL=0 nBOOT0=0", 1, Running.BOOTLOADER),
        ("BOOT_SEL=0 nBOOT0=0 nBOOT1=0", 0, Running.SRAM),
        ("BOOT_SEL=0 nBOOT0=0 nBOOT1=0", 1, Running.SRAM),
    ],
)
def test_the_boot_table_decides_at_power_on(user: str, boot0: int, starts: Running) -> None:
    """AN2606 pattern 2, with BOOT_SEL as on F04x; ST community 772965: an F072 obeys it, USER 0x77 is always the ROM."""
    bench = Bench(option_bytes=options(b2=USER[user]), flash=APPLICATION)
    bench.board.power_cycle(boot0=boot0)
    bench.clock.sleep(BACK_S)
    assert bench.running() is starts
    assert bench.board.present is (starts is Running.BOOTLOADER)


def test_the_boot0_switch_counts_at_the_next_start_not_before(bench: Bench) -> None:
    bench.board.replace_flash(APPLICATION)
    bench.board.set_boot0(0)
    assert bench.state() is DfuState.IDLE
    bench.board.power_cycle()
    assert bench.running() is Running.APPLICATION


@pytest.mark.parametrize(
    "image",
    [
        b"",
        vector_table(stack=0x1000_0000),
        vector_table(stack=0x2000_0000),
        vector_table(stack=0x2000_4004),
        vector_table(reset=0x0800_0100),
        vector_table(reset=0x0000_0101),
    ],
    ids=["erased", "stack nowhere", "stack at the bottom", "stack past the end", "not Thumb", "vector nowhere"],
)
def test_an_image_that_cannot_run_crashes(image: bytes) -> None:
    """ARMv6-M: the initial stack pointer and the reset vector come first; bit 0 of the vector is Thumb."""
    bench = Bench(flash=image)
    bench.board.power_cycle(boot0=0)
    bench.clock.sleep(1)
    assert bench.running() is Running.CRASHED
    assert not bench.is_present()


def test_leaving_starts_the_application_and_the_board_is_gone(bench: Bench) -> None:
    """AN3156 section 5.5: dfuMANIFEST, then the device disconnects and jumps to the word at the pointer + 4."""
    bench.board.replace_flash(APPLICATION)
    bench.set_address(FLASH)
    bench.dnload(0, b"")
    assert bench.running() is Running.BOOTLOADER
    assert bench.status().state is DfuState.MANIFEST
    assert bench.running() is Running.APPLICATION
    with pytest.raises(Gone):
        bench.status()
    bench.clock.sleep(60)
    assert not bench.is_present()


def test_leaving_goes_where_the_pointer_is(bench: Bench) -> None:
    """AN3156 section 5.5."""
    bench.board.replace_flash(b"\xff" * 4096 + APPLICATION)
    bench.set_address(FLASH + 4096)
    bench.dnload(2, b"")
    bench.status()
    assert bench.running() is Running.APPLICATION


def test_leaving_to_something_that_is_no_code_resets_and_comes_back_as_boot0_says(bench: Bench) -> None:
    """AN2662 section 4.5.5: "the device will be reset and, depending on the state of the boot pins, may re-enter"."""
    bench.dnload(0, b"")
    assert bench.status().state is DfuState.MANIFEST
    assert not bench.is_present()
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


def test_leaving_to_code_in_ram_runs_there(bench: Bench) -> None:
    """AN2606 table 5: RAM, go."""
    bench.write(0x2000_1800, vector_table(reset=0x2000_1901))
    bench.set_address(0x2000_1800)
    bench.dnload(0, b"")
    bench.status()
    assert bench.running() is Running.SRAM


def test_leaving_to_system_memory_starts_the_bootloader_again(bench: Bench) -> None:
    bench.set_address(CHIP.system_memory.start)
    bench.dnload(0, b"")
    bench.status()
    assert not bench.is_present()
    bench.clock.sleep(BACK_S)
    assert bench.state() is DfuState.IDLE


def test_after_a_power_cycle_the_board_is_away_for_the_connection_time_and_has_a_new_address(bench: Bench) -> None:
    """AN2606 table 229, F070xB: 320 ms."""
    before = bench.board.situation.usb_address
    bench.board.power_cycle()
    assert not bench.is_present()
    bench.clock.sleep(0.319)
    assert not bench.is_present()
    bench.clock.sleep(0.001)
    assert bench.is_present()
    assert bench.board.situation.usb_address not in (0, before)
    assert (bench.board.bus, bench.board.port) == (1, (1,))


def test_after_an_option_write_the_absence_counts_from_the_reset_not_from_the_next_look(bench: Bench) -> None:
    bench.start_option_write(options(b4=1))
    bench.clock.sleep(CHIP.timing.option_bytes.typical_s + BACK_S)
    assert bench.is_present()


def test_a_power_cycle_forgets_what_was_stored_and_the_pointer(bench: Bench) -> None:
    bench.board.replace_flash(bytes(4096))
    bench.set_address(FLASH + 2048)
    bench.dnload(0, erase_page_payload(FLASH))
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()
    assert bench.registers.pointer == FLASH
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:4096] == bytes(4096)


def test_ram_is_lost_with_the_power(bench: Bench) -> None:
    bench.write(0x2000_1800, b"12345678")
    bench.board.power_cycle()
    assert not any(bench.board.memory.ram)


def test_without_power_nothing_runs_and_nothing_is_on_the_bus(bench: Bench) -> None:
    bench.board.power_off()
    bench.clock.sleep(5)
    assert (bench.board.running, bench.board.present) == (Running.OFF, False)
    bench.board.power_on()
    bench.clock.sleep(BACK_S)
    assert bench.is_present()


def test_the_transfers_are_counted_by_request_and_traced(bench: Bench) -> None:
    bench.dnload(0, set_address_payload(FLASH))
    bench.status()
    bench.is_refused(lambda: bench.upload(1, 64))
    assert dict(bench.board.transfers) == {"DNLOAD": 1, "GETSTATUS": 1, "UPLOAD": 1}
    last = bench.board.trace[-1]
    assert (last.setup.name, last.setup.length, last.answer, last.failure) == ("UPLOAD", 64, b"", "STALL")
    assert str(bench.board.trace[0]).endswith("DNLOAD wValue=0x0000 wLength=5  21 00 00 00 08 -> ok")


def test_the_trace_keeps_only_the_last_entries() -> None:
    bench = Bench(trace_length=3)
    for _ in range(10):
        bench.state()
    assert len(bench.board.trace) == 3
    assert bench.board.transfers["GETSTATE"] == 10


def test_the_user_dfu_is_an_application_that_looks_like_the_rom_and_boot0_chooses_between_them() -> None:
    """ST's DFU example in STM32Cube has the ROM's ids, bcdDevice 0x0200 and `a` sectors."""
    bench = Bench(user_dfu=True)
    device = bench.board.device
    assert device is not None
    assert (bench.board.running, device.usb.release) == (Running.APPLICATION, 0x0200)
    assert device.usb.alternates == ("@Internal Flash  /0x08000000/06*002Ka,58*002Kg",)
    assert bench.upload(0, 64) == bytes([0x00, 0x21, 0x41])
    bench.board.power_cycle(boot0=1)
    bench.clock.sleep(BACK_S)
    device = bench.board.device
    assert device is not None
    assert (bench.board.running, device.usb.release) == (Running.BOOTLOADER, 0x2200)
