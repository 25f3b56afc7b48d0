"""Read protection: what each level refuses, and how it is removed. # Ref: AN3156 table 4, section 5.4; RM0091 section 4."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from simulated_bench import APPLICATION, BACK_S, CHIP, FACTORY, FLASH, OPTIONS, Bench, busy, error, options

from dfurun.dfuse.protocol import DfuState, DfuStatus, erase_page_payload, mass_erase_payload, set_address_payload
from dfurun.simulator import OptionReload, Running, SimulatedBoard
from dfurun.simulator.transfer import Gone, Stall

LEVEL_1 = options(b0=0xBB)
LEVEL_2 = options(b0=0xCC)
RAM = 0x2000_1800


def protected(**settings: Any) -> Bench:
    return Bench(option_bytes=LEVEL_1, flash=APPLICATION, **settings)


@pytest.mark.parametrize(("rdp", "level"), [(0xAA, 0), (0xCC, 2), (0xBB, 1), (0xFF, 1), (0x00, 1), (0xAB, 1)])
def test_every_rdp_byte_but_two_is_level_1(rdp: int, level: int) -> None:
    """RM0091 section 4: 0xAA is level 0, 0xCC level 2, any other value level 1."""
    assert Bench(option_bytes=options(b0=rdp)).board.option_bytes.protection_level == level


@pytest.mark.parametrize("address", [FLASH, RAM, 0x1FFF_F000, OPTIONS])
def test_level_1_refuses_set_address_with_err_vendor(address: int) -> None:
    """betaflight's usbdfu.js: "contrary to what is in the docs" it fails."""
    assert protected().execute(0, set_address_payload(address)) == error(DfuStatus.ERR_VENDOR)


def test_level_1_refuses_uploads_of_memory_with_a_stall_and_err_vendor() -> None:
    """AN3156 section 4.1: "whatever the target"."""
    bench = protected()
    with pytest.raises(Stall):
        bench.upload(2, 64)
    assert bench.status() == error(DfuStatus.ERR_VENDOR)


@pytest.mark.parametrize(
    ("block", "payload"), [(2, bytes(64)), (0, erase_page_payload(FLASH)), (0, mass_erase_payload())]
)
def test_level_1_refuses_writing_and_erasing_with_err_vendor(block: int, payload: bytes) -> None:
    """AN3156 table 4."""
    bench = protected()
    assert bench.execute(block, payload) == error(DfuStatus.ERR_VENDOR)
    assert bench.board.flash.contents.startswith(APPLICATION)


def test_level_1_allows_get_commands() -> None:
    """AN3156 table 4: allowed, and so the proof that the link works."""
    assert protected().upload(0, 64) == bytes(CHIP.rom.commands)


def test_level_1_allows_leaving() -> None:
    """AN3156 table 4; without Set Address the pointer is the start of flash."""
    bench = protected()
    bench.dnload(0, b"")
    assert bench.status().state is DfuState.MANIFEST
    assert bench.board.running is Running.APPLICATION


def test_level_2_has_no_bootloader() -> None:
    """RM0365 section 4.3.1, the same text: "the boot from System memory (boot loader mode)" is "no more available"."""
    bench = Bench(option_bytes=LEVEL_2, flash=APPLICATION)
    bench.clock.sleep(10)
    assert not bench.board.present
    assert bench.board.running is Running.APPLICATION
    bench.board.power_cycle(boot0=1)
    bench.clock.sleep(10)
    with pytest.raises(Gone):
        bench.state()


def test_protection_counts_when_it_is_in_force_not_when_it_is_stored() -> None:
    """RM0091 section 4: option bytes that were written are loaded at power-on."""
    bench = Bench(flash=APPLICATION)
    bench.write_options(LEVEL_1)
    assert bench.board.option_bytes.stored == LEVEL_1
    assert bench.read(FLASH, 64) == APPLICATION[:64]
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    with pytest.raises(Stall):
        bench.upload(2, 64)


def test_read_unprotect_erases_a_protected_chip_and_resets_it() -> None:
    """AN3156 section 5.4: flash and RAM erased, option bytes back to default, disconnect and system reset."""
    bench = protected()
    bench.board.memory.write_ram(RAM, b"secret")
    assert bench.unprotect() == busy(CHIP.timing.read_unprotect.reported_s)
    assert bench.board.flash.contents.startswith(APPLICATION)
    bench.clock.sleep(CHIP.timing.read_unprotect.typical_s)
    assert not bench.board.present
    assert bench.board.flash.contents == b"\xff" * CHIP.flash.extent.size_bytes
    assert bench.board.option_bytes.stored == FACTORY
    assert not any(bench.board.memory.ram)
    bench.clock.sleep(BACK_S)
    assert bench.board.present


def test_after_read_unprotect_level_1_stays_in_force_until_the_power_cycle() -> None:
    """RM0091 section 4: "either a POR or OBL_LAUNCH is necessary"."""
    bench = protected()
    bench.unprotect()
    bench.clock.sleep(1)
    with pytest.raises(Stall):
        bench.upload(2, 64)
    assert bench.status() == error(DfuStatus.ERR_VENDOR)
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.upload(2, 64) == b"\xff" * 64


