"""Which board is meant: two simulated boards on one bus, seen through pyusb."""

from __future__ import annotations

from dataclasses import replace

import pytest
import usb.core

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.errors import Code, DeviceNotFound, LinkUnreliable
from dfurun.simulator import SimulatedBackend, SimulatedBoard
from dfurun.usb.discovery import Bus, Selector, serial_number
from dfurun.usb.port import PortPath

CHIP = load_chip("stm32f072xb")
OTHER_SERIAL = replace(CHIP, usb=replace(CHIP.usb, serial="325E35633334"))
IDS = frozenset({(0x0483, 0xDF11)})


def bus_of(*boards: SimulatedBoard) -> Bus:
    return Bus(SimulatedBackend(boards), IDS)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_the_only_board_is_meant_without_saying_so(clock: VirtualClock) -> None:
    candidate = bus_of(SimulatedBoard(CHIP, clock, bus=3, port=(2, 4))).select(Selector())
    assert str(candidate) == "3-2.4  0483:df11"
    assert candidate.port == PortPath(3, (2, 4))
    assert candidate.release == 0x2200
    assert serial_number(candidate) == "FFFFFFFEFFFF"


def test_boards_are_listed_by_port(clock: VirtualClock) -> None:
    boards = [SimulatedBoard(CHIP, clock, bus=bus, port=port) for bus, port in ((2, (1,)), (1, (10,)), (1, (2, 3)))]
    assert [str(candidate.port) for candidate in bus_of(*boards).candidates()] == ["1-2.3", "1-10", "2-1"]


def test_two_boards_are_ambiguous_and_both_ports_are_named(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(CHIP, clock, port=(2, 3)))
    with pytest.raises(DeviceNotFound, match="2 boards in DFU mode fit") as caught:
        bus.select(Selector())
    assert caught.value.code is Code.AMBIGUOUS_DEVICE
    assert caught.value.exit_status == 4
    assert caught.value.hint == "choose one with --port: 1-1, 1-2.3; a run takes all of them with --all"
    assert caught.value.evidence == ("1-1  0483:df11", "1-2.3  0483:df11")
    assert caught.value.consequence == "nothing was sent to any of them"


@pytest.mark.parametrize("port", ["1-1", "1-2.3"])
def test_a_port_chooses_one_of_them(clock: VirtualClock, port: str) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(CHIP, clock, port=(2, 3)))
    assert str(bus.select(Selector(port=PortPath.parse(port))).port) == port


def test_a_port_with_nothing_in_it_says_what_is_there(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(CHIP, clock, port=(2,)))
    with pytest.raises(DeviceNotFound, match="no board in DFU mode at port 1-9") as caught:
        bus.select(Selector(port=PortPath.parse("1-9")))
    assert caught.value.code is Code.NO_DEVICE
    assert caught.value.hint == "what is there: 1-1  0483:df11; 1-2  0483:df11"


def test_a_serial_number_chooses_one_of_them(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(OTHER_SERIAL, clock, port=(2,)))
    assert str(bus.select(Selector(serial="325E35633334")).port) == "1-2"
    assert str(bus.select(Selector(serial="FFFFFFFEFFFF")).port) == "1-1"
    with pytest.raises(DeviceNotFound, match="no board in DFU mode with serial number 0"):
        bus.select(Selector(serial="0"))


def test_the_serial_number_that_all_f072_have_chooses_none_of_two(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(CHIP, clock, port=(2,)))
    with pytest.raises(DeviceNotFound, match="2 boards in DFU mode fit with serial number FFFFFFFEFFFF") as caught:
        bus.select(Selector(serial="FFFFFFFEFFFF"))
    assert caught.value.hint == "choose one with --port: 1-1, 1-2; a run takes all of them with --all"


def test_port_and_serial_number_have_to_fit_both(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(1,)), SimulatedBoard(OTHER_SERIAL, clock, port=(2,)))
    assert str(bus.select(Selector(PortPath.parse("1-2"), "325E35633334")).port) == "1-2"
    with pytest.raises(DeviceNotFound, match="at port 1-1 with serial number 325E35633334"):
        bus.select(Selector(PortPath.parse("1-1"), "325E35633334"))


def test_an_empty_bus_says_how_to_enter_dfu() -> None:
    with pytest.raises(DeviceNotFound, match=r"^no board in DFU mode is on the bus$") as caught:
        bus_of().select(Selector())
    assert caught.value.exit_status == 4
    assert "hold BOOT0 high" in caught.value.hint
    assert "charge-only cable" in caught.value.hint


def test_a_board_that_runs_its_application_is_not_there(clock: VirtualClock) -> None:
    board = SimulatedBoard(CHIP, clock)
    board.power_cycle(boot0=0)
    clock.sleep(1.0)
    assert bus_of(board).candidates() == []


def test_a_board_with_an_id_that_the_chip_data_does_not_know_is_not_there(clock: VirtualClock) -> None:
    stranger = replace(CHIP, usb=replace(CHIP.usb, vendor_id=0x28E9))
    assert bus_of(SimulatedBoard(stranger, clock)).candidates() == []


def test_what_is_at_a_port_is_found_and_what_is_not_is_none(clock: VirtualClock) -> None:
    bus = bus_of(SimulatedBoard(CHIP, clock, port=(2,)))
    found = bus.at(PortPath(1, (2,)))
    assert found is not None
    assert found.port == PortPath(1, (2,))
    assert bus.at(PortPath(1, (1,))) is None
    assert bus.at(PortPath(2, (2,))) is None


@pytest.mark.parametrize("method", ["enumerate_devices", "get_device_descriptor"])
def test_a_bus_that_cannot_be_listed_is_an_unreliable_link(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_: object) -> None:
        raise usb.core.USBError("Input/Output Error", -1, 5)

    monkeypatch.setattr(SimulatedBackend, method, fail)
    with pytest.raises(LinkUnreliable, match=r"^the bus cannot be listed: Input/Output Error$") as caught:
        bus_of(SimulatedBoard(CHIP, clock)).select(Selector())
    assert caught.value.exit_status == 7
