"""String descriptors as devices really send them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import usb.core
from hypothesis import given
from hypothesis import strategies as st

from dfurun.dfuse.layout import parse_layout
from dfurun.text import from_device
from dfurun.usb.strings import decode_string, read_string


def descriptor(text: str) -> bytes:
    body = text.encode("utf-16-le")
    return bytes([len(body) + 2, 3]) + body


def test_a_string_descriptor_is_utf_16() -> None:
    assert decode_string(descriptor("STM32  BOOTLOADER")) == "STM32  BOOTLOADER"
    assert decode_string(descriptor("Größe µ €")) == "Größe µ €"


def test_a_length_that_is_more_than_was_sent_is_clamped() -> None:
    # F42x, F43x: bLength is 166, 112 bytes are sent (dfu-util device logs)
    text = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
    raw = bytes([166, 3]) + text.encode("utf-16-le")
    assert len(raw) == 112
    assert decode_string(raw) == text
    assert parse_layout(decode_string(raw)).size_bytes == 1024 * 1024


def test_what_was_sent_after_the_length_is_not_part_of_it() -> None:
    assert decode_string(descriptor("STM32") + b"x\0y\0") == "STM32"


@pytest.mark.parametrize("raw", [b"", b"\x04", b"\x04\x02a\0", b"\x02\x03", b"\x00\x03a\0", b"\x03\x03a"])
def test_what_holds_no_text_is_empty(raw: bytes) -> None:
    assert decode_string(raw) == ""


def test_an_odd_last_byte_is_left_out() -> None:
    assert decode_string(b"\x07\x03a\0b\0c") == "ab"


def test_what_is_not_utf_16_is_replaced_and_never_raises() -> None:
    # GD32VF103 sends "3CBJ" as four bytes of ASCII (dfu-util quirks)
    assert decode_string(b"\x06\x033CBJ") == "\u4333\u4a42"
    assert decode_string(b"\x06\x03\x00\xd8a\0") == "\N{REPLACEMENT CHARACTER}a"


def test_a_nul_ends_the_text() -> None:
    assert decode_string(descriptor("AT32\0\0junk")) == "AT32"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_a_text_that_is_sent_is_read_as_it_may_be_shown(text: str) -> None:
    assert decode_string(descriptor(text)) == from_device(text)


@given(st.binary(max_size=255))
def test_no_bytes_whatsoever_raise(raw: bytes) -> None:
    assert "\0" not in decode_string(raw)


class Device:
    """Answers GET_DESCRIPTOR from a list."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def ctrl_transfer(self, *request: Any) -> bytes:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_string_is_asked_for_raw_in_english() -> None:
    device = Device(descriptor("STM32"))
    assert read_string(device, 2) == "STM32"
    assert [request[:5] for request in device.asked] == [(0x80, 6, 0x0302, 0x0409, 255)]


def test_a_string_that_the_device_does_not_have_is_not_asked_for() -> None:
    device = Device()
    assert read_string(device, 0) == ""
    assert device.asked == []


def _error() -> usb.core.USBError:
    return usb.core.USBError("Pipe error", -9, 32)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (lambda: [_error(), _error(), _error(), descriptor("STM32")], "STM32"),
        (lambda: [_error(), _error(), _error(), _error()], None),
    ],
)
def test_a_string_is_asked_for_four_times_and_then_unreadable(
    answers: Callable[[], list[Any]], text: str | None
) -> None:
    device = Device(*answers())
    assert read_string(device, 1) == text
    assert len(device.asked) == 4
