"""Attaches what a USB/IP server exports to this computer's virtual host controller, again after every re-enumeration.

Linux's vhci_hcd takes a connected socket and a port number through sysfs, and from then on speaks USB/IP itself. A board that
resets has its connection closed by the server and is exported anew when it is back; here that looks like a device which is
offered and whose port is free, so it is attached to the same port. Nothing needs to be remembered.

# Ref: Linux, drivers/usb/usbip/vhci_sysfs.c (`attach`: port, socket, device id, speed; `status`: one line a port).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dfurun.simulator.usbip import protocol
from dfurun.simulator.usbip.connection import receiver
from dfurun.simulator.usbip.protocol import ExportedDevice, Operation, Status

CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
CONNECT_TIMEOUT_S = 5.0
_FREE = 4  # enum usbip_device_status, VDEV_ST_NULL
_FULL_AND_HIGH_SPEED = "hs"


class NoSuchPort(Exception):
    """A board whose port path the virtual controller cannot give it."""


class KernelRefuses(Exception):
    """The kernel does not take a connection that it was handed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One device that was to be attached; `problem` says why it was not, empty where it is."""

    port: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int = protocol.DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address for `host`, `host:port` or `[::1]:port`; raise ValueError for anything else."""
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or "@" in text or parts.netloc != text or text.endswith(":"):
            raise ValueError(f"{text!r} is not HOST or HOST:PORT")
        return cls(host, protocol.DEFAULT_PORT if port is None else port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PortState:
    """A port of the virtual controller: `enum usbip_device_status`, and the device that it was given, 0 for none."""

    status: int
    device_id: int


class VirtualController:
    """The computer's vhci_hcd, through sysfs."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or CONTROLLER

    @property
    def is_there(self) -> bool:
        """Whether the module is loaded."""
        return (self._folder / "attach").exists()

    @property
    def is_writable(self) -> bool:
        """Whether this user may attach devices."""
        return os.access(self._folder / "attach", os.W_OK)

    def port_of(self, device: ExportedDevice) -> int:
        """Return the controller's number of the port that gives a device its port path.

        Raises NoSuchPort for a path behind a hub, and for a root port that the controller does not have.
        """
        ports = device.bus_id.partition("-")[2]
        if not ports.isdecimal():
            raise NoSuchPort(f"{device.bus_id} is behind a hub, and USB/IP attaches to root ports only")
        number = int(ports) - 1
        if number not in self._states():
            raise NoSuchPort(f"{device.bus_id}: this controller has the ports 1 to {len(self._states())}")
        return number

    def is_free(self, port: int, device: ExportedDevice) -> bool:
        """Say whether nothing is attached at this port; raise NoSuchPort where a board of another bus is, for good."""
        state = self._states()[port]
        if state.status != _FREE and state.device_id and state.device_id >> 16 != device.bus:
            other = f"{state.device_id >> 16}-{port + 1}"
            raise NoSuchPort(f"{device.bus_id}: this controller is one bus, and {other} has its port {port + 1}")
        return state.status == _FREE

    def attach(self, port: int, connection: socket.socket, device: ExportedDevice) -> None:
        """Hand the connection of an imported device to the kernel; raise KernelRefuses."""
        words = f"{port} {connection.fileno()} {device.device_id} {device.speed}"
        try:
            (self._folder / "attach").write_text(words)
        except OSError as error:
            raise KernelRefuses(f"{device.bus_id}: {error.strerror}") from None

    def _states(self) -> dict[int, PortState]:
        """Return every port for full and high speed; number, status and device are the columns `port`, `sta` and `dev`."""
        states: dict[int, PortState] = {}
        for line in (self._folder / "status").read_text().splitlines():
            words = line.split()
            if len(words) >= 5 and words[0] == _FULL_AND_HIGH_SPEED:
                states[int(words[1])] = PortState(int(words[2]), int(words[4], 16))
        return states


def exported(address: Address) -> list[ExportedDevice]:
    """Ask a server what it exports; raise OSError, EOFError or Malformed."""
    with _connected(address) as connection:
        connection.sendall(protocol.pack_operation(Operation.REQUEST_DEVICE_LIST))
        receive = receiver(connection)
        protocol.receive_operation(receive)
        return protocol.receive_device_list(receive)


def attach_all(address: Address, controller: VirtualController) -> list[Attempt]:
    """Attach every device that is exported and whose port is free; return what was tried.

    Raises OSError or EOFError where the server does not answer, Malformed where it is none.
    """
    attempts = (_attach(address, controller, device) for device in exported(address))
    return [attempt for attempt in attempts if attempt is not None]


def _attach(address: Address, controller: VirtualController, device: ExportedDevice) -> Attempt | None:
    """Attach one device; None where its port is not free yet, or it is not to be had any more."""
    try:
        port = controller.port_of(device)
        if not controller.is_free(port, device):
            return None
        with _connected(address) as connection:
            head = protocol.pack_operation(Operation.REQUEST_IMPORT)
            connection.sendall(head + protocol.pack_bus_id(device.bus_id))
            receive = receiver(connection)
            _, status = protocol.receive_operation(receive)
            if status is not Status.OK:
                return None
            device = protocol.receive_device(receive)
            connection.settimeout(None)  # it is the kernel's from here on
            controller.attach(port, connection, device)
    except (NoSuchPort, KernelRefuses) as problem:
        return Attempt(device.bus_id, str(problem))
    return Attempt(device.bus_id)


@contextmanager
def _connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection
