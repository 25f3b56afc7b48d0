"""What a figure is held against, and whether it is reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """`reached` is to be at most `most`.

    `of` is the line that it belongs to, `words` say what is compared, `why` is what makes it miss where it does.
    """

    of: str
    words: str
    most: float
    reached: float
    why: str
    digits: int = 3

    @property
    def met(self) -> bool:
        """Whether it is reached; the figure is not rounded for that."""
        return self.reached <= self.most

    @property
    def figure(self) -> str:
        """The figure as it is told; with more digits where rounding would hide that it misses."""
        digits = self.digits
        while not self.met and float(f"{self.reached:.{digits}f}") <= self.most and digits < 9:
            digits += 1
        return f"{self.reached:.{digits}f}"


def cells(bars: Iterable[Bar]) -> str:
    """Return two cells of a table, `bar | reached`; a dash in both where there is none."""
    found = list(bars)
    words = "; ".join(bar.words for bar in found)
    reached = "; ".join(bar.figure if bar.met else f"**{bar.figure}, missed**" for bar in found)
    return f"{words or '-'} | {reached or '-'}"


def missed(bars: Iterable[Bar]) -> str:
    """Return the bars that are missed as a list in Markdown, and why; or that there is none."""
    found = [f"- {bar.of}: {bar.words}, {bar.figure} reached. {bar.why}" for bar in bars if not bar.met]
    return "\n".join(found) or "Every bar on this page is reached."
