"""The option-byte codec: raw bytes to named fields and back, by a layout that is data.

# Ref: RM0091 section 4 (byte and complement byte); ST's own field names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.units import AddressRange

FieldValue = int | str


class Storage(StrEnum):
    """How an option byte is stored; the names are those of the chip data."""

    BYTE_COMPLEMENT = "byte-complement"


@dataclass(frozen=True, slots=True)
class OptionField:
    """One field by the reference manual's name: `width` bits from bit `bit` of the byte at offset `byte`.

    `values` names values; `otherwise` names all that `values` does not list. `keep` is what a reserved bit must stay at.
    """

    name: str
    byte: int
    bit: int
    width: int
    means: str
    values: Mapping[str, int]
    otherwise: str | None
    keep: int | None

    @property
    def mask(self) -> int:
        """The field's bits within its byte."""
        return ((1 << self.width) - 1) << self.bit

    @property
    def is_whole_byte(self) -> bool:
        """Whether the field is all of its byte."""
        return self.width == 8

    def number(self, value: FieldValue) -> int:
        """Return the number for a named or plain value; raise ValueError, naming what is allowed."""
        if isinstance(value, str):
            if value in self.values:
                return self.values[value]
            raise ValueError(f"{self.name} is {self.allowed()}, not {value!r}")
        if self.values:
            raise ValueError(f"{self.name} is written by name, {self.allowed()}, not as {value}")
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"{self.name} is {self.allowed()}, not {value}")
        return value

    def name_of(self, number: int) -> FieldValue:
        """Return the value's name where the layout gives one, else the number itself."""
        for name, known in self.values.items():
            if known == number:
                return name
        return self.otherwise if self.otherwise is not None else number

    def allowed(self) -> str:
        """Say in words which values the field takes."""
        if self.values:
            return ", ".join(self.values)
        return "0 or 1" if self.width == 1 else f"0 to 0x{(1 << self.width) - 1:02X}"

    def show(self, value: FieldValue) -> str:
        """Return the value as people read it: names as they are, bytes in hex, bits as digits."""
        return f"0x{value:02X}" if isinstance(value, int) and self.width > 1 else str(value)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after."""

    field: OptionField
    before: FieldValue
    after: FieldValue

    def __str__(self) -> str:
        return f"{self.field.name} {self.field.show(self.before)} -> {self.field.show(self.after)}"


@dataclass(frozen=True, slots=True)
class WriteProtection:
    """Which field bits protect which part of the flash: bit n of `fields`, in order, is sector n."""

    fields: tuple[str, ...]
    sector_size_bytes: int
    protected: int


@dataclass(frozen=True, slots=True)
class OptionLayout:
    """A chip's option bytes: where they are, how they are stored, what they are called."""

    address: int
    size_bytes: int
    alternate: int
    storage: Storage
    factory: bytes
    in_force_at: str
    fields: Mapping[str, OptionField]
    write_protection: WriteProtection | None

    @property
    def extent(self) -> AddressRange:
        """Where the raw bytes are."""
        return AddressRange(self.address, self.size_bytes)

    def data_offsets(self) -> range:
        """Return the offsets of the bytes that carry data; the byte after each is its complement."""
        return range(0, self.size_bytes, 2)

    def spoiled(self, raw: bytes) -> tuple[int, ...]:
        """Return the offsets of data bytes whose complement does not fit; the chip reads those as 0xFF.

        An erased pair (FF FF) is not spoiled: RM0091 raises no OPTERR for it, and it reads as 0xFF too.
        """
        return tuple(o for o in self.data_offsets() if raw[o] ^ raw[o + 1] != 0xFF and raw[o : o + 2] != b"\xff\xff")

    def effective(self, raw: bytes) -> bytes:
        """Return the bytes with every spoiled pair as the chip takes it (0xFF) and every complement right."""
        self._check_length(raw)
        spoiled = self.spoiled(raw)
        data = {offset: 0xFF if offset in spoiled else raw[offset] for offset in self.data_offsets()}
        return self._with_complements(data)

    def decode(self, raw: bytes) -> dict[str, FieldValue]:
        """Return every field's value, as the chip takes `raw`."""
        effective = self.effective(raw)
        return {
            name: field.name_of((effective[field.byte] & field.mask) >> field.bit)
            for name, field in self.fields.items()
        }

    def encode(self, raw: bytes, fields: Mapping[str, FieldValue]) -> bytes:
        """Return `raw` with the named fields changed and every complement right; bits not named stay as the chip takes them.

        A named field that already has the value's meaning keeps its byte: RDP stored as 0xFF stays when level-1 is asked.
        Raises KeyError for an unknown field, ValueError for a value that it does not take.
        """
        data = dict(zip(self.data_offsets(), self.effective(raw)[::2], strict=True))
        for name, value in fields.items():
            field = self.fields[name]
            number = field.number(value)
            if field.name_of((data[field.byte] & field.mask) >> field.bit) == value:
                continue
            data[field.byte] = data[field.byte] & ~field.mask | number << field.bit
        return self._with_complements(data)

    def changes(self, before: bytes, after: bytes) -> tuple[FieldChange, ...]:
        """Return the fields that differ between two raw images, in the layout's order."""
        old, new = self.decode(before), self.decode(after)
        return tuple(FieldChange(self.fields[n], old[n], new[n]) for n in self.fields if old[n] != new[n])

    def cleared_reserved(self, raw: bytes) -> tuple[OptionField, ...]:
        """Return the fields that the chip's data says to keep and that do not have that value in `raw`."""
        values = self.decode(raw)
        return tuple(f for n, f in self.fields.items() if f.keep is not None and values[n] != f.keep)

    def write_protected(self, raw: bytes, flash: AddressRange) -> tuple[AddressRange, ...]:
        """Return the parts of `flash` that `raw` write-protects, sector by sector."""
        rule = self.write_protection
        if rule is None:
            return ()
        values = self.decode(raw)
        sectors: list[AddressRange] = []
        index = 0
        for name in rule.fields:
            number = self.fields[name].number(values[name])
            for bit in range(self.fields[name].width):
                sector = AddressRange(flash.start + index * rule.sector_size_bytes, rule.sector_size_bytes)
                if number >> bit & 1 == rule.protected and sector.overlaps(flash):
                    sectors.append(sector)
                index += 1
        return tuple(sectors)

    def _with_complements(self, data: Mapping[int, int]) -> bytes:
        raw = bytearray(self.size_bytes)
        for offset, value in data.items():
            raw[offset], raw[offset + 1] = value, value ^ 0xFF
        return bytes(raw)

    def _check_length(self, raw: bytes) -> None:
        if len(raw) != self.size_bytes:
            raise ValueError(f"{len(raw)} option bytes where the chip has {self.size_bytes}")


def matches(condition: Mapping[str, FieldValue], values: Mapping[str, FieldValue]) -> bool:
    """Say whether every field that `condition` names has the value it names."""
    return all(values.get(name) == value for name, value in condition.items())
