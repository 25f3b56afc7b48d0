"""The option-byte codec: raw bytes to named fields and back, by a layout that is data.

# Ref: RM0091 section 4 (byte and complement byte); RM0090 section 3.6 (halfwords); ST's own field names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips.flash import Flash
from dfurun.units import AddressRange

FieldValue = int | str

_HALFWORD_GROUP_BYTES = 8


class Storage(StrEnum):
    """How option bytes are stored; the names are those of the chip data.

    BYTE_COMPLEMENT: each byte is followed by its complement, by which the chip judges it. HALFWORD: every eight bytes hold two
    bytes of data, which go to FLASH_OPTCR. The rest is the hardware's: the half-word after them is seen to be their
    complement (not documented), so it is neither judged nor changed.
    """

    BYTE_COMPLEMENT = "byte-complement"
    HALFWORD = "halfword"


class InForce(StrEnum):
    """When stored option bytes come into force."""

    POWER_ON = "power-on"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class OptionField:
    """One field by the reference manual's name: `width` bits from bit `bit` of the byte at offset `byte` on, low bits first.

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
    def offsets(self) -> range:
        """The offsets of the bytes that hold a part of the field."""
        return range(self.byte, self.byte + (self.bit + self.width + 7) // 8)

    @property
    def is_whole_byte(self) -> bool:
        """Whether the field is all of its byte."""
        return self.width == 8

    def take(self, raw: bytes | bytearray) -> int:
        """Return the field's number in raw option bytes."""
        whole = int.from_bytes(raw[self.offsets.start : self.offsets.stop], "little")
        return whole >> self.bit & self._ones

    def put(self, raw: bytearray, number: int) -> None:
        """Set the field's bits in raw option bytes."""
        part = slice(self.offsets.start, self.offsets.stop)
        whole = int.from_bytes(raw[part], "little") & ~(self._ones << self.bit) | number << self.bit
        raw[part] = whole.to_bytes(len(self.offsets), "little")

    @property
    def _ones(self) -> int:
        return (1 << self.width) - 1

    def number(self, value: FieldValue, *, written: str = "") -> int:
        """Return the number for a named or plain value; raise ValueError, naming what is allowed.

        `written` is how a number was written, such as `0x1FF`, where that is known.
        """
        if isinstance(value, str):
            if value in self.values:
                return self.values[value]
            raise ValueError(f"{self.name} takes {self.allowed()}, not {value!r}")
        if self.values:
            raise ValueError(f"{self.name} takes {self.allowed()}, by name, not {written or value}")
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"{self.name} takes {self.allowed()}, not {written or value}")
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
            *others, last = self.values
            return f"{', '.join(others)} or {last}" if others else last
        return "0 or 1" if self.width == 1 else f"0 to {self.show(self._ones)}"

    def show(self, value: FieldValue) -> str:
        """Return the value as people read it: names as they are, bytes and more in hex, a few bits as a number."""
        digits = -(-self.width // 4)
        return f"0x{value:0{digits}X}" if isinstance(value, int) and digits > 1 else str(value)


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
    """Which field bits protect which pages: bit n of `fields`, in order, covers `pages_a_bit` pages from n * that on."""

    fields: tuple[str, ...]
    pages_a_bit: int
    protected: int


@dataclass(frozen=True, slots=True)
class OptionLayout:
    """A chip's option bytes: where they are, how they are stored, what they are called."""

    address: int
    size_bytes: int
    alternate: int
    storage: Storage
    factory: bytes
    in_force_at: InForce
    fields: Mapping[str, OptionField]
    write_protection: WriteProtection | None

    @property
    def extent(self) -> AddressRange:
        """Where the raw bytes are."""
        return AddressRange(self.address, self.size_bytes)

    def data_offsets(self) -> range | tuple[int, ...]:
        """Return the offsets of the bytes that carry data."""
        match self.storage:
            case Storage.BYTE_COMPLEMENT:
                return range(0, self.size_bytes, 2)
            case Storage.HALFWORD:
                return tuple(o for o in range(self.size_bytes) if o % _HALFWORD_GROUP_BYTES < 2)

    def spoiled(self, raw: bytes) -> tuple[int, ...]:
        """Return the offsets of data bytes whose complement does not fit; the chip reads those as 0xFF.

        An erased pair (FF FF) is not spoiled: RM0091 raises no OPTERR for it, and it reads as 0xFF too. Half-words are not
        judged.
        """
        if self.storage is Storage.HALFWORD:
            return ()
        return tuple(o for o in self.data_offsets() if raw[o] ^ raw[o + 1] != 0xFF and raw[o : o + 2] != b"\xff\xff")

    def is_torn(self, raw: bytes, wanted: bytes) -> bool:
        """Say whether `raw` is what a write of `wanted` leaves that was cut short: each datum is there, erased, or half there.

        Half there is a complement that does not fit. Half-words have none to tell by: of those a datum is there or erased.
        """
        spoiled = self.spoiled(raw)
        pairs = {offset: (raw[offset : offset + 2], wanted[offset : offset + 2]) for offset in self._pair_offsets()}
        return all(is_ in (to_be, b"\xff\xff") or offset in spoiled for offset, (is_, to_be) in pairs.items())

    def _pair_offsets(self) -> range:
        step = 2 if self.storage is Storage.BYTE_COMPLEMENT else _HALFWORD_GROUP_BYTES
        return range(0, self.size_bytes, step)

    def with_complements(self, raw: bytes, given: Collection[int]) -> bytes:
        """Return raw bytes in which a datum at a given offset has its complement, unless that one is given as well.

        So the hardware makes it: RM0091 section 3.2.3 programs the low byte and computes the other.
        """
        if self.storage is Storage.HALFWORD:
            return raw
        whole = bytearray(raw)
        for offset in self.data_offsets():
            if offset in given and offset + 1 not in given:
                whole[offset + 1] = whole[offset] ^ 0xFF
        return bytes(whole)

    def effective(self, raw: bytes) -> bytes:
        """Return the bytes as the chip takes them, so that two that mean the same are the same.

        Every spoiled byte is 0xFF and every complement right; of half-words all that is no field is as the factory left it.
        """
        self._check_length(raw)
        if self.storage is Storage.HALFWORD:
            taken = bytearray(self.factory)
            for field in self.fields.values():
                field.put(taken, field.take(raw))
            return bytes(taken)
        spoiled = self.spoiled(raw)
        data = {offset: 0xFF if offset in spoiled else raw[offset] for offset in self.data_offsets()}
        taken = bytearray(self.size_bytes)
        for offset, value in data.items():
            taken[offset], taken[offset + 1] = value, value ^ 0xFF
        return bytes(taken)

    def decode(self, raw: bytes) -> dict[str, FieldValue]:
        """Return every field's value, as the chip takes `raw`."""
        effective = self.effective(raw)
        return {name: field.name_of(field.take(effective)) for name, field in self.fields.items()}

    def encode(self, raw: bytes, fields: Mapping[str, FieldValue]) -> bytes:
        """Return `raw` with the named fields changed; bits not named stay as the chip takes them.

        Every complement is right, where it is the host that writes it. A named field that already has the value's meaning
        keeps its bits: RDP stored as 0xFF stays when level-1 is asked.
        Raises KeyError for an unknown field, ValueError for a value that it does not take.
        """
        changed = bytearray(raw if self.storage is Storage.HALFWORD else self.effective(raw))
        for name, value in fields.items():
            field = self.fields[name]
            number = field.number(value)
            if field.name_of(field.take(changed)) != value:
                field.put(changed, number)
        if self.storage is Storage.BYTE_COMPLEMENT:
            for offset in self.data_offsets():
                changed[offset + 1] = changed[offset] ^ 0xFF
        return bytes(changed)

    def changes(self, before: bytes, after: bytes) -> tuple[FieldChange, ...]:
        """Return the fields that differ between two raw images, in the layout's order."""
        old, new = self.decode(before), self.decode(after)
        return tuple(FieldChange(self.fields[n], old[n], new[n]) for n in self.fields if old[n] != new[n])

    def cleared_reserved(self, raw: bytes) -> tuple[OptionField, ...]:
        """Return the fields that the chip's data says to keep and that do not have that value in `raw`."""
        values = self.decode(raw)
        return tuple(f for n, f in self.fields.items() if f.keep is not None and values[n] != f.keep)

    def write_protected(self, raw: bytes, flash: Flash) -> tuple[AddressRange, ...]:
        """Return the parts of `flash` that `raw` write-protects, in rising order, one a bit."""
        rule = self.write_protection
        if rule is None:
            return ()
        values = self.decode(raw)
        parts: list[AddressRange] = []
        first = 0
        for name in rule.fields:
            number = self.fields[name].number(values[name])
            for bit in range(self.fields[name].width):
                last = min(first + rule.pages_a_bit, flash.page_count) - 1
                if number >> bit & 1 == rule.protected and first <= last:
                    parts.append(AddressRange.between(flash.page(first).start, flash.page(last).end))
                first += rule.pages_a_bit
        return tuple(parts)

    def _check_length(self, raw: bytes) -> None:
        if len(raw) != self.size_bytes:
            raise ValueError(f"{len(raw)} option bytes where the chip has {self.size_bytes}")


def matches(condition: Mapping[str, FieldValue], values: Mapping[str, FieldValue]) -> bool:
    """Say whether every field that `condition` names has the value it names."""
    return all(values.get(name) == value for name, value in condition.items())
