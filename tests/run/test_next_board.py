"""Which board is the next one, where a bus is looked at every now and then: addresses are used again, and boards flicker."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from dfurun.clock import VirtualClock
from dfurun.errors import Code, LinkUnreliable
from dfurun.run.next_board import AWAY_S, NextBoard
from dfurun.usb.discovery import Candidate
from dfurun.usb.port import PortPath

ONE, TWO = PortPath(1, (1,)), PortPath(1, (2,))


@dataclass
class Plan:
    """A bus on which each board is at a port, with an address, from a time to a time."""

    clock: VirtualClock
    boards: list[tuple[PortPath, int, float, float]] = field(default_factory=list)
    cannot_be_listed_until_s: float = 0.0

    def candidates(self) -> list[Candidate]:
        now = self.clock.now()
        if now < self.cannot_be_listed_until_s:
            raise LinkUnreliable(Code.LINK_UNRELIABLE, "the bus cannot be listed")
        return [
            Candidate(port, address, 0x0483, 0xDF11, 0x2200, None)
            for port, address, comes_s, goes_s in self.boards
            if comes_s <= now < goes_s
        ]


def taken(
    bus: Plan, *, port: PortPath | None = None, unit_s: float = 0.3, limit_s: float = 30.0
) -> list[tuple[str, float]]:
    """Take boards until none comes, each for a unit of that length; return the ports, and when."""
    next_board = NextBoard(bus, bus.clock, port)  # type: ignore[arg-type]
    found = []
    while (where := next_board.wait(lambda: True, limit_s)) is not None:
        found.append((str(where), round(bus.clock.now())))
        bus.clock.sleep(unit_s)
        next_board.done(where)
    return found


def test_an_address_that_is_used_again_is_another_board_after_a_time_away() -> None:
    """Linux counts addresses up; other systems give the lowest that is free."""
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 10.0), (ONE, 5, 12.0, 99.0)])
    assert taken(bus) == [("1-1", 0), ("1-1", 12)]


@pytest.mark.parametrize(("away_s", "count"), [(AWAY_S / 2, 1), (AWAY_S * 2, 2)])
def test_a_board_that_is_away_for_a_moment_is_the_same(away_s: float, count: int) -> None:
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 10.0), (ONE, 6, 10.0 + away_s, 99.0)])
    assert len(taken(bus)) == count


def test_a_board_that_left_at_the_end_of_its_unit_and_is_back_at_once_is_the_same() -> None:
    """leave-dfu, and an application that falls back into the bootloader."""
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 0.2), (ONE, 6, 0.9, 20.0), (ONE, 7, 22.0, 99.0)])
    assert taken(bus, unit_s=0.3) == [("1-1", 0), ("1-1", 22)]


def test_a_board_that_stays_while_another_port_is_busy_for_long_is_not_taken_again() -> None:
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 99.0), (TWO, 6, 1.0, 99.0)])
    assert [port for port, _ in taken(bus, unit_s=20.0)] == ["1-1", "1-2"]


def test_one_that_was_changed_while_another_port_was_busy_is_taken() -> None:
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 25.0), (ONE, 7, 30.0, 99.0), (TWO, 6, 21.0, 99.0)])
    assert [port for port, _ in taken(bus, unit_s=20.0)] == ["1-1", "1-2", "1-1"]


def test_other_ports_are_not_looked_at_where_one_is_named() -> None:
    bus = Plan(VirtualClock(), [(TWO, 6, 0.0, 99.0), (ONE, 5, 9.0, 99.0)])
    assert taken(bus, port=ONE) == [("1-1", 9)]


def test_a_bus_that_cannot_be_listed_for_a_while_ends_nothing() -> None:
    bus = Plan(VirtualClock(), [(ONE, 5, 0.0, 99.0)], cannot_be_listed_until_s=5.0)
    assert taken(bus) == [("1-1", 5)]


def test_a_board_that_is_listed_for_a_moment_after_it_has_left_is_not_taken() -> None:
    bus = Plan(VirtualClock(), [(ONE, 5, 3.0, 3.04)])
    assert taken(bus) == []
