"""Intel HEX: what is read, and that every damage is found and named by its line."""

import contextlib
import io
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intelhex import IntelHex

from dfurun.errors import Code
from dfurun.image import ImageError, MemoryImage, Piece
from dfurun.image.intel_hex import _judged_pieces, _plain_pieces, looks_like_intel_hex, parse_intel_hex

FIRMWARE = Path(__file__).parents[2] / "recipes" / "firmware"
END = ":00000001FF"


def record(address: int, kind: int, data: bytes) -> str:
    raw = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(raw + bytes([-sum(raw) & 0xFF])).hex().upper()}"


def base(address: int) -> str:
    return record(0, 4, (address >> 16).to_bytes(2, "big"))


def hex_file(*records: str, end: str = "\n") -> bytes:
    return end.join([*records, END, ""]).encode()


def damage(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        parse_intel_hex(data)
    assert caught.value.code is Code.IMAGE_INVALID
    return caught.value


def test_the_real_firmware_is_the_same_as_hex_and_as_binary() -> None:
    image = parse_intel_hex((FIRMWARE / "f072-blinky.hex").read_bytes())
    assert image == MemoryImage((Piece(0x0800_0000, (FIRMWARE / "f072-blinky.bin").read_bytes()),))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_lower_case_do_not_matter(end: str) -> None:
    data = hex_file("", base(0x0800_0000), "  ", record(0x10, 0, b"\xab\xcd").lower(), end=end)
    assert parse_intel_hex(data).pieces == (Piece(0x0800_0010, b"\xab\xcd"),)


def test_records_in_any_order_make_rising_pieces_and_touching_ones_are_joined() -> None:
    data = hex_file(
        base(0x0801_0000), record(0, 0, b"c"), base(0x0800_0000), record(0xFFFE, 0, b"ab"), record(0, 0, b"x")
    )
    assert parse_intel_hex(data).pieces == (Piece(0x0800_0000, b"x"), Piece(0x0800_FFFE, b"abc"))


def test_segment_addresses_and_start_addresses_are_understood() -> None:
    data = hex_file(record(0, 2, b"\x10\x00"), record(4, 0, b"a"), record(0, 5, b"\x08\x00\x00\xc1"))
    assert parse_intel_hex(data).pieces == (Piece(0x1_0004, b"a"),)


@pytest.mark.parametrize("line", [":01ZZZZ0000FF", ":ZZ000000FF", ":0100000", ":+1-00000FF"])
def test_what_is_no_record_is_told_by_its_line_in_a_segment_too(line: str) -> None:
    error = damage(hex_file(record(0, 2, b"\x10\x00"), record(4, 0, b"a"), line))
    assert (error.where, error.message) == ("line 3", "not an Intel HEX record")


def test_data_at_both_ends_of_the_address_space_takes_no_memory_between() -> None:
    data = hex_file(base(0), record(0, 0, b"a"), base(0xFFFF_0000), record(0xFFFF, 0, b"z"))
    tracemalloc.start()
    image = parse_intel_hex(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.pieces == (Piece(0, b"a"), Piece(0xFFFF_FFFF, b"z"))
    assert peak < 1_000_000


def test_data_past_the_address_space_is_damage() -> None:
    error = damage(hex_file(base(0xFFFF_0000), record(0xFFFF, 0, b"ab")))
    assert (error.where, error.message) == ("line 2", "data past the 32-bit address space")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (record(0, 0, b"ab")[:-2] + "00", "the checksum is wrong"),
        (record(0, 0, b"ab")[:-2], "the record is longer or shorter than it says"),
        (record(0, 0, b"ab") + "00", "the record is longer or shorter than it says"),
        (record(0, 9, b"ab"), "an unknown record type"),
        (record(0, 4, b"abc"), "an invalid record"),
        (record(0, 0, b"ab")[:-1], "not an Intel HEX record"),
        (":zz", "not an Intel HEX record"),
        ("S1137AF00A0A0D0000000000000000000000000061", "not an Intel HEX record"),
        (":00ö", "a byte that is not ASCII"),
        (record(0xF, 0, b"ab"), "a second value for 0x0800000F, the first is in line 2"),
    ],
)
def test_damage_is_named_by_its_line(line: str, message: str) -> None:
    error = damage(hex_file(base(0x0800_0000), record(0, 0, bytes(16)), line))
    assert (error.where, error.message) == ("line 3", message)


