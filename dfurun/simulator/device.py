"""The USB device around the bootloader: standard requests, and class requests handed to the state machine.

# Ref: USB 2.0 section 9.4.
"""

from __future__ import annotations

from collections.abc import Callable

from dfurun.chips import UsbIdentity
from dfurun.dfuse.protocol import FUNCTIONAL_DESCRIPTOR_TYPE
from dfurun.simulator.descriptors import (
    CONFIGURATION_VALUE,
    DescriptorType,
    configuration_descriptor,
    device_descriptor,
    functional_descriptor,
    string_descriptor,
)
from dfurun.simulator.transfer import Kind, Recipient, Setup, Stall, StandardRequest

_SELF_POWERED_STATUS = b"\x01\x00"


class UsbDevice:
    """One device on the bus, from its connection to the next.

    It is configured when it appears, as every host does it. SET_CONFIGURATION and SET_INTERFACE leave the state machine
    alone: inferences, to confirm on hardware.
    """

    def __init__(self, usb: UsbIdentity, class_request: Callable[[Setup, bytes], bytes]) -> None:
        self.usb = usb
        self.configuration = CONFIGURATION_VALUE
        self.alternate = 0
        self._class_request = class_request

    @property
    def device_descriptor(self) -> bytes:
        """The device descriptor, as a host keeps it from the enumeration."""
        return device_descriptor(self.usb)

    @property
    def configuration_descriptor(self) -> bytes:
        """The configuration descriptor, as a host keeps it from the enumeration."""
        return configuration_descriptor(self.usb)

    def control(self, setup: Setup, data: bytes = b"") -> bytes:
        """Answer one control transfer; raise Stall for a request that the device does not know."""
        match setup.kind:
            case Kind.STANDARD:
                return self._standard(setup)[: setup.length]
            case Kind.CLASS if setup.recipient == Recipient.INTERFACE:
                return self._class_request(setup, data)
        raise Stall

    def _standard(self, setup: Setup) -> bytes:
        match setup.request:
            case StandardRequest.GET_DESCRIPTOR if setup.is_in:
                return self._descriptor(setup.value >> 8, setup.value & 0xFF)
            case StandardRequest.GET_CONFIGURATION if setup.is_in:
                return bytes([self.configuration])
            case StandardRequest.GET_INTERFACE if setup.is_in and setup.index == 0:
                return bytes([self.alternate])
            case StandardRequest.GET_STATUS if setup.is_in:
                return _SELF_POWERED_STATUS if setup.recipient == Recipient.DEVICE else bytes(2)
            case StandardRequest.SET_CONFIGURATION if setup.value in (0, CONFIGURATION_VALUE):
                self.configuration, self.alternate = setup.value, 0
                return b""
            case StandardRequest.SET_INTERFACE if setup.index == 0 and setup.value < len(self.usb.alternates):
                self.alternate = setup.value
                return b""
            case StandardRequest.CLEAR_FEATURE if setup.recipient == Recipient.ENDPOINT:
                return b""  # endpoint 0: a STALL there ends with the next SETUP anyway
        raise Stall

    def _descriptor(self, kind: int, index: int) -> bytes:
        match kind:
            case DescriptorType.DEVICE:
                return self.device_descriptor
            case DescriptorType.CONFIGURATION if index == 0:
                return self.configuration_descriptor
            case DescriptorType.STRING:
                found = string_descriptor(self.usb, index)
                if found is not None:
                    return found
            case _ if kind == FUNCTIONAL_DESCRIPTOR_TYPE:
                return functional_descriptor(self.usb)
        raise Stall
