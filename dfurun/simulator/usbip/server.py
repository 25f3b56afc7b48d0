"""A USB/IP server that exports simulated boards, so that any program on a Linux computer finds them on its own bus.

A board is exported under its port path, for as long as it is on its bus and nobody has it. When it leaves the bus, in a reset
or because its plug is pulled, the connection ends, which is how USB/IP says that a device is gone; it is exported again when it
is back. One thread a connection executes its transfers in order, one more reads; hands act on a board between two transfers, or
while the ROM keeps its host waiting.

What USB/IP leaves out: there is no message for a port reset. The bus reset with which a host begins its enumeration is given to
the board when it is imported; a later one (libusb_reset_device) ends in the host's virtual controller, and the board keeps its
DFU state. There are no frames, NAKs or packets either: a transfer is one message each way.

# Ref: Linux, Documentation/usb/usbip_protocol.rst; drivers/usb/usbip/vhci_hcd.c, stub_rx.c (what status a host expects).
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Self

from dfurun.simulator.board import SimulatedBoard
from dfurun.simulator.descriptors import CONFIGURATION_VALUE, DescriptorType
from dfurun.simulator.device import UsbDevice
from dfurun.simulator.transfer import Babble, BusError, Gone, NoAnswer, TransferFailure
from dfurun.simulator.usbip import protocol
from dfurun.simulator.usbip.connection import hang_up, receiver
from dfurun.simulator.usbip.protocol import ExportedDevice, Interface, Operation, Status, Submit, Unlink

WAIT_SLICE_S = 0.005  # how soon a hand, or a host that gives up, is heard while the ROM keeps its host waiting
ACCEPT_PAUSE_S = 0.05
WATCH_INTERVAL_S = 0.005  # how soon a host learns that its board has left the bus
OPERATION_TIMEOUT_S = 10.0
CLOSING_TIMEOUT_S = 2.0
_CONTROL_ENDPOINT = 0

# Linux errno values, whatever system the server runs on: they are the protocol's.
_EPIPE, _EPROTO, _EOVERFLOW, _ECONNRESET = 32, 71, 75, 104
_ERRNO_OF_FAILURE: dict[type[TransferFailure], int] = {BusError: _EPROTO, Babble: _EOVERFLOW}


class ExportEvent(StrEnum):
    """What happened to an exported board."""

    IMPORTED = "imported"
    RELEASED = "released"
    LEFT_THE_BUS = "left-the-bus"


Listener = Callable[[str, ExportEvent], None]
"""Hears of what happens, with the board's port path; called from the server's threads."""


class BoardFailed(Exception):
    """A board that cannot go on: its file cannot be written."""


class Export:
    """One board, and who has it. Everything that touches the board holds `lock`."""

    def __init__(self, board: SimulatedBoard) -> None:
        self.bus_id = bus_id_of(board)
        self.lock = threading.RLock()
        self.is_imported = False
        self._board = board

    @contextmanager
    def board(self) -> Iterator[SimulatedBoard]:
        """The board, while nobody else touches it; raise BoardFailed where its file cannot be written."""
        with self.lock:
            try:
                yield self._board
            except OSError as error:
                raise BoardFailed(f"{self.bus_id}: {error.filename or 'its file'}: {error.strerror}") from None

    def let_others_in(self, seconds: float) -> None:
        """Let time pass without the board, for whoever holds it: hands may do their work meanwhile."""
        self.lock.release()
        try:
            self._board.clock.sleep(seconds)
        finally:
            self.lock.acquire()

    def exported(self) -> ExportedDevice | None:
        """Return the device to tell of, None where it is not on the bus or somebody has it."""
        with self.board() as board:
            device = board.device
            return None if self.is_imported or device is None else _exported(board, device)

    def take(self) -> tuple[Status, ExportedDevice | None, int]:
        """Import the board: return the device and which of its connections it is, or why not."""
        with self.board() as board:
            if not board.present:
                return Status.NO_DEVICE, None, 0
            if self.is_imported:
                return Status.DEVICE_BUSY, None, 0
            with suppress(Gone):
                board.usb_reset()
            device = board.device
            if device is None:
                return Status.NO_DEVICE, None, 0
            self.is_imported = True
            return Status.OK, _exported(board, device), board.situation.connections

    def give_back(self) -> None:
        """Let somebody else import the board."""
        with self.lock:
            self.is_imported = False

    def is_on_the_bus(self, connection: int) -> bool:
        """Say whether the board is on the bus in the appearance that was imported."""
        with self.lock:
            return self._board.present and self._board.situation.connections == connection


class Server:
    """Exports boards until it is closed; a context manager. Boards can be added and removed while it runs.

    `failure` is what a connection's thread has died of, if one has: a board's file that cannot be written, a listener's error.
    """

    def __init__(
        self, boards: Sequence[SimulatedBoard], host: str, port: int, on_event: Listener | None = None
    ) -> None:
        """Raise OSError where the address cannot be listened at, ValueError for two boards at one port."""
        self._exports: dict[str, Export] = {}
        self._on_event = on_event or _nobody
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        for board in boards:
            self.add(board)
        self._is_closing = False
        self.failure: Exception | None = None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._accepting = threading.Thread(target=self._accept, name="usbip accept", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """The address that it listens at."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up; what happened until then has been told when this returns, and nothing is told later."""
        self._is_closing = True
        hang_up(self._listener)
        with self._lock:
            open_connections = dict(self._connections)
        for connection in open_connections.values():
            hang_up(connection)
        for thread in open_connections:
            thread.join(CLOSING_TIMEOUT_S)
        self._on_event = _nobody

    def add(self, board: SimulatedBoard) -> Export:
        """Export a board; raise ValueError where there is one at its port."""
        export = Export(board)
        with self._lock:
            if export.bus_id in self._exports:
                raise ValueError(f"two boards at port {export.bus_id}")
            self._exports[export.bus_id] = export
        return export

    def remove(self, bus_id: str) -> None:
        """Take a board off the bus for good."""
        with self._lock:
            export = self._exports.pop(bus_id)
        with export.board() as board:
            board.unplug(back_after_s=None)

    def export(self, bus_id: str) -> Export:
        """Return the export at this port; raise KeyError where there is none."""
        return self._exports[bus_id]

    @property
    def exports(self) -> list[Export]:
        """All exports, by port."""
        with self._lock:
            return [export for _, export in sorted(self._exports.items())]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._is_closing:
                    return
                time.sleep(ACCEPT_PAUSE_S)  # too many open files, or a host that has thought better of it
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), name="usbip connection", daemon=True)
            with self._lock:
                self._connections[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a host that has died lets go in the end
            connection.settimeout(OPERATION_TIMEOUT_S)
            self._operate(connection)
        except (OSError, EOFError, protocol.Malformed):
            pass  # nobody is there to be told
        except (
            Exception
        ) as error:  # a board's file, or whoever listens to events: whoever runs the server has to end it
            self.failure = error
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)
            hang_up(connection)

    def _operate(self, connection: socket.socket) -> None:
        receive = receiver(connection)
        operation, _ = protocol.receive_operation(receive)
        match operation:
            case Operation.REQUEST_DEVICE_LIST:
                found = [device for export in self.exports if (device := export.exported()) is not None]
                head = protocol.pack_operation(Operation.REPLY_DEVICE_LIST)
                connection.sendall(head + protocol.pack_device_list(found))
            case Operation.REQUEST_IMPORT:
                self._import(connection, protocol.receive_bus_id(receive))

    def _import(self, connection: socket.socket, bus_id: str) -> None:
        export = self._exports.get(bus_id)
        status, device, appearance = export.take() if export else (Status.NO_DEVICE, None, 0)
        head = protocol.pack_operation(Operation.REPLY_IMPORT, status)
        if export is None or device is None:
            connection.sendall(head)
            return
        try:
            connection.sendall(head + protocol.pack_device(device))
            connection.settimeout(None)
            self._tell(bus_id, ExportEvent.IMPORTED)
            Attachment(connection, export, appearance).carry()
        finally:
            gone = not export.is_on_the_bus(appearance)
            hang_up(connection)
            export.give_back()
            self._tell(bus_id, ExportEvent.LEFT_THE_BUS if gone else ExportEvent.RELEASED)

    def _tell(self, bus_id: str, event: ExportEvent) -> None:
        try:
            self._on_event(bus_id, event)
        except Exception as error:  # not this connection's: its host is not to suffer for it
            self.failure = error


