"""A board in one line of text, for a bug report: who it is, what it tells, its raw option bytes.

    dfurun1-stm32f072xb-aaa4hua7...

The version, the chip's name, and the rest in base 32 (RFC 4648 section 6, small letters: case does not matter, and it has none
of 0, 1, 8, 9 that look like letters), at its end a CRC-32 of all before it: a burst of up to 32 bits is always found, and so is
one wrong character. What is in the rest, low byte first:

    1   0, or 1: what follows is deflated (RFC 1951)
    2   flags: bits 0..1 the verdict on read protection, then a bit each for what is there, in the order of `_Flag`
    8   vendor id, product id, bcdDevice, wTransferSize
    1+n the commands that the bootloader answers
    4   the beginning of the SHA-256 of the product string and the alternate settings' names, a line each
    and where their bits say so: 1 the bootloader id; 2 the flash size in KiB; 2+n the option bytes, all blocks in a row;
    1+n the unique id; 2+n the product string and the names themselves, where they are not those of the chip data
"""

from __future__ import annotations

import re
import zlib
from base64 import b32decode, b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from hashlib import sha256

from dfurun.dfuse.protection import Verdict
from dfurun.text import from_device
from dfurun.units import KIBI

PREFIX = "dfurun"
VERSION = 1
LONGEST = 8192  # characters of a token, and bytes of what it holds

_FORM = re.compile(rf"{PREFIX}(\d{{1,3}})-([a-z0-9]{{1,32}})-([a-z2-7]+)")
_AROUND = "`'\"<>()[]{}.,;:!?"  # what stands around a token in a sentence or a chat
_CHECK_BYTES = 4
_DIGEST_BYTES = 4
_VERDICTS = (Verdict.UNPROTECTED, Verdict.PROTECTED, Verdict.UNDETERMINED)


class _Flag(IntFlag):
    FLASH_EMPTY = 1 << 2
    USER_DFU = 1 << 3
    BOOTLOADER_ID = 1 << 4
    FLASH_SIZE = 1 << 5
    OPTION_BYTES = 1 << 6
    UNIQUE_ID = 1 << 7
    TEXTS = 1 << 8


class TokenError(ValueError):
    """A text that is no token, or no longer the one it was: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class BoardToken:
    """What a token says of a board; None where the board did not tell it, or was not asked.

    `chip` is a name of the chip data. `texts` are the product string and the alternate settings' names, None where they were
    those of the chip data; `texts_digest` is what `digest_of` makes of them either way. `flash_empty`: the chip starts its
    bootloader because its flash is.
    """

    chip: str
    vendor_id: int
    product_id: int
    release: int
    transfer_size_bytes: int
    commands: bytes
    verdict: Verdict
    texts_digest: bytes
    flash_empty: bool = False
    user_dfu: bool = False
    bootloader_id: int | None = None
    flash_size_kib: int | None = None
    option_bytes: bytes | None = None
    unique_id: bytes | None = None
    texts: tuple[str, ...] | None = None

    @property
    def flash_size_bytes(self) -> int | None:
        """The size of the flash as the board told it."""
        return None if self.flash_size_kib is None else self.flash_size_kib * KIBI

    def __str__(self) -> str:
        head = f"{PREFIX}{VERSION}-{self.chip}-"
        body = _pack(self)
        deflated = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        small = deflated.compress(body) + deflated.flush()
        rest = b"\1" + small if len(small) < len(body) else b"\0" + body
        return head + _base32(rest + _check(head, rest))


def digest_of(texts: Sequence[str]) -> bytes:
    """Return what tells one product string with its alternate settings' names from another."""
    return sha256("\n".join(texts).encode()).digest()[:_DIGEST_BYTES]


def looks_like_token(text: str) -> bool:
    """Say whether a text is meant to be a token, sound or not: it begins like one, or is too long for anything else."""
    bare = _bare(text)
    return bool(re.match(rf"{PREFIX}\d", bare)) or len(bare) > 48


def parse_token(text: str) -> BoardToken:
    """Return what a token says; white space in it, and quotes around it, do not matter. Raise TokenError."""
    bare = _bare(text)
    form = _FORM.fullmatch(bare) if bare.isascii() and len(bare) <= LONGEST else None
    if form is None:
        if re.match(rf"{PREFIX}\d{{1,3}}-", bare):
            raise _damaged(bare)
        begins = f"`{PREFIX}{VERSION}-`, the chip's name and a hyphen"
        raise TokenError(f"this is no token of a board: one begins with {begins}", "`dfurun info --token` prints one")
    version, chip, rest = form.groups()
    if int(version) != VERSION:
        raise TokenError(
            f"the token has version {version}, and this dfurun reads version {VERSION}",
            "a newer dfurun reads it, unless its first characters were damaged on the way",
        )
    raw = _from_base32(rest)
    if raw is None or len(raw) <= _CHECK_BYTES:
        raise _damaged(bare)
    packed, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if check != _check(bare[: form.start(3)], packed):
        raise _damaged(bare)
    try:
        return _unpack(chip, _inflated(packed))
    except (ValueError, IndexError, zlib.error):  # its check fits: somebody else's dfurun, or somebody's joke
        raise TokenError(
            "the token cannot be read, and it is not damaged", "was it made by another program, or a newer dfurun?"
        ) from None


