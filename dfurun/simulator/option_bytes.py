"""The chip's option bytes: what is stored in the information block, and what the chip goes by, kept apart.

# Ref: RM0091 section 4: each option byte is stored with its complement; when they are loaded, a byte whose complement does
# not fit sets OPTERR and counts as 0xFF, an erased pair counts as 0xFF without one. Loaded at power-on and by OBL_LAUNCH.
# Section 3.2.3: they are erased together; programming a half-word takes the low byte and computes the complement.
# RM0090 section 3.6 (F4): FLASH_OPTCR's half-words lie in the first two bytes of every eight; the hardware erases and
# programs all of them at once. That it stores the complement behind each is what programs that read them expect (inference),
# and so is that it does not judge it.
"""

from __future__ import annotations

from dfurun.chips import FieldValue, Flash, OptionField, OptionLayout, Storage
from dfurun.simulator.flash import interrupted
from dfurun.units import AddressRange

_ERASED = 0xFF
_RDP_LEVEL_0 = 0xAA
_RDP_LEVEL_2 = 0xCC
_HALFWORD_STEP = 8


class OptionBytes:
    """The stored bytes and those in force."""

    def __init__(self, layout: OptionLayout, stored: bytes | None = None) -> None:
        self.layout = layout
        self._stored = bytearray(layout.factory)
        self._in_force = bytearray(layout.size_bytes)
        self.option_error = False
        if stored is not None:
            self.replace(stored)
        self.load()

    @property
    def stored(self) -> bytes:
        """The raw bytes in memory, as a read returns them."""
        return bytes(self._stored)

    def with_rdp(self, code: int) -> bytes:
        """Return the stored bytes with this RDP byte, its complement fitting."""
        raw = bytearray(self._stored)
        raw[self.layout.fields["RDP"].byte] = code
        self._complement(raw)
        return bytes(raw)

    @property
    def in_force(self) -> bytes:
        """The bytes that the chip goes by since they were last loaded, each with a right complement."""
        return bytes(self._in_force)

    @property
    def protection_level(self) -> int:
        """The read protection in force: 0, 1 or 2. Every RDP byte but 0xAA and 0xCC is level 1."""
        return {_RDP_LEVEL_0: 0, _RDP_LEVEL_2: 2}.get(self._in_force[self.layout.fields["RDP"].byte], 1)

    @property
    def fields(self) -> dict[str, FieldValue]:
        """The fields in force by the reference manual's names."""
        return {name: self._value(field) for name, field in self.layout.fields.items()}

    def write_protected(self, flash: Flash) -> tuple[AddressRange, ...]:
        """Return the pages of `flash` that the bytes in force write-protect."""
        rule = self.layout.write_protection
        if rule is None:
            return ()
        bits = [
            self._number(self.layout.fields[name]) >> bit & 1
            for name in rule.fields
            for bit in range(self.layout.fields[name].width)
        ]
        groups = [
            range(first, min(first + rule.pages_a_bit, flash.page_count))
            for first, bit in zip(range(0, flash.page_count, rule.pages_a_bit), bits, strict=False)
            if bit == rule.protected
        ]
        return tuple(AddressRange.between(flash.page(group[0]).start, flash.page(group[-1]).end) for group in groups)

    def load(self) -> None:
        """Make the stored bytes those in force, judging each by its complement where the chip does."""
        self.option_error = False
        self._in_force[:] = self._stored
        if self.layout.storage is Storage.BYTE_COMPLEMENT:
            for offset in range(0, len(self._stored), 2):
                value, complement = self._stored[offset], self._stored[offset + 1]
                if value ^ complement != 0xFF:
                    self.option_error |= (value, complement) != (_ERASED, _ERASED)
                    self._in_force[offset] = _ERASED
        self._complement(self._in_force)

    def erase(self) -> None:
        """Erase all stored bytes; erased, they will load as read protection level 1."""
        self._stored[:] = bytes([_ERASED]) * len(self._stored)

    def program(self, data: bytes) -> None:
        """Program the bytes in `data` from the first on: the data counts, the hardware makes the complements."""
        taken = bytearray(self._stored)
        taken[: len(data)] = data[: len(taken)]
        self._complement(taken)
        whole = min(len(data), len(taken)) // self._step * self._step
        self._stored[:whole] = taken[:whole]

    def interrupt_program(self, data: bytes, *, offset: int) -> None:
        """Leave the pair at `offset` as a power cut during its programming does: some bits as in `data`, some still erased.

        Its complement then does not fit, most of the time, and it loads as 0xFF with OPTERR. Half-words that are programmed
        all at once are left erased (inference).
        """
        if self.layout.storage is not Storage.BYTE_COMPLEMENT or offset + self._step > min(
            len(data), len(self._stored)
        ):
            return
        place = slice(offset, offset + self._step)
        pair = bytes([data[offset], data[offset] ^ 0xFF])
        self._stored[place] = interrupted(bytes(self._stored[place]), pair, seed=f"option byte {offset}")

    def replace(self, raw: bytes) -> None:
        """Store `raw` as it is, wrong complements and all; raise ValueError for a wrong length."""
        if len(raw) != self.layout.size_bytes:
            raise ValueError(f"{len(raw)} option bytes where the chip has {self.layout.size_bytes}")
        self._stored[:] = raw

    def restore(self, *, stored: bytes, in_force: bytes, option_error: bool) -> None:
        """Take both sets as a state file holds them; raise ValueError for a wrong length."""
        if len(in_force) != self.layout.size_bytes:
            raise ValueError(f"{len(in_force)} option bytes in force where the chip has {self.layout.size_bytes}")
        self.replace(stored)
        self._in_force[:] = in_force
        self.option_error = option_error

    @property
    def _step(self) -> int:
        """How many bytes one datum takes with all that belongs to it."""
        return 2 if self.layout.storage is Storage.BYTE_COMPLEMENT else _HALFWORD_STEP

    def _complement(self, raw: bytearray) -> None:
        """Put the complement behind each datum; what is neither of them is left erased."""
        width = self._step // 2 if self.layout.storage is Storage.BYTE_COMPLEMENT else 2
        for offset in range(0, len(raw), self._step):
            datum = raw[offset : offset + width]
            rest = bytes([_ERASED]) * (self._step - 2 * width)
            raw[offset : offset + self._step] = datum + bytes(value ^ 0xFF for value in datum) + rest

    def _number(self, field: OptionField) -> int:
        last = field.byte + (field.bit + field.width - 1) // 8
        whole = int.from_bytes(self._in_force[field.byte : last + 1], "little")
        return whole >> field.bit & ((1 << field.width) - 1)

    def _value(self, field: OptionField) -> FieldValue:
        number = self._number(field)
        names = {known: name for name, known in field.values.items()}
        return names.get(number, number if field.otherwise is None else field.otherwise)
