"""The USB/IP protocol, version 1.1.1, as values and bytes. Pure: no I/O.

A connection begins with one operation: the list of exported devices, after which it ends, or the import of one device, after
which it carries that device's transfers until either side closes it. All numbers are big-endian, except the SETUP packet.

# Ref: Linux, Documentation/usb/usbip_protocol.rst; drivers/usb/usbip/usbip_common.h (the headers, `enum usbip_device_status`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from dfurun.simulator.transfer import Setup

VERSION = 0x0111
DEFAULT_PORT = 3240
SPEED_FULL = 2  # enum usb_device_speed

_OPERATION = struct.Struct(">HHI")
_BUS_ID = struct.Struct("32s")
_COUNT = struct.Struct(">I")
_DEVICE = struct.Struct(">256s32sIIIHHHBBBBBB")
_INTERFACE = struct.Struct("BBBx")
_HEADER = struct.Struct(">IIIII28s")
_SUBMIT = struct.Struct(">Iiiii8s")
_RETURN_SUBMIT = struct.Struct(">iiiii8x")
_STATUS = struct.Struct(">i24x")
_UNLINK = struct.Struct(">I24x")
_SETUP = struct.Struct("<BBHHH")

HEADER_BYTES = _HEADER.size
LONGEST_TRANSFER_BYTES = 0x10000  # wLength is 16 bits wide


class Operation(IntEnum):
    """The first word of a connection, asked with bit 15 set."""

    REQUEST_IMPORT = 0x8003
    REPLY_IMPORT = 0x0003
    REQUEST_DEVICE_LIST = 0x8005
    REPLY_DEVICE_LIST = 0x0005


class Status(IntEnum):
    """How an operation went (usbip_common.h, ST_*)."""

    OK = 0
    NOT_AVAILABLE = 1
    DEVICE_BUSY = 2
    DEVICE_ERROR = 3
    NO_DEVICE = 4
    ERROR = 5


class Command(IntEnum):
    """What a message on an imported device's connection is."""

    SUBMIT = 1
    UNLINK = 2
    RETURN_SUBMIT = 3
    RETURN_UNLINK = 4


class Malformed(ValueError):
    """Bytes that are not USB/IP, or a version of it that is not spoken here."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface by its class, subclass and protocol."""

    kind: int
    subclass: int
    protocol: int


@dataclass(frozen=True, slots=True)
class ExportedDevice:
    """A device as the server tells of it; `bus_id` is its port path, `1-2.3`."""

    bus_id: str
    bus: int
    address: int
    speed: int
    vendor_id: int
    product_id: int
    release: int
    device_class: int
    device_subclass: int
    device_protocol: int
    configuration: int
    configuration_count: int
    interfaces: tuple[Interface, ...]

    @property
    def device_id(self) -> int:
        """The number that stands for the device in every message."""
        return self.bus << 16 | self.address


@dataclass(frozen=True, slots=True)
class Submit:
    """A transfer that the host hands over; of control transfers `setup` is what starts it. `data` goes out."""

    sequence: int
    endpoint: int
    setup: Setup
    data: bytes


@dataclass(frozen=True, slots=True)
class Unlink:
    """The host gives a transfer up, at its timeout for one; `victim` is the sequence number of its Submit."""

    sequence: int
    victim: int


Receive = Callable[[int], bytes]
"""Returns exactly so many bytes, or raises EOFError where the other side has closed the connection."""


# Operations -------------------------------------------------------------------------------------------------------------


def pack_operation(operation: Operation, status: Status = Status.OK) -> bytes:
    """Return the eight bytes that begin a request or a reply."""
    return _OPERATION.pack(VERSION, operation, status)


def receive_operation(receive: Receive) -> tuple[Operation, Status]:
    """Read what a request or a reply is; raise Malformed for anything else."""
    version, code, status = _OPERATION.unpack(receive(_OPERATION.size))
    if version != VERSION:
        raise Malformed(f"USB/IP version 0x{version:04X}, not 0x{VERSION:04X}")
    try:
        return Operation(code), Status(status)
    except ValueError:
        raise Malformed(f"operation 0x{code:04X} with status {status}") from None


def pack_bus_id(bus_id: str) -> bytes:
    """Return the field that names the device of an import."""
    return _BUS_ID.pack(bus_id.encode())


def receive_bus_id(receive: Receive) -> str:
    """Read the name of the device that is to be imported."""
    return _text(receive(_BUS_ID.size))


def pack_device(device: ExportedDevice) -> bytes:
    """Return a device as a reply to an import has it: without its interfaces."""
    return _DEVICE.pack(
        f"/sys/devices/dfurun/usb{device.bus}/{device.bus_id}".encode(),
        device.bus_id.encode(),
        device.bus,
        device.address,
        device.speed,
        device.vendor_id,
        device.product_id,
        device.release,
        device.device_class,
        device.device_subclass,
        device.device_protocol,
        device.configuration,
        device.configuration_count,
        len(device.interfaces),
    )


