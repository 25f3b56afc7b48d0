"""Bytes that a recipe spells out itself: numbers, text and hexadecimal, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dfurun.errors import Code, Finding, RecipePath

_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
KINDS = ("u8", "u16le", "u16be", "u32le", "u32be", "u64le", "u64be", "ascii", "hex")


def data_bytes(pieces: list[Mapping[str, Any]], path: RecipePath) -> bytes | list[Finding]:
    """Return the bytes of pieces that have the schema's shape; findings where one is none or several, or does not fit."""
    found, findings = bytearray(), []
    for number, piece in enumerate(pieces):
        kinds = [kind for kind in KINDS if kind in piece]
        place = (*path, number)
        if len(kinds) != 1:
            words = "has " + " and ".join(kinds) if kinds else "does not say how its bytes are written"
            message = f"an entry of `bytes` {words}"
            findings.append(Finding(Code.BAD_VALUE, message, place, f"one of {', '.join(KINDS)} after each `-`"))
        elif "size" in piece and kinds != ["ascii"]:
            message = f"`size` is not for `{kinds[0]}`, which has its own"
            findings.append(Finding(Code.BAD_VALUE, message, (*place, "size"), "leave it out", on_key=True))
        else:
            part = _encoded(kinds[0], piece[kinds[0]])
            size = piece.get("size", len(part))
            if len(part) > size:
                message = f"the text has {len(part)} bytes, its field {size}"
                findings.append(
                    Finding(Code.BAD_VALUE, message, (*place, "ascii"), "a shorter text, or a larger `size`")
                )
            found += part.ljust(size, b"\x00")
    return findings or bytes(found)


def _encoded(kind: str, value: Any) -> bytes:
    match kind:
        case "ascii":
            return bytes(value, "ascii")
        case "hex":
            return bytes.fromhex(value)
    order: Literal["little", "big"] = "big" if kind.endswith("be") else "little"
    encoded: bytes = value.to_bytes(_SIZES[kind.removesuffix("le").removesuffix("be")], order)
    return encoded
