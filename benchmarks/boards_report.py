"""What `make boards` has measured, as data: boards.json, of which boards.md is made, and docs/performance.md in part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.report import rounded

DATA = Path(__file__).with_name("boards.json")
PAGE = Path(__file__).with_name("boards.md")
RATIO_BAR, CPU_BAR_S = 1.2, 0.10


@dataclass(frozen=True)
class BoardsRow:
    """So many boards at once: medians of the rounds. `of_one` is the time as a multiple of one board's.

    `seconds`, `lowest_s` and `highest_s` are wall-clock time; the rest is processor time a board: dfurun's, the stand-in's
    for libusb in it, the simulator's.
    """

    boards: int
    seconds: float
    lowest_s: float
    highest_s: float
    of_one: float
    cpu_s: float
    stand_in_s: float
    simulator_s: float


@dataclass(frozen=True)
class BoardsReport:
    """All of it: `computer` and `load` say in words what it was measured on, `date` is ISO 8601."""

    date: str
    computer: str
    rounds: int
    load: str
    rows: tuple[BoardsRow, ...]

    @classmethod
    def load_from(cls, file: Path = DATA) -> BoardsReport:
        """Return the report that is on file."""
        found = json.loads(file.read_text(encoding="utf-8"))
        found["rows"] = tuple(BoardsRow(**row) for row in found["rows"])
        return cls(**found)

    @property
    def most(self) -> BoardsRow:
        """The line with the most boards."""
        return max(self.rows, key=lambda row: row.boards)

    def save(self) -> None:
        """Write the data, and the page that is made of it."""
        DATA.write_text(json.dumps(rounded(asdict(self)), indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """Return boards.md."""
        return TEMPLATE.format(
            **vars(self), table=table(self.rows), most=self.most.boards, ratio_bar=RATIO_BAR, cpu_bar_s=CPU_BAR_S
        )


def table(rows: Sequence[BoardsRow]) -> str:
    """Return the figures as a table in Markdown."""
    head = (
        "| boards | s, median | lowest to highest | of one board's | dfurun's CPU a board, s | of it the stand-in for libusb "
        "| the simulator's CPU a board, s |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {row.boards} | {row.seconds:.2f} | {row.lowest_s:.2f} to {row.highest_s:.2f} | {row.of_one:.2f} "
        f"| {row.cpu_s:.3f} | {row.stand_in_s:.3f} | {row.simulator_s:.2f} |"
        for row in rows
    )


TEMPLATE = """\
# Many boards at once, {date}

Made by `make boards`; [README.md](README.md) says how it is measured. {computer}; {rounds} rounds{load}.

{table}

The bars: {most} boards in at most {ratio_bar} of one board's time, and at most {cpu_bar_s:.2f} s of dfurun's CPU a board.
"""
