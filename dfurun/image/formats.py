"""The formats, and which of them a file is. Content decides; a name only keeps damaged files from passing as raw binary."""

from __future__ import annotations

from dfurun.errors import Code
from dfurun.image.contents import Format
from dfurun.image.dfu_suffix import SUFFIX_BYTES, SUFFIXED_BINARY
from dfurun.image.dfuse import DFUSE
from dfurun.image.elf import ELF
from dfurun.image.error import ImageError
from dfurun.image.intel_hex import INTEL_HEX
from dfurun.image.raw_binary import RAW_BINARY
from dfurun.image.s_record import S_RECORD

_BEGIN_OR_TEXT = (ELF, DFUSE, INTEL_HEX, S_RECORD)
_BY_NAME = (*_BEGIN_OR_TEXT, SUFFIXED_BINARY)

# What is no firmware, and is found where firmware was meant to be.
_NO_FIRMWARE = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file that it stands for", "run `git lfs pull`"),
    b"UF2\n": ("a UF2 file, which DFU cannot take", "build ELF, HEX or a raw binary"),
}


def format_of(name: str, data: bytes) -> Format:
    """Return the format of a file with this name and content; raise ImageError where it is none that can be flashed."""
    for beginning, (what, hint) in _NO_FIRMWARE.items():
        if data.startswith(beginning):
            raise ImageError(Code.IMAGE_INVALID, what, hint=hint)
    if DFUSE.matches(data):
        return DFUSE
    if SUFFIXED_BINARY.matches(data):
        return _suffixed(data)
    found = next((known for known in _BEGIN_OR_TEXT if known.matches(data)), None)
    return found or next((known for known in _BY_NAME if name.lower().endswith(known.suffixes)), RAW_BINARY)


def image_format(data: bytes) -> Format | None:
    """Return the format of a file that is an image by how it begins; None for any other, raw binary and garbage among them.

    A text that only quotes a record somewhere, as a recipe's comment may, is none.
    """
    if data.lstrip()[:1] not in (b"\x7f", b"D", b":", b"S"):
        return None
    return next((known for known in _BEGIN_OR_TEXT if known.matches(data)), None)


def _suffixed(data: bytes) -> Format:
    """Return raw binary with a suffix; raise ImageError where another format has got one, and was not meant to."""
    for known in _BEGIN_OR_TEXT:
        if known.matches(data[:-SUFFIX_BYTES]):
            message = f"{known.name} with a DFU suffix: no tool could flash that as it is"
            raise ImageError(Code.IMAGE_INVALID, message, hint="remove the suffix with dfu-suffix --delete")
    return SUFFIXED_BINARY
