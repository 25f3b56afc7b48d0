"""USB/IP as bytes: held against the tables of the kernel's documentation, and read back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.simulator.transfer import Setup
from dfurun.simulator.usbip import protocol
from dfurun.simulator.usbip.protocol import (
    ExportedDevice,
    Interface,
    Malformed,
    Operation,
    Status,
    Submit,
    Unlink,
)

BOARD = ExportedDevice("1-2.3", 1, 7, 2, 0x0483, 0xDF11, 0x2200, 0, 0, 0, 1, 1, (Interface(0xFE, 1, 2),))
BYTE, WORD, LONG = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)


def reader(data: bytes) -> protocol.Receive:
    rest = bytearray(data)

    def receive(length: int) -> bytes:
        if len(rest) < length:
            raise EOFError
        taken = bytes(rest[:length])
        del rest[:length]
        return taken

    return receive


def test_a_device_list_is_laid_out_as_the_documentation_says() -> None:
    packed = protocol.pack_operation(Operation.REPLY_DEVICE_LIST) + protocol.pack_device_list([BOARD])
    assert packed[:12] == bytes.fromhex("0111 0005 00000000 00000001")
    assert len(packed) == 0x0C + 0x138 + 4
    assert packed[0x0C:].startswith(b"/sys/devices/")
    assert packed[0x10C : 0x10C + 32].rstrip(b"\0") == b"1-2.3"
    assert packed[0x12C:0x138] == bytes.fromhex("00000001 00000007 00000002")
    assert packed[0x138:0x13E] == bytes.fromhex("0483 DF11 2200")
    assert packed[0x13E:0x144] == bytes.fromhex("00 00 00 01 01 01")
    assert packed[0x144:] == bytes.fromhex("FE 01 02 00")


def test_an_import_is_laid_out_as_the_documentation_says() -> None:
    request = protocol.pack_operation(Operation.REQUEST_IMPORT) + protocol.pack_bus_id("1-2.3")
    assert request == bytes.fromhex("0111 8003 00000000") + b"1-2.3".ljust(32, b"\0")
    assert len(protocol.pack_device(BOARD)) == 0x138


def test_a_submit_is_laid_out_as_the_documentation_says() -> None:
    packed = protocol.pack_submit(Submit(13, 0, Setup(0x21, 1, 2, 0, 3), b"abc"), 0x00010007)
    assert packed[:20] == bytes.fromhex("00000001 0000000D 00010007 00000000 00000000")
    assert packed[20:24] == bytes(4)
    assert packed[24:28] == struct.pack(">i", 3)
    assert packed[40:48] == bytes.fromhex("21 01 0200 0000 0300")
    assert packed[48:] == b"abc"


def test_the_answers_are_laid_out_as_the_documentation_says() -> None:
    stalled = protocol.pack_return_submit(13, status=-32, length=0)
    assert stalled[:8] == bytes.fromhex("00000003 0000000D")
    assert (len(stalled), stalled[20:28]) == (48, struct.pack(">ii", -32, 0))
    read = protocol.pack_return_submit(14, status=0, length=3, data=b"abc")
    assert (read[20:28], read[48:]) == (struct.pack(">ii", 0, 3), b"abc")
    given_up = protocol.pack_return_unlink(15, status=-104)
    assert given_up == bytes.fromhex("00000004 0000000F") + bytes(12) + struct.pack(">i", -104) + bytes(24)


@given(LONG, st.integers(0, 15), BYTE, BYTE, WORD, WORD, st.binary(max_size=300))
def test_what_goes_out_is_read_back(
    sequence: int, endpoint: int, kind: int, request: int, value: int, index: int, data: bytes
) -> None:
    out = Submit(sequence, endpoint, Setup(kind & 0x7F, request, value, index, len(data)), data)
    assert protocol.receive_command(reader(protocol.pack_submit(out, 1))) == out
    asked = Submit(sequence, endpoint, Setup(kind | 0x80, request, value, index, len(data)), b"")
    assert protocol.receive_command(reader(protocol.pack_submit(asked, 1))) == asked


@given(LONG, LONG)
def test_a_giving_up_is_read_back(sequence: int, victim: int) -> None:
    assert protocol.receive_command(reader(protocol.pack_unlink(Unlink(sequence, victim), 1))) == Unlink(
        sequence, victim
    )


def test_a_device_list_is_read_back() -> None:
    devices = [BOARD, ExportedDevice("2-1", 2, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, ())]
    assert protocol.receive_device_list(reader(protocol.pack_device_list(devices))) == devices


@pytest.mark.parametrize(
    ("receive", "data"),
    [
        (protocol.receive_operation, bytes.fromhex("0100 8005 00000000")),
        (protocol.receive_operation, bytes.fromhex("0111 8009 00000000")),
        (protocol.receive_operation, bytes.fromhex("0111 8005 00000009")),
        (protocol.receive_command, bytes.fromhex("00000009") + bytes(44)),
        (protocol.receive_command, bytes.fromhex("00000001") + bytes(20) + b"\xff\xff\xff\xff" + bytes(20)),
        (protocol.receive_command, bytes.fromhex("00000001") + bytes(20) + b"\x7f\xff\xff\xff" + bytes(20)),
        (protocol.receive_return, bytes.fromhex("00000001") + bytes(44)),
    ],
)
def test_other_bytes_are_malformed(receive: Callable[[protocol.Receive], object], data: bytes) -> None:
    with pytest.raises(Malformed):
        receive(reader(data))


@given(st.binary(max_size=400))
def test_no_bytes_do_worse_than_end_or_be_malformed(data: bytes) -> None:
    for receive in (protocol.receive_operation, protocol.receive_command, protocol.receive_return):
        with suppress(EOFError, Malformed):
            receive(reader(data))


def test_a_refused_import_says_why() -> None:
    packed = protocol.pack_operation(Operation.REPLY_IMPORT, Status.DEVICE_BUSY)
    assert protocol.receive_operation(reader(packed)) == (Operation.REPLY_IMPORT, Status.DEVICE_BUSY)
