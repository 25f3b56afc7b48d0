"""A firmware file from the disk: found, pinned, limited, read by what it holds."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.errors import Code
from dfurun.image import ImageError, Piece, read_image
from dfurun.image.error import Subject
from dfurun.image.reader import MAXIMUM_SIZE_BYTES

HEX = b":020000040800F2\n:020000004142" + b"7B\n:00000001FF\n"


def refusal(path: Path, **pins: str | int) -> ImageError:
    with pytest.raises(ImageError) as caught:
        read_image("application", path, **pins)  # type: ignore[arg-type]
    return caught.value


def test_a_binary_goes_where_its_address_says(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"AB")
    image = read_image("application", path, address=0x0800_1000)
    assert image.memory.pieces == (Piece(0x0800_1000, b"AB"),)
    assert (image.name, image.path, image.pinned) == ("application", path, False)


def test_an_image_is_pinned_by_the_hash_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_bytes(HEX)
    digest = hashlib.sha256(HEX).hexdigest()
    image = read_image("application", path, sha256=digest, size_bytes=len(HEX))
    assert (image.sha256, image.pinned) == (digest, True)
    assert image.memory.pieces == (Piece(0x0800_0000, b"AB"),)


@pytest.mark.parametrize("name", ["firmware.bin", "firmware", "firmware.hex"])
def test_the_content_decides_that_a_file_is_hex_not_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HEX)
    assert read_image("application", path).memory.pieces == (Piece(0x0800_0000, b"AB"),)


def test_a_file_called_hex_is_never_taken_for_a_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_bytes(b"<html>404</html>")
    error = refusal(path, address=0x0800_0000)
    assert (error.code, error.where) == (Code.IMAGE_INVALID, "line 1")
    assert error.message == "a.hex, line 1: not an Intel HEX record"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x7fELF\x01", "a.bin, at offset 0x5: the ELF header is cut short"),
        (b"DfuSe\x01", "a.bin, at offset 0x6: the DfuSe prefix is cut short"),
        (b"S00600004844521B\n", "a.bin, line 1: no S7, S8 or S9 record at the end: the file is cut short"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a.bin: a Git LFS pointer, not the file that it stands for"),
    ],
)
def test_a_file_of_another_format_is_never_taken_for_a_binary(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    error = refusal(path, address=0x0800_0000)
    assert error.code is Code.IMAGE_INVALID
    assert error.message == what


def test_another_file_than_the_pinned_one_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_bytes(HEX)
    error = refusal(path, sha256="ab" * 32)
    assert (error.code, error.subject) == (Code.PIN_MISMATCH, Subject.SHA256)
    assert error.message == "a.hex is another file than the recipe pins"
    assert error.notes == (f"pinned: {'ab' * 32}", f"found:  {hashlib.sha256(HEX).hexdigest()}")
    assert "line endings" not in error.hint


@pytest.mark.parametrize("swapped", [False, True])
def test_a_checkout_that_changed_line_endings_is_recognised(tmp_path: Path, swapped: bool) -> None:
    unix, windows = HEX, HEX.replace(b"\n", b"\r\n")
    pinned, found = (windows, unix) if swapped else (unix, windows)
    path = tmp_path / "a.hex"
    path.write_bytes(found)
    error = refusal(path, sha256=hashlib.sha256(pinned).hexdigest())
    assert error.code is Code.PIN_MISMATCH
    assert (
        error.hint
        == "only the line endings differ: a checkout changed them; `*.hex -text` in .gitattributes keeps them"
    )


def test_another_size_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_bytes(HEX)
    error = refusal(path, size_bytes=1)
    assert (error.code, error.subject) == (Code.PIN_MISMATCH, Subject.SIZE)
    assert error.message == f"a.hex has {len(HEX)} bytes, the recipe pins 1 byte"


@pytest.mark.parametrize(("name", "data"), [("a.bin", b""), ("a.hex", b""), ("a.hex", b":00000001FF\n")])
def test_a_file_without_data_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert refusal(tmp_path / name, address=0x0800_0000).code is Code.IMAGE_EMPTY


def test_a_binary_needs_an_address_that_leaves_room_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(16))
    assert refusal(path).code is Code.IMAGE_ADDRESS
    error = refusal(path, address=0xFFFF_FFF1)
    assert (error.code, error.subject) == (Code.IMAGE_ADDRESS, Subject.ADDRESS)
    assert read_image("application", path, address=0xFFFF_FFF0).memory.pieces[0].extent.end == 1 << 32


def test_a_hex_brings_its_own_address(tmp_path: Path) -> None:
    path = tmp_path / "a.hex"
    path.write_bytes(HEX)
    error = refusal(path, address=0x0800_0000)
    assert (error.code, error.subject) == (Code.IMAGE_ADDRESS, Subject.ADDRESS)


def test_a_file_too_large_for_any_microcontroller_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(MAXIMUM_SIZE_BYTES * 100)  # sparse: reading it would take memory, keeping it takes no disk
    error = refusal(path, address=0)
    assert error.code is Code.IMAGE_INVALID
    assert error.message == "disk.img is larger than 64 MiB, no firmware for a microcontroller"


def test_a_missing_file_is_answered_with_the_names_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "firmware.hex").write_bytes(HEX)
    error = refusal(tmp_path / "firmwre.hex")
    assert (error.code, error.hint) == (Code.IMAGE_MISSING, "did you mean 'firmware.hex'?")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    assert refusal(tmp_path).code is Code.IMAGE_MISSING
    assert refusal(Path("a\0b")).code is Code.IMAGE_MISSING
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refusal(tmp_path / "pipe").code is Code.IMAGE_MISSING


@given(st.binary(min_size=1, max_size=64), st.integers(0, 0xFFFF_FF00))
def test_every_byte_of_a_binary_is_kept(tmp_path_factory: pytest.TempPathFactory, tail: bytes, address: int) -> None:
    data = b"\x00\x40" + tail  # as a stack pointer begins: no other format does
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(data)
    image = read_image("application", path, address=address)
    assert image.memory.pieces == (Piece(address, data),)
    assert image.sha256 == hashlib.sha256(data).hexdigest()
