"""USB string descriptors that are malformed, or that are meant to harm whoever prints them."""

from __future__ import annotations

import random
from types import MappingProxyType

from dfurun.simulator.descriptors import FIRST_ALTERNATE, PRODUCT, SERIAL, DescriptorType
from dfurun.simulator.fault import Moment
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings, StringKind, WhichString
from dfurun.simulator.transfer import Kind, Setup, Stall, StandardRequest

_HEADER_BYTES = 2
_LONGEST_TEXT = 126  # UTF-16 units in the 254 bytes that an even bLength can say
_MORE_THAN_SENT = 54  # F42x: bLength 166, 112 bytes sent
_GARBAGE_BYTES = 62
_HOSTILE = "\x1b[2J\x1b[31m\x1b]0;owned\x07\r\n::error::owned\n\x08\x7f\u202e"
_HOSTILE_END = "\0\x1b[5m"
_HALF_A_PAIR = b"\x3d\xd8"  # 0xD83D
_WRONG_SIZES = "@Internal Flash  /0x08000000/99999999*99999999Mg,0*0Kg"
_LONG_LAYOUT, _LONG_SEGMENT = "@Internal Flash  /0x08000000/", "1*1Kg,"


class Strings(NamedFault):
    """String descriptors are malformed or hostile, by `kind`: all of them, or those that `which` names.

    empty: no text. garbage: random bytes without a header. control: ANSI escapes, a window title, newlines, `::error::` at the
    start of a line, a backspace and a right-to-left override behind the first character, a NUL and more of it at the end.
    long: 126 characters; a layout of as many segments as fit. sizes: a layout of more memory than there are addresses, with
    a segment of nothing; other strings as they are. truncated: bLength says 54 bytes more than are sent. odd: a byte too
    many, bLength odd. unpaired: half a surrogate pair in the text. ascii: one byte a character. stall: no string at all.

    Source (report): truncated from F42x and F43x, bLength 166 and 112 bytes sent (ST community 27098 and 482291); ascii
    from a GD32VF103 (dfu-util's quirks); the others are inferences: what a device may send.
    """

    name = "strings"
    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"kind", "which"}
    needs = MappingProxyType({"kind": "garbage"})
    defaults = Settings(count=None)

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Answer with another descriptor, or none."""
        if not self._meets(moment.setup):
            return answer
        return _spoiled(self.settings.string, answer, moment.setup)[: moment.setup.length]

    def _meets(self, setup: Setup) -> bool:
        is_string = setup.kind is Kind.STANDARD and setup.request == StandardRequest.GET_DESCRIPTOR and setup.is_in
        kind, index = setup.value >> 8, setup.value & 0xFF
        if not is_string or kind != DescriptorType.STRING or index == 0:
            return False
        meant = {
            None: True,
            WhichString.PRODUCT: index == PRODUCT,
            WhichString.SERIAL: index == SERIAL,
            WhichString.LAYOUT: index >= FIRST_ALTERNATE,
        }
        return meant[self.settings.which] and self._fires()


def _descriptor(text: bytes) -> bytes:
    return bytes([_HEADER_BYTES + len(text), DescriptorType.STRING]) + text


def _encoded(text: str) -> bytes:
    return _descriptor(text[:_LONGEST_TEXT].encode("utf-16-le"))


def _spoiled(kind: StringKind, answer: bytes, setup: Setup) -> bytes:
    """Return what comes in place of a good descriptor."""
    text = answer[_HEADER_BYTES:]
    is_layout = setup.value & 0xFF >= FIRST_ALTERNATE
    match kind:
        case StringKind.EMPTY:
            return _descriptor(b"")
        case StringKind.GARBAGE:
            return random.Random(answer).randbytes(_GARBAGE_BYTES)
        case StringKind.CONTROL:
            words = text.decode("utf-16-le", errors="replace")
            return _encoded(words[:1] + _HOSTILE + words[1:] + _HOSTILE_END)
        case StringKind.LONG:
            return _encoded(_long_layout() if is_layout else "A" * _LONGEST_TEXT)
        case StringKind.SIZES:
            return _encoded(_WRONG_SIZES) if is_layout else answer
        case StringKind.TRUNCATED:
            return bytes([min(len(answer) + _MORE_THAN_SENT, 0xFF)]) + answer[1:]
        case StringKind.ODD:
            return _descriptor(text + b"g")
        case StringKind.UNPAIRED:
            return _descriptor((text[:2] + _HALF_A_PAIR + text[2:])[: 2 * _LONGEST_TEXT])
        case StringKind.ASCII:
            return _descriptor(text.decode("utf-16-le", errors="replace").encode("ascii", errors="replace"))
        case StringKind.STALL:
            raise Stall


def _long_layout() -> str:
    segments = (_LONGEST_TEXT - len(_LONG_LAYOUT)) // len(_LONG_SEGMENT)
    return (_LONG_LAYOUT + _LONG_SEGMENT * segments).removesuffix(",")


KINDS: tuple[type[NamedFault], ...] = (Strings,)