def test_where_the_roms_reset_loads_option_bytes_read_unprotect_needs_no_power_cycle() -> None:
    """The other reading: the ROM's reset is an OBL_LAUNCH. Not established, so both are offered."""
    bench = protected(option_reload=OptionReload.RESET)
    bench.unprotect()
    bench.clock.sleep(1)
    assert bench.upload(2, 64) == b"\xff" * 64


def test_read_unprotect_of_an_unprotected_chip_keeps_its_flash_and_clears_its_ram() -> None:
    """AN3156 section 3, note: RAM is cleared, flash is not erased."""
    bench = Bench(flash=APPLICATION, option_bytes=options(b4=0x12))
    bench.write(RAM, b"will go!")
    bench.abort()
    bench.unprotect()
    bench.clock.sleep(CHIP.timing.read_unprotect.typical_s)
    assert not bench.board.present
    assert bench.board.flash.contents.startswith(APPLICATION)
    assert not any(bench.board.memory.ram)
    assert bench.board.option_bytes.stored == FACTORY


def test_written_option_bytes_come_into_force_at_the_reset_where_the_model_says_so() -> None:
    """Not established for the F072; `reset` is the reading in which the ROM launches the option-byte loader."""
    bench = Bench(option_reload="reset")
    bench.write_options(LEVEL_1)
    assert bench.board.option_bytes.protection_level == 1


def power_cut(bench: Bench, start: Callable[[], object], after_s: float) -> SimulatedBoard:
    start()
    bench.clock.sleep(after_s)
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    return bench.board


def test_a_power_cut_inside_an_option_write_leaves_the_chip_at_level_1() -> None:
    """RM0091 section 4: option bytes are erased first, and erased ones load as level 1."""
    bench = Bench(flash=APPLICATION)
    board = power_cut(bench, lambda: bench.start_option_write(options(b4=0x12)), 0.015)
    assert board.option_bytes.stored == b"\xff" * 16
    assert board.option_bytes.protection_level == 1
    assert not board.option_bytes.option_error
    assert board.flash.contents.startswith(APPLICATION)


def test_a_power_cut_late_in_an_option_write_leaves_some_pairs_programmed() -> None:
    """The pairs are programmed one after the other, RDP first; the complement of the one under way does not fit."""
    bench = Bench()
    board = power_cut(
        bench, lambda: bench.start_option_write(FACTORY), CHIP.timing.shortest_erase.typical_s + 3.5 * 53.5e-6
    )
    stored = board.option_bytes.stored
    assert (stored[:6], stored[8:]) == (FACTORY[:6], b"\xff" * 8)
    assert stored[6:8] not in (FACTORY[6:8], b"\xff\xff")
    assert all(left & new == new for left, new in zip(stored, FACTORY, strict=True)), "programming only clears bits"
    assert board.option_bytes.option_error


def test_a_power_cut_inside_a_page_erase_leaves_noise_in_that_page_alone() -> None:
    """A page whose erase was interrupted is neither old nor erased; the model is deterministic."""
    contents = []
    for _ in range(2):
        bench = Bench(flash=bytes(8192))
        board = power_cut(bench, partial(bench.start, 0, erase_page_payload(FLASH + 2048)), 0.01)
        contents.append(board.flash.contents)
        assert board.flash.contents[2048:4096] not in (bytes(2048), b"\xff" * 2048)
        assert board.flash.contents[:2048] == board.flash.contents[4096:6144] == bytes(2048)
    assert contents[0] == contents[1]


def test_a_power_cut_inside_a_mass_erase_leaves_noise_everywhere() -> None:
    bench = Bench(flash=bytes(CHIP.flash.extent.size_bytes))
    board = power_cut(bench, partial(bench.start, 0, mass_erase_payload()), 0.01)
    pages = [board.flash.page_bytes(index) for index in range(64)]
    assert not any(page in (bytes(2048), b"\xff" * 2048) for page in pages)


def test_a_power_cut_inside_a_write_leaves_the_half_words_that_were_programmed() -> None:
    """DS9826: 53.5 us a half-word, one after the other."""
    bench = Bench()
    bench.set_address(FLASH)
    board = power_cut(bench, partial(bench.start, 2, bytes(2048)), 100.5 * 53.5e-6)
    contents = board.flash.contents
    assert (contents[:200], contents[202:2048]) == (bytes(200), b"\xff" * 1846)
    assert contents[200:202] not in (bytes(2), b"\xff\xff"), "the half-word under way is neither"


@pytest.mark.parametrize(("after_s", "noise"), [(0.010, False), (0.050, True)])
def test_a_power_cut_inside_read_unprotect_never_leaves_an_open_chip_with_its_code(after_s: float, noise: bool) -> None:
    """The order (option bytes erased, flash erased, option bytes programmed) is an inference; the outcome is level 1."""
    bench = protected()
    board = power_cut(bench, bench.unprotect, after_s)
    assert board.option_bytes.protection_level == 1
    assert board.flash.contents.startswith(APPLICATION) is not noise
