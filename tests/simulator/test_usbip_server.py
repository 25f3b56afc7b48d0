"""Boards behind a USB/IP server, seen by a client that plays the kernel's part."""

from __future__ import annotations

import errno
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from simulated_bench import APPLICATION, BACK_S, CHIP, FLASH

from dfurun.clock import RealClock, VirtualClock
from dfurun.dfuse.protocol import (
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    Command,
    DfuState,
    Request,
    mass_erase_payload,
    set_address_payload,
)
from dfurun.simulator import Running, SimulatedBoard, StateFile, parse_fault
from dfurun.simulator.transfer import Setup
from dfurun.simulator.usbip import hands, protocol
from dfurun.simulator.usbip.attach import Address, Attempt, VirtualController, attach_all, exported
from dfurun.simulator.usbip.connection import receiver
from dfurun.simulator.usbip.protocol import Command as Message
from dfurun.simulator.usbip.protocol import Operation, Status, Submit, Unlink
from dfurun.simulator.usbip.server import BoardFailed, ExportEvent, Server

GET_DEVICE_DESCRIPTOR = Setup(0x80, 6, 0x0100, 0, 18)
PATIENCE_S = 10.0


class Kernel:
    """The importing side of one connection."""

    def __init__(self, address: Address, bus_id: str) -> None:
        self.connection = socket.create_connection((address.host, address.port), PATIENCE_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.receive = receiver(self.connection)
        head = protocol.pack_operation(Operation.REQUEST_IMPORT)
        self.connection.sendall(head + protocol.pack_bus_id(bus_id))
        try:
            _, self.status = protocol.receive_operation(self.receive)
        except EOFError:
            self.connection.close()
            raise
        self.device = protocol.receive_device(self.receive) if self.status is Status.OK else None
        self.sequence = 0

    def close(self) -> None:
        self.connection.close()

    def submit(self, setup: Setup, data: bytes = b"", endpoint: int = 0) -> int:
        self.sequence += 1
        self.connection.sendall(protocol.pack_submit(Submit(self.sequence, endpoint, setup, data), 1))
        return self.sequence

    def unlink(self, victim: int) -> int:
        self.sequence += 1
        self.connection.sendall(protocol.pack_unlink(Unlink(self.sequence, victim), 1))
        return self.sequence

    def answer(self) -> tuple[Message, int, int, bytes]:
        """Return the next message: what it is, of which sequence number, its status, what came in."""
        message, sequence, status, length = protocol.receive_return(self.receive)
        comes_in = message is Message.RETURN_SUBMIT and self.reads
        return message, sequence, status, self.receive(length) if comes_in else b""

    reads = True

    def control(self, setup: Setup, data: bytes = b"") -> tuple[int, bytes]:
        self.reads = setup.is_in
        sequence = self.submit(setup, data)
        message, answered, status, found = self.answer()
        assert (message, answered) == (Message.RETURN_SUBMIT, sequence)
        return status, found

    def out(self, request: Request, value: int = 0, data: bytes = b"") -> int:
        return self.control(Setup(REQUEST_TYPE_OUT, request, value, 0, len(data)), data)[0]

    def into(self, request: Request, value: int, length: int) -> tuple[int, bytes]:
        return self.control(Setup(REQUEST_TYPE_IN, request, value, 0, length))

    def is_closed(self) -> bool:
        """Wait for the other side to close."""
        try:
            return self.connection.recv(1) == b""
        except OSError:
            return True


class Served:
    """A running server with its boards and what it told."""

    def __init__(self, boards: Sequence[SimulatedBoard]) -> None:
        self.boards = boards
        self.events: list[tuple[str, ExportEvent]] = []
        self.server = Server(boards, "127.0.0.1", 0, lambda port, event: self.events.append((port, event)))
        self.address = Address(*self.server.address)

    def ports(self) -> list[str]:
        return [device.bus_id for device in exported(self.address)]

    def import_(self, bus_id: str = "1-1") -> Kernel:
        return Kernel(self.address, bus_id)


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*boards: SimulatedBoard) -> Served:
        served = Served(boards or [board()])
        servers.append(served.server.__enter__())
        return served

    yield start
    for server in servers:
        server.__exit__()


