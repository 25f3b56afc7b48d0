"""What a device says of itself, as bytes that nobody has checked: read as what it is, or refused with ValueError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfurun.chips import chip_names, load_chip
from dfurun.dfuse.layout import parse_layout
from dfurun.dfuse.link import AlternateSetting, DeviceDescription
from dfurun.dfuse.protocol import (
    FUNCTIONAL_DESCRIPTOR_TYPE,
    DfuState,
    DfuStatus,
    FunctionalDescriptor,
    StatusReport,
)
from dfurun.usb.recognise import chips_like

ADDRESSES = 1 << 32
LAYOUTS = [name for chip in map(load_chip, chip_names()) for name in chip.usb.alternates]
PARTS = [
    "@",
    "/",
    "*",
    ",",
    "0x",
    "0X08000000",
    "Internal Flash",
    "064",
    "9999999",
    "Kg",
    "Mf",
    " ",
    "g",
    "\0",
    "\x1b[2J",
    "é",
    "٣",
]


@st.composite
def layout_texts(draw: st.DrawFn) -> str:
    """Return any text, a text of the grammar's parts in any order, or a real layout with a few characters replaced."""
    match draw(st.integers(0, 2)):
        case 0:
            return draw(st.text(max_size=300))
        case 1:
            return "@" + "".join(draw(st.lists(st.sampled_from(PARTS), max_size=30)))
    text = draw(st.sampled_from(LAYOUTS))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PARTS) | st.characters()) + text[at + draw(st.integers(0, 3)) :]
    return text


@given(layout_texts())
@example("@" + "/0x08000000/" + ",".join(["1*1Kg"] * 40))
@example("@Internal Flash /0xFFFFFFFF/1*1Kg")
def test_a_memory_layout_is_within_the_address_space_or_a_value_error(text: str) -> None:
    try:
        layout = parse_layout(text)
    except ValueError:
        return
    assert layout.segments
    assert layout.name.isascii()
    for segment in layout.segments:
        assert 0 <= segment.start < segment.extent.end <= ADDRESSES
        assert segment.sector_size_bytes > 0
    assert all(0 < segment.access < 8 for segment in layout.segments)


@given(st.binary(max_size=12))
def test_a_status_answer_is_a_report_or_a_value_error(raw: bytes) -> None:
    try:
        report = StatusReport.unpack(raw)
    except ValueError:
        assert len(raw) != 6 or raw[0] not in list(DfuStatus) or raw[4] not in list(DfuState)
        return
    assert report.pack() == raw
    assert str(report)


@st.composite
def descriptors(draw: st.DrawFn) -> bytes:
    """Return bytes that follow an interface descriptor: any, or a few descriptors of which some lie about their length."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=40))
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        body = draw(st.binary(max_size=9))
        kind = draw(st.sampled_from([FUNCTIONAL_DESCRIPTOR_TYPE, 4, 5, 0xFF]))
        parts.append(bytes([draw(st.sampled_from([len(body) + 2, 0, 1, 7, 9, 255])), kind]) + body)
    return b"".join(parts)


@given(descriptors())
@example(struct.pack("<BBBHHH", 9, 0x21, 0x0B, 255, 1, 0x011A))
@example(struct.pack("<BBBHHH", 9, 0x21, 0x0B, 255, 0xFFFF, 0x011A))
def test_a_functional_descriptor_has_a_block_that_can_be_sent_or_is_a_value_error(extra: bytes) -> None:
    try:
        found = FunctionalDescriptor.find(extra)
    except ValueError:
        return
    assert 64 <= found.transfer_size_bytes <= 4096


@pytest.mark.parametrize("size", [0, 1, 63, 4097, 0xFFFF])
def test_a_block_size_that_no_dfuse_device_has_is_refused_with_its_value(size: int) -> None:
    with pytest.raises(ValueError, match=f"wTransferSize {size}"):
        FunctionalDescriptor.find(FunctionalDescriptor(0x0B, 255, size, 0x011A).pack())


@given(
    st.integers(0, 0xFFFF),
    st.lists(layout_texts(), min_size=1, max_size=5),
    st.integers(0, ADDRESSES - 1),
)
def test_a_device_that_tells_any_layouts_is_like_some_chips_or_none(
    release: int, names: list[str], address: int
) -> None:
    description = DeviceDescription(
        vendor_id=0x0483,
        product_id=0xDF11,
        release=release,
        product="",
        serial="",
        functional=FunctionalDescriptor(0x0B, 255, 2048, 0x011A),
        alternates=tuple(AlternateSetting(number, name) for number, name in enumerate(names)),
    )
    assert {chip.name for chip in chips_like(description)} <= set(chip_names())
    assert 0 <= description.alternate_of(address) < len(names)
    assert description.is_user_dfu in (True, False)
