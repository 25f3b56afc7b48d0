"""A pyusb backend over a bus of simulated boards: everything from `usb.core.find` down runs as on a bench.

It fails the way pyusb's libusb1 backend does, with the same exceptions, codes and errno values.

# Ref: pyusb usb/backend/__init__.py (IBackend) and usb/backend/libusb1.py (`_check`, `_libusb_errno`); libusb 1.0 API.
"""

from __future__ import annotations

import errno
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

import usb.backend
import usb.core

from dfurun.simulator.board import SimulatedBoard
from dfurun.simulator.descriptors import DescriptorType
from dfurun.simulator.device import UsbDevice
from dfurun.simulator.fault import HostRefusal
from dfurun.simulator.transfer import Babble, BusError, Gone, NoAnswer, Setup, StandardRequest, TransferFailure

_SPEED_FULL = 2
_MAXIMUM_TRANSFER_BYTES = 4096  # libusb on Linux: MAX_CTRL_BUFFER_LENGTH
_MAXIMUM_ADDRESS = 127

_DEVICE_FIELDS = (
    "bLength",
    "bDescriptorType",
    "bcdUSB",
    "bDeviceClass",
    "bDeviceSubClass",
    "bDeviceProtocol",
    "bMaxPacketSize0",
    "idVendor",
    "idProduct",
    "bcdDevice",
    "iManufacturer",
    "iProduct",
    "iSerialNumber",
    "bNumConfigurations",
)
_CONFIGURATION_FIELDS = (
    "bLength",
    "bDescriptorType",
    "wTotalLength",
    "bNumInterfaces",
    "bConfigurationValue",
    "iConfiguration",
    "bmAttributes",
    "bMaxPower",
)
_INTERFACE_FIELDS = (
    "bLength",
    "bDescriptorType",
    "bInterfaceNumber",
    "bAlternateSetting",
    "bNumEndpoints",
    "bInterfaceClass",
    "bInterfaceSubClass",
    "bInterfaceProtocol",
    "iInterface",
)


@dataclass(frozen=True, slots=True)
class _Failure:
    """One libusb error: its code, its errno and its words."""

    code: int
    number: int
    words: str


_IO = _Failure(-1, errno.EIO, "Input/Output Error")
_INVALID = _Failure(-2, errno.EINVAL, "Invalid parameter")
_ACCESS = _Failure(-3, errno.EACCES, "Access denied (insufficient permissions)")
_NO_DEVICE = _Failure(-4, errno.ENODEV, "No such device (it may have been disconnected)")
_NOT_FOUND = _Failure(-5, errno.ENOENT, "Entity not found")
_BUSY = _Failure(-6, errno.EBUSY, "Resource busy")
_TIMEOUT = _Failure(-7, errno.ETIMEDOUT, "Operation timed out")
_OVERFLOW = _Failure(-8, errno.EOVERFLOW, "Overflow")
_PIPE = _Failure(-9, errno.EPIPE, "Pipe error")
_NOT_SUPPORTED = _Failure(-12, errno.ENOSYS, "Operation not supported or unimplemented on this platform")

_OF_TRANSFER: dict[type[TransferFailure], _Failure] = {
    NoAnswer: _TIMEOUT,
    BusError: _IO,
    Babble: _OVERFLOW,
    Gone: _NO_DEVICE,
}
_OF_REFUSAL = {
    HostRefusal.NO_PERMISSION: _ACCESS,
    HostRefusal.NO_DRIVER: _NOT_SUPPORTED,
    HostRefusal.BUSY: _BUSY,
}


@dataclass(frozen=True, slots=True)
class _Identity:
    """A device that was seen on the bus: a board, and which of its appearances."""

    board: SimulatedBoard
    connection: int
    descriptor: bytes
    configuration: bytes
    address: int


class _Handle:
    """A device that was opened."""

    def __init__(self, identity: _Identity) -> None:
        self.identity = identity
        self.closed = False

    @property
    def board(self) -> SimulatedBoard:
        """The board that the handle belongs to."""
        return self.identity.board

    def device(self) -> UsbDevice:
        """Return the device; fail where it has left the bus since it was opened, even if it is back."""
        device = self.board.device
        if self.closed or device is None or self.board.situation.connections != self.identity.connection:
            _fail(_NO_DEVICE)
        return device


class SimulatedBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb is untyped
    """Boards on a bus, for `usb.core.find(backend=...)`. Each board keeps time on its own clock."""

    def __init__(self, boards: Sequence[SimulatedBoard]) -> None:
        super().__init__()
        self.boards = tuple(boards)
        self._claims: dict[int, _Handle] = {}
        self._last_address = max((board.situation.usb_address for board in boards), default=0)
        taken: set[tuple[int, int]] = set()
        for board in self.boards:
            board.new_address = self._new_address
            if (board.bus, board.situation.usb_address) in taken:
                board.situation.usb_address = self._new_address()
            taken.add((board.bus, board.situation.usb_address))

    # Looking ------------------------------------------------------------------------------------------------------------

    def enumerate_devices(self) -> Iterator[_Identity]:
        """Yield the boards that are on the bus now."""
        for board in self.boards:
            device = board.device
            if device is not None:
                yield _Identity(
                    board,
                    board.situation.connections,
                    device.device_descriptor,
                    device.configuration_descriptor,
                    board.situation.usb_address,
                )

    def get_parent(self, dev: _Identity) -> None:
        """Return None: hubs are not modelled."""

    def get_device_descriptor(self, dev: _Identity) -> Any:
        """Return the device descriptor with bus, address, ports and speed, as libusb keeps them."""
        fields = dict(zip(_DEVICE_FIELDS, struct.unpack("<BBHBBBBHHHBBBB", dev.descriptor), strict=True))
        return SimpleNamespace(
            **fields,
            bus=dev.board.bus,
            address=dev.address,
            port_number=dev.board.port[-1],
            port_numbers=dev.board.port,
            speed=_SPEED_FULL,
        )

    def get_configuration_descriptor(self, dev: _Identity, config: int) -> Any:
        """Return the configuration descriptor of this index; IndexError where there is none."""
        if config != 0:
            raise IndexError(f"Invalid configuration index {config}")
        fields = dict(zip(_CONFIGURATION_FIELDS, struct.unpack_from("<BBHBBBBB", dev.configuration), strict=True))
        return SimpleNamespace(**fields, extra_descriptors=[])

    def get_interface_descriptor(self, dev: _Identity, intf: int, alt: int, config: int) -> Any:
        """Return an interface descriptor; what follows it (the functional descriptor) is its extra_descriptors."""
        interfaces = _interfaces(dev.configuration)
        if config != 0 or intf != 0 or not 0 <= alt < len(interfaces):
            raise IndexError(f"Invalid interface index {intf}, alternate setting {alt}, configuration {config}")
        raw, extra = interfaces[alt]
        return SimpleNamespace(**dict(zip(_INTERFACE_FIELDS, raw, strict=True)), extra_descriptors=list(extra))

    def get_endpoint_descriptor(self, _dev: _Identity, ep: int, *_where: int) -> NoReturn:
        """Raise IndexError: a DFU interface has no endpoints besides the control pipe."""
        raise IndexError(f"Invalid endpoint index {ep}")

    # Opening ------------------------------------------------------------------------------------------------------------

    def open_device(self, dev: _Identity) -> _Handle:
        """Open a device that was found."""
        handle = _Handle(dev)
        handle.device()
        _refuse(dev.board.faults.opening())
        return handle

    def close_device(self, dev_handle: _Handle) -> None:
        """Close the handle and give up its claims."""
        dev_handle.closed = True
        self._claims = {board: holder for board, holder in self._claims.items() if holder is not dev_handle}

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        """Select a configuration with SET_CONFIGURATION."""
        self._standard_out(dev_handle, StandardRequest.SET_CONFIGURATION, config_value)

    def get_configuration(self, dev_handle: _Handle) -> int:
        """Return the configuration as the host remembers it: no transfer."""
        return dev_handle.device().configuration

    def set_interface_altsetting(self, dev_handle: _Handle, intf: int, altsetting: int) -> None:
        """Select an alternate setting with SET_INTERFACE; the interface has to be claimed."""
        dev_handle.device()
        if self._claims.get(id(dev_handle.board)) is not dev_handle:
            _fail(_NOT_FOUND)
        self._standard_out(dev_handle, StandardRequest.SET_INTERFACE, altsetting, index=intf, recipient=1)

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        """Claim the interface for this handle alone."""
        dev_handle.device()
        if intf != 0:
            _fail(_NOT_FOUND)
        _refuse(dev_handle.board.faults.claiming())
        holder = self._claims.get(id(dev_handle.board))
        if holder is not None and holder is not dev_handle and _is_live(holder):
            _fail(_BUSY)
        self._claims[id(dev_handle.board)] = dev_handle

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        """Give the interface back."""
        dev_handle.device()
        if self._claims.get(id(dev_handle.board)) is not dev_handle or intf != 0:
            _fail(_NOT_FOUND)
        del self._claims[id(dev_handle.board)]

    # Talking ------------------------------------------------------------------------------------------------------------

    def ctrl_transfer(
        self,
        dev_handle: _Handle,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: array[int],
        timeout: int,
    ) -> int:
        """Carry one control transfer; return how many bytes it moved."""
        dev_handle.device()
        buffer = memoryview(data).cast("B")
        if len(buffer) > _MAXIMUM_TRANSFER_BYTES:
            _fail(_INVALID)
        setup = Setup(request_type, request, value, index, len(buffer))
        answer = _carry(dev_handle.board, setup, b"" if setup.is_in else bytes(buffer), timeout_ms=timeout)
        if not setup.is_in:
            return len(buffer)
        buffer[: len(answer)] = answer
        return len(answer)

    def clear_halt(self, dev_handle: _Handle, _ep: int) -> None:
        """Clear a halt; a control pipe has none."""
        dev_handle.device()

    def reset_device(self, dev_handle: _Handle) -> None:
        """Reset the port. The device keeps its address and the handle stays good."""
        dev_handle.device()
        try:
            dev_handle.board.usb_reset()
        except Gone:
            _fail(_NO_DEVICE)
        dev_handle.device()

    def is_kernel_driver_active(self, dev_handle: _Handle, _intf: int) -> bool:
        """Return False: no operating system has a driver of its own for DFU."""
        dev_handle.device()
        return False

    def detach_kernel_driver(self, dev_handle: _Handle, _intf: int) -> None:
        """Fail as libusb does where there is no driver to detach."""
        dev_handle.device()
        _fail(_NOT_FOUND)

    def attach_kernel_driver(self, dev_handle: _Handle, _intf: int) -> None:
        """Fail as libusb does where there is no driver to attach."""
        dev_handle.device()
        _fail(_NOT_FOUND)

    def _standard_out(
        self, handle: _Handle, request: StandardRequest, value: int, *, index: int = 0, recipient: int = 0
    ) -> None:
        handle.device()
        _carry(handle.board, Setup(recipient, request, value, index, 0), b"", timeout_ms=1000)

    def _new_address(self) -> int:
        self._last_address = self._last_address % _MAXIMUM_ADDRESS + 1
        return self._last_address


