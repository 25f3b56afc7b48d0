"""What a comparison of two recipes finds: changes, each with its rank and one sentence of why, and what stands behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips import BootTarget, Flash, OptionField
from dfurun.image import ImageFile


class Rank(StrEnum):
    """What a change may cost, the worst first."""

    CANNOT_BE_UNDONE = "cannot-be-undone"
    LOSES_DATA = "loses-data"
    WEAKENS = "weakens-a-safety-net"
    ROUTINE = "routine"

    @property
    def weight(self) -> int:
        """A number that is less for what is worse."""
        return list(Rank).index(self)

    @property
    def words(self) -> str:
        """The rank as people read it."""
        return self.value.replace("-", " ")


class Subject(StrEnum):
    """What of a recipe has changed; where two changes weigh the same, the earlier subject is told first."""

    RECIPE = "recipe"
    CHIP = "chip"
    BOOT = "boot"
    PROTECTION = "protection"
    OPTION_BYTES = "option bytes"
    STEP = "step"
    FIRMWARE = "firmware"
    DATA = "data"
    VARIABLE = "variable"
    PIN = "pin"
    EXPECT = "expect"
    ALLOW = "allow"
    SUPPLY = "supply"
    NAME = "name"


class Kind(StrEnum):
    """How it has changed."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `what` in a few words, `why` it has its rank in one sentence; `before` and `after` may be empty."""

    rank: Rank
    subject: Subject
    kind: Kind
    what: str
    why: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Firmware:
    """One side of an image: its file by the recipe's own words, and what of it lies in main flash.

    `stack` and `reset` are the first two words of its vector table, None where it puts none at the start of flash.
    """

    image: ImageFile
    file: str
    size_bytes: int
    pages: frozenset[int]
    stack: int | None
    reset: int | None


@dataclass(frozen=True, slots=True)
class FirmwareChange:
    """An image before and after; None where it is not there.

    Page numbers are those of `flash`, None where the chips' pages differ. `changed_bytes` of the bytes that both hold are not
    the same.
    """

    name: str
    before: Firmware | None
    after: Firmware | None
    flash: Flash | None
    changed_pages: frozenset[int] = frozenset()
    changed_bytes: int = 0

    @property
    def added_pages(self) -> frozenset[int]:
        """The pages that only the new image writes."""
        return (self.after.pages if self.after else frozenset()) - (self.before.pages if self.before else frozenset())

    @property
    def gone_pages(self) -> frozenset[int]:
        """The pages that only the old image writes."""
        return (self.before.pages if self.before else frozenset()) - (self.after.pages if self.after else frozenset())


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """An option-byte field that the recipes leave behind; None where a recipe leaves it as it is on the board."""

    field: OptionField
    before: str | None
    after: str | None
    before_bits: str | None
    after_bits: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Boot:
    """What may start at one level of BOOT0: of several targets `open_fields` on the board decide; none is an address there."""

    targets: frozenset[BootTarget]
    open_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionDifference:
    """Option bytes at the end of both recipes: fields that differ, and what starts at each level of BOOT0.

    `unit` is what the chip calls a page. `protected_*` are the pages that a recipe leaves write-protected; None where it
    leaves that as it is on the board.
    """

    fields: tuple[FieldDifference, ...]
    boots_before: Mapping[int, Boot]
    boots_after: Mapping[int, Boot]
    unit: str
    protected_before: frozenset[int] | None
    protected_after: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change of a recipe means: its changes, the worst first, and the evidence behind them."""

    changes: tuple[Change, ...]
    firmware: tuple[FirmwareChange, ...] = ()
    options: OptionDifference | None = None

    @classmethod
    def of(
        cls,
        changes: Iterable[Change],
        firmware: Iterable[FirmwareChange] = (),
        options: OptionDifference | None = None,
    ) -> Difference:
        """Return the difference with its changes in the order in which they are told."""
        subjects = list(Subject)
        ordered = sorted(changes, key=lambda change: (change.rank.weight, subjects.index(change.subject)))
        return cls(tuple(ordered), tuple(firmware), options)

    def with_more_of(self, other: Difference) -> Difference:
        """Return this with what only another look at the same two recipes, with other values of variables, has found.

        What both have found may read differently, as a step's pages are a variable's: of data every change counts, of all else
        how many there are.
        """
        more = [change for change in other.changes if change.subject is Subject.DATA and not self._tells(change)]
        counts = [Counter((change.subject, change.kind) for change in each.changes) for each in (self, other)]
        for subject, kind in counts[1] - counts[0]:
            if subject is not Subject.DATA:
                found = [change for change in other.changes if (change.subject, change.kind) == (subject, kind)]
                more += [change for change in found if not self._tells(change)]
        told = [change for change in self.changes if not any(_is_said_by(one, change) for one in more)]
        images = {firmware.name for firmware in self.firmware}
        firmware = [found for found in other.firmware if found.name not in images]
        return Difference.of((*told, *more), (*self.firmware, *firmware), self.options or other.options)

    def _tells(self, change: Change) -> bool:
        return any((c.subject, c.kind, c.what) == (change.subject, change.kind, change.what) for c in self.changes)

    @property
    def rank(self) -> Rank | None:
        """The rank of the worst change; None where there is none."""
        return self.changes[0].rank if self.changes else None

    def count(self, rank: Rank) -> int:
        """Return how many changes have this rank."""
        return sum(change.rank is rank for change in self.changes)


def _is_said_by(one: Change, change: Change) -> bool:
    """Say whether one change of data says of the same data all that another does, and more."""
    return one.subject is change.subject is Subject.DATA and one.what.startswith(change.what)