def test_the_same_bytes_twice_in_different_sections_are_damage() -> None:
    section = [base(0x0800_0000), record(0, 0, b"ab")]
    error = damage(hex_file(*section, *section))
    assert (error.where, error.message) == ("line 4", "a second value for 0x08000000, the first is in line 2")


def test_a_file_cut_short_is_damage_wherever_it_is_cut() -> None:
    whole = (FIRMWARE / "f072-blinky.hex").read_bytes().rstrip()
    for length in range(1, len(whole), 97):
        damage(whole[:length])
    assert "cut short" in damage(whole[: whole.rindex(b":")]).message


def test_nothing_may_follow_the_end_of_file_record() -> None:
    error = damage(hex_file(record(0, 0, b"a")) + record(1, 0, b"b").encode())
    assert (error.where, error.message) == ("line 3", "something after the end-of-file record")


@given(st.dictionaries(st.integers(0, 0xFFFF_FFFF), st.binary(min_size=1, max_size=40), max_size=5))
def test_what_intelhex_writes_is_read_back(parts: dict[int, bytes]) -> None:
    written = {
        address + offset: byte
        for address, data in sorted(parts.items())
        for offset, byte in enumerate(data)
        if address + offset < 1 << 32
    }
    output = io.StringIO()
    IntelHex(written).write_hex_file(output)
    image = parse_intel_hex(output.getvalue().encode())
    assert {p.address + i: byte for p in image.pieces for i, byte in enumerate(p.data)} == written


_records = st.one_of(
    st.builds(record, st.integers(0, 0xFFFF), st.just(0), st.binary(max_size=20)),
    st.builds(record, st.sampled_from([0, 1]), st.sampled_from([1, 2, 3, 4, 5, 6]), st.binary(max_size=5)),
    st.builds(record, st.just(0), st.sampled_from([3, 4, 5]), st.sampled_from([b"\x08\x00", b"\x08\x00\x00\xc1"])),
    st.text(":0123456789abcdefABCDEF \t-+z", min_size=1, max_size=20),
    st.builds(lambda line, at: line[:at] + line[at + 1 :], st.just(record(16, 0, bytes(8))), st.integers(0, 27)),
)


@given(st.booleans(), st.lists(_records, max_size=8))
def test_what_is_joined_without_intelhex_is_what_intelhex_makes_of_it(has_base: bool, lines: list[str]) -> None:
    section = list(enumerate([base(0x0800_0000)] * has_base + lines, 1))
    plain = _plain_pieces(section)
    if plain is not None:
        with contextlib.suppress(ValueError):  # two records overlap, which both tell
            expected = MemoryImage.of(plain)
            assert MemoryImage.of(_judged_pieces(section)) == expected


def test_plain_sections_are_joined_without_intelhex(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a microsecond a byte: 2 MiB took two seconds."""
    monkeypatch.setattr("dfurun.image.intel_hex._judged_pieces", None)
    data = hex_file(base(0x0800_0000), record(0, 0, b"ab"), record(2, 0, b"c"), record(0, 5, b"\x08\x00\x00\xc1"))
    assert parse_intel_hex(data).pieces == (Piece(0x0800_0000, b"abc"),)


@given(st.binary(max_size=80) | st.text(":0123456789ABCDEF\r\n ", max_size=80).map(str.encode))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        assert parse_intel_hex(data).size_bytes <= len(data) // 2


def test_a_large_image_is_read_quickly() -> None:
    data = hex_file(
        *(
            line
            for section in range(2)
            for line in [base(0x0800_0000 + section * 0x1_0000)]
            + [record(offset, 0, bytes(16)) for offset in range(0, 0x1_0000, 16)]
        )
    )
    started = time.perf_counter()
    assert parse_intel_hex(data).size_bytes == 128 * 1024
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("data", "is_hex"), [(b":00", True), (b"\r\n  :10", True), (b"", False), (b":\x40\x00", False), (b"\x00:00", False)]
)
def test_content_decides_what_is_hex(data: bytes, is_hex: bool) -> None:
    assert looks_like_intel_hex(data) is is_hex
