"""The descriptors of a DfuSe device as bytes, from what the chip's data says of its USB side.

# Ref: USB 2.0 section 9.6; DFU 1.1 section 4.2; lsusb listings of ST's ROMs (ST community 27200 and 512170: bcdUSB 1.00, class
# at the interface, self-powered, 100 mA, strings 1, 2, 3 and one from 4 on for each alternate setting); the functional
# descriptor stands once, after the last alternate setting (dfu-util's device logs).
"""

from __future__ import annotations

import struct
from enum import IntEnum

from dfurun.chips import UsbIdentity
from dfurun.dfuse.protocol import (
    DFU_INTERFACE_CLASS,
    DFU_INTERFACE_SUBCLASS,
    DFU_MODE_PROTOCOL,
    FunctionalDescriptor,
)
from dfurun.simulator.wire import PACKET_BYTES

LANGUAGE_US_ENGLISH = 0x0409
CONFIGURATION_VALUE = 1

_BCD_USB = 0x0100
_SELF_POWERED = 0xC0
_MAX_POWER_2MA = 50
MANUFACTURER, PRODUCT, SERIAL, FIRST_ALTERNATE = 1, 2, 3, 4
_MAXIMUM_STRING_BYTES = 254


class DescriptorType(IntEnum):
    """bDescriptorType, USB 2.0 table 9-5."""

    DEVICE = 1
    CONFIGURATION = 2
    STRING = 3
    INTERFACE = 4
    ENDPOINT = 5


def device_descriptor(usb: UsbIdentity) -> bytes:
    """Return the 18 bytes of the device descriptor."""
    return struct.pack(
        "<BBHBBBBHHHBBBB",
        18,
        DescriptorType.DEVICE,
        _BCD_USB,
        0,
        0,
        0,
        PACKET_BYTES,
        usb.vendor_id,
        usb.product_id,
        usb.release,
        MANUFACTURER,
        PRODUCT,
        SERIAL,
        1,
    )


def configuration_descriptor(usb: UsbIdentity) -> bytes:
    """Return the configuration with its interface descriptors, one an alternate setting, and the functional descriptor."""
    body = b"".join(_interface_descriptor(number) for number in range(len(usb.alternates))) + functional_descriptor(usb)
    head = struct.pack(
        "<BBHBBBBB",
        9,
        DescriptorType.CONFIGURATION,
        9 + len(body),
        1,
        CONFIGURATION_VALUE,
        0,
        _SELF_POWERED,
        _MAX_POWER_2MA,
    )
    return head + body


def functional_descriptor(usb: UsbIdentity) -> bytes:
    """Return the nine bytes of the DFU functional descriptor."""
    return FunctionalDescriptor(
        attributes=usb.attributes,
        detach_timeout_ms=round(usb.detach_timeout_s * 1000),
        transfer_size_bytes=usb.transfer_size_bytes,
        dfu_version=usb.dfu_version,
    ).pack()


def serial_number(unique_id: bytes, second: int = 1) -> str:
    """Return the serial number that a ROM, or ST's DFU example, makes of a unique id.

    # Ref: libopencm3#760, the F2/F4 ROM's code and two pairs of unique id and serial number: word 0 + word 2, then the upper
    # half of word 1; of word 2 on an F3.
    """
    words = [int.from_bytes(unique_id[i : i + 4], "little") for i in (0, 4, 8)]
    return f"{words[0] + words[2] & 0xFFFF_FFFF:08X}{words[second] >> 16:04X}"


def string_descriptor(usb: UsbIdentity, index: int) -> bytes | None:
    """Return the string descriptor of this index, 0 being the list of languages; None where there is none."""
    if index == 0:
        return struct.pack("<BBH", 4, DescriptorType.STRING, LANGUAGE_US_ENGLISH)
    strings = (usb.manufacturer, usb.product, usb.serial or "", *usb.alternates)
    if index > len(strings):
        return None
    text = strings[index - 1].encode("utf-16-le")[: _MAXIMUM_STRING_BYTES - 2]
    return bytes([len(text) + 2, DescriptorType.STRING]) + text


def _interface_descriptor(alternate: int) -> bytes:
    return bytes(
        [
            9,
            DescriptorType.INTERFACE,
            0,
            alternate,
            0,
            DFU_INTERFACE_CLASS,
            DFU_INTERFACE_SUBCLASS,
            DFU_MODE_PROTOCOL,
            FIRST_ALTERNATE + alternate,
        ]
    )
