"""What holds for every format: data is read as it was written, damage is always noticed, no bytes are a stack trace."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from cases.images.make import FOLDER, GOOD_DFUSE, GOOD_ELF, GOOD_HEX, GOOD_S
from firmware_files import (
    ELF_HEADER_BYTES,
    FIRMWARE,
    FLASH,
    HEX_END,
    S_END,
    S_HEADER,
    SEGMENT_BYTES,
    Segment,
    dfuse,
    element,
    elf,
    hex_data,
    s_data,
    s_record,
    suffixed,
    target,
    text,
)
from hypothesis import given
from hypothesis import strategies as st

from dfurun.errors import Code
from dfurun.image import ImageError, MemoryImage, Piece, Target, UsbIds
from dfurun.image.contents import Format
from dfurun.image.dfu_suffix import SUFFIXED_BINARY
from dfurun.image.dfuse import DFUSE
from dfurun.image.elf import ELF
from dfurun.image.formats import format_of
from dfurun.image.intel_hex import INTEL_HEX
from dfurun.image.raw_binary import RAW_BINARY
from dfurun.image.s_record import S_RECORD

FORMATS = (INTEL_HEX, S_RECORD, ELF, DFUSE, SUFFIXED_BINARY)
GOOD = {
    INTEL_HEX: text(*GOOD_HEX, HEX_END),
    S_RECORD: text(S_HEADER, *GOOD_S, s_record(5, len(GOOD_S)), S_END),
    ELF: GOOD_ELF,
    DFUSE: GOOD_DFUSE,
    SUFFIXED_BINARY: suffixed(FIRMWARE),
}


def write_hex(pieces: list[Piece]) -> bytes:
    return text(*(line for piece in pieces for line in hex_data(piece.address, piece.data)), HEX_END)


def write_s_records(pieces: list[Piece]) -> bytes:
    return text(S_HEADER, *(line for piece in pieces for line in s_data(piece.address, piece.data)), S_END)


def write_elf(pieces: list[Piece]) -> bytes:
    return elf(*(Segment(piece.address, piece.data, virtual=0x2000_0000) for piece in pieces))


def write_dfuse(pieces: list[Piece]) -> bytes:
    return dfuse(target(*(element(piece.address, piece.data) for piece in pieces)))


WRITERS: dict[Format, Callable[[list[Piece]], bytes]] = {
    INTEL_HEX: write_hex,
    S_RECORD: write_s_records,
    ELF: write_elf,
    DFUSE: write_dfuse,
}

every_format = pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name.replace(" ", "-"))
every_addressed_format = pytest.mark.parametrize("known", WRITERS, ids=lambda known: known.name.replace(" ", "-"))


@every_format
def test_a_good_file_is_told_by_its_content_whatever_it_is_called(known: Format) -> None:
    for name in ("firmware", "firmware.bin", "firmware.hex", "firmware.s19", "firmware.elf", "firmware.dfu"):
        assert format_of(name, GOOD[known]) is known


@pytest.mark.parametrize("known", [INTEL_HEX, S_RECORD])
@pytest.mark.parametrize(
    "disguise",
    [
        lambda data: bytes(512) + data,
        lambda data: b"\0" + data,
        lambda data: data.decode().encode("utf-16-le"),
        lambda data: data.decode().encode("utf-16-be"),
        lambda data: data.decode().encode("utf-16"),
    ],
    ids=["behind-zeros", "behind-a-zero", "utf-16-le", "utf-16-be", "utf-16-with-mark"],
)
def test_a_text_behind_zeros_or_in_utf_16_is_damage_and_never_raw_binary(
    known: Format, disguise: Callable[[bytes], bytes]
) -> None:
    data = disguise(GOOD[known])
    assert format_of("firmware.bin", data) is known
    with pytest.raises(ImageError, match=r"UTF-16 text|NUL bytes before") as caught:
        known.parse(data)
    assert caught.value.where == "line 1"


@pytest.mark.parametrize("data", [bytes(64) + b":0z S1 :00 ", b":\0", b"\0:", b"S\0009", bytes(64), b"a\0" * 64])
def test_a_binary_with_zeros_is_not_taken_for_a_text(data: bytes) -> None:
    assert format_of("firmware.bin", data) is RAW_BINARY


@every_addressed_format
@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=40)), min_size=1, max_size=5)
    .map(lambda parts: [Piece(page << 16, data) for page, data in parts])
    .filter(lambda pieces: len({piece.address for piece in pieces}) == len(pieces))
)
def test_what_is_written_is_read_back(known: Format, pieces: list[Piece]) -> None:
    assert known.parse(WRITERS[known](pieces)).memory == MemoryImage.of(pieces)


@every_addressed_format
def test_data_at_both_ends_of_the_address_space_costs_no_memory_between(known: Format) -> None:
    pieces = [Piece(0, b"low"), Piece(0xFFFF_FFF0, b"high")]
    data = WRITERS[known](pieces)
    known.parse(data)  # what is imported on the way does not count
    tracemalloc.start()
    found = known.parse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.memory == MemoryImage(tuple(pieces))
    assert peak < 1_000_000


@every_addressed_format
def test_two_values_for_an_address_are_damage_that_names_both_places(known: Format) -> None:
    with pytest.raises(
        ImageError, match=r"a second value for 0x08000010, the first is (in line \d|at offset 0x\w+)$"
    ) as caught:
        known.parse(WRITERS[known]([Piece(FLASH, bytes(32)), Piece(FLASH + 16, bytes(4))]))
    assert caught.value.code is Code.IMAGE_INVALID
    assert caught.value.where


@every_format
def test_a_file_cut_short_is_damage_wherever_it_is_cut_and_never_raw_binary(known: Format) -> None:
    whole = GOOD[known].rstrip(b"\n")
    for length in range(1, len(whole)):
        with pytest.raises(ImageError):
            known.parse(whole[:length])
        if known is not SUFFIXED_BINARY and length >= 10:  # a suffix that is gone has left nothing to tell it by
            assert format_of("firmware.bin", whole[:length]) is known


@every_format
@given(st.data())
def test_a_changed_byte_makes_an_image_error_or_an_image(known: Format, data: st.DataObject) -> None:
    changed = bytearray(GOOD[known])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        known.parse(bytes(changed))
    with contextlib.suppress(ImageError):
        format_of("firmware.bin", bytes(changed)).parse(bytes(changed))


@pytest.mark.parametrize("known", [DFUSE, SUFFIXED_BINARY])
def test_no_byte_with_a_crc_over_it_changes_unnoticed(known: Format) -> None:
    good = GOOD[known]
    for offset in range(len(good)):
        with pytest.raises(ImageError):
            known.parse(good[:offset] + bytes([good[offset] ^ 0x40]) + good[offset + 1 :])


@every_format
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_a_reader_fail_in_another_way(known: Format, data: bytes, whole: bool) -> None:
    beginning = GOOD[known][: len(GOOD[known]) if whole else 5]
    for each in (data, beginning + data, data + beginning):
        with contextlib.suppress(ImageError):
            assert known.parse(each).memory.size_bytes <= len(each)


@given(st.text("S0123456789ABCDEF:\r\n ", max_size=120).map(str.encode))
def test_no_text_makes_a_reader_fail_in_another_way(data: bytes) -> None:
    for known in (INTEL_HEX, S_RECORD):
        with contextlib.suppress(ImageError):
            known.parse(data)


# S-records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "end"), [(1, 9), (2, 8), (3, 7)])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_s_records_of_every_width_are_read(kind: int, end: int, line_end: str) -> None:
    lines = [S_HEADER, "", *s_data(0x1000, FIRMWARE, kind), s_record(6, 2), s_record(end, 0).lower().replace("s", "S")]
    assert S_RECORD.parse(text(*lines, end=line_end)).memory.pieces == (Piece(0x1000, FIRMWARE),)


def test_s_records_in_lower_case_are_told_by_their_content_and_read() -> None:
    data = GOOD[S_RECORD].lower()
    assert format_of("firmware.bin", data) is S_RECORD
    assert S_RECORD.parse(data).memory == S_RECORD.parse(GOOD[S_RECORD]).memory


def test_records_of_several_widths_may_be_in_one_file() -> None:
    data = text(s_record(1, 0, b"a"), s_record(3, FLASH, b"b"), S_END)
    assert S_RECORD.parse(data).memory.pieces == (Piece(0, b"a"), Piece(FLASH, b"b"))


# ELF -----------------------------------------------------------------------------------------------------------------


def test_segments_go_where_their_physical_address_says_and_bss_goes_nowhere() -> None:
    data = elf(
        Segment(FLASH, FIRMWARE),
        Segment(FLASH + 0x100, b"initial data", virtual=0x2000_0000, memory_bytes=64),
        Segment(0x2000_0040, b"", memory_bytes=4096),
        Segment(0x1234, b"a note", kind=4),
    )
    assert ELF.parse(data).memory.pieces == (Piece(FLASH, FIRMWARE), Piece(FLASH + 0x100, b"initial data"))


def test_the_real_firmware_is_the_same_as_elf_and_as_binary() -> None:
    firmware = FOLDER.parents[2] / "recipes" / "firmware"
    binary = (firmware / "f072-blinky.bin").read_bytes()
    assert ELF.parse((firmware / "f072-blinky.elf").read_bytes()).memory == MemoryImage((Piece(FLASH, binary),))


def test_as_many_segments_as_a_header_can_count_do_no_harm() -> None:
    header = elf(Segment(FLASH, b"x"))[ELF_HEADER_BYTES:-1]
    body_at = ELF_HEADER_BYTES + 0xFFFF * SEGMENT_BYTES
    headers = b"".join(header[:4] + struct.pack("<III", body_at, 0, FLASH + 2 * n) + header[16:] for n in range(0xFFFF))
    beginning = elf(*[Segment(FLASH, b"")] * 0xFFFF)[:ELF_HEADER_BYTES]
    started = time.perf_counter()
    assert ELF.parse(beginning + headers + bytes(0xFFFF)).memory.size_bytes == 0xFFFF
    assert time.perf_counter() - started < 30


def test_segments_that_share_the_bytes_of_a_file_are_damage() -> None:
    """65535 headers that all hold the same 64 KiB would be 4 GiB of memory."""
    data = elf(*[Segment(FLASH, b"", offset=0x100, file_bytes=0xFFFF, memory_bytes=0xFFFF)] * 3)
    with pytest.raises(ImageError, match="the segments together hold more than the whole file"):
        ELF.parse(data + bytes(0x1_0100))


# DFU -----------------------------------------------------------------------------------------------------------------


def test_a_dfuse_file_names_its_targets_and_its_device() -> None:
    found = DFUSE.parse(
        dfuse(
            target(element(FLASH, FIRMWARE), name="@Internal Flash"),
            target(element(0x1FFF_F800, b"\xaa\x55"), alternate=1, name=""),
        )
    )
    flash, options = Piece(FLASH, FIRMWARE), Piece(0x1FFF_F800, b"\xaa\x55")
    assert found.memory == MemoryImage((flash, options))
    assert found.targets == (
        Target(0, "@Internal Flash", MemoryImage((flash,))),
        Target(1, "", MemoryImage((options,))),
    )
    assert [str(each) for each in found.targets] == ['alternate setting 0 ("@Internal Flash")', "alternate setting 1"]
    assert found.usb == UsbIds(0x0483, 0xDF11)


def test_0xffff_stands_for_every_device() -> None:
    assert UsbIds(0xFFFF, 0xDF11).fits(0x0483, 0xDF11)
    assert UsbIds(0x0483, 0xFFFF).fits(0x0483, 0xDF11)
    assert not UsbIds(0x0483, 0xFFFF).fits(0x1209, 0xDF11)
    assert not UsbIds(0xFFFF, 0x5740).fits(0x0483, 0xDF11)


def test_the_makers_of_these_tests_write_what_other_tools_write() -> None:
    """dfu-suffix of dfu-util 0.11, byte for byte; dfuse-pack's size counts the suffix, ST's tool and ours leave it out."""
    assert (FOLDER / "ok-tool-dfu-suffix.dfu").read_bytes() == suffixed(FIRMWARE)
    packed = (FOLDER / "ok-tool-dfuse-pack.dfu").read_bytes()
    ours = dfuse(target(element(FLASH, FIRMWARE)), size=len(packed), device=0)
    assert packed == ours


# Raw binary ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        FIRMWARE,
        FIRMWARE + text(*GOOD_HEX, HEX_END),  # a firmware that holds a HEX file as text
        FIRMWARE + b"UFD",
        b"key: 0123456789\nS3: no record\n",  # settings
        b":)",
    ],
)
def test_what_only_holds_something_like_a_record_is_raw_binary(data: bytes) -> None:
    assert format_of("firmware.bin", data) is RAW_BINARY
