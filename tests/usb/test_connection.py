"""One board followed at its port: found, opened, across its resets, and given back."""

from __future__ import annotations

import pytest

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.errors import AccessDenied, Code, DeviceNotFound, Interrupted, LinkUnreliable
from dfurun.simulator import SimulatedBackend, SimulatedBoard, parse_fault
from dfurun.units import AddressRange
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector
from dfurun.usb.port import PortPath

CHIP = load_chip("stm32f072xb")
IDS = frozenset({(CHIP.usb.vendor_id, CHIP.usb.product_id)})
BACK_S = CHIP.usb.connect_minimum_s


class Bench:
    """Two boards on one bus and a connection to the one at 1-2."""

    def __init__(self, *faults: str) -> None:
        self.clock = VirtualClock()
        self.other = SimulatedBoard(CHIP, self.clock, port=(1,))
        self.board = SimulatedBoard(CHIP, self.clock, port=(2,), faults=[parse_fault(fault) for fault in faults])
        self.bus = Bus(SimulatedBackend([self.other, self.board]), IDS)
        self.connection = Connection(self.bus, CHIP, self.clock, Selector(port=PortPath(1, (2,))))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_board_at_the_port_is_opened_and_the_other_left_alone(bench: Bench) -> None:
    session = bench.connection.open(1.0)
    assert session is bench.connection.session
    assert bench.connection.is_open
    assert str(bench.connection.port) == "1-2"
    assert session.read(AddressRange(0x0800_0000, 16)) == bytes([0xFF] * 16)
    assert not {"GETSTATE", "GETSTATUS", "DNLOAD"} & set(bench.other.transfers)


def test_the_memory_is_changed_without_reading_all_descriptors_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.connection.open(1.0)
    monkeypatch.setattr(SimulatedBackend, "get_interface_descriptor", None)
    session.read(AddressRange(CHIP.option_bytes.address, 16))
    session.read(AddressRange(0x0800_0000, 16))
    assert bench.board.transfers["SET_INTERFACE"] == 2