@dataclass(frozen=True, slots=True)
class _Closed:
    """Stands in the queue for the end of the connection."""


class Attachment:
    """The connection of one imported board."""

    def __init__(self, connection: socket.socket, export: Export, appearance: int) -> None:
        self._connection = connection
        self._export = export
        self._appearance = appearance
        self._inbox: queue.SimpleQueue[Submit | _Closed] = queue.SimpleQueue()
        self._pending: set[int] = set()
        self._lock = threading.Lock()  # for what is pending, and so that no two answers mix

    def carry(self) -> None:
        """Execute the host's transfers until it hangs up or the board leaves the bus."""
        threading.Thread(target=self._read, name=f"usbip read {self._export.bus_id}", daemon=True).start()
        while self._export.is_on_the_bus(self._appearance):
            try:
                item = self._inbox.get(timeout=WATCH_INTERVAL_S)
            except queue.Empty:
                continue
            if isinstance(item, _Closed):
                return
            if item.sequence in self._pending:
                self._execute(item)

    def _wait(self, submit: Submit, seconds: float) -> bool:
        """Let time pass while the ROM keeps its host waiting; say whether the host still does."""
        self._export.let_others_in(min(seconds, WAIT_SLICE_S))
        return submit.sequence in self._pending

    def _read(self) -> None:
        receive = receiver(self._connection)
        try:
            while True:
                match protocol.receive_command(receive):
                    case Submit() as submit:
                        with self._lock:
                            self._pending.add(submit.sequence)
                        self._inbox.put(submit)
                    case Unlink() as unlink:
                        self._give_up(unlink)
        except (OSError, EOFError, protocol.Malformed):
            self._inbox.put(_Closed())

    def _give_up(self, unlink: Unlink) -> None:
        with self._lock:
            status = -_ECONNRESET if unlink.victim in self._pending else 0
            self._pending.discard(unlink.victim)
            self._connection.sendall(protocol.pack_return_unlink(unlink.sequence, status=status))

    def _execute(self, submit: Submit) -> None:
        """Carry one transfer. One that is not answered stays pending until the host gives it up, as on a wire."""
        answer, status = b"", 0
        try:
            with self._export.board() as board:
                if submit.endpoint != _CONTROL_ENDPOINT:
                    status = -_EPIPE
                else:
                    answer = board.control(submit.setup, submit.data, wait=partial(self._wait, submit))
        except (NoAnswer, Gone):
            return
        except TransferFailure as failure:
            status = -_ERRNO_OF_FAILURE.get(type(failure), _EPIPE)
        length = (len(answer) if submit.setup.is_in else len(submit.data)) if status == 0 else 0
        with self._lock:
            if submit.sequence not in self._pending:
                return  # given up meanwhile
            self._pending.discard(submit.sequence)
            self._connection.sendall(
                protocol.pack_return_submit(submit.sequence, status=status, length=length, data=answer)
            )


