"""How option bytes are stored: where the data is in the raw block, and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ERASED = 0xFF


class Storage(StrEnum):
    """The storage rules, by the names that the chip data gives them.

    BYTE_COMPLEMENT: a byte, its complement (F0, F1, F3: RM0091 section 4). HALFWORD: two bytes of data in every eight, which
    go to FLASH_OPTCR; the rest is the hardware's, and no program judges or changes it (F2, F4, F7). HALFWORD_COMPLEMENT: a
    half-word, its complement (L0, L1: RM0367 section 3). WORD_COMPLEMENT: a word, its complement (L4, G0, G4, WB, C0).
    REGISTER: words without a complement; the ROM shows flash registers (H7, L5, U5).
    """

    BYTE_COMPLEMENT = "byte-complement"
    HALFWORD = "halfword"
    HALFWORD_COMPLEMENT = "halfword-complement"
    WORD_COMPLEMENT = "word-complement"
    REGISTER = "register"

    @property
    def shape(self) -> Shape:
        """How many bytes of data there are, in how many."""
        return _SHAPES[self]


@dataclass(frozen=True, slots=True)
class Shape:
    """`step_bytes` hold a datum of `datum_bytes`; where it is `judged`, its complement comes next and has to fit."""

    datum_bytes: int
    step_bytes: int
    judged: bool


_SHAPES = {
    Storage.BYTE_COMPLEMENT: Shape(1, 2, judged=True),
    Storage.HALFWORD: Shape(2, 8, judged=False),
    Storage.HALFWORD_COMPLEMENT: Shape(2, 4, judged=True),
    Storage.WORD_COMPLEMENT: Shape(4, 8, judged=True),
    Storage.REGISTER: Shape(4, 4, judged=False),
}
