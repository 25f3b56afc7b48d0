"""Files of records that are no firmware: refused before they take more memory and time than they are worth."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from dfurun.errors import Code
from dfurun.image import ImageError, read_image
from dfurun.image.text import MAXIMUM_RECORDS

MIB = 1024 * 1024


def hex_record(address: int, kind: int, data: bytes) -> str:
    raw = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(raw + bytes([-sum(raw) & 0xFF])).hex()}\n"


def s_record(address: int, data: bytes) -> str:
    raw = bytes([len(data) + 5]) + address.to_bytes(4, "big") + data
    return f"S3{(raw + bytes([~sum(raw) & 0xFF])).hex()}\n"


def scattered_hex(count: int) -> str:
    sections = []
    for first in range(0, count, 1 << 15):
        sections.append(hex_record(0, 4, (0x0800 + (first >> 15)).to_bytes(2, "big")))
        sections += [hex_record(2 * n, 0, b"\1") for n in range(min(1 << 15, count - first))]
    return "".join(sections) + ":00000001FF\n"


def scattered_s_records(count: int) -> str:
    return "".join(s_record(0x0800_0000 + 2 * n, b"\1") for n in range(count)) + "S70500000000FA\n"


def refusal(path: Path) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_image("application", path)
    assert caught.value.code is Code.IMAGE_INVALID
    return caught.value


@pytest.mark.parametrize(("name", "start"), [("a.hex", ":00"), ("a.s19", "S3")])
def test_a_line_of_eight_mebibytes_takes_little_more_than_the_file(name: str, start: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(start + "0" * 8 * MIB + "\n")
    tracemalloc.start()
    try:
        found = refusal(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.where == "line 1"
    assert peak_bytes < 48 * MIB


def test_the_longest_record_of_each_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_text(hex_record(0, 4, b"\x08\0") + hex_record(0, 0, b"\1" * 255) + ":00000001FF\n")
    assert read_image("application", path).memory.size_bytes == 255
    path = tmp_path / "a.s19"
    path.write_text(s_record(0x0800_0000, b"\1" * 250) + "S70500000000FA\n")
    assert read_image("application", path).memory.size_bytes == 250


@pytest.mark.parametrize(("name", "text"), [("a.hex", scattered_hex(120_000)), ("a.s19", scattered_s_records(120_000))])
def test_more_pieces_than_any_firmware_has_are_refused_soon(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    begun = time.monotonic()
    found = refusal(path)
    assert time.monotonic() - begun < 10
    assert "120000 pieces with gaps between them" in found.message


def test_more_records_than_any_firmware_has_are_not_read_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_text(hex_record(0, 4, b"\x08\0") * (2 * MAXIMUM_RECORDS) + ":00000001FF\n")
    found = refusal(path)
    assert found.where == f"line {MAXIMUM_RECORDS + 1}"
    assert f"more than {MAXIMUM_RECORDS} records" in found.message
