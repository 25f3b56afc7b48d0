"""The fault `power-cut`: the power goes in the very middle of what the device does, and what is left is exactly that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulated_bench import APPLICATION, BACK_S, CHIP, FACTORY, FLASH, OPTIONS, Bench, busy, idle

from dfurun.chips import Execution
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, erase_page_payload, mass_erase_payload, set_address_payload
from dfurun.simulator import Running, SimulatedBoard, StateFile, parse_fault
from dfurun.simulator.transfer import Gone, TransferFailure

ERASE_S = CHIP.timing.shortest_erase.typical_s
HALF_WORD_S = CHIP.timing.program_unit.typical_s
PAGE = 2048


def with_faults(*texts: str, **settings: object) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


def test_with_nothing_running_it_goes_at_once_and_that_transfer_finds_the_device_gone() -> None:
    bench = with_faults("power-cut:at=2")
    bench.state()
    bench.state()
    with pytest.raises(Gone):
        bench.state()
    assert (bench.board.running, bench.board.present) == (Running.OFF, False)
    bench.clock.sleep(3600)
    assert not bench.board.present
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.state() is DfuState.IDLE


def test_at_is_the_first_transfer_where_nothing_is_said() -> None:
    bench = with_faults("power-cut")
    with pytest.raises(Gone):
        bench.state()


def test_the_device_has_acted_on_the_transfer_at_which_it_goes() -> None:
    """RAM is lost all the same; flash and option bytes hold what was done."""
    bench = with_faults("power-cut:at=0")
    with pytest.raises(Gone):
        bench.dnload(0, set_address_payload(FLASH))
    assert bench.board.transfers["DNLOAD"] == 1


def test_an_erase_is_cut_in_its_middle_while_the_host_waits() -> None:
    bench = with_faults("power-cut:at=1,part=0.5", flash=bytes(3 * PAGE))
    bench.dnload(0, erase_page_payload(FLASH + PAGE))
    assert bench.status() == busy(0.04)
    operation = bench.registers.operation
    assert operation is not None
    cut_at_s = operation.starts_s + ERASE_S / 2
    bench.clock.sleep(cut_at_s - 1e-6 - bench.clock.now())
    assert bench.board.present
    bench.clock.sleep(2e-6)
    assert not bench.board.present
    contents = bench.board.memory.flash.contents
    assert contents[PAGE : 2 * PAGE] not in (bytes(PAGE), b"\xff" * PAGE)
    assert contents[:PAGE] == contents[2 * PAGE : 3 * PAGE] == bytes(PAGE)
    with pytest.raises(Gone):
        bench.status()


def test_the_moment_is_exact_however_late_somebody_looks() -> None:
    """On the virtual clock nothing happens by itself: who looks an hour later finds what the cut has left."""
    contents = []
    for late_s in (0.0, 3600.0):
        bench = with_faults("power-cut:at=1,part=0.25")
        bench.set_address_pointer(FLASH)
        bench.dnload(2, bytes(PAGE))
        assert bench.status().state is DfuState.DNBUSY
        bench.clock.sleep(1024 * HALF_WORD_S + late_s)
        contents.append(bench.board.flash.contents[:PAGE])
    assert contents[0] == contents[1]
    assert contents[0] == bytes(PAGE // 4) + b"\xff" * (PAGE * 3 // 4), "256 of 1024 half-words, none under way"


def test_the_half_word_under_way_is_left_in_between() -> None:
    bench = with_faults(f"power-cut:at=1,part={100.5 / 1024}")
    bench.set_address_pointer(FLASH)
    bench.dnload(2, b"\x5a\xa5" * 1024)
    bench.status()
    bench.clock.sleep(1)
    contents = bench.board.flash.contents
    assert contents[:200] == b"\x5a\xa5" * 100
    assert contents[202:PAGE] == b"\xff" * (PAGE - 202)
    left = int.from_bytes(contents[200:202], "little")
    assert left & 0xA55A == 0xA55A, "no bit that stays 1 was programmed"
    assert left not in (0xA55A, 0xFFFF), "some bits were, some were not"
    assert bench.board.memory.flash.programmed_units == 101


def test_an_operation_that_ends_before_is_finished() -> None:
    bench = with_faults("power-cut:at=1,part=1", flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    bench.clock.sleep(ERASE_S + 0.001)
    assert bench.board.running is Running.OFF
    assert bench.board.flash.contents[:PAGE] == b"\xff" * PAGE


def test_an_operation_that_runs_already_is_cut_in_its_course() -> None:
    bench = with_faults("power-cut:at=2,part=0.5", flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    operation = bench.registers.operation
    assert operation is not None
    assert bench.state() is DfuState.DNBUSY
    bench.clock.sleep(operation.starts_s + ERASE_S / 2 - bench.clock.now() - 1e-6)
    assert bench.board.present
    bench.clock.sleep(2e-6)
    assert not bench.board.present


def test_a_part_that_has_passed_is_now() -> None:
    bench = with_faults("power-cut:at=2,part=0.1", flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    bench.clock.sleep(ERASE_S / 2)
    with pytest.raises(Gone):
        bench.state()


@pytest.mark.parametrize("execution", [Execution.HELD, Execution.INSIDE])
def test_a_host_that_is_kept_waiting_finds_the_device_gone_when_the_power_goes(execution: Execution) -> None:
    bench = with_faults("power-cut:for=erase,part=0.5", execution=execution, flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    begun_s = bench.clock.now()
    if execution is Execution.INSIDE:
        assert bench.status().state is DfuState.DNBUSY, "it answers, and then listens to nobody"
    with pytest.raises(Gone):
        bench.status()
    assert begun_s + ERASE_S / 2 < bench.clock.now() < begun_s + ERASE_S / 2 + 0.001
    assert bench.board.memory.flash.contents[:PAGE] not in (bytes(PAGE), b"\xff" * PAGE)


def test_a_transfer_that_is_held_until_the_end_is_the_one_at_which_the_power_goes() -> None:
    bench = with_faults("power-cut:at=1,part=0.25,back=1", execution=Execution.HELD, flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    begun_s = bench.clock.now()
    with pytest.raises(Gone):
        bench.status()
    assert begun_s + ERASE_S / 4 < bench.clock.now() < begun_s + ERASE_S / 4 + 0.001
    bench.clock.sleep(begun_s + ERASE_S / 4 + 1 + BACK_S + 0.001 - bench.clock.now())
    assert bench.state() is DfuState.IDLE
    assert bench.board.power_cuts == 1


def test_a_brown_out_ends_after_back_and_the_board_is_on_the_bus_as_after_any_power_on() -> None:
    bench = with_faults("power-cut:at=0,back=2")
    address = bench.board.situation.usb_address
    with pytest.raises(Gone):
        bench.state()
    gone_s = bench.clock.now()
    bench.clock.sleep(gone_s + 2 + BACK_S - 1e-3 - bench.clock.now())
    assert not bench.board.present
    assert bench.board.running is Running.BOOTLOADER
    bench.clock.sleep(1e-3)
    assert bench.status() == idle()
    assert bench.board.situation.usb_address != address


def test_a_brown_out_loads_the_option_bytes_and_boots_by_boot0_as_it_is_then() -> None:
    bench = with_faults("power-cut:at=0,back=2", flash=APPLICATION)
    with pytest.raises(Gone):
        bench.state()
    bench.clock.sleep(1)
    bench.board.set_boot0(0)
    bench.clock.sleep(1)
    assert bench.board.running is Running.APPLICATION


def test_boot0_that_is_moved_after_the_return_counts_at_the_next_start() -> None:
    bench = with_faults("power-cut:at=0,back=2", flash=APPLICATION)
    with pytest.raises(Gone):
        bench.state()
    bench.clock.sleep(3)
    bench.board.set_boot0(0)
    assert bench.board.running is Running.BOOTLOADER


def test_hands_that_give_the_power_first_are_not_overruled_by_the_return() -> None:
    bench = with_faults("power-cut:at=0,back=10")
    with pytest.raises(Gone):
        bench.state()
    bench.board.power_cycle()
    address = bench.board.situation.usb_address
    bench.clock.sleep(20)
    assert bench.board.situation.usb_address == address


def test_hands_that_take_the_power_first_leave_nothing_to_cut() -> None:
    bench = with_faults("power-cut:for=erase", flash=bytes(PAGE))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    bench.board.power_cycle()
    bench.clock.sleep(1)
    assert bench.board.present


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("power-cut:for=mass-erase", ["on", "on", "off"]),
        ("power-cut:for=erase", ["off", "off", "off"]),
        ("power-cut:for=erase,skip=1", ["on", "off", "off"]),
        ("power-cut:for=write", ["on", "on", "on"]),
    ],
)
def test_for_names_the_operation_and_skip_counts_them(text: str, outcome: list[str]) -> None:
    bench = with_faults(text)
    found = []
    for payload in (erase_page_payload(FLASH), erase_page_payload(FLASH), mass_erase_payload()):
        try:
            bench.execute(0, payload)
            bench.abort()
        except TransferFailure:
            pass
        found.append("on" if bench.board.present else "off")
    assert found == outcome


def test_option_bytes_that_are_cut_leave_the_chip_at_level_1() -> None:
    bench = with_faults("power-cut:for=option-bytes,part=0.5,back=0.1")
    bench.start_option_write(FACTORY)
    bench.clock.sleep(CHIP.timing.option_bytes.typical_s + 0.1 + BACK_S)
    assert bench.board.option_bytes.stored == b"\xff" * 16
    assert bench.board.option_bytes.protection_level == 1
    assert bench.board.present


def test_read_unprotect_that_is_cut_leaves_no_open_chip_with_its_code() -> None:
    bench = with_faults("power-cut:for=read-unprotect,part=0.8,back=0.1", flash=APPLICATION)
    bench.board.protect(1)
    bench.unprotect()
    bench.clock.sleep(1)
    assert bench.board.option_bytes.protection_level == 1
    assert not bench.board.flash.contents.startswith(APPLICATION)


def test_a_cut_that_is_to_come_and_a_return_are_kept_in_the_boards_file(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    bench = with_faults("power-cut:for=erase,part=0.5,back=1", flash=bytes(PAGE))
    StateFile(path).keep(bench.board)
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    coming = json.loads(path.read_text())["power"]
    assert coming["goes_in_s"] == pytest.approx(ERASE_S / 2, abs=1e-4)
    assert coming["returns_in_s"] == pytest.approx(ERASE_S / 2 + 1, abs=1e-4)

    clock = VirtualClock(start_s=1000)
    board = StateFile(path).load(clock)
    assert board.present
    clock.sleep(coming["goes_in_s"] + 1e-6)
    assert board.running is Running.OFF
    board.on_change()
    assert "goes_in_s" not in json.loads(path.read_text())["power"]
    clock.sleep(1 + BACK_S)
    assert board.present
    assert board.flash.contents[:PAGE] not in (bytes(PAGE), b"\xff" * PAGE)
    board.on_change()
    assert "power" not in json.loads(path.read_text())


def test_two_moments_at_once_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="the fault power-cut: at= and for= are two moments: give one of them"):
        parse_fault("power-cut:at=3,for=erase")
    with pytest.raises(ValueError, match="part=2: expected a part from 0 to 1"):
        parse_fault("power-cut:part=2")


def test_the_power_goes_once_where_nothing_else_is_said() -> None:
    bench = with_faults("power-cut:at=0,back=0")
    with pytest.raises(Gone):
        bench.state()
    bench.clock.sleep(BACK_S)
    assert bench.state() is DfuState.IDLE


def test_an_option_byte_under_way_is_left_with_a_complement_that_does_not_fit() -> None:
    timing = CHIP.timing
    part = (timing.shortest_erase.typical_s + 1.5 * HALF_WORD_S) / timing.option_bytes.typical_s
    bench = with_faults(f"power-cut:for=option-bytes,part={part},back=0")
    bench.start_option_write(FACTORY)
    bench.clock.sleep(1)
    stored = bench.board.option_bytes.stored
    assert stored[:2] == FACTORY[:2]
    assert stored[2:4] not in (FACTORY[2:4], b"\xff\xff")
    assert stored[4:] == b"\xff" * 12
    assert bench.board.option_bytes.option_error
    assert bench.board.memory.region_of(OPTIONS) is not None


def test_a_board_of_its_own_keeps_its_time_where_it_is_switched_off() -> None:
    board = SimulatedBoard(CHIP, VirtualClock(), faults=[parse_fault("power-cut:at=0,back=5")])
    board.lose_power(at_s=3.0, back_after_s=1.0)
    board.clock.sleep(3.5)
    assert board.running is Running.OFF
    board.clock.sleep(0.5)
    assert board.running is Running.BOOTLOADER
