"""A pyusb backend whose one device is a board that another process serves over USB/IP: what stands in for libusb and a wire.

It plays the kernel's part, in user space and without its privileges: it imports the board, reads its descriptors, and carries
one control transfer after the other. A board that resets ends its connection, and is imported anew when it is served again.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import usb.backend
import usb.core

from dfurun.simulator.backend import SimulatedBackend
from dfurun.simulator.transfer import Setup
from dfurun.simulator.usbip import protocol
from dfurun.simulator.usbip.attach import Address
from dfurun.simulator.usbip.connection import hang_up, receiver
from dfurun.simulator.usbip.protocol import Command, ExportedDevice, Operation, Status, Submit, Unlink

_GET_DESCRIPTOR, _SET_CONFIGURATION, _SET_INTERFACE = 6, 9, 11
_DEVICE, _CONFIGURATION = 1, 2
_ENODEV = (-4, errno.ENODEV, "No such device (it may have been disconnected)")
_OF_STATUS = {
    -32: (-9, errno.EPIPE, "Pipe error"),
    -71: (-1, errno.EIO, "Input/Output Error"),
    -75: (-8, errno.EOVERFLOW, "Overflow"),
}
_NO_TIMEOUT_S = 60.0


class _Wire:
    """One import of the board: from when it was taken to when it left the bus."""

    def __init__(self, address: Address) -> None:
        """Raise OSError or EOFError where the board is not on its bus."""
        port = _served_port(address)
        self._connection = socket.create_connection((address.host, address.port), _NO_TIMEOUT_S)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._receive = receiver(self._connection)
        self._sequence = 0
        self.is_gone = False
        try:
            self.device = self._import(port)
        except (OSError, EOFError):
            self.end()
            raise
        self.descriptor = self.control(Setup(0x80, _GET_DESCRIPTOR, _DEVICE << 8, 0, 18), b"", 1000)
        self.configuration = self.control(Setup(0x80, _GET_DESCRIPTOR, _CONFIGURATION << 8, 0, 4096), b"", 1000)
        self.control(Setup(0x00, _SET_CONFIGURATION, 1, 0, 0), b"", 1000)

    def _import(self, port: str) -> ExportedDevice:
        self._connection.sendall(protocol.pack_operation(Operation.REQUEST_IMPORT) + protocol.pack_bus_id(port))
        _, status = protocol.receive_operation(self._receive)
        if status is not Status.OK:
            raise ConnectionError(status.name)
        return protocol.receive_device(self._receive)

    def look(self) -> None:
        """See whether the board has left the bus since the last transfer."""
        if not self.is_gone and select.select([self._connection], [], [], 0)[0]:
            self.end()

    def end(self) -> None:
        """Hang up."""
        self.is_gone = True
        hang_up(self._connection)

    def control(self, setup: Setup, data: bytes, timeout_ms: int) -> bytes:
        """Carry one control transfer; raise usb.core.USBError as pyusb's libusb backend does."""
        if self.is_gone:
            fail(*_ENODEV)
        self._sequence += 1
        try:
            self._connection.sendall(protocol.pack_submit(Submit(self._sequence, 0, setup, data), 1))
            if not select.select([self._connection], [], [], timeout_ms / 1000 or _NO_TIMEOUT_S)[0]:
                return self._give_up()
            _, _, status, length = protocol.receive_return(self._receive)
            answer = self._receive(length) if setup.is_in and length else b""
        except (OSError, EOFError):
            self.end()
            fail(*_ENODEV)
        if status:
            fail(*_OF_STATUS.get(status, _OF_STATUS[-71]))
        return answer

    def _give_up(self) -> NoReturn:
        victim, self._sequence = self._sequence, self._sequence + 1
        self._connection.sendall(protocol.pack_unlink(Unlink(self._sequence, victim), 1))
        while protocol.receive_return(self._receive)[0] is not Command.RETURN_UNLINK:
            pass  # it was answered just then: the answer has no data, or the device would not have been so slow
        raise usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)


def fail(code: int, number: int, words: str) -> NoReturn:
    """Raise what pyusb raises for this libusb error."""
    raise usb.core.USBError(words, code, number)


