"""A firmware file from the disk: found, limited, hashed against its pin, and read in the format that its content has."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from dfurun.errors import Code
from dfurun.files import NotRegular, Outside, TooLarge, read_file
from dfurun.image.contents import ADDRESS_SPACE, Contents, Format
from dfurun.image.error import ImageError, Subject
from dfurun.image.file import ImageFile
from dfurun.image.formats import format_of
from dfurun.image.memory import MemoryImage, Piece
from dfurun.units import format_address, format_size

MAXIMUM_SIZE_BYTES = 64 * 1024 * 1024
MAXIMUM_PIECES = 10_000  # a linker makes a dozen; each is looked at again and again
OUTSIDE_HINT = "copy it to the recipe, or run with --allow-outside"


def read_image(
    name: str,
    path: Path,
    *,
    address: int | None = None,
    sha256: str | None = None,
    size_bytes: int | None = None,
    inside: Path | None = None,
) -> ImageFile:
    """Return the image in a file; `sha256` and `size_bytes` pin it, `address` is where a raw binary goes.

    `inside` is a folder that no link may lead out of. Raises ImageError.
    """
    data = _read(path, inside)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise _other_file(path, data, found, sha256)
    if size_bytes is not None and len(data) != size_bytes:
        message = f"{path.name} has {format_size(len(data))}, the recipe pins {format_size(size_bytes)}"
        raise ImageError(Code.PIN_MISMATCH, message, subject=Subject.SIZE, hint=_PIN_HINT)
    contents = _parse(path, data, address)
    pinned, size_pinned = sha256 is not None, size_bytes is not None
    return ImageFile(
        name, path, found, pinned, contents.memory, contents.usb, contents.targets, size_pinned=size_pinned
    )


_PIN_HINT = "if the new file is meant, pin that one, for a review"


def _other_file(path: Path, data: bytes, found: str, pinned: str) -> ImageError:
    hint = _PIN_HINT
    with_lf = data.replace(b"\r\n", b"\n")
    if pinned in (hashlib.sha256(form).hexdigest() for form in (with_lf, with_lf.replace(b"\n", b"\r\n"))):
        hint = f"only the line endings differ: a checkout changed them; `*{path.suffix} -text` in .gitattributes keeps them"
    message = f"{path.name} is another file than the recipe pins"
    notes = (f"pinned: {pinned}", f"found:  {found}")
    return ImageError(Code.PIN_MISMATCH, message, subject=Subject.SHA256, hint=hint, notes=notes)


def _parse(path: Path, data: bytes, address: int | None) -> Contents:
    if not data:
        raise ImageError(Code.IMAGE_EMPTY, f"{path.name} is empty", hint="build it again")
    try:
        known = format_of(path.name, data)
        contents = known.parse(data)
    except ImageError as error:
        where = f"{path.name}{error.where and ', '}{error.where}"
        raise ImageError(error.code, f"{where}: {error.message}", where=error.where, hint=error.hint) from None
    if not contents.memory.pieces:
        raise ImageError(Code.IMAGE_EMPTY, f"{path.name} is {known.name} and holds no data", hint="build it again")
    if len(contents.memory.pieces) > MAXIMUM_PIECES:
        message = f"{path.name} is {known.name} in {len(contents.memory.pieces)} pieces with gaps between them"
        hint = f"no firmware has more than {MAXIMUM_PIECES}: is it the right file?"
        raise ImageError(Code.IMAGE_INVALID, message, hint=hint)
    return _at_address(path, known, contents, address)


def _at_address(path: Path, known: Format, contents: Contents, address: int | None) -> Contents:
    """Return the contents, those of a format without addresses at the recipe's. Raises ImageError."""
    if known.has_addresses and address is not None:
        message = f"{path.name} is {known.name} and brings its own addresses"
        raise ImageError(Code.IMAGE_ADDRESS, message, subject=Subject.ADDRESS, hint="remove `address`")
    if known.has_addresses:
        return contents
    if address is None:
        hint = "for example `address: 0x08000000`"
        raise ImageError(Code.IMAGE_ADDRESS, f"{path.name} is {known.name} and needs an `address`", hint=hint)
    (piece,) = contents.memory.pieces
    if address + len(piece.data) > ADDRESS_SPACE:
        message = f"{format_size(len(piece.data))} from {format_address(address)} run past the 32-bit address space"
        raise ImageError(Code.IMAGE_ADDRESS, message, subject=Subject.ADDRESS)
    return replace(contents, memory=MemoryImage((Piece(address, piece.data),)))


def _read(path: Path, inside: Path | None) -> bytes:
    try:
        return read_file(path, MAXIMUM_SIZE_BYTES, inside=inside)
    except NotRegular:
        raise ImageError(Code.IMAGE_MISSING, f"{_shown(path)} is not a file", hint=_near(path)) from None
    except TooLarge:
        limit = format_size(MAXIMUM_SIZE_BYTES)
        raise ImageError(
            Code.IMAGE_INVALID, f"{path.name} is larger than {limit}, no firmware for a microcontroller"
        ) from None
    except Outside:
        message = f"{_shown(path)} is a link that leads out of the recipe's repository, or has just become one"
        raise ImageError(Code.IMAGE_OUTSIDE, message, hint=OUTSIDE_HINT) from None
    except FileNotFoundError:
        raise ImageError(Code.IMAGE_MISSING, f"no file {_shown(path)}", hint=_near(path)) from None
    except OSError as error:
        raise ImageError(Code.IMAGE_MISSING, f"{_shown(path)}: {error.strerror or error}") from None
    except ValueError:
        raise ImageError(Code.IMAGE_MISSING, "a file name cannot hold a NUL") from None


def _shown(path: Path) -> str:
    """Return a path without the way there and back: `recipes/../firmware/a.hex` is `firmware/a.hex`.

    Where a link makes these two places, the path stays as it is.
    """
    short = Path(os.path.normpath(path))
    try:
        same = short.resolve() == path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        same = False
    return (short if same else path).as_posix()


def _near(path: Path) -> str:
    """Return a hint with the file names of that folder which look most alike, or with what is wrong with the folder."""
    try:
        there = next((folder for folder in path.parents if folder.is_dir()), path.parent)
        if not any(there.iterdir()) and any((f / ".gitmodules").is_file() for f in there.resolve().parents):
            return f"{_shown(there)} is an empty folder, as a git submodule's is before `git submodule update --init`"
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"there is no folder {_shown(path.parent)}"
    near = get_close_matches(path.name, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
