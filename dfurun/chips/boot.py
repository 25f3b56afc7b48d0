"""What a chip starts at power-on: the boot table as data, and what it says for given option bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips.option_bytes import FieldValue, matches
from dfurun.units import AddressRange


class BootTarget(StrEnum):
    """What a chip can start at power-on. ELSEWHERE: an address in none of the memories that hold a program."""

    MAIN_FLASH = "main-flash"
    SYSTEM_MEMORY = "system-memory"
    SRAM = "sram"
    ELSEWHERE = "elsewhere"

    @property
    def words(self) -> str:
        """What people call it."""
        return _WORDS[self]


_WORDS = {
    BootTarget.MAIN_FLASH: "the application in main flash",
    BootTarget.SYSTEM_MEMORY: "the bootloader",
    BootTarget.SRAM: "whatever is in SRAM",
    BootTarget.ELSEWHERE: "what lies outside all memories that hold programs",
}


@dataclass(frozen=True, slots=True)
class BootAddress:
    """A boot address in option bytes: the field's number, shifted left."""

    field: str
    shift: int


@dataclass(frozen=True, slots=True)
class BootRule:
    """One line of the boot table: these field values at this level of BOOT0 (None: either) start this.

    `flash_empty`: only where the chip's empty check found the first word of main flash erased, or only where not. What starts
    is a target, or what lies at an address.
    """

    when: Mapping[str, FieldValue]
    boot0: int | None
    flash_empty: bool | None
    starts: BootTarget | BootAddress


@dataclass(frozen=True, slots=True)
class BootTable:
    """The rules, of which the first that fits counts, and the memories that an address can lie in."""

    rules: tuple[BootRule, ...]
    memories: tuple[tuple[AddressRange, BootTarget], ...]

    @property
    def is_in_option_bytes(self) -> bool:
        """Whether option bytes decide what starts, and not the BOOT0 pin alone."""
        return any(rule.when or isinstance(rule.starts, BootAddress) for rule in self.rules)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that decide what starts."""
        addresses = {rule.starts.field for rule in self.rules if isinstance(rule.starts, BootAddress)}
        return frozenset(addresses.union(*(rule.when for rule in self.rules)))

    def starts(self, fields: Mapping[str, FieldValue], *, boot0: int, flash_empty: bool) -> BootTarget:
        """Return what starts; raise LookupError where no rule fits."""
        for rule in self.rules:
            if rule.boot0 in (None, boot0) and rule.flash_empty in (None, flash_empty) and matches(rule.when, fields):
                return rule.starts if isinstance(rule.starts, BootTarget) else self._at(rule.starts, fields)
        raise LookupError(f"no boot rule for {dict(fields)} with BOOT0={boot0}")

    def _at(self, place: BootAddress, fields: Mapping[str, FieldValue]) -> BootTarget:
        number = fields[place.field]
        address = AddressRange(int(number) << place.shift, 1)
        return next((target for memory, target in self.memories if memory.contains(address)), BootTarget.ELSEWHERE)