def _bare(text: str) -> str:
    joined = "".join(text.split()).strip(_AROUND)
    return joined.lower() if joined.isascii() else joined


def _damaged(bare: str) -> TokenError:
    return TokenError(
        f"the token is damaged: its checksum does not fit ({len(bare)} characters)",
        "copy it anew, whole: a character is missing, one too many, or another than it was",
    )


def _check(head: str, rest: bytes) -> bytes:
    return zlib.crc32(head.encode() + rest).to_bytes(_CHECK_BYTES, "little")


def _base32(raw: bytes) -> str:
    return b32encode(raw).decode().rstrip("=").lower()


def _from_base32(text: str) -> bytes | None:
    """Return the bytes; None for a text that no bytes give, so that no character is without meaning."""
    try:
        raw = b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        return None
    return raw if _base32(raw) == text else None


def _inflated(packed: bytes) -> bytes:
    if packed[0] == 0:
        return packed[1:]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(packed[1:], LONGEST)
    if packed[0] != 1 or not inflater.eof or inflater.unused_data:
        raise ValueError("no deflated body")
    return body


def _pack(token: BoardToken) -> bytes:
    flags = _VERDICTS.index(token.verdict)
    optional = b""
    for flag, is_there, part in (
        (_Flag.FLASH_EMPTY, token.flash_empty, b""),
        (_Flag.USER_DFU, token.user_dfu, b""),
        (_Flag.BOOTLOADER_ID, token.bootloader_id is not None, _number(token.bootloader_id, 1)),
        (_Flag.FLASH_SIZE, token.flash_size_kib is not None, _number(token.flash_size_kib, 2)),
        (_Flag.OPTION_BYTES, token.option_bytes is not None, _counted(token.option_bytes, 2)),
        (_Flag.UNIQUE_ID, token.unique_id is not None, _counted(token.unique_id, 1)),
        (_Flag.TEXTS, token.texts is not None, _counted("\n".join(token.texts or ()).encode(), 2)),
    ):
        if is_there:
            flags |= flag
            optional += part
    ids = (token.vendor_id, token.product_id, token.release, token.transfer_size_bytes)
    fixed = b"".join(_number(number, 2) for number in (flags, *ids))
    return fixed + _counted(token.commands, 1) + token.texts_digest + optional


def _number(number: int | None, size_bytes: int) -> bytes:
    return (number or 0).to_bytes(size_bytes, "little")


def _counted(part: bytes | None, size_bytes: int) -> bytes:
    return _number(len(part or b""), size_bytes) + (part or b"")


class _Reader:
    """Takes the parts of a body from its beginning; raises IndexError where there are not enough bytes."""

    def __init__(self, body: bytes) -> None:
        self._rest = body

    def take(self, count: int) -> bytes:
        if count > len(self._rest):
            raise IndexError(count)
        part, self._rest = self._rest[:count], self._rest[count:]
        return part

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes), "little")

    def counted(self, size_bytes: int) -> bytes:
        return self.take(self.number(size_bytes))

    def end(self) -> None:
        if self._rest:
            raise ValueError("more than belongs there")


def _unpack(chip: str, body: bytes) -> BoardToken:
    reader = _Reader(body)
    flags = reader.number(2)
    vendor_id, product_id, release, transfer_size_bytes = (reader.number(2) for _ in range(4))
    commands, digest = reader.counted(1), reader.take(_DIGEST_BYTES)
    token = BoardToken(
        chip=chip,
        vendor_id=vendor_id,
        product_id=product_id,
        release=release,
        transfer_size_bytes=transfer_size_bytes,
        commands=commands,
        verdict=_VERDICTS[flags & 3],
        texts_digest=digest,
        flash_empty=bool(flags & _Flag.FLASH_EMPTY),
        user_dfu=bool(flags & _Flag.USER_DFU),
        bootloader_id=reader.number(1) if flags & _Flag.BOOTLOADER_ID else None,
        flash_size_kib=reader.number(2) if flags & _Flag.FLASH_SIZE else None,
        option_bytes=reader.counted(2) if flags & _Flag.OPTION_BYTES else None,
        unique_id=reader.counted(1) if flags & _Flag.UNIQUE_ID else None,
        texts=tuple(map(from_device, reader.counted(2).decode().split("\n"))) if flags & _Flag.TEXTS else None,
    )
    reader.end()
    return token
