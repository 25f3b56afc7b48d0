"""A connection whose link is listened to: all that passes is told, and nothing is changed by it."""

from __future__ import annotations

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.link import Stalled
from dfurun.dfuse.trace import Transfer
from dfurun.simulator import SimulatedBackend, SimulatedBoard, parse_fault
from dfurun.units import AddressRange
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector

CHIP = load_chip("stm32f072xb")
FLASH = AddressRange(0x0800_0000, 4096)


class Recorder:
    def __init__(self) -> None:
        self.transfers: list[Transfer] = []
        self.notes: list[str] = []

    def transfer(self, transfer: Transfer) -> None:
        self.transfers.append(transfer)

    def note(self, text: str) -> None:
        self.notes.append(text)


def read_flash(*faults: str, recorder: Recorder | None) -> tuple[SimulatedBoard, Connection, bytes]:
    clock = VirtualClock()
    board = SimulatedBoard(
        CHIP,
        clock,
        flash=b"\x01\x02\x03\x04" * 1024,
        faults=[parse_fault(fault) for fault in faults],
        trace_length=10_000,
    )
    ids = frozenset({(CHIP.usb.vendor_id, CHIP.usb.product_id)})
    connection = Connection(Bus(SimulatedBackend([board]), ids), CHIP, clock, Selector(), recorder)
    data = connection.open(1.0).read(FLASH)
    connection.close()
    return board, connection, data


def test_every_transfer_is_told_with_what_it_carried() -> None:
    recorder = Recorder()
    _, connection, data = read_flash(recorder=recorder)
    assert len(recorder.transfers) == connection.transfers
    blocks = [t for t in recorder.transfers if t.request.name == "UPLOAD"]
    assert b"".join(block.data for block in blocks) == data == b"\x01\x02\x03\x04" * 1024
    assert [block.value for block in blocks] == [2, 3]
    assert all(block.duration_s > 0 for block in blocks)
    starts = [t.began_s for t in recorder.transfers]
    assert starts == sorted(starts)


def test_a_failed_transfer_and_the_anomaly_that_it_is_are_told() -> None:
    recorder = Recorder()
    read_flash("stall:request=UPLOAD", recorder=recorder)
    (failed,) = [t for t in recorder.transfers if t.failure]
    assert isinstance(failed.failure, Stalled)
    assert (failed.request.name, failed.data) == ("UPLOAD", b"")
    assert "! UPLOAD STALL (Pipe error)" in recorder.notes


def test_coming_and_going_are_told() -> None:
    recorder = Recorder()
    read_flash(recorder=recorder)
    assert recorder.notes == ["opened 1-1  0483:df11 at address 1", "closed 1-1"]


def test_the_same_is_sent_with_and_without_a_listener() -> None:
    watched, _, data = read_flash("stall:request=UPLOAD", recorder=Recorder())
    alone, _, same = read_flash("stall:request=UPLOAD", recorder=None)
    assert data == same
    assert dict(watched.transfers) == dict(alone.transfers)
    assert watched.clock.now() == alone.clock.now()
