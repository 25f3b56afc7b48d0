"""A ROM that stays busy for good after an erase: the chip's data says whether CLRSTATUS twice is the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dfurun.chips import Chip, Quirk, load_chip
from dfurun.clock import VirtualClock
from dfurun.errors import LinkUnreliable
from dfurun.simulator import SimulatedBackend, SimulatedBoard, parse_fault
from dfurun.simulator.transfer import TraceEntry
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector

CHIP = load_chip("stm32f072xb")
QUIRKY = replace(CHIP, rom=replace(CHIP.rom, quirks=(Quirk.DOUBLE_CLEAR_STATUS_WHEN_WEDGED,)))
WEDGED = ("leftover:state=dfuDNBUSY", "wedge")


class Bench:
    """A board that a host has left in the middle of an erase, and a connection to it."""

    def __init__(self, chip: Chip, *faults: str) -> None:
        self.clock = VirtualClock()
        self.board = SimulatedBoard(CHIP, self.clock, flash=bytes(4096))
        self.board.afflict(parse_fault(fault) for fault in faults)
        ids = frozenset({(CHIP.usb.vendor_id, CHIP.usb.product_id)})
        self.connection = Connection(Bus(SimulatedBackend([self.board]), ids), chip, self.clock, Selector())

    def sent(self, *names: str) -> list[TraceEntry]:
        return [entry for entry in self.board.trace if entry.setup.name in names]


def test_a_wedged_rom_is_cleared_twice_after_its_longest_operation_and_not_before() -> None:
    bench = Bench(QUIRKY, *WEDGED)
    bench.connection.open(1.0)
    cleared = bench.sent("CLRSTATUS")
    assert len(cleared) == 2
    first_asked = bench.sent("GETSTATE")[0].at_s
    assert cleared[0].at_s - first_asked >= CHIP.timing.longest_s
    assert bench.sent("GETSTATUS")[0].at_s < cleared[0].at_s, "a ROM that only needs a GETSTATUS gets one first"
    assert bench.connection.anomalies.counts["wedged in dfuDNBUSY"] == 1
    assert bench.board.flash.contents[:4096] == b"\xff" * 2048 + bytes(2048), "the erase itself was done"


def test_without_the_quirk_no_clrstatus_is_sent_in_dfubusy() -> None:
    bench = Bench(CHIP, *WEDGED)
    bench.connection.open(1.0)
    assert bench.sent("CLRSTATUS") == []
    assert bench.connection.anomalies.counts["USB reset"] == 1, "the last resort"


@pytest.mark.parametrize("chip", [CHIP, QUIRKY], ids=["no quirk", "quirk"])
def test_an_operation_that_ends_by_itself_is_waited_for_and_nothing_is_cleared(chip: Chip) -> None:
    bench = Bench(chip, "leftover:state=dfuDNBUSY")
    bench.connection.open(1.0)
    assert bench.sent("CLRSTATUS") == []
    assert bench.connection.anomalies.total == 0


def test_a_second_clrstatus_is_for_dfuerror_alone() -> None:
    """The first one is lost on its way: the device is still busy, where a second would be illegal."""
    bench = Bench(QUIRKY, *WEDGED, "timeout:request=CLRSTATUS")
    bench.connection.open(1.0)
    assert len(bench.sent("CLRSTATUS")) == 3, "one lost, and then both"
    assert bench.connection.anomalies.counts["wedged in dfuDNBUSY"] == 2


def test_a_rom_that_is_busy_whatever_is_sent_is_given_up() -> None:
    bench = Bench(QUIRKY, *WEDGED, "stall:request=CLRSTATUS,count=always")
    bench.board.usb_reset = lambda: None  # type: ignore[method-assign]
    with pytest.raises(LinkUnreliable, match="does not return to dfuIDLE"):
        bench.connection.open(1.0)