def board(port: int = 1, **settings: object) -> SimulatedBoard:
    return SimulatedBoard(CHIP, VirtualClock(), port=(port,), **settings)  # type: ignore[arg-type]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_boards_on_the_bus_are_exported_under_their_port_paths(serve: Serve) -> None:
    served = serve(board(1), SimulatedBoard(CHIP, VirtualClock(), bus=2, port=(3, 1)), board(4, boot0=0))
    found = exported(served.address)
    assert [device.bus_id for device in found] == ["1-1", "2-3.1"]
    assert (found[0].vendor_id, found[0].product_id, found[0].release) == (0x0483, 0xDF11, 0x2200)
    assert [(i.kind, i.subclass, i.protocol) for i in found[0].interfaces] == [(0xFE, 1, 2)]


def test_transfers_reach_the_board_and_come_back(serve: Serve) -> None:
    served = serve(board(flash=APPLICATION))
    with closing(served.import_()) as kernel:
        assert kernel.control(GET_DEVICE_DESCRIPTOR)[1][8:12] == bytes.fromhex("8304 11DF")
        status, commands = kernel.into(Request.UPLOAD, 0, 2048)
        assert (status, commands) == (0, bytes([0x00, 0x21, 0x41, 0x92]))
        assert kernel.out(Request.ABORT) == 0
        assert kernel.into(Request.UPLOAD, 2, 64) == (0, APPLICATION[:64])
        assert kernel.out(Request.ABORT) == 0
        assert kernel.out(Request.DNLOAD, 0, set_address_payload(FLASH + 64)) == 0
        assert kernel.into(Request.GETSTATUS, 0, 6)[1][4] == 4
        assert kernel.into(Request.GETSTATUS, 0, 6)[1][4] == 5
        kernel.out(Request.ABORT)
        assert kernel.into(Request.UPLOAD, 2, 64) == (0, APPLICATION[64:128])


@pytest.mark.parametrize(
    ("fault", "status"), [("stall", -32), ("io-error", -71), ("overflow", -75)]
)  # EPIPE, EPROTO, EOVERFLOW
def test_failed_transfers_have_the_status_that_linux_expects(serve: Serve, fault: str, status: int) -> None:
    served = serve(board(faults=[parse_fault(fault)]))
    with closing(served.import_()) as kernel:
        assert kernel.into(Request.GETSTATE, 0, 1) == (status, b"")
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")


def test_an_endpoint_that_the_device_does_not_have_is_stalled(serve: Serve) -> None:
    with closing(serve().import_()) as kernel:
        kernel.submit(Setup(0, 0, 0, 0, 0), endpoint=1)
        assert kernel.answer()[2] == -32


def test_a_transfer_that_is_not_answered_waits_until_it_is_given_up(serve: Serve) -> None:
    served = serve(board(faults=[parse_fault("timeout:request=GETSTATE")]))
    with closing(served.import_()) as kernel:
        lost = kernel.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1))
        until(lambda: served.boards[0].transfers["GETSTATE"])
        giving_up = kernel.unlink(lost)
        assert kernel.answer() == (Message.RETURN_UNLINK, giving_up, -104, b"")
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")


def test_what_is_given_up_in_time_never_reaches_the_board(serve: Serve) -> None:
    served = serve()
    with closing(served.import_()) as kernel, served.server.export("1-1").board():
        held_up = kernel.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1))
        behind = kernel.submit(Setup(REQUEST_TYPE_OUT, Request.ABORT, 0, 0, 0))
        giving_up = kernel.unlink(behind)
        assert kernel.answer() == (Message.RETURN_UNLINK, giving_up, -104, b"")
        kernel.unlink(held_up)
    until(lambda: served.ports() == ["1-1"])
    assert served.boards[0].transfers["ABORT"] == 0


def test_giving_up_what_has_ended_changes_nothing(serve: Serve) -> None:
    with closing(serve().import_()) as kernel:
        kernel.into(Request.GETSTATE, 0, 1)
        giving_up = kernel.unlink(1)
        assert kernel.answer() == (Message.RETURN_UNLINK, giving_up, 0, b"")


def test_an_answer_that_comes_after_it_was_given_up_is_dropped(serve: Serve) -> None:
    """The ROM holds its answer for as long as a page erase takes; the host does not wait for it."""
    slow = SimulatedBoard(CHIP, RealClock(), faults=[parse_fault("execution:mode=held")])
    served = serve(slow)
    with closing(served.import_()) as kernel:
        assert kernel.out(Request.DNLOAD, 0, mass_erase_payload()) == 0
        held = kernel.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6))
        until(lambda: slow.transfers["GETSTATUS"])
        giving_up = kernel.unlink(held)
        assert kernel.answer() == (Message.RETURN_UNLINK, giving_up, -104, b"")
        status, report = kernel.into(Request.GETSTATUS, 0, 6)
        assert (status, report[4]) == (0, 5)
    assert set(slow.flash.erase_counts) == {1}