def pack_device_list(devices: list[ExportedDevice]) -> bytes:
    """Return what follows the head of a device list: the devices with their interfaces."""
    parts = [_COUNT.pack(len(devices))]
    for device in devices:
        parts.append(pack_device(device))
        parts += [_INTERFACE.pack(i.kind, i.subclass, i.protocol) for i in device.interfaces]
    return b"".join(parts)


def receive_device(receive: Receive) -> ExportedDevice:
    """Read a device as a reply to an import has it: its interfaces are not told."""
    return _receive_device(receive, with_interfaces=False)


def receive_device_list(receive: Receive) -> list[ExportedDevice]:
    """Read the devices of a device list."""
    (count,) = _COUNT.unpack(receive(_COUNT.size))
    return [_receive_device(receive, with_interfaces=True) for _ in range(count)]


def _receive_device(receive: Receive, *, with_interfaces: bool) -> ExportedDevice:
    _, bus_id, *numbers, interface_count = _DEVICE.unpack(receive(_DEVICE.size))
    bus, address, speed, vendor, product, release, kind, subclass, device_protocol, configuration, count = numbers
    told = range(interface_count if with_interfaces else 0)
    return ExportedDevice(
        bus_id=_text(bus_id),
        bus=bus,
        address=address,
        speed=speed,
        vendor_id=vendor,
        product_id=product,
        release=release,
        device_class=kind,
        device_subclass=subclass,
        device_protocol=device_protocol,
        configuration=configuration,
        configuration_count=count,
        interfaces=tuple(Interface(*_INTERFACE.unpack(receive(_INTERFACE.size))) for _ in told),
    )


# Transfers --------------------------------------------------------------------------------------------------------------


def pack_submit(submit: Submit, device_id: int) -> bytes:
    """Return a transfer as the host sends it."""
    setup = submit.setup
    direction = int(_comes_in(setup))
    raw = _SETUP.pack(setup.request_type, setup.request, setup.value, setup.index, setup.length)
    body = _SUBMIT.pack(0, setup.length, 0, 0, 0, raw)
    head = _HEADER.pack(Command.SUBMIT, submit.sequence, device_id, direction, submit.endpoint, body)
    return head + submit.data


def pack_unlink(unlink: Unlink, device_id: int) -> bytes:
    """Return the giving up of a transfer as the host sends it."""
    return _HEADER.pack(Command.UNLINK, unlink.sequence, device_id, 0, 0, _UNLINK.pack(unlink.victim))


def receive_command(receive: Receive) -> Submit | Unlink:
    """Read what the host wants of an imported device; raise Malformed for what is neither, or contradicts itself.

    Linux submits no control transfer whose buffer is not of wLength bytes, or whose direction is not that of the SETUP packet
    (drivers/usb/core/urb.c, usb_submit_urb).
    """
    command, sequence, _, direction, endpoint, body = _HEADER.unpack(receive(HEADER_BYTES))
    if command == Command.UNLINK:
        (victim,) = _UNLINK.unpack(body)
        return Unlink(sequence, victim)
    if command != Command.SUBMIT:
        raise Malformed(f"command {command}")
    _, length, _, _, _, raw = _SUBMIT.unpack(body)
    if not 0 <= length <= LONGEST_TRANSFER_BYTES:
        raise Malformed(f"a transfer of {length} bytes")
    setup = Setup(*_SETUP.unpack(raw))
    if endpoint == 0 and (length != setup.length or direction != int(_comes_in(setup))):
        raise Malformed(f"{setup} with a buffer of {length} bytes, direction {direction}")
    return Submit(sequence, endpoint, setup, receive(length) if direction == 0 else b"")


def pack_return_submit(sequence: int, *, status: int, length: int, data: bytes = b"") -> bytes:
    """Return how a transfer ended: 0 or a negative Linux errno, and how many bytes it moved; `data` came in."""
    body = _RETURN_SUBMIT.pack(status, length, 0, 0, 0)
    return _HEADER.pack(Command.RETURN_SUBMIT, sequence, 0, 0, 0, body) + data


def pack_return_unlink(sequence: int, *, status: int) -> bytes:
    """Return what came of giving a transfer up: -ECONNRESET where it was still under way, 0 where it had ended."""
    return _HEADER.pack(Command.RETURN_UNLINK, sequence, 0, 0, 0, _STATUS.pack(status))


def receive_return(receive: Receive) -> tuple[Command, int, int, int]:
    """Read an answer's command, sequence number, status and length; what came in follows and is the caller's to read."""
    command, sequence, _, _, _, body = _HEADER.unpack(receive(HEADER_BYTES))
    if command == Command.RETURN_SUBMIT:
        status, length, *_ = _RETURN_SUBMIT.unpack(body)
        return Command.RETURN_SUBMIT, sequence, status, length
    if command == Command.RETURN_UNLINK:
        (status,) = _STATUS.unpack(body)
        return Command.RETURN_UNLINK, sequence, status, 0
    raise Malformed(f"command {command}")


def _comes_in(setup: Setup) -> bool:
    """Say whether a control transfer's data comes in; one without data counts as going out."""
    return setup.is_in and setup.length > 0


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace")
