"""The DfuSe protocol's constants and small codecs. Pure: no I/O. Shared by the client and the simulated board.

# Ref: AN3156 rev 18; USB DFU 1.1 specification, section 6.1 and appendix A; UM0424 section 4.3.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

REQUEST_TYPE_OUT = 0x21  # host to device, class, interface
REQUEST_TYPE_IN = 0xA1  # device to host, class, interface

DFU_INTERFACE_CLASS = 0xFE
DFU_INTERFACE_SUBCLASS = 0x01
DFU_MODE_PROTOCOL = 0x02
FUNCTIONAL_DESCRIPTOR_TYPE = 0x21

COMMAND_BLOCK = 0  # wBlockNum of a command in DNLOAD, and of Get Commands in UPLOAD
FIRST_DATA_BLOCK = 2  # wBlockNum of the data at the address pointer; 1 is reserved
LAST_BLOCK = 0xFFFF  # wBlockNum is 16 bits wide

STATUS_LENGTH = 6
SMALLEST_TRANSFER_BYTES = 64  # a packet of the control pipe; byte by byte a damaged descriptor would take hours
LARGEST_TRANSFER_BYTES = 4096  # libusb on Linux carries no more (MAX_CTRL_BUFFER_LENGTH), and no ROM tells more


class Request(IntEnum):
    """The class requests of DFU 1.1, table 3.2."""

    DETACH = 0
    DNLOAD = 1
    UPLOAD = 2
    GETSTATUS = 3
    CLRSTATUS = 4
    GETSTATE = 5
    ABORT = 6


class Command(IntEnum):
    """The first byte of a DNLOAD with wBlockNum 0 (AN3156 table 3)."""

    GET_COMMANDS = 0x00
    SET_ADDRESS = 0x21
    ERASE = 0x41
    READ_UNPROTECT = 0x92


class DfuState(IntEnum):
    """bState, DFU 1.1 section 6.1.2; the names are the specification's, without their `dfu`."""

    APP_IDLE = 0
    APP_DETACH = 1
    IDLE = 2
    DNLOAD_SYNC = 3
    DNBUSY = 4
    DNLOAD_IDLE = 5
    MANIFEST_SYNC = 6
    MANIFEST = 7
    MANIFEST_WAIT_RESET = 8
    UPLOAD_IDLE = 9
    ERROR = 10

    @property
    def spelled(self) -> str:
        """The state as the specification spells it: `dfuDNLOAD-IDLE`."""
        if self in (DfuState.APP_IDLE, DfuState.APP_DETACH):
            return "app" + self.name.removeprefix("APP_")
        return "dfu" + self.name.replace("_", "-")


class DfuStatus(IntEnum):
    """bStatus, DFU 1.1 section 6.1.2; for what the ROM means by each see AN3156 and docs/reliability.md."""

    OK = 0x00
    ERR_TARGET = 0x01
    ERR_FILE = 0x02
    ERR_WRITE = 0x03
    ERR_ERASE = 0x04
    ERR_CHECK_ERASED = 0x05
    ERR_PROG = 0x06
    ERR_VERIFY = 0x07
    ERR_ADDRESS = 0x08
    ERR_NOTDONE = 0x09
    ERR_FIRMWARE = 0x0A
    ERR_VENDOR = 0x0B
    ERR_USBR = 0x0C
    ERR_POR = 0x0D
    ERR_UNKNOWN = 0x0E
    ERR_STALLEDPKT = 0x0F

    @property
    def spelled(self) -> str:
        """The status as the specification spells it: `errVENDOR`."""
        return self.name if self is DfuStatus.OK else "err" + self.name.removeprefix("ERR_")


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The six bytes that GETSTATUS answers."""

    status: DfuStatus
    poll_timeout_s: float
    state: DfuState
    string_index: int = 0

    def pack(self) -> bytes:
        """Return the six bytes, bwPollTimeout in milliseconds, little-endian, 24 bits."""
        poll_ms = min(round(self.poll_timeout_s * 1000), 0xFF_FFFF)
        return bytes([self.status]) + poll_ms.to_bytes(3, "little") + bytes([self.state, self.string_index])

    @classmethod
    @lru_cache(maxsize=64)  # a run is asked for hundreds, and hears a handful of different ones
    def unpack(cls, raw: bytes) -> StatusReport:
        """Return the report for six bytes; raise ValueError for a wrong length, an unknown state or status."""
        if len(raw) != STATUS_LENGTH:
            raise ValueError(f"GETSTATUS answered {len(raw)} bytes, not {STATUS_LENGTH}")
        return cls(DfuStatus(raw[0]), int.from_bytes(raw[1:4], "little") / 1000, DfuState(raw[4]), raw[5])

    def __str__(self) -> str:
        return f"{self.state.spelled}, {self.status.spelled}"


def set_address_payload(address: int) -> bytes:
    """Return the DNLOAD payload of Set Address Pointer."""
    return struct.pack("<BI", Command.SET_ADDRESS, address)


def erase_page_payload(address: int) -> bytes:
    """Return the DNLOAD payload that erases the page which holds `address`."""
    return struct.pack("<BI", Command.ERASE, address)


def mass_erase_payload() -> bytes:
    """Return the DNLOAD payload that erases the whole main flash."""
    return bytes([Command.ERASE])


def read_unprotect_payload() -> bytes:
    """Return the DNLOAD payload of Read Unprotect, which erases everything."""
    return bytes([Command.READ_UNPROTECT])


@dataclass(frozen=True, slots=True)
class FunctionalDescriptor:
    """The DFU functional descriptor, nine bytes after the last alternate setting (DFU 1.1 section 4.1.3)."""

    attributes: int
    detach_timeout_ms: int
    transfer_size_bytes: int
    dfu_version: int

    def pack(self) -> bytes:
        """Return the nine bytes."""
        return struct.pack(
            "<BBBHHH",
            9,
            FUNCTIONAL_DESCRIPTOR_TYPE,
            self.attributes,
            self.detach_timeout_ms,
            self.transfer_size_bytes,
            self.dfu_version,
        )

    @classmethod
    def find(cls, extra: bytes) -> FunctionalDescriptor:
        """Return the functional descriptor among `extra` descriptors; raise ValueError where there is none that makes sense.

        Some stacks send seven bytes, without bcdDFUVersion (DFU 1.0).
        """
        offset = 0
        while offset + 2 <= len(extra) and extra[offset] >= 2:
            length, kind = extra[offset], extra[offset + 1]
            body = extra[offset : offset + length]
            if kind == FUNCTIONAL_DESCRIPTOR_TYPE and len(body) >= 7:
                attributes, detach, size = struct.unpack_from("<BHH", body, 2)
                version = struct.unpack_from("<H", body, 7)[0] if len(body) >= 9 else 0x0100
                if not SMALLEST_TRANSFER_BYTES <= size <= LARGEST_TRANSFER_BYTES:
                    raise ValueError(f"the DFU functional descriptor says wTransferSize {size}, no DfuSe device's")
                return cls(attributes, detach, size, version)
            offset += length
        raise ValueError("no DFU functional descriptor after the last alternate setting")
