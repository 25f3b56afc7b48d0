"""How a board is back after a reset: later, as something else, and always at a new address."""

from __future__ import annotations

from contextlib import suppress

import pytest
import usb.core
from simulated_bench import APPLICATION, BACK_S, CHIP, FLASH, Bench, options

from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, DfuStatus, StatusReport, set_address_payload
from dfurun.simulator import Running, SimulatedBackend, SimulatedBoard, parse_fault
from dfurun.simulator.transfer import Gone

OPTION_BYTES_S = CHIP.timing.option_bytes.typical_s


def with_faults(*texts: str, **settings: object) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


def reset_by_option_bytes(bench: Bench) -> None:
    """Write option bytes and let the ROM reset; return when the board would be on the bus."""
    bench.start_option_write(options(b4=1))
    bench.clock.sleep(OPTION_BYTES_S)
    assert not bench.board.present
    bench.clock.sleep(BACK_S)


def test_a_late_board_is_on_the_bus_so_much_later_after_its_own_reset() -> None:
    bench = with_faults("late-return:s=7.5")
    reset_by_option_bytes(bench)
    bench.clock.sleep(7.4)
    assert not bench.board.present
    bench.clock.sleep(0.1)
    assert bench.state() is DfuState.IDLE


def test_a_late_board_is_late_after_a_power_on_too_and_not_when_it_is_met() -> None:
    bench = with_faults("late-return:s=2")
    assert bench.board.present
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S + 1.9)
    assert not bench.board.present
    bench.clock.sleep(0.1)
    assert bench.board.present


def test_a_late_return_counts_the_starts() -> None:
    bench = with_faults("late-return:s=2,skip=1,count=1")
    for late in (False, True, False):
        bench.board.power_cycle()
        bench.clock.sleep(BACK_S)
        assert bench.board.present is not late
        bench.clock.sleep(2)


def test_another_board_has_another_unique_id_and_nothing_of_the_first() -> None:
    bench = with_faults("returns-as:what=another-board", flash=APPLICATION)
    first = bench.board.memory
    reset_by_option_bytes(bench)
    assert bench.state() is DfuState.IDLE
    assert bench.board.memory.unique_id != first.unique_id
    assert bench.read(FLASH, 64) == b"\xff" * 64
    assert bench.board.option_bytes.stored == CHIP.option_bytes.factory
    assert first.flash.contents.startswith(APPLICATION), "the first one is as it was left"
    assert first.option_bytes.stored == options(b4=1)


def test_another_board_is_there_from_then_on() -> None:
    bench = with_faults("returns-as:what=another-board")
    reset_by_option_bytes(bench)
    second = bench.board.memory.unique_id
    reset_by_option_bytes(bench)
    assert bench.board.memory.unique_id == second


def test_another_device_has_other_ids_and_is_in_dfu_mode_at_the_same_port() -> None:
    bench = with_faults("returns-as:what=another-device")
    backend = SimulatedBackend([bench.board])
    reset_by_option_bytes(bench)
    (found,) = usb.core.find(find_all=True, backend=backend)
    assert (found.idVendor, found.idProduct) == (0x28E9, 0x0189)
    assert (found.bus, found.port_numbers) == (1, (1,))
    assert {(i.bInterfaceClass, i.bInterfaceSubClass, i.bInterfaceProtocol) for c in found for i in c} == {(0xFE, 1, 2)}
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    (found,) = usb.core.find(find_all=True, backend=backend)
    assert (found.idVendor, found.idProduct) == (CHIP.usb.vendor_id, CHIP.usb.product_id)


def test_a_user_dfu_has_the_roms_ids_and_its_own_layout_and_release() -> None:
    bench = with_faults("returns-as:what=user-dfu", flash=APPLICATION)
    reset_by_option_bytes(bench)
    device = bench.board.device
    assert device is not None
    assert (device.usb.vendor_id, device.usb.product_id, device.usb.release) == (0x0483, 0xDF11, 0x0200)
    assert len(device.usb.alternates) == 1
    assert bench.board.running is Running.APPLICATION
    refused = bench.execute(0, set_address_payload(CHIP.option_bytes.address))
    assert refused == StatusReport(DfuStatus.ERR_TARGET, 0.0, DfuState.ERROR)
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.board.running is Running.BOOTLOADER


WAYS_BACK = (
    "vanish:at=3,back=1",
    "power-cut:at=3,back=1",
    "late-return:s=1",
    "returns-as:what=another-board",
    "returns-as:what=another-device",
    "returns-as:what=user-dfu",
)


@pytest.mark.parametrize("text", WAYS_BACK)
@pytest.mark.parametrize("on_a_bus", [True, False])
def test_whatever_comes_back_has_a_new_address_at_its_old_port(text: str, *, on_a_bus: bool) -> None:
    bench = with_faults(text)
    neighbour = SimulatedBoard(CHIP, VirtualClock(), port=(2,))
    if on_a_bus:
        SimulatedBackend([bench.board, neighbour])
    addresses = [bench.board.situation.usb_address]
    with suppress(Gone):
        bench.start_option_write(options(b4=1))
    bench.clock.sleep(5)
    assert bench.board.present
    addresses.append(bench.board.situation.usb_address)
    bench.board.power_cycle()
    bench.clock.sleep(5)
    addresses.append(bench.board.situation.usb_address)
    assert len(set(addresses)) == 3
    if on_a_bus:
        assert neighbour.situation.usb_address not in addresses