def test_a_request_that_is_given_up_while_the_rom_is_deaf_has_changed_nothing(serve: Serve) -> None:
    """As with a host that has a timeout: a served ROM and one behind pyusb are the same."""
    deaf = SimulatedBoard(CHIP, RealClock(), faults=[parse_fault("execution:mode=inside")])
    served = serve(deaf)
    with closing(served.import_()) as kernel:
        kernel.out(Request.DNLOAD, 0, mass_erase_payload())
        assert kernel.into(Request.GETSTATUS, 0, 6)[1][4] == DfuState.DNBUSY
        waiting = kernel.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6))
        until(lambda: deaf.transfers["GETSTATUS"] == 2)
        giving_up = kernel.unlink(waiting)
        assert kernel.answer() == (Message.RETURN_UNLINK, giving_up, -104, b"")
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, bytes([DfuState.DNLOAD_SYNC]))


def test_hands_cut_the_power_while_a_rom_holds_its_answer(serve: Serve) -> None:
    slow = SimulatedBoard(CHIP, RealClock(), flash=APPLICATION, faults=[parse_fault("execution:mode=held")])
    served = serve(slow)
    with closing(served.import_()) as kernel:
        kernel.out(Request.DNLOAD, 0, mass_erase_payload())
        kernel.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6))
        until(lambda: slow.transfers["GETSTATUS"])
        hands.perform(served.server, "power-cycle 1-1 1")
        assert kernel.is_closed()
    torn = slow.flash.contents
    assert torn.count(0xFF) < len(torn) // 2, "the erase has not ended"
    assert not torn.startswith(APPLICATION), "and it had begun"


def test_a_board_that_resets_ends_its_connection_and_is_exported_again(serve: Serve) -> None:
    served = serve()
    (here,) = served.boards
    with closing(served.import_()) as kernel:
        assert served.ports() == []
        with served.server.export("1-1").board():
            here.power_cycle(1)
        assert kernel.is_closed()
    until(lambda: served.events == [("1-1", ExportEvent.IMPORTED), ("1-1", ExportEvent.LEFT_THE_BUS)])
    assert served.ports() == []
    with served.server.export("1-1").board():
        here.clock.sleep(BACK_S)
    assert served.ports() == ["1-1"]
    with closing(served.import_()) as kernel:
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")


def test_a_board_that_is_imported_is_busy_until_it_is_released(serve: Serve) -> None:
    served = serve()
    with closing(served.import_()) as first:
        assert first.status is Status.OK
        with closing(served.import_()) as second:
            assert second.status is Status.DEVICE_BUSY
    until(lambda: ("1-1", ExportEvent.RELEASED) in served.events)
    with closing(served.import_()) as third:
        assert third.status is Status.OK


def test_an_import_begins_with_a_bus_reset(serve: Serve) -> None:
    """It is the host's enumeration: what was stored before it is not executed."""
    served = serve(board(flash=APPLICATION))
    (here,) = served.boards
    with served.server.export("1-1").board():
        data = mass_erase_payload()
        here.control(Setup(REQUEST_TYPE_OUT, Request.DNLOAD, 0, 0, len(data)), data)
    with closing(served.import_()) as kernel:
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")
        kernel.into(Request.GETSTATUS, 0, 6)
    assert here.flash.contents.startswith(APPLICATION)


def test_what_is_not_there_cannot_be_imported(serve: Serve) -> None:
    served = serve(board(1), board(2, boot0=0))
    for bus_id in ("1-9", "1-2", ""):
        with closing(served.import_(bus_id)) as kernel:
            assert kernel.status is Status.NO_DEVICE


def test_a_removed_board_is_gone(serve: Serve) -> None:
    served = serve(board(1), board(2))
    with closing(served.import_("1-2")) as kernel:
        served.server.remove("1-2")
        assert kernel.is_closed()
    assert served.ports() == ["1-1"]


def test_noise_ends_its_own_connection_only(serve: Serve) -> None:
    served = serve()
    with closing(served.import_()) as kernel:
        with socket.create_connection((served.address.host, served.address.port), PATIENCE_S) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert other.recv(1) == b""
        assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")
        kernel.connection.sendall(b"\xff" * 48)
        assert kernel.is_closed()
    until(lambda: served.ports() == ["1-1"])