def _nobody(_port: str, _event: ExportEvent) -> None:
    """Stand in for nobody who listens."""


def bus_id_of(board: SimulatedBoard) -> str:
    """Return a board's port path as Linux writes it: `1-2.3`."""
    return f"{board.bus}-{'.'.join(str(port) for port in board.port)}"


def _exported(board: SimulatedBoard, device: UsbDevice) -> ExportedDevice:
    usb, head = device.usb, device.device_descriptor
    return ExportedDevice(
        bus_id=bus_id_of(board),
        bus=board.bus,
        address=board.situation.usb_address,
        speed=protocol.SPEED_FULL,
        vendor_id=usb.vendor_id,
        product_id=usb.product_id,
        release=usb.release,
        device_class=head[4],
        device_subclass=head[5],
        device_protocol=head[6],
        configuration=CONFIGURATION_VALUE,
        configuration_count=head[17],
        interfaces=_interfaces(device.configuration_descriptor),
    )


def _interfaces(configuration: bytes) -> tuple[Interface, ...]:
    """Return the interfaces in a configuration descriptor, by their first alternate setting."""
    found: dict[int, Interface] = {}
    offset = 0
    while offset < len(configuration):
        part = configuration[offset : offset + configuration[offset]]
        if part[1] == DescriptorType.INTERFACE:
            found.setdefault(part[2], Interface(part[5], part[6], part[7]))
        offset += len(part)
    return tuple(found.values())
