"""Finding chips by words, in the index alone: part of a name, a part number, a family, an id, a size, a layout string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dfurun.chips.index import Entry, by_name, entries
from dfurun.chips.part_number import meant_by, stem_of, title_of
from dfurun.units import format_brief_size


@dataclass(frozen=True, slots=True)
class Line:
    """Chips of one die: `entries` are its flash sizes, rising; `names` are the chips of it that were asked for."""

    entries: tuple[Entry, ...]
    names: tuple[str, ...]

    @property
    def first(self) -> Entry:
        """The entry that stands for what all have in common."""
        return self.entries[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """The part numbers' stems, with the letters of their sizes where another line has chips of the same stem."""
        own = [name for entry in self.entries for name in entry.names]
        shown = []
        for stem in dict.fromkeys(stem_of(name) for name in own):
            members = [name for name in own if stem_of(name) == stem]
            elsewhere = any(stem_of(name) == stem and name not in own for name in by_name())
            letters = "/".join(name[-1].upper() for name in members)
            shown.append(f"{title_of(members[0])[:-1]}{letters}" if elsewhere else stem.upper())
        return tuple(shown)


def found_lines(words: Sequence[str] = ()) -> list[Line]:
    """Return the lines that have chips to which all words fit, in the order of the files; without words, all."""
    wanted = [_Word(word) for word in words]
    lines = []
    for _, of_line in groupby(entries(), key=lambda entry: (entry.file, entry.line)):
        whole = tuple(sorted(of_line, key=lambda entry: entry.flash[1]))
        names = [n for entry in whole for n in entry.names if all(word.fits(n, entry) for word in wanted)]
        if names:
            lines.append(Line(whole, tuple(names)))
    return lines


class _Word:
    """One word of a search. Case does not matter, nor do blanks in a layout string."""

    def __init__(self, text: str) -> None:
        self._text = text.strip().casefold()
        self._meant = frozenset(meant_by(text, by_name()).names)
        self._number = _number(self._text)

    def fits(self, name: str, entry: Entry) -> bool:
        if self._text in name or name in self._meant or self._text in (entry.family.casefold(), entry.core.casefold()):
            return True
        if self._number is not None and self._number == entry.device_id:
            return True
        if self._text == format_brief_size(entry.flash[1]).casefold():
            return True
        layout = _without_blanks(self._text)
        return len(layout) > 3 and any(layout in _without_blanks(text.casefold()) for text in entry.alternates)


def _number(text: str) -> int | None:
    try:
        return int(text, 16) if text.startswith("0x") else None
    except ValueError:
        return None


def _without_blanks(text: str) -> str:
    return "".join(text.split())
