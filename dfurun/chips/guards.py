"""Guards: changes of option bytes that lock a chip or hide what is on it, by the names that `allow` lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dfurun.chips.boot import BootTable, BootTarget
from dfurun.chips.option_bytes import FieldValue, matches


@dataclass(frozen=True, slots=True)
class Guard:
    """A transition of option bytes that locks the chip or hides something; `name` is what `allow` lists.

    The guarded condition: every field of `when` has that value, and every field of `when_not` none of those values. Every
    change of a field of `changes` is guarded as well.
    """

    name: str
    when: Mapping[str, FieldValue]
    irreversible: bool
    means: str
    when_not: Mapping[str, tuple[FieldValue, ...]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the condition names."""
        return (*self.when, *self.when_not, *self.changes)

    def holds(self, values: Mapping[str, FieldValue]) -> bool:
        """Say whether these fields are in the guarded condition; one that is not known is not."""
        outside = (name in values and values[name] not in harmless for name, harmless in self.when_not.items())
        return bool(self.when or self.when_not) and matches(self.when, values) and all(outside)

    def entered(self, before: Mapping[str, FieldValue], after: Mapping[str, FieldValue]) -> bool:
        """Say whether `after` is in the guarded condition and `before` is not, or a guarded field has changed."""
        if any(before[name] != after[name] for name in self.changes):
            return True
        return self.holds(after) and not self.holds(before)


HIDING = {
    "application-hidden": (
        BootTarget.MAIN_FLASH,
        "the application starts at neither level of BOOT0 then",
    ),
    "bootloader-hidden": (
        BootTarget.SYSTEM_MEMORY,
        "the bootloader is reached at neither level of BOOT0 then: only the application or a debugger undoes it",
    ),
}
"""The guards that the boot table gives by itself: what is not started any more, and what that means."""


def hiding(boot: BootTable, before: Mapping[str, FieldValue], after: Mapping[str, FieldValue]) -> Iterator[Guard]:
    """Yield the guards of what started at some level of BOOT0 before a change, and starts at none after it."""
    for name, (target, means) in HIDING.items():
        if target in _started(boot, before) and target not in _started(boot, after):
            yield Guard(name, {}, irreversible=False, means=means)


def _started(boot: BootTable, fields: Mapping[str, FieldValue]) -> set[BootTarget]:
    return {boot.starts(fields, boot0=level, flash_empty=False) for level in (0, 1)}