def _carry(board: SimulatedBoard, setup: Setup, data: bytes, *, timeout_ms: int) -> bytes:
    """Carry a transfer; libusb takes a timeout of 0 for none."""
    try:
        return board.control(setup, data, timeout_s=timeout_ms / 1000 if timeout_ms else None)
    except TransferFailure as failure:
        return _fail(_OF_TRANSFER.get(type(failure), _PIPE))


def _is_live(handle: _Handle) -> bool:
    situation = handle.board.situation
    return not handle.closed and handle.board.present and situation.connections == handle.identity.connection


def _refuse(refusal: HostRefusal | None) -> None:
    if refusal is not None:
        _fail(_OF_REFUSAL[refusal])


def _fail(failure: _Failure) -> NoReturn:
    """Raise what pyusb's `_check` raises for this libusb error."""
    if failure is _NOT_SUPPORTED:
        raise NotImplementedError(failure.words)
    error = usb.core.USBTimeoutError if failure is _TIMEOUT else usb.core.USBError
    raise error(failure.words, failure.code, failure.number) from None


def _interfaces(configuration: bytes) -> list[tuple[bytes, bytes]]:
    """Return every interface descriptor with the bytes that follow it, as libusb parses them."""
    found: list[tuple[bytes, bytes]] = []
    offset = configuration[0]
    while offset < len(configuration):
        part = configuration[offset : offset + configuration[offset]]
        if part[1] == DescriptorType.INTERFACE:
            found.append((part, b""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + part)
        offset += len(part)
    return found
