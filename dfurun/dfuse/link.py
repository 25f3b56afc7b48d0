"""The narrow waist between the DfuSe session and whatever carries its control transfers.

A link carries requests to one interface of one device that is open. `dfurun.usb` implements it with pyusb; a recorder or a
replayer has the same shape. A link never retries and never interprets: it fails with one of five errors.

    LinkError
    +-- Stalled         the device answered STALL: it refuses this request in this state
    +-- TimedOut        no answer in time (also a TimeoutError)
    +-- Garbled         overflow, or an I/O error on the way: the bus is unreliable
    +-- Vanished        the device is gone from the bus
    +-- Denied          the system refuses: no permission, no driver, or another program has it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dfurun.dfuse.layout import MemoryLayout, parse_layout
from dfurun.dfuse.protocol import FunctionalDescriptor, Request


class LinkError(Exception):
    """A control transfer that did not succeed."""

    label = "error"


class Stalled(LinkError):
    """The device answered STALL."""

    label = "STALL"


class TimedOut(LinkError, TimeoutError):
    """No answer within the transfer's timeout."""

    label = "timeout"


class Garbled(LinkError):
    """Overflow or an I/O error: something answered, not what was asked."""

    label = "I/O error"


class Vanished(LinkError):
    """The device left the bus."""

    label = "disconnected"


class Denied(LinkError):
    """The operating system refuses: permission, driver, or a busy interface."""

    label = "denied"


@dataclass(frozen=True, slots=True)
class AlternateSetting:
    """One alternate setting of the DFU interface: its number and its name as the device sent it."""

    number: int
    name: str

    @property
    def layout(self) -> MemoryLayout | None:
        """The memory layout in the name, or None where the name holds none."""
        try:
            return parse_layout(self.name)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What a device says of itself in its descriptors, read once when it is opened."""

    vendor_id: int
    product_id: int
    release: int
    product: str
    serial: str
    functional: FunctionalDescriptor
    alternates: tuple[AlternateSetting, ...]

    @property
    def flash_layout(self) -> MemoryLayout | None:
        """The layout of the first alternate setting that is main flash, or None."""
        return next((a.layout for a in self.alternates if a.layout and a.layout.is_flash), None)

    @property
    def flash_layout_text(self) -> str:
        """The name that the flash layout was read from, empty where there is none."""
        return next((a.name for a in self.alternates if a.layout and a.layout.is_flash), "")

    def alternate_of(self, address: int) -> int:
        """Return the number of the alternate setting whose layout holds `address`; the first one where none does."""
        for alternate in self.alternates:
            layout = alternate.layout
            if layout and any(s.extent.start <= address < s.extent.end for s in layout.segments):
                return alternate.number
        return self.alternates[0].number

    @property
    def is_user_dfu(self) -> bool:
        """Whether this is a DFU program in user flash that looks like the ROM.

        ST's HAL example has the same ids; it says bcdDevice 0x0200 and marks its own sectors as read-only, `a`.
        """
        layout = self.flash_layout
        return self.release == 0x0200 and layout is not None and any(not s.writable for s in layout.segments)


class Link(Protocol):
    """One open DFU interface."""

    @property
    def description(self) -> DeviceDescription:
        """The device's descriptors, as read when the link was opened."""

    def control_out(self, request: Request, value: int, data: bytes, timeout_s: float) -> None:
        """Send `data` with the request; raise LinkError."""

    def control_in(self, request: Request, value: int, length: int, timeout_s: float) -> bytes:
        """Return at most `length` bytes that the device answers; raise LinkError."""

    def select_alternate(self, number: int) -> None:
        """Select an alternate setting; does nothing where it is selected already. Raise LinkError."""

    def reset(self) -> None:
        """Reset the port and open the device again; the last resort. Raise LinkError."""

    def close(self) -> None:
        """Give the device back. Never raises."""
