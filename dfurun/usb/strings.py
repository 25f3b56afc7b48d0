"""String descriptors, read raw: some ROMs tell a longer bLength than they send, which libusb's own reader refuses.

What a device tells of itself is a stranger's text. It passes `dfurun.text.from_device` here, where it comes in, and nowhere
else: what is shown, logged, journaled, recorded and compared with `--serial` is the same harmless line.
"""

from __future__ import annotations

from typing import Any

from dfurun.text import from_device

_GET_DESCRIPTOR = 6
_STANDARD_IN = 0x80
_STRING_TYPE = 3
_ENGLISH_US = 0x0409
_TIMEOUT_MS = 1000
_ATTEMPTS = 4


def read_string(device: Any, index: int) -> str | None:
    """Return string descriptor `index`, empty where there is none, None where it cannot be read; never raises USBError."""
    import usb.core

    if not index:
        return ""
    for _ in range(_ATTEMPTS):
        try:
            raw = bytes(
                device.ctrl_transfer(
                    _STANDARD_IN, _GET_DESCRIPTOR, _STRING_TYPE << 8 | index, _ENGLISH_US, 255, _TIMEOUT_MS
                )
            )
        except usb.core.USBError:
            continue
        return decode_string(raw)
    return None


def decode_string(raw: bytes) -> str:
    """Return the text of a string descriptor, made harmless, clamped to what was sent; what is not UTF-16 becomes U+FFFD."""
    if len(raw) < 2 or raw[1] != _STRING_TYPE:
        return ""
    body = raw[2 : min(len(raw), raw[0])]
    return from_device(body[: len(body) & ~1].decode("utf-16-le", errors="replace").split("\0", 1)[0])
