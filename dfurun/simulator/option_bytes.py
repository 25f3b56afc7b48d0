"""The chip's option bytes: what is stored in the information block, and what the chip goes by, kept apart.

# Ref: RM0091 section 4: each option byte is stored with its complement; when they are loaded, a byte whose complement does
# not fit sets OPTERR and counts as 0xFF, an erased pair counts as 0xFF without one. Loaded at power-on and by OBL_LAUNCH.
# Section 3.2.3: they are erased together; programming a half-word takes the low byte and computes the complement.
# RM0367 section 3 (L0, half-words) and RM0351 section 3.4 (L4, words) store complements as well; that what does not fit
# counts as erased there too is an inference.
# RM0090 section 3.6 (F4): FLASH_OPTCR's half-words lie in the first two bytes of every eight; the hardware erases and
# programs all of them at once. That it stores the complement behind each is what programs that read them expect (inference),
# and so is that it does not judge it.
# RM0433 section 4 (H7): what is written to a _PRG register is in its _CUR register after the option bytes were changed.
"""

from __future__ import annotations

from dfurun.chips import FieldValue, Flash, OptionField, OptionLayout, Storage
from dfurun.chips.write_protection import ProtectionBits, ProtectionRanges
from dfurun.simulator.flash import interrupted
from dfurun.units import AddressRange

_ERASED = 0xFF
# Bytes of data, and all bytes that they take with their complement; whether the chip goes by that complement.
_LAYERS = {
    Storage.BYTE_COMPLEMENT: (1, 2, True),
    Storage.HALFWORD: (2, 8, False),
    Storage.HALFWORD_COMPLEMENT: (2, 4, True),
    Storage.WORD_COMPLEMENT: (4, 8, True),
    Storage.REGISTER: (4, 4, False),
}


