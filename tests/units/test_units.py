"""Quantities as people write them, and back."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun import units
from dfurun.units import (
    AddressRange,
    format_address,
    format_duration,
    format_hex,
    format_size,
    parse_address,
    parse_duration,
    parse_pages,
    parse_range,
    parse_size,
    parse_voltage,
)

RECIPE_SCHEMA = Path(__file__).parents[2] / "schemas" / "recipe.schema.json"
PARSERS = (parse_duration, parse_size, parse_address, parse_range, parse_pages, parse_voltage)
_ranges = st.builds(AddressRange, st.integers(0, 0xFFFF_FFFF), st.integers(1, 0xFFFF_FFFF))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0), ("250ms", 0.25), ("2min", 120.0), ("0s", 0.0), ("0.5s", 0.5), ("0.0535ms", 0.0000535),
        ("1.5min", 90.0), ("007s", 7.0),
    ],
)  # fmt: skip
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "10", "10 s", "10S", "10sec", "s", "-1s", "1e3s", ".5s", "1.s", "10s\n", " 10s", "1h", "1_0s", "１s"]
)
def test_what_is_no_duration_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration such as 10s, 250ms or 2min"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1ms", "10s", "0.5s", "0.0535ms", "007s", "100min"])
def test_a_timeout_is_a_duration_of_more_than_zero(text: str) -> None:
    assert re.fullmatch(units.TIMEOUT_PATTERN, text)
    zero = re.sub("[1-9]", "0", text)
    assert re.fullmatch(units.DURATION_PATTERN, zero)
    assert not re.fullmatch(units.TIMEOUT_PATTERN, zero)


def test_a_voltage_is_in_volts() -> None:
    assert (parse_voltage("3.3V"), parse_voltage("12V")) == (3.3, 12.0)
    for text in ("3.3", "3V3", "3,3V", "3.3 V", "3300mV", "-3.3V"):
        with pytest.raises(ValueError, match=r"is not a voltage such as 3.3V"):
            parse_voltage(text)


@pytest.mark.parametrize(
    ("written", "size_bytes"),
    [
        (0, 0), (2048, 2048), ("2048", 2048), ("2K", 2048), ("1M", 1024 * 1024), ("128K", 131072), ("0x800", 2048),
        ("0xFFFFFFFF", 0xFFFF_FFFF), ("0", 0), ("0K", 0),
    ],
)  # fmt: skip
def test_a_size_is_a_number_of_bytes_and_k_is_1024(written: int | str, size_bytes: int) -> None:
    assert parse_size(written) == size_bytes


@pytest.mark.parametrize(
    "text",
    ["", "2k", "2KB", "2KiB", "2 K", "1G", "0x", "0xG", "0X10", "0x123456789", "-1", "1.5K", "128\n", "12345678901"],
)
def test_what_is_no_size_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size such as 2048, 2K, 1M or 0x800"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "meanings"),
    [
        ("08000000", "0x08000000 in hexadecimal, 8000000 in decimal"),
        ("0800F000", "0x0800F000 in hexadecimal"),
        ("0128K", "128K in decimal"),
        ("00", "0x00 in hexadecimal, 0 in decimal"),
        ("0123456789", "123456789 in decimal"),
    ],
)
def test_digits_that_begin_with_a_zero_are_not_guessed_at(text: str, meanings: str) -> None:
    for parse in (parse_size, parse_address):
        with pytest.raises(ValueError, match=f"^'{text}' begins with a zero$"):
            parse(text)
    assert units.in_both_bases(text) == meanings
    with pytest.raises(ValueError, match="is not a range"):
        parse_range(f"0x08000000+{text}")


@pytest.mark.parametrize("text", ["0", "0x08000000", "128K", "", "flash", "0K", "1-2"])
def test_other_texts_have_no_second_meaning(text: str) -> None:
    assert units.in_both_bases(text) == ""


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        parse_size(-1)


def test_an_address_fits_in_32_bits() -> None:
    assert parse_address("0x08000000") == 0x0800_0000
    assert parse_address(0xFFFF_FFFF) == 0xFFFF_FFFF
    for too_large in (0x1_0000_0000, "4294967296", "4096M"):
        with pytest.raises(ValueError, match="does not fit in 32 bits"):
            parse_address(too_large)


@pytest.mark.parametrize(
    ("text", "start", "size_bytes"),
    [
        ("0x08000000+2K", 0x0800_0000, 2048),
        ("0x08000000+0x10", 0x0800_0000, 16),
        ("0x0+1", 0, 1),
        ("0xFFFFFFFF+1", 0xFFFF_FFFF, 1),
        ("0x0+4096M", 0, 1 << 32),
    ],
)
def test_a_range_is_an_address_and_a_size(text: str, start: int, size_bytes: int) -> None:
    assert parse_range(text) == AddressRange(start, size_bytes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0x08000000+0", "is an empty range"),
        ("0xFFFFFFFF+2", "runs past the end of the 32-bit address space"),
        ("0x08000000", "is not a range such as 0x08000000+2K"),
        ("08000000+2K", "is not a range such as 0x08000000+2K"),
        ("0x08000000 + 2K", "is not a range such as 0x08000000+2K"),
        ("0x08000000+2K\n", "is not a range such as 0x08000000+2K"),
    ],
)
def test_what_is_no_range_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_range(text)


@pytest.mark.parametrize(
    ("written", "pages"),
    [(3, range(3, 4)), ("3", range(3, 4)), ("0-3", range(4)), ("5-5", range(5, 6))],
)
def test_pages_include_both_ends(written: int | str, pages: range) -> None:
    assert parse_pages(written) == pages


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("3-0", "the first page is after the last"),
        ("", "is not a page or a range of pages"),
        ("1-", "is not a page or a range of pages"),
        ("-1", "is not a page or a range of pages"),
        (-1, "is not a page or a range of pages"),
        ("1-2-3", "is not a page or a range of pages"),
        ("3\n", "is not a page or a range of pages"),
        ("100000", "is not a page or a range of pages"),
        ("010", "is not a page or a range of pages"),
        ("00-01", "is not a page or a range of pages"),
    ],
)
def test_what_are_no_pages_is_refused_with_the_reason(written: int | str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_pages(written)


@given(st.text(max_size=20) | st.from_regex(r"[0-9x.A-Fa-f]{0,6}[-+KMmsin]{0,3}[0-9x]{0,4}", fullmatch=True))
def test_a_parser_answers_or_raises_value_error(text: str) -> None:
    for parse in PARSERS:
        with contextlib.suppress(ValueError):
            parse(text)


@given(st.integers(0, 10**10 - 1))
def test_a_size_in_digits_in_k_and_in_m_is_that_many_bytes(number: int) -> None:
    assert parse_size(str(number)) == parse_size(number) == number
    assert parse_size(f"{number}K") == number * 1024
    assert parse_size(f"{number}M") == number * 1024 * 1024


@given(st.integers(0, 0xFFFF_FFFF))
def test_an_address_that_is_printed_is_read_back(address: int) -> None:
    printed = format_address(address)
    assert re.fullmatch(r"0x[0-9A-F]{8}", printed)
    assert parse_address(printed) == address


@given(_ranges, _ranges)
def test_ranges_overlap_where_they_share_a_byte(one: AddressRange, other: AddressRange) -> None:
    shared = max(one.start, other.start) < min(one.end, other.end)
    assert one.overlaps(other) == other.overlaps(one) == shared
    assert one.contains(other) == (one.start <= other.start and other.end <= one.end)
    assert not one.contains(other) or one.overlaps(other)


def test_neighbours_do_not_overlap_and_a_range_contains_itself() -> None:
    page, next_page = AddressRange(0x0800_0000, 2048), AddressRange(0x0800_0800, 2048)
    assert page.end == next_page.start
    assert not page.overlaps(next_page)
    assert page.contains(page)
    assert page.contains(AddressRange(0x0800_07FF, 1))
    assert not page.contains(AddressRange(0x0800_07FF, 2))


def test_a_range_prints_its_first_and_its_last_byte() -> None:
    assert str(AddressRange(0x0800_0000, 2048)) == "0x08000000..0x080007FF"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1025, "1025 bytes"),
        (131072, "128 KiB"),
        (1 << 20, "1 MiB"),
        (3 << 19, "1536 KiB"),
    ],
)
def test_a_size_is_printed_in_mib_or_kib_where_it_is_a_whole_number_of_them(size_bytes: int, words: str) -> None:
    assert format_size(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.25, "250 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (1, "1.0 s"), (3.24, "3.2 s"),
        (119.94, "119.9 s"), (119.96, "2 min 0 s"), (120, "2 min 0 s"), (125.9, "2 min 6 s"), (179.7, "3 min 0 s"),
    ],
)  # fmt: skip
def test_a_duration_is_printed_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


@given(st.floats(0, 1e6))
def test_a_printed_duration_never_shows_a_full_unit_too_many(seconds: float) -> None:
    words = format_duration(seconds)
    number = float(words.split()[-2])
    assert number < {"ms": 1000, "s": 60 if "min" in words else 120}[words.split()[-1]]


def test_bytes_are_printed_in_groups() -> None:
    assert format_hex(b"") == ""
    assert format_hex(bytes.fromhex("aa55ff00")) == "AA 55 FF 00"
    assert format_hex(bytes.fromhex("aa55ff00"), group=2) == "AA55 FF00"


@given(st.binary(max_size=64), st.integers(1, 8))
def test_printed_bytes_are_read_back(raw: bytes, group: int) -> None:
    assert bytes.fromhex(format_hex(raw, group=group)) == raw


def schema_patterns(node: Any) -> set[str]:
    """Return every pattern of a schema that is about a quantity: it counts digits."""
    found = set()
    if isinstance(node, dict):
        pattern = node.get("pattern")  # or a key of the language that is called so
        if isinstance(pattern, str) and "[0-9]" in pattern and re.search(r"ms|KM|-[(\[]", pattern):
            found.add(pattern)
        node = list(node.values())
    for part in node if isinstance(node, list) else ():
        found |= schema_patterns(part)
    return found


def test_the_recipe_schema_writes_quantities_as_the_code_reads_them() -> None:
    schema = json.loads(RECIPE_SCHEMA.read_text(encoding="utf-8"))
    assert schema_patterns(schema) == {
        units.TIMEOUT_PATTERN, units.SIZE_PATTERN, units.RANGE_PATTERN, units.PAGES_PATTERN,
    }  # fmt: skip
