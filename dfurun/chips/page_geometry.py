"""Page geometry: the option-byte fields that give the flash pages of other sizes, or at other places, than the data has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dfurun.chips.option_bytes import FieldValue


@dataclass(frozen=True, slots=True)
class PageField:
    """A field that the pages depend on: they are as the data has them while it holds `value`.

    `otherwise` says for people what holds with another value: `the banks are swapped`.
    """

    name: str
    value: FieldValue
    otherwise: str

    def moves(self, fields: Mapping[str, FieldValue]) -> bool:
        """Say whether these fields move the pages; one that is not known does not."""
        return fields.get(self.name, self.value) != self.value


def moved_in_words(moved: Iterable[PageField], fields: Mapping[str, FieldValue]) -> str:
    """Return why the pages are not as they are known: `DBANK is 0 (the flash is one bank with pages of 4 KiB)`."""
    return " and ".join(f"{field.name} is {fields[field.name]} ({field.otherwise})" for field in moved)