@pytest.mark.parametrize(
    ("direction", "length"),
    [(1, 5), (0, 3), (0, 2048)],
    ids=["data that comes in for a DNLOAD", "less than wLength", "more than wLength"],
)
def test_a_transfer_that_contradicts_its_setup_ends_the_connection(serve: Serve, direction: int, length: int) -> None:
    served = serve(board(flash=APPLICATION))
    with closing(served.import_()) as kernel:
        good = protocol.pack_submit(Submit(1, 0, Setup(REQUEST_TYPE_OUT, Request.DNLOAD, 0, 0, 5), bytes(5)), 1)
        bad = good[:12] + direction.to_bytes(4, "big") + good[16:24] + length.to_bytes(4, "big") + good[28:48]
        kernel.connection.sendall(bad + bytes(length if direction == 0 else 0))
        assert kernel.is_closed()
    until(lambda: served.ports() == ["1-1"])
    assert served.boards[0].transfers["DNLOAD"] == 0
    assert served.server.failure is None


def test_a_server_goes_on_after_a_connection_that_could_not_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()

    class Exhausted(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if not refused.is_set():
                refused.set()
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    def listen(address: tuple[str, int], family: int) -> socket.socket:
        listener = Exhausted(family)
        listener.bind(address)
        listener.listen()
        return listener

    monkeypatch.setattr(socket, "create_server", listen)
    with Server([board()], "127.0.0.1", 0) as server:
        assert refused.wait(PATIENCE_S)
        assert [device.bus_id for device in exported(Address(*server.address))] == ["1-1"]


def test_a_board_whose_file_cannot_be_written_is_a_failure_of_the_server(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    here = board()
    StateFile(folder / "board.json").keep(here)
    served = serve(here)
    shutil.rmtree(folder)
    with pytest.raises(EOFError):
        served.import_()
    until(lambda: served.server.failure)
    assert isinstance(served.server.failure, BoardFailed)
    with pytest.raises(BoardFailed, match=r"1-1: .*board\.json"):
        hands.perform(served.server, "power-cycle 1-1")


def test_a_listener_that_fails_is_a_failure_of_the_server_and_not_of_the_host() -> None:
    def fail(_port: str, _event: ExportEvent) -> None:
        raise BrokenPipeError

    with Server([board()], "127.0.0.1", 0, fail) as server:
        with closing(Kernel(Address(*server.address), "1-1")) as kernel:
            until(lambda: server.failure)
            assert kernel.into(Request.GETSTATE, 0, 1) == (0, b"\x02")
        assert isinstance(server.failure, BrokenPipeError)


@pytest.mark.skipif(not socket.has_ipv6, reason="this computer has no IPv6")
def test_a_server_listens_at_an_address_of_ipv6_too() -> None:
    try:
        server = Server([board()], "::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    with server:
        address = Address(*server.address)
        assert str(address) == f"[::1]:{address.port}"
        assert [device.bus_id for device in exported(address)] == ["1-1"]


def test_boards_answer_side_by_side(serve: Serve) -> None:
    """One that does not answer its host keeps no other host waiting."""
    clock = RealClock()
    waiting = SimulatedBoard(CHIP, clock, port=(1,), faults=[parse_fault("timeout:request=GETSTATE")])
    served = serve(waiting, SimulatedBoard(CHIP, clock, port=(2,)))
    with closing(served.import_("1-1")) as first, closing(served.import_("1-2")) as second:
        first.submit(Setup(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1))
        assert [second.into(Request.GETSTATE, 0, 1) for _ in range(20)] == [(0, b"\x02")] * 20
        assert second.into(Request.UPLOAD, 0, 4) == (0, bytes(sorted(Command)))


def test_two_boards_at_one_port_are_refused() -> None:
    with pytest.raises(ValueError, match="two boards at port 1-1"):
        Server([board(), board()], "127.0.0.1", 0)


# Hands ------------------------------------------------------------------------------------------------------------------


def test_hands_power_cycle_a_served_board(serve: Serve) -> None:
    served = serve(board(flash=APPLICATION))
    (here,) = served.boards
    assert hands.perform(served.server, "power-cycle 1-1 0\n") == "1-1: power-cycled with BOOT0 low"
    assert here.running is Running.APPLICATION
    assert hands.perform(served.server, "power-cycle 1-1") == "1-1: power-cycled with BOOT0 low"
    assert hands.perform(served.server, "boot0 1-1 1") == "1-1: BOOT0 high"
    assert here.running is Running.APPLICATION
    hands.perform(served.server, "power-cycle 1-1")
    assert here.running is Running.BOOTLOADER


def test_hands_pull_the_plug(serve: Serve) -> None:
    served = serve()
    (here,) = served.boards
    assert hands.perform(served.server, "unplug 1-1 2.5") == "1-1: unplugged for 2.5 s"
    assert not here.present
    here.clock.sleep(2.5)
    assert here.present
    assert hands.perform(served.server, "unplug 1-1") == "1-1: unplugged, until its next power cycle"
    here.clock.sleep(1000)
    assert not here.present


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ("power-cycle 1-9", "no board at '1-9'; there are 1-1"),
        ("power-cycle 1-1 2", "BOOT0 is 0 or 1, not '2'"),
        ("unplug 1-1 soon", "'soon' is not a number of seconds"),
        ("unplug 1-1 -1", "'-1' is not a number of seconds"),
        ("unplug 1-1 nan", "'nan' is not a number of seconds"),
        ("shake 1-1", "'shake 1-1' is none of power-cycle PORT [0|1], boot0 PORT 0|1, unplug PORT [SECONDS]"),
    ],
)
def test_hands_that_are_not_understood_do_nothing(serve: Serve, order: str, problem: str) -> None:
    served = serve()
    with pytest.raises(ValueError) as caught:
        hands.perform(served.server, order)
    assert str(caught.value) == problem
    assert served.ports() == ["1-1"]


# The attaching side -----------------------------------------------------------------------------------------------------


def controller(
    folder: Path, *, taken: Sequence[int] = (), ports: int = 4, device_id: int = 0x00010001
) -> VirtualController:
    """A vhci_hcd in a folder, as its sysfs files look."""
    lines = ["hub port sta spd dev      sockfd local_busid"]
    for hub, first in (("hs", 0), ("ss", ports)):
        for port in range(first, first + ports):
            status, device = (6, device_id) if port in taken else (4, 0)
            lines.append(f"{hub}  {port:04} {status:03} 000 {device:08x} 000000 0-0")
    (folder / "status").write_text("\n".join(lines) + "\n")
    (folder / "attach").write_text("")
    return VirtualController(folder)


def test_a_board_is_attached_to_the_port_of_its_path(serve: Serve, tmp_path: Path) -> None:
    served = serve(board(3))
    assert attach_all(served.address, controller(tmp_path)) == [Attempt("1-3")]
    port, descriptor, device, speed = (tmp_path / "attach").read_text().split()
    assert (port, speed) == ("2", "2")
    assert int(device) == 1 << 16 | served.boards[0].situation.usb_address
    assert int(descriptor) > 2


def test_a_port_that_is_taken_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    served = serve(board(3))
    assert attach_all(served.address, controller(tmp_path, taken=[2])) == []
    assert (tmp_path / "attach").read_text() == ""
    assert served.ports() == ["1-3"]


def test_a_board_of_another_bus_is_told_that_its_port_is_taken(serve: Serve, tmp_path: Path) -> None:
    """The virtual controller is one bus: 1-3 and 2-3 cannot both be had."""
    served = serve(SimulatedBoard(CHIP, VirtualClock(), bus=2, port=(3,)))
    attempts = attach_all(served.address, controller(tmp_path, taken=[2], device_id=0x00010007))
    assert attempts == [Attempt("2-3", "2-3: this controller is one bus, and 1-3 has its port 3")]


def test_ports_that_cannot_be_had_are_problems(serve: Serve, tmp_path: Path) -> None:
    served = serve(board(9), SimulatedBoard(CHIP, VirtualClock(), port=(2, 1)), board(1))
    attempts = attach_all(served.address, controller(tmp_path))
    assert attempts == [
        Attempt("1-1"),
        Attempt("1-2.1", "1-2.1 is behind a hub, and USB/IP attaches to root ports only"),
        Attempt("1-9", "1-9: this controller has the ports 1 to 4"),
    ]


def test_a_kernel_that_refuses_is_a_problem_of_that_board(serve: Serve, tmp_path: Path) -> None:
    served, refusing = serve(), controller(tmp_path)
    (tmp_path / "attach").unlink()
    (tmp_path / "attach").mkdir()
    (attempt,) = attach_all(served.address, refusing)
    assert attempt.problem.startswith("1-1: ")
    until(lambda: served.ports() == ["1-1"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("bench", Address("bench", 3240)),
        ("bench:4000", Address("bench", 4000)),
        ("[::1]:4000", Address("::1", 4000)),
        ("[::1]", Address("::1", 3240)),
    ],
)
def test_addresses_as_people_write_them(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", ":3240", "bench:", "bench:x", "bench:70000", "bench:-1", "::1", "a/b", "a@b"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST or HOST:PORT"):
        Address.parse(text)
