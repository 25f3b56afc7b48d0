"""String descriptors that are malformed or hostile: what is on the wire, byte by byte."""

from __future__ import annotations

import pytest
from simulated_bench import CHIP, Bench

from dfurun.simulator import parse_fault
from dfurun.simulator.descriptors import DescriptorType, string_descriptor
from dfurun.simulator.transfer import Setup, Stall, StandardRequest

LANGUAGES, MANUFACTURER, PRODUCT, SERIAL, LAYOUT, OPTIONS_LAYOUT = range(6)
ALL = (MANUFACTURER, PRODUCT, SERIAL, LAYOUT, OPTIONS_LAYOUT)


def with_faults(*texts: str) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts])


def string(bench: Bench, index: int, length: int = 255) -> bytes:
    value = DescriptorType.STRING << 8 | index
    return bench.board.control(Setup(0x80, StandardRequest.GET_DESCRIPTOR, value, 0x0409, length))


def good(index: int) -> bytes:
    found = string_descriptor(CHIP.usb, index)
    assert found is not None
    return found


def text(raw: bytes) -> str:
    return raw[2:].decode("utf-16-le")


def test_an_empty_string_is_a_header_alone() -> None:
    bench = with_faults("strings:kind=empty")
    assert all(string(bench, index) == b"\x02\x03" for index in ALL)
    assert string(bench, LANGUAGES) == good(LANGUAGES), "the list of languages is no string"


def test_garbage_has_no_header_and_is_the_same_every_time() -> None:
    bench = with_faults("strings:kind=garbage")
    for index in ALL:
        assert len(string(bench, index)) == 62
        assert string(bench, index) == string(bench, index) != good(index)
        assert string(bench, index)[:2] != bytes([62, DescriptorType.STRING])


def test_a_control_string_carries_what_harms_a_terminal_and_a_log() -> None:
    bench = with_faults("strings:kind=control")
    for index in (MANUFACTURER, PRODUCT, SERIAL):
        raw = string(bench, index)
        assert raw[0] == len(raw) <= 254
        assert text(raw)[0] == text(good(index))[0]
        for harm in ("\x1b[2J", "\x1b]0;", "\x07", "\r\n::error::", "\x08", "\u202e", "\0"):
            assert harm in text(raw)
    assert text(string(bench, LAYOUT)).startswith("@\x1b[2J")
    assert "Internal Flash  /0x08000000/064*0002Kg" in text(string(bench, LAYOUT))


def test_a_long_string_is_as_long_as_one_can_be_and_a_long_layout_has_as_many_segments_as_fit() -> None:
    bench = with_faults("strings:kind=long")
    assert text(string(bench, PRODUCT)) == "A" * 126
    layout = text(string(bench, LAYOUT))
    assert layout.startswith("@Internal Flash  /0x08000000/1*1Kg,1*1Kg,")
    assert layout.endswith(",1*1Kg")
    assert layout.count("*") == 16
    assert 120 < len(layout) <= 126


def test_wrong_sizes_are_a_layouts_alone() -> None:
    bench = with_faults("strings:kind=sizes")
    assert string(bench, PRODUCT) == good(PRODUCT)
    assert text(string(bench, LAYOUT)) == "@Internal Flash  /0x08000000/99999999*99999999Mg,0*0Kg"


def test_a_truncated_string_says_a_longer_length_than_it_has() -> None:
    """F42x: bLength 166, 112 bytes sent."""
    bench = with_faults("strings:kind=truncated")
    for index in ALL:
        raw = string(bench, index)
        assert raw[1:] == good(index)[1:]
        assert raw[0] == len(raw) + 54


def test_an_odd_string_ends_in_half_a_character() -> None:
    bench = with_faults("strings:kind=odd")
    for index in ALL:
        raw = string(bench, index)
        assert raw[0] == len(raw) == len(good(index)) + 1
        assert len(raw) % 2 == 1


def test_an_unpaired_surrogate_is_no_utf_16() -> None:
    bench = with_faults("strings:kind=unpaired")
    for index in ALL:
        raw = string(bench, index)
        assert raw[0] == len(raw) == len(good(index)) + 2
        with pytest.raises(UnicodeDecodeError):
            text(raw)


def test_an_ascii_string_has_one_byte_a_character() -> None:
    """GD32VF103: the serial number "3CBJ" is four bytes."""
    bench = with_faults("strings:kind=ascii")
    for index in ALL:
        raw = string(bench, index)
        assert raw[0] == len(raw)
        assert raw[2:].decode("ascii") == text(good(index))


def test_a_string_that_is_stalled_is_none() -> None:
    bench = with_faults("strings:kind=stall")
    for index in ALL:
        with pytest.raises(Stall):
            string(bench, index)
    assert string(bench, LANGUAGES) == good(LANGUAGES)
    assert bench.state() is not None, "nothing else is stalled"


@pytest.mark.parametrize(
    ("which", "spoiled"), [("product", {PRODUCT}), ("serial", {SERIAL}), ("layout", {LAYOUT, OPTIONS_LAYOUT})]
)
def test_which_string_is_chosen(which: str, spoiled: set[int]) -> None:
    bench = with_faults(f"strings:kind=odd,which={which}")
    assert {index for index in ALL if string(bench, index) != good(index)} == spoiled


def test_a_string_is_never_longer_than_what_was_asked_for() -> None:
    bench = with_faults("strings:kind=long")
    assert string(bench, PRODUCT, 2) == b"\xfe\x03"


def test_one_string_request_is_one_occasion() -> None:
    bench = with_faults("strings:kind=empty,skip=1,count=1")
    assert [string(bench, PRODUCT) == good(PRODUCT) for _ in range(3)] == [True, False, True]
