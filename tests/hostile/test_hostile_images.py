"""Firmware files that nobody has checked: an image, or an ImageError with words, in bounded time and memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.errors import Code
from dfurun.image import ImageError, ImageFile, read_image
from dfurun.image.contents import ADDRESS_SPACE

CASES = Path(__file__).parents[1] / "cases" / "images"
FIRMWARE = Path(__file__).parents[2] / "recipes" / "firmware"
GOOD = sorted(path for path in CASES.glob("ok-*") if path.suffix != ".txt")
SUFFIXES = sorted({path.suffix for path in GOOD})
EDGES = [
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b":",
    b"\n",
    b"\r\n:",
    b"S",
    b"S7",
    b"\0" * 40,
    b"UFD\x10",
    b"DfuSe",
    b"Target",
]
MOST_BYTES_FOR_ONE = 64  # of memory, for a byte of the file


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files that are read."""
    return tmp_path_factory.mktemp("images")


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return the name of a good file, or of none, and its bytes with a few parts replaced, removed, doubled or cut off."""
    source = draw(st.sampled_from(GOOD))
    data = source.read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.sampled_from([0, 1, 2, 4, 8, 64, 1024]))
        match draw(st.sampled_from(["flip", "splice", "cut", "double", "number"])):
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case "splice":
                data = data[:at] + draw(st.sampled_from(EDGES) | st.binary(max_size=16)) + data[at + length :]
            case "cut":
                data = data[:at]
            case "double":
                data = data[:at] + data[at : at + length] * 2 + data[at + length :]
            case _:
                data = data[:at] + draw(st.integers(0, ADDRESS_SPACE - 1)).to_bytes(4, "little") + data[at + 4 :]
    name = draw(st.sampled_from([source.suffix, *SUFFIXES]))
    return name, data


@st.composite
def anything(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return any bytes, after a beginning that a format has or none."""
    start = draw(
        st.sampled_from([b"", b"\x7fELF\x01\x01\x01", b"DfuSe\x01", b":", b":020000040800F2\n:", b"S0", b"S315"])
    )
    end = draw(st.sampled_from([b"", b"\xff\xff\x11\xdf\x83\x04\x1a\x01UFD\x10\0\0\0\0", b"\n:00000001FF\n"]))
    return draw(st.sampled_from(SUFFIXES)), start + draw(st.binary(max_size=600)) + end


def attempt(path: Path, address: int | None) -> ImageFile | Code:
    """Read the file; return the code of an ImageError, which has to have words."""
    try:
        return read_image("image", path, address=address)
    except ImageError as error:
        return error.code if error.message else Code.BUG


def judge(folder: Path, suffix: str, data: bytes) -> ImageFile | None:
    """Read the file, hold what it comes to against what every image has to be, and return it; None for an ImageError."""
    path = folder / f"file{suffix}"
    path.write_bytes(data)
    found = attempt(path, 0x0800_0000)
    if found is Code.IMAGE_ADDRESS:
        found = attempt(path, None)
    if isinstance(found, Code):
        assert found is not Code.BUG
        return None
    image = found
    assert image.memory.pieces
    assert image.memory.size_bytes <= len(data)
    assert all(0 <= piece.address < piece.extent.end <= ADDRESS_SPACE for piece in image.memory.pieces)
    return image


@given(damaged())
def test_a_damaged_image_is_an_image_or_an_image_error(scratch: Path, file: tuple[str, bytes]) -> None:
    judge(scratch, *file)


@given(anything())
def test_any_bytes_are_an_image_or_an_image_error(scratch: Path, file: tuple[str, bytes]) -> None:
    judge(scratch, *file)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bytes.hex", b":01000000000000FF\n"),
        ("segments.hex", b":020000040800F2\n"),
        ("colons.hex", b":\n"),
        ("records.s19", b"S1050000AABB95\n"),
        ("names.s19", b"S0030000FC\n"),
        ("blanks.hex", b" \t\r\n"),
        ("nothing.bin", b"\0"),
        ("stars.bin", b"S1"),
    ],
)
def test_a_large_file_of_one_line_again_and_again_takes_memory_in_proportion(
    tmp_path: Path, name: str, line: bytes
) -> None:
    size_bytes = 300_000
    data = (b":020000040800F2\n" if name.endswith(".hex") else b"") + line * (size_bytes // len(line))
    tracemalloc.start()
    try:
        judge(tmp_path, Path(name).suffix, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES_FOR_ONE * size_bytes