class OptionBytes:
    """The stored bytes and those in force."""

    def __init__(self, layout: OptionLayout, stored: bytes | None = None) -> None:
        self.layout = layout
        self._datum, self._step, self._judged = _LAYERS[layout.storage]
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
        """Return the stored bytes with this RDP code, its complement fitting."""
        raw, field = bytearray(self._stored), self.layout.fields["RDP"]
        at = self._places(field)[0]
        raw[at] = code
        for copy in self.layout.copies:
            if copy.source <= at < copy.source + copy.size_bytes:
                raw[copy.target + at - copy.source] = code
        self._complement(raw)
        return bytes(raw)

    @property
    def in_force(self) -> bytes:
        """The bytes that the chip goes by since they were last loaded, each with a right complement."""
        return bytes(self._in_force)

    @property
    def protection_level(self) -> int:
        """The read protection in force: 0, 1 or 2. Every code that is no other level's is level 1."""
        field = self.layout.fields.get("RDP")
        if field is None:
            return 0
        levels = {code: int(float(name.removeprefix("level-"))) for name, code in field.values.items()}
        return levels.get(self._number(field), 1)

    @property
    def fields(self) -> dict[str, FieldValue]:
        """The fields in force by the reference manual's names."""
        return {name: self._value(field) for name, field in self.layout.fields.items()}

    def write_protected(self, flash: Flash) -> tuple[AddressRange, ...]:
        """Return the pages of `flash` that the bytes in force write-protect."""
        match self.layout.write_protection:
            case ProtectionBits() as rule:
                return tuple(_pages(flash, group) for group in self._protected_by_bits(rule, flash))
            case ProtectionRanges() as rule:
                return tuple(_pages(flash, group) for group in self._protected_ranges(rule, flash))
        return ()

    def load(self) -> None:
        """Make the stored bytes those in force, judging each by its complement where the chip does."""
        self.option_error = False
        for copy in self.layout.copies:
            self._stored[copy.source : copy.source + copy.size_bytes] = self._stored[
                copy.target : copy.target + copy.size_bytes
            ]
        self._in_force[:] = self._stored
        if self._judged:
            erased = bytes([_ERASED]) * self._step
            for at in range(0, len(self._stored), self._step):
                step = bytes(self._stored[at : at + self._step])
                datum, complement = step[: self._datum], step[self._datum :]
                if any(a ^ b != 0xFF for a, b in zip(datum, complement, strict=True)):
                    self.option_error |= step != erased
                    self._in_force[at : at + self._datum] = erased[: self._datum]
        self._complement(self._in_force)

    def erase(self) -> None:
        """Erase all stored bytes; erased, they will load as read protection level 1."""
        self._stored[:] = bytes([_ERASED]) * len(self._stored)

    def erase_block(self, address: int) -> None:
        """Erase the block that a write at `address` replaces; registers have nothing to erase."""
        if self.layout.storage is not Storage.REGISTER:
            start, end = self._block(address)
            self._stored[start:end] = bytes([_ERASED]) * (end - start)

    def program(self, data: bytes, address: int | None = None) -> None:
        """Program the bytes in `data` from the first on: the data counts, the hardware makes the complements.

        `address` is the block's, None that of the first.
        """
        if not self.layout.blocks:
            return
        start, end = self._block(self.layout.address if address is None else address)
        taken = bytearray(self._stored)
        whole = min(len(data), end - start) // self._step * self._step
        taken[start : start + whole] = data[:whole]
        self._complement(taken)
        self._stored[start : start + whole] = taken[start : start + whole]
        for copy in self.layout.copies:
            if start <= copy.target and copy.target + copy.size_bytes <= start + whole:
                self._stored[copy.source : copy.source + copy.size_bytes] = taken[
                    copy.target : copy.target + copy.size_bytes
                ]

    def interrupt_program(self, data: bytes, *, offset: int, address: int) -> None:
        """Leave what is at `offset` of a block as a power cut during its programming does: some bits as in `data`, some erased.

        Its complement then does not fit, most of the time, and it loads as erased with OPTERR. What is programmed all at once
        is left erased (inference).
        """
        start, end = self._block(address)
        if not self._judged or offset + self._step > min(len(data), end - start):
            return
        place = slice(start + offset, start + offset + self._step)
        datum = data[offset : offset + self._datum]
        step = datum + bytes(value ^ 0xFF for value in datum)
        self._stored[place] = interrupted(bytes(self._stored[place]), step, seed=f"option byte {start + offset}")

    @property
    def interrupted_bytes(self) -> int:
        """How many bytes of a block one program unit fills, complement and all."""
        return self._step if self._judged else 2

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

    def read(self, address: int, length: int) -> bytes:
        """Return at most `length` stored bytes from `address`, as far as its block goes."""
        start, end = self._block(address)
        first = start + address - next(b.start for b in self.layout.blocks if b.contains(AddressRange(address, 1)))
        return bytes(self._stored[first : min(first + length, end)])

    def _block(self, address: int) -> tuple[int, int]:
        """Return where the block that holds `address` begins and ends in the stored bytes."""
        start = 0
        for block in self.layout.blocks:
            if block.start <= address < block.end:
                return start, start + block.size_bytes
            start += block.size_bytes
        raise ValueError(f"no option bytes at 0x{address:08X}")

    def _complement(self, raw: bytearray) -> None:
        """Put the complement behind each datum; what is neither of them is left erased. Registers have none."""
        if self.layout.storage is Storage.REGISTER:
            return
        for at in range(0, len(raw), self._step):
            datum = raw[at : at + self._datum]
            rest = bytes([_ERASED]) * (self._step - 2 * self._datum)
            raw[at : at + self._step] = datum + bytes(value ^ 0xFF for value in datum) + rest

    def _places(self, field: OptionField) -> list[int]:
        """Return the offsets of the bytes that hold a part of a field, low byte first: data only, complements left out."""
        count = (field.bit + field.width + 7) // 8
        return [at for at in range(field.byte, len(self._stored)) if at % self._step < self._datum][:count]

    def _number(self, field: OptionField) -> int:
        whole = int.from_bytes(bytes(self._in_force[at] for at in self._places(field)), "little")
        return whole >> field.bit & ((1 << field.width) - 1)

    def _value(self, field: OptionField) -> FieldValue:
        number = self._number(field)
        names = {known: name for name, known in field.values.items()}
        return names.get(number, number if field.otherwise is None else field.otherwise)

    def _protected_by_bits(self, rule: ProtectionBits, flash: Flash) -> list[range]:
        bits = [
            self._number(self.layout.fields[name]) >> bit & 1
            for name in rule.fields
            for bit in range(self.layout.fields[name].width)
        ]
        groups = []
        turned = self._number(self.layout.fields[rule.inverted_by]) if rule.inverted_by else 0
        for index, bit in enumerate(bits):
            first = index * rule.pages_a_bit
            end = min(first + rule.pages_a_bit, flash.page_count)
            if index + 1 == len(bits) and rule.last_has_rest:
                end = flash.page_count
            if bit ^ turned == rule.protected and first < end:
                groups.append(range(first, end))
        return groups

    def _protected_ranges(self, rule: ProtectionRanges, flash: Flash) -> list[range]:
        a_bank, groups = flash.page_count // rule.banks, []
        for area in rule.areas:
            start = self._number(self.layout.fields[area.start])
            end = min(self._number(self.layout.fields[area.end]), a_bank - 1)
            if start <= end:
                first = (area.bank - 1) * a_bank
                groups.append(range(first + start, first + end + 1))
        return groups


def _pages(flash: Flash, group: range) -> AddressRange:
    return AddressRange.between(flash.page(group[0]).start, flash.page(group[-1]).end)