def test_a_board_that_the_system_still_lists_for_a_moment_is_waited_for_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux takes a lost device from the bus a little after its transfers have failed."""
    bench.connection.open(1.0)
    stale = bench.bus.at(PortPath(1, (2,)))
    bench.board.unplug(back_after_s=2.0)
    look, answers = bench.bus.at, [stale]
    monkeypatch.setattr(bench.bus, "at", lambda port: answers.pop() if answers else look(port))
    assert bench.connection.wait_for_return(10.0) is not None
    assert bench.clock.now() >= 2.0


@pytest.mark.parametrize(("back_s", "is_lost", "told"), [(2.0, True, [10.0]), (2.0, False, []), (0.0, True, [])])
def test_a_board_that_is_gone_is_told_once_where_nothing_has_reset_it(
    bench: Bench, back_s: float, is_lost: bool, told: list[float]
) -> None:
    heard: list[float] = []
    bench.connection.on_gone = heard.append
    bench.connection.open(1.0)
    if back_s:
        bench.board.unplug(back_after_s=back_s)
    assert bench.connection.wait_for_return(10.0, is_lost=is_lost) is not None
    assert heard == told


def test_without_an_open_session_there_is_a_clear_error(bench: Bench) -> None:
    with pytest.raises(LinkUnreliable, match="no board is connected") as caught:
        _ = bench.connection.session
    assert caught.value.code is Code.DEVICE_LOST


def test_a_board_that_is_not_there_yet_is_waited_for(bench: Bench) -> None:
    bench.board.power_cycle()
    assert not bench.board.present
    bench.connection.open(10.0)
    assert BACK_S <= bench.clock.now() < BACK_S + 0.2


def test_waiting_for_a_board_ends_with_the_timeout(bench: Bench) -> None:
    bench.board.power_off()
    with pytest.raises(DeviceNotFound, match="no board in DFU mode at port 1-2") as caught:
        bench.connection.open(2.0)
    assert caught.value.code is Code.NO_DEVICE
    assert 2.0 <= bench.clock.now() < 2.2


def test_two_boards_that_fit_are_not_waited_for(bench: Bench) -> None:
    connection = Connection(bench.bus, CHIP, bench.clock, Selector())
    with pytest.raises(DeviceNotFound) as caught:
        connection.open(10.0)
    assert caught.value.code is Code.AMBIGUOUS_DEVICE
    assert bench.clock.now() < 0.1


def test_whoever_waits_along_may_stop_the_waiting(bench: Bench) -> None:
    def stop() -> None:
        raise Interrupted(Code.INTERRUPTED, "Ctrl-C")

    bench.board.power_off()
    bench.connection.on_wait = stop
    with pytest.raises(Interrupted):
        bench.connection.open(10.0)


def test_a_board_is_followed_across_its_reset_at_the_same_port_with_a_new_address(bench: Bench) -> None:
    session = bench.connection.open(1.0)
    before = bench.bus.at(PortPath(1, (2,)))
    session.write_option_bytes(CHIP.option_bytes.blocks[0], CHIP.option_bytes.factory)
    assert bench.connection.wait_for_departure(5.0)
    again = bench.connection.wait_for_return(5.0)
    after = bench.bus.at(PortPath(1, (2,)))
    assert again is bench.connection.session
    assert again is not session
    assert before is not None
    assert after is not None
    assert before.address != after.address
    assert str(bench.connection.port) == "1-2"
    assert again.read(CHIP.option_bytes.blocks[0]) == CHIP.option_bytes.factory


def test_another_board_that_appears_meanwhile_is_not_mistaken_for_it(bench: Bench) -> None:
    bench.connection.open(1.0)
    bench.board.power_off()
    bench.other.power_cycle()
    assert bench.connection.wait_for_departure(1.0)
    assert bench.connection.wait_for_return(3.0) is None
    assert not bench.connection.is_open


def test_a_board_that_was_back_before_anybody_looked_has_departed(bench: Bench) -> None:
    bench.connection.open(1.0)
    bench.board.power_cycle()
    bench.clock.sleep(1.0)
    assert bench.board.present
    assert bench.connection.wait_for_departure(1.0)


def test_a_board_that_stays_has_not_departed(bench: Bench) -> None:
    bench.connection.open(1.0)
    assert not bench.connection.wait_for_departure(1.0)


def test_a_board_stays_away_or_not(bench: Bench) -> None:
    bench.connection.open(1.0)
    bench.board.power_cycle(boot0=0)
    assert bench.connection.stays_away(2.0)
    bench.board.power_cycle(boot0=1)
    began = bench.clock.now()
    assert not bench.connection.stays_away(2.0)
    assert BACK_S <= bench.clock.now() - began < BACK_S + 0.2


def test_transfers_are_counted_over_all_sessions(bench: Bench) -> None:
    session = bench.connection.open(1.0)
    first = session.transfers
    assert first == bench.connection.transfers > 0
    bench.board.power_cycle()
    bench.connection.wait_for_departure(1.0)
    again = bench.connection.wait_for_return(5.0)
    assert again is not None
    assert bench.connection.transfers == first + again.transfers


def test_closing_twice_gives_it_back_once(bench: Bench) -> None:
    bench.connection.open(1.0)
    bench.connection.close()
    bench.connection.close()
    assert not bench.connection.is_open
    assert Connection(bench.bus, CHIP, bench.clock, Selector(port=PortPath(1, (2,)))).open(1.0)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("no-permission", Code.NO_PERMISSION), ("no-driver", Code.NO_DRIVER), ("busy", Code.DEVICE_BUSY)],
)
def test_a_board_that_the_system_does_not_give_is_named_with_the_way_to_get_it(fault: str, code: Code) -> None:
    bench = Bench(fault)
    with pytest.raises(AccessDenied) as caught:
        bench.connection.open(1.0)
    assert (caught.value.code, caught.value.exit_status) == (code, 5)
    assert "1-2" in str(caught.value)
    assert caught.value.hint
    assert bench.board.transfers["DNLOAD"] == 0


def test_a_board_that_is_busy_for_a_moment_is_waited_for() -> None:
    bench = Bench("busy:count=3")
    bench.connection.open(1.0)
    assert bench.clock.now() >= 1.5


def test_a_board_that_leaves_while_it_is_opened_is_opened_when_it_is_back(bench: Bench) -> None:
    bench.connection.open(1.0)
    for transfer in range(bench.board.transfers.total()):
        shaken = Bench(f"vanish:at={transfer},back=0.05")
        session = shaken.connection.open(1.0)
        assert session.read(AddressRange(0x0800_0000, 4)) == b"\xff" * 4, transfer