def _served_port(address: Address) -> str:
    from dfurun.simulator.usbip.attach import exported

    found = exported(address)
    if not found:
        raise ConnectionError("not on the bus")
    return found[0].bus_id


class UsbIpBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb is untyped
    """The board that is served at `address`. `cpu_s` is the processor time that this stand-in itself has taken."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._wire: _Wire | None = None
        self.cpu_s = 0.0

    def enumerate_devices(self) -> Iterator[_Wire]:
        """Yield the board where it is on its bus."""
        began = time.thread_time()
        if self._wire is not None:
            self._wire.look()
        if self._wire is None or self._wire.is_gone:
            self._wire = None
            with suppress(OSError, EOFError):  # away: it is asked again
                self._wire = _Wire(self._address)
        self.cpu_s += time.thread_time() - began
        if self._wire is not None:
            yield self._wire

    def close(self) -> None:
        """Give the board back."""
        if self._wire is not None:
            self._wire.end()

    def get_parent(self, dev: _Wire) -> None:
        """Return None: there are no hubs."""

    def get_device_descriptor(self, dev: _Wire) -> Any:
        """Return the descriptor, parsed as the simulated bus parses it."""
        return SimulatedBackend([]).get_device_descriptor(_seen(dev))

    def get_configuration_descriptor(self, dev: _Wire, config: int) -> Any:
        """Return the configuration descriptor."""
        return SimulatedBackend([]).get_configuration_descriptor(_seen(dev), config)

    def get_interface_descriptor(self, dev: _Wire, intf: int, alt: int, config: int) -> Any:
        """Return an interface descriptor."""
        return SimulatedBackend([]).get_interface_descriptor(_seen(dev), intf, alt, config)

    def get_endpoint_descriptor(self, _dev: _Wire, ep: int, *_where: int) -> NoReturn:
        """Raise IndexError: there is the control pipe alone."""
        raise IndexError(f"Invalid endpoint index {ep}")

    def open_device(self, dev: _Wire) -> _Wire:
        """Return the wire; who imported the board has it."""
        return dev

    def close_device(self, dev_handle: _Wire) -> None:
        """Leave it imported, as a kernel does."""

    def set_configuration(self, dev_handle: _Wire, config_value: int) -> None:
        """Send SET_CONFIGURATION."""
        dev_handle.control(Setup(0x00, _SET_CONFIGURATION, config_value, 0, 0), b"", 1000)

    def get_configuration(self, dev_handle: _Wire) -> int:
        """Return the configuration that was set at the import."""
        return 1

    def set_interface_altsetting(self, dev_handle: _Wire, intf: int, altsetting: int) -> None:
        """Send SET_INTERFACE."""
        dev_handle.control(Setup(0x01, _SET_INTERFACE, altsetting, intf, 0), b"", 1000)

    def claim_interface(self, dev_handle: _Wire, intf: int) -> None:
        """Claim nothing: nobody else is there."""

    def release_interface(self, dev_handle: _Wire, intf: int) -> None:
        """Release nothing."""

    def is_kernel_driver_active(self, dev_handle: _Wire, _intf: int) -> bool:
        """Return False."""
        return False

    def ctrl_transfer(
        self,
        dev_handle: _Wire,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: array[int],
        timeout: int,
    ) -> int:
        """Carry one control transfer; return how many bytes it moved."""
        began = time.thread_time()
        try:
            buffer = memoryview(data).cast("B")
            setup = Setup(request_type, request, value, index, len(buffer))
            answer = dev_handle.control(setup, b"" if setup.is_in else bytes(buffer), timeout)
            if not setup.is_in:
                return len(buffer)
            buffer[: len(answer)] = answer
            return len(answer)
        finally:
            self.cpu_s += time.thread_time() - began


class _Board:
    """Where the board is, in the simulated bus's words."""

    def __init__(self, device: ExportedDevice) -> None:
        bus, _, port = device.bus_id.partition("-")
        self.bus, self.port = int(bus), tuple(int(number) for number in port.split("."))


class _Seen:
    """A device as the simulated bus tells of it."""

    def __init__(self, wire: _Wire) -> None:
        self.board = _Board(wire.device)
        self.address = wire.device.address
        self.descriptor, self.configuration = wire.descriptor, wire.configuration


def _seen(wire: _Wire) -> Any:
    return _Seen(wire)
