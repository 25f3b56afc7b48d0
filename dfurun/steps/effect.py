"""What a step will do, as a plan tells it: in words, in pages, in option-byte fields, and in operations on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips import FieldValue
from dfurun.units import AddressRange


class Will(StrEnum):
    """How a step is expected to end.

    CHANGE: it changes flash or option bytes. PERHAPS: it does where the board needs it. NOTHING: there is nothing to do. READ:
    it only reads. LEAVE: it ends the bootloader. HANDS: it waits for a person. FAIL: the board's contents let it fail.
    """

    CHANGE = "change"
    PERHAPS = "perhaps"
    NOTHING = "nothing"
    READ = "read"
    LEAVE = "leave"
    HANDS = "hands"
    FAIL = "fail"


class ActKind(StrEnum):
    """One kind of operation on the wire.

    JUDGE and OPTIONS (the verdict on read protection, the option bytes) are asked for only where they are not known already,
    JUDGE_AFRESH and OPTIONS_AFRESH always.
    """

    FIRST_CONTACT = "first contact"
    JUDGE = "judge protection"
    JUDGE_AFRESH = "judge protection afresh"
    IDENTITY = "read identity"
    READ = "read"
    ERASE = "erase a page"
    MASS_ERASE = "mass erase"
    WRITE = "write"
    OPTIONS = "read option bytes"
    OPTIONS_AFRESH = "read option bytes afresh"
    WRITE_OPTIONS = "write option bytes"
    UNPROTECT = "Read Unprotect"
    RETURN = "come back after a reset"
    POWER_CYCLE = "power cycle"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Act:
    """One operation; `extent` is what it reads, erases or writes, and `protected` what it meets, where that matters.

    `data` is what it writes; `under` the address that is set once for it and for those beside it that have the same.
    """

    kind: ActKind
    extent: AddressRange | None = None
    protected: bool = False
    data: bytes = b""
    under: int | None = None


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """One option-byte field before and after; `before` is None where it is not known."""

    name: str
    before: FieldValue | None
    after: FieldValue


@dataclass(frozen=True, slots=True)
class OptionEffect:
    """Option bytes before and after, raw where all of them are known, and the fields that change or may."""

    before: bytes | None
    after: bytes | None
    fields: tuple[FieldEffect, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one step will do.

    `erases` and `writes` are pages and extents of the main flash. `loses` says what cannot be had back, `permanent` what
    nothing undoes, `asks` what a person has to do.
    """

    will: Will
    words: str
    erases: tuple[int, ...] = ()
    writes: tuple[AddressRange, ...] = ()
    loses: str = ""
    options: OptionEffect | None = None
    permanent: str = ""
    asks: str = ""
    acts: tuple[Act, ...] = ()


def field_effects(
    before: Mapping[str, FieldValue], after: Mapping[str, FieldValue], order: Mapping[str, object]
) -> tuple[FieldEffect, ...]:
    """Return the fields of `after` that differ from `before`, or of which `before` knows nothing, in the layout's order."""
    return tuple(
        FieldEffect(name, before.get(name), after[name])
        for name in order
        if name in after and before.get(name) != after[name]
    )
