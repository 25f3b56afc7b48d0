"""The chip's option bytes: what is stored in the information block, and what the chip goes by, kept apart.

# Ref: RM0091 section 4: each option byte is stored with its complement; when they are loaded, a byte whose complement does
# not fit sets OPTERR and counts as 0xFF, an erased pair counts as 0xFF without one. Loaded at power-on and by OBL_LAUNCH.
# Section 3.2.3: they are erased together; programming a half-word takes the low byte and computes the complement.
"""

from __future__ import annotations

from dfurun.chips import FieldValue, OptionField, OptionLayout
from dfurun.units import AddressRange

_ERASED = 0xFF
_RDP_LEVEL_0 = 0xAA
_RDP_LEVEL_2 = 0xCC


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

    def write_protected(self, flash: AddressRange) -> tuple[AddressRange, ...]:
        """Return the sectors of `flash` that the bytes in force write-protect."""
        rule = self.layout.write_protection
        if rule is None:
            return ()
        bits = [
            self._in_force[self.layout.fields[name].byte] >> bit & 1
            for name in rule.fields
            for bit in range(self.layout.fields[name].width)
        ]
        sectors = (
            AddressRange(flash.start + index * rule.sector_size_bytes, rule.sector_size_bytes)
            for index, bit in enumerate(bits)
            if bit == rule.protected
        )
        return tuple(sector for sector in sectors if sector.overlaps(flash))

    def load(self) -> None:
        """Make the stored bytes those in force, judging each by its complement."""
        self.option_error = False
        for offset in range(0, len(self._stored), 2):
            value, complement = self._stored[offset], self._stored[offset + 1]
            if value ^ complement != 0xFF:
                self.option_error |= (value, complement) != (_ERASED, _ERASED)
                value = _ERASED
            self._in_force[offset], self._in_force[offset + 1] = value, value ^ 0xFF

    def erase(self) -> None:
        """Erase all stored bytes; erased, they will load as read protection level 1."""
        self._stored[:] = bytes([_ERASED]) * len(self._stored)

    def program(self, data: bytes) -> None:
        """Program the pairs in `data` from the first on: the low byte counts, the hardware makes the complement."""
        for offset in range(0, min(len(data), len(self._stored)) // 2 * 2, 2):
            self._stored[offset], self._stored[offset + 1] = data[offset], data[offset] ^ 0xFF

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

    def _value(self, field: OptionField) -> FieldValue:
        number = self._in_force[field.byte] >> field.bit & ((1 << field.width) - 1)
        names = {known: name for name, known in field.values.items()}
        return names.get(number, number if field.otherwise is None else field.otherwise)
