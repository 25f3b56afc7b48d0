"""A control transfer as both front ends and the simulated board see it: the SETUP packet, and the ways a transfer fails.

    TransferFailure
    +-- Stall       the device refuses the request; the only failure that the ROM itself produces
    +-- NoAnswer    nothing comes back: the host runs into its timeout
    +-- BusError    the host controller gives up on a damaged packet
    +-- Babble      the device sent more than was asked for
    +-- Gone        the device is not on the bus

# Ref: USB 2.0, section 9.3 (SETUP data), 8.5.3.4 (STALL of a control pipe), 8.7.4 (babble).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from dfurun.dfuse.protocol import Request

_DIRECTION_IN = 0x80
_KIND_SHIFT = 5
_KIND_MASK = 0x03
_RECIPIENT_MASK = 0x1F


class Kind(IntEnum):
    """Bits 6..5 of bmRequestType."""

    STANDARD = 0
    CLASS = 1
    VENDOR = 2
    RESERVED = 3


class Recipient(IntEnum):
    """Bits 4..0 of bmRequestType that a DFU device knows."""

    DEVICE = 0
    INTERFACE = 1
    ENDPOINT = 2


class StandardRequest(IntEnum):
    """bRequest of the standard requests, USB 2.0 table 9-4."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    SET_FEATURE = 3
    SET_ADDRESS = 5
    GET_DESCRIPTOR = 6
    SET_DESCRIPTOR = 7
    GET_CONFIGURATION = 8
    SET_CONFIGURATION = 9
    GET_INTERFACE = 10
    SET_INTERFACE = 11


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes that start a control transfer: bmRequestType, bRequest, wValue, wIndex, wLength."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @property
    def is_in(self) -> bool:
        """Whether the data stage goes from the device to the host."""
        return bool(self.request_type & _DIRECTION_IN)

    @property
    def kind(self) -> Kind:
        """Standard, class or vendor."""
        return Kind(self.request_type >> _KIND_SHIFT & _KIND_MASK)

    @property
    def recipient(self) -> int:
        """Device, interface, endpoint or a reserved number."""
        return self.request_type & _RECIPIENT_MASK

    @property
    def name(self) -> str:
        """The request as the specifications call it, or its numbers."""
        names: dict[Kind, type[IntEnum]] = {Kind.STANDARD: StandardRequest, Kind.CLASS: Request}
        try:
            return names[self.kind](self.request).name
        except (KeyError, ValueError):
            return f"0x{self.request_type:02X}/0x{self.request:02X}"

    def __str__(self) -> str:
        return f"{self.name} wValue=0x{self.value:04X} wLength={self.length}"


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One control transfer that the board has seen; `failure` names what the host met instead of an answer."""

    at_s: float
    setup: Setup
    data: bytes
    answer: bytes
    failure: str | None

    def __str__(self) -> str:
        came = self.failure or (self.answer[:8].hex(" ") if self.answer else "ok")
        return f"{self.at_s:10.6f}  {self.setup}  {self.data[:8].hex(' ')} -> {came}"


class TransferFailure(Exception):
    """A control transfer that did not succeed."""

    label = "failure"


class Stall(TransferFailure):
    """The device answered STALL."""

    label = "STALL"


class NoAnswer(TransferFailure):
    """No answer came; the host waits for its timeout."""

    label = "timeout"


class BusError(TransferFailure):
    """The host controller reports an I/O error."""

    label = "I/O error"


class Babble(TransferFailure):
    """The device sent more than the host had asked for."""

    label = "overflow"


class Gone(TransferFailure):
    """The device is not on the bus."""

    label = "no device"
