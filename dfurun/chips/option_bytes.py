"""The option-byte codec: raw bytes to named fields and back, by a layout that is data.

# Ref: the storage rules and their documents are in storage.py; the fields have ST's own names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips.flash import Flash
from dfurun.chips.storage import ERASED, Storage
from dfurun.chips.write_protection import WriteProtection
from dfurun.units import AddressRange

FieldValue = int | str

NOT_ESTABLISHED = "how its bootloader shows and takes option bytes is not established"


class InForce(StrEnum):
    """When stored option bytes come into force."""

    POWER_ON = "power-on"
    RESET = "reset"


class FactoryBytes(StrEnum):
    """What the data's factory bytes are: every board's, as documents say; those of one board, where each has its own; a model.

    Only the first are ever written.
    """

    DOCUMENTED = "documented"
    MEASURED = "measured"
    MODELLED = "modelled"


@dataclass(frozen=True, slots=True)
class OptionField:
    """One field by the reference manual's name: `width` bits, low bits first, of the data that begins at the offset `byte`.

    Its lowest bit is bit `bit` there; where it goes on, it does so in the next byte of data, whatever complement lies between.
    `position` is the same place in all data of the block in a row. `values` names values; `otherwise` names all that `values`
    does not list. `keep` is what a reserved bit must stay at.
    """

    name: str
    byte: int
    bit: int
    width: int
    position: int
    means: str
    values: Mapping[str, int]
    otherwise: str | None
    keep: int | None

    @property
    def mask(self) -> int:
        """The field's bits in all data of the block in a row, low byte first."""
        return self._ones << self.position

    def take(self, data: int) -> int:
        """Return the field's number in the data of a block."""
        return data >> self.position & self._ones

    def put(self, data: int, number: int) -> int:
        """Return the data of a block with the field's bits set."""
        return data & ~self.mask | number << self.position

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
class Copy:
    """Data that is written a second time: `size_bytes` from the offset `source` on, also from `target` on.

    Of a register pair it is the second that takes what is written (H7: the _CUR and the _PRG register).
    """

    source: int
    target: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class OptionLayout:
    """A chip's option bytes: where they are, how they are stored, what they are called.

    `blocks` are the blocks that the ROM reads and writes, each by its own address; raw option bytes are all of them in a row.
    There are none, and no fields, where it is not established how a chip's ROM shows them. A read that begins in the first
    block may go on to `readable_end`. `alternate` is None where the ROM has no alternate setting for them.
    """

    blocks: tuple[AddressRange, ...]
    alternate: int | None
    storage: Storage
    factory: bytes
    factory_is: FactoryBytes
    readable_end: int
    in_force_at: InForce
    fields: Mapping[str, OptionField]
    copies: tuple[Copy, ...]
    write_protection: WriteProtection | None

    @property
    def established(self) -> bool:
        """Whether it is known how the ROM shows and takes them."""
        return bool(self.blocks)

    @property
    def factory_known(self) -> bool:
        """Whether `factory` holds for every board of the kind, so that it can be written."""
        return self.factory_is is FactoryBytes.DOCUMENTED

    @property
    def address(self) -> int:
        """Where the first block begins; raise IndexError where there is none."""
        return self.blocks[0].start

    @property
    def size_bytes(self) -> int:
        """The length of all blocks together."""
        return sum(block.size_bytes for block in self.blocks)

    def offset_of(self, address: int) -> int:
        """Return where in raw option bytes the byte at `address` is; raise ValueError where it is in no block."""
        offset = 0
        for block in self.blocks:
            if block.contains(AddressRange(address, 1)):
                return offset + address - block.start
            offset += block.size_bytes
        raise ValueError(f"0x{address:08X} is in no block of option bytes")

    def part(self, raw: bytes, block: AddressRange) -> bytes:
        """Return what of `raw` lies in one of the blocks."""
        start = sum(other.size_bytes for other in self.blocks[: self.blocks.index(block)])
        return raw[start : start + block.size_bytes]

    def blocks_with_last(self, name: str) -> tuple[AddressRange, ...]:
        """Return the blocks, the one that holds a field behind all others; raise KeyError for an unknown field."""
        holder = self.fields[name].position // 8
        offset = self.data_offsets()[holder]
        start = 0
        for block in self.blocks:
            if start <= offset < start + block.size_bytes:
                return (*(other for other in self.blocks if other != block), block)
            start += block.size_bytes
        return self.blocks

    def fields_at(self, offset: int) -> tuple[str, ...]:
        """Return the fields that hold a part of the datum at `offset`."""
        datum_bits = 8 * self.storage.shape.datum_bytes
        bits = (1 << datum_bits) - 1 << offset // self.storage.shape.step_bytes * datum_bits
        return tuple(name for name, field in self.fields.items() if field.mask & bits)

    def data_offsets(self) -> tuple[int, ...]:
        """Return the offsets of the bytes that carry data."""
        return data_offsets(self.storage, self.size_bytes)

    def spoiled(self, raw: bytes) -> tuple[int, ...]:
        """Return the offsets of data whose complement does not fit; the chip reads those as erased.

        What is erased as a whole is not spoiled: RM0091 raises no OPTERR for an erased pair, and it reads as 0xFF too. Where
        no complement is judged, nothing is.
        """
        shape = self.storage.shape
        if not shape.judged:
            return ()
        return tuple(at for at in self._steps() if not self._fits(raw[at : at + shape.step_bytes]))

    def is_torn(self, raw: bytes, wanted: bytes) -> bool:
        """Say whether `raw` is what a write of `wanted` leaves that was cut short: each datum is there, erased, or half there.

        Half there is a complement that does not fit. Where none is judged, a datum is there or erased, as far as it is fields.
        """
        if not self.storage.shape.judged:
            return self._is_there_or_erased(self._data(raw), self._data(wanted))
        step, spoiled = self.storage.shape.step_bytes, self.spoiled(raw)
        erased = bytes([ERASED]) * step
        pairs = {at: (raw[at : at + step], wanted[at : at + step]) for at in self._steps()}
        return all(is_ in (to_be, erased[: len(to_be)]) or at in spoiled for at, (is_, to_be) in pairs.items())

    def with_complements(self, raw: bytes, given: Collection[int]) -> bytes:
        """Return raw bytes in which a datum at a given offset has its complement, unless that one is given as well.

        So the hardware makes it: RM0091 section 3.2.3 programs the low byte and computes the other.
        """
        shape = self.storage.shape
        if not shape.judged:
            return raw
        whole = bytearray(raw)
        for at in self._steps():
            for offset in range(at, at + shape.datum_bytes):
                if offset in given and offset + shape.datum_bytes not in given:
                    whole[offset + shape.datum_bytes] = whole[offset] ^ 0xFF
        return bytes(whole)

    def effective(self, raw: bytes) -> bytes:
        """Return the bytes as the chip takes them, so that two that mean the same are the same.

        Every spoiled datum is erased and every complement right. Where no complement is judged, all that is no field is as
        the factory left it.
        """
        self._check_length(raw)
        if not self.storage.shape.judged:
            data, taken = self._data(raw), self._data(self.factory)
            for field in self.fields.values():
                taken = field.put(taken, field.take(data))
            return self._dressed(taken, self.factory, self._steps())
        return self._dressed(self._taken(raw), raw, self._steps())

    def decode(self, raw: bytes) -> dict[str, FieldValue]:
        """Return every field's value, as the chip takes `raw`."""
        self._check_length(raw)
        data = self._taken(raw)
        return {name: field.name_of(field.take(data)) for name, field in self.fields.items()}

    def encode(self, raw: bytes, fields: Mapping[str, FieldValue]) -> bytes:
        """Return `raw` with the named fields changed; bits not named stay as the chip takes them.

        Every complement is right, where it is the host that writes it, and every copy made. Data that holds no field stays as
        it is. A named field that already has the value's meaning keeps its bits: RDP stored as 0xFF stays when level-1 is
        asked.
        Raises KeyError for an unknown field, ValueError for a value that it does not take.
        """
        self._check_length(raw)
        data, named = self._taken(raw), 0
        for name, value in fields.items():
            field = self.fields[name]
            number = field.number(value)
            if field.name_of(field.take(data)) != value:
                data = field.put(data, number)
                named |= field.mask
        written = bytearray(self._dressed(data, raw, self._steps_with(self._all_bits)))
        for copy in self.copies:
            touched = AddressRange(copy.source, copy.size_bytes)
            if any(touched.contains(AddressRange(at, 1)) for at in self._steps_with(named)):
                written[copy.target : copy.target + copy.size_bytes] = written[touched.start : touched.end]
        return bytes(written)

    def completed(self, raw: bytes, like: bytes) -> bytes:
        """Return `raw` as the chip is expected to store it: what stands in `like` as the complement of its datum does so here.

        It matters where no complement is judged, and the hardware is expected to make one (F2, F4, F7).
        """
        shape, whole = self.storage.shape, bytearray(raw)
        for at in self._steps() if shape.step_bytes > shape.datum_bytes else ():
            for offset in range(at, at + shape.datum_bytes):
                behind = offset + shape.datum_bytes
                if like[offset] ^ like[behind] == 0xFF:
                    whole[behind] = whole[offset] ^ 0xFF
        return bytes(whole)

    def changes(self, before: bytes, after: bytes) -> tuple[FieldChange, ...]:
        """Return the fields that differ between two raw images, in the layout's order."""
        old, new = self.decode(before), self.decode(after)
        return tuple(FieldChange(self.fields[n], old[n], new[n]) for n in self.fields if old[n] != new[n])

    def cleared_reserved(self, raw: bytes) -> tuple[OptionField, ...]:
        """Return the fields that the chip's data says to keep and that do not have that value in `raw`."""
        values = self.decode(raw)
        return tuple(f for n, f in self.fields.items() if f.keep is not None and values[n] != f.keep)

    def write_protected(self, raw: bytes, flash: Flash) -> tuple[AddressRange, ...]:
        """Return the parts of `flash` that `raw` write-protects, in rising order, what is protected together as one."""
        groups = self.protected_pages(raw, flash)
        return tuple(AddressRange.between(flash.page(group[0]).start, flash.page(group[-1]).end) for group in groups)

    def protected_pages(self, raw: bytes, flash: Flash) -> tuple[range, ...]:
        """Return the pages of `flash` that `raw` write-protects, in rising order, what is protected together as one."""
        rule = self.write_protection
        if rule is None:
            return ()
        data = self._taken(raw)
        return rule.pages({name: self.fields[name].take(data) for name in rule.decided_by}, flash)

    def _is_there_or_erased(self, data: int, wanted: int) -> bool:
        """Say whether each datum has the fields of `wanted`, or all their bits at 1."""
        datum_bits, bits = 8 * self.storage.shape.datum_bytes, self._all_bits
        for index in range(len(self._steps())):
            mask = bits & (1 << datum_bits) - 1 << index * datum_bits
            if data & mask not in (wanted & mask, mask):
                return False
        return True

    @property
    def _all_bits(self) -> int:
        bits = 0
        for field in self.fields.values():
            bits |= field.mask
        return bits

    def _steps(self) -> range:
        return range(0, self.size_bytes, self.storage.shape.step_bytes)

    def _steps_with(self, bits: int) -> list[int]:
        """Return the offsets of the data that hold any of these bits."""
        datum_bits = 8 * self.storage.shape.datum_bytes
        ones = (1 << datum_bits) - 1
        return [at for index, at in enumerate(self._steps()) if bits >> index * datum_bits & ones]

    def _fits(self, step: bytes) -> bool:
        datum, complement = step[: len(step) // 2], step[len(step) // 2 :]
        erased = bytes([ERASED]) * len(step)
        return step == erased or all(a ^ b == 0xFF for a, b in zip(datum, complement, strict=True))

    def _data(self, raw: bytes) -> int:
        return int.from_bytes(bytes(raw[offset] for offset in self.data_offsets()), "little")

    def _taken(self, raw: bytes) -> int:
        """Return the data as the chip takes it: what is spoiled is erased."""
        shape, taken = self.storage.shape, bytearray(raw)
        for at in self.spoiled(raw):
            taken[at : at + shape.datum_bytes] = bytes([ERASED]) * shape.datum_bytes
        return self._data(bytes(taken))

    def _dressed(self, data: int, raw: bytes, steps: Collection[int]) -> bytes:
        """Return `raw` with this data at these offsets, and with their complements where those are judged."""
        shape, offsets = self.storage.shape, self.data_offsets()
        whole, dressed = data.to_bytes(len(offsets), "little"), bytearray(raw)
        for index, at in enumerate(self._steps()):
            if at in steps:
                datum = whole[index * shape.datum_bytes : (index + 1) * shape.datum_bytes]
                dressed[at : at + shape.datum_bytes] = datum
                if shape.judged:
                    dressed[at + shape.datum_bytes : at + shape.step_bytes] = bytes(value ^ 0xFF for value in datum)
        return bytes(dressed)

    def _check_length(self, raw: bytes) -> None:
        if len(raw) != self.size_bytes:
            raise ValueError(f"{len(raw)} option bytes where the chip has {self.size_bytes}")


def data_offsets(storage: Storage, size_bytes: int) -> tuple[int, ...]:
    """Return the offsets of the bytes that carry data, in a block of this size."""
    shape = storage.shape
    return tuple(offset for offset in range(size_bytes) if offset % shape.step_bytes < shape.datum_bytes)


def matches(condition: Mapping[str, FieldValue], values: Mapping[str, FieldValue]) -> bool:
    """Say whether every field that `condition` names has the value it names."""
    return all(values.get(name) == value for name, value in condition.items())
