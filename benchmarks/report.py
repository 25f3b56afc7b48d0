"""What `make benchmark` has measured, as data: report.json, of which report.md is made, and docs/performance.md in part.

Seconds are seconds of the board's clock from the first DFU request to the last, where nothing else is said.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("report.json")
PAGE = Path(__file__).with_name("report.md")
DFU_UTIL = "dfu-util"
DFU_UTIL_JOB = ("-a", 0, "-s", "0x08000000:mass-erase:force:leave", "-D")
_DIGITS = 6  # microseconds


@dataclass(frozen=True)
class Spread:
    """The median of several runs, and the ends."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return those of these values."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


@dataclass(frozen=True)
class ModelledRow:
    """A case on the virtual clock: median and slowest of its runs, and its limit by what takes it."""

    title: str
    seconds: float
    slowest_s: float
    runs: int
    requests: int
    flash_s: float
    wire_s: float
    waits_s: float

    @property
    def limit_s(self) -> float:
        """The limit."""
        return self.flash_s + self.wire_s + self.waits_s


@dataclass(frozen=True)
class PairedRow:
    """Pairs of runs in real time; `case` names the same work in `modelled.py`, requests are from the erase to the leave."""

    case: str
    title: str
    pairs: int
    dfurun_s: Spread
    dfu_util_s: Spread
    ratio: Spread
    limit_s: float
    dfurun_requests: int
    dfu_util_requests: int
    dfurun_process_s: float
    dfu_util_process_s: float


@dataclass(frozen=True)
class LargeRow:
    """One run with a large flash; `work_s` is what the flash's operations took of it, `requests` are from the erase on."""

    program: str
    reports: str
    true_reports: bool
    seconds: float
    from_the_erase_on_s: float
    work_s: float
    requests: int
    process_s: float


@dataclass(frozen=True)
class Report:
    """All of it: `computer`, `load`, `kernel` and `dfu_util` say in words what it was measured on, `date` is ISO 8601."""

    date: str
    computer: str
    load: str
    kernel: str
    dfu_util: str
    supply: str
    modelled: tuple[ModelledRow, ...]
    paired: tuple[PairedRow, ...]
    large: tuple[LargeRow, ...]

    @classmethod
    def load_from(cls, file: Path = DATA) -> Report:
        """Return the report that is on file."""
        found = json.loads(file.read_text(encoding="utf-8"))
        found["modelled"] = tuple(ModelledRow(**row) for row in found["modelled"])
        found["paired"] = tuple(_paired_row(row) for row in found["paired"])
        found["large"] = tuple(LargeRow(**row) for row in found["large"])
        return cls(**found)

    def save(self) -> None:
        """Write the data, and the page that is made of it."""
        DATA.write_text(json.dumps(rounded(asdict(self)), indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """Return report.md."""
        tables = {
            "exact": modelled_table(self.modelled),
            "real": paired_table(self.paired),
            "large_flash": large_table(self.large),
        }
        return TEMPLATE.format(**vars(self), **tables)

    def pair(self, case: str) -> PairedRow:
        """Return the pairs that did the work of this case."""
        return next(row for row in self.paired if row.case == case)

    def large_dfu_util(self, *, true_reports: bool) -> LargeRow:
        """Return dfu-util's run with a large flash."""
        return next(row for row in self.large if row.program == DFU_UTIL and row.true_reports is true_reports)


def _paired_row(row: dict[str, Any]) -> PairedRow:
    spreads = {name: Spread(**row[name]) for name in ("dfurun_s", "dfu_util_s", "ratio")}
    return PairedRow(**{**row, **spreads})


def rounded(value: Any) -> Any:
    """Return this, of parts that JSON knows, with its floats as exact as they are kept: to the microsecond."""
    match value:
        case float():
            return round(value, _DIGITS)
        case dict():
            return {key: rounded(part) for key, part in value.items()}
        case list() | tuple():
            return [rounded(part) for part in value]
        case _:
            return value


def modelled_table(rows: Sequence[ModelledRow]) -> str:
    """Return the cases on the virtual clock as a table in Markdown."""
    head = (
        "| F072xB, 100 KiB | s | slowest | runs | DFU requests | limit, s | of it flash, wire, waits | s / limit |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {row.title} | {row.seconds:.3f} | {row.slowest_s:.3f} | {row.runs} | {row.requests} "
        f"| {row.limit_s:.3f} | {row.flash_s:.3f}, {row.wire_s:.3f}, {row.waits_s:.3f} "
        f"| {row.seconds / row.limit_s:.2f} |"
        for row in rows
    )


def paired_table(rows: Sequence[PairedRow]) -> str:
    """Return the pairs as a table in Markdown."""
    head = (
        "| F072xB, 100 KiB | pairs | dfurun, s | dfu-util, s | ratio of pairs | limit, s | dfurun / limit "
        "| requests, erase to leave: dfurun, dfu-util | process, s: dfurun, dfu-util |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {row.title} | {row.pairs} | {row.dfurun_s} | {row.dfu_util_s} | {row.ratio} "
        f"| {row.limit_s:.2f} | {row.dfurun_s.median / row.limit_s:.2f} "
        f"| {row.dfurun_requests}, {row.dfu_util_requests} "
        f"| {row.dfurun_process_s:.1f}, {row.dfu_util_process_s:.1f} |"
        for row in rows
    )


def large_table(rows: Sequence[LargeRow]) -> str:
    """Return the runs with a large flash as a table; each time also as a part of dfu-util's with the same reports."""
    theirs_s = {row.reports: row.seconds for row in rows if row.program == DFU_UTIL}
    head = (
        "| F405xG, 1 MiB | the ROM's reports | s | of dfu-util's | erase to leave, s "
        "| operations, s | requests, erase to leave | process, s |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {row.program} | {row.reports} | {row.seconds:.2f} | {row.seconds / theirs_s[row.reports]:.2f} "
        f"| {row.from_the_erase_on_s:.2f} | {row.work_s:.2f} | {row.requests} | {row.process_s:.1f} |"
        for row in rows
    )


TEMPLATE = """\
# Figures of {date}

Made by `make benchmark`; [README.md](README.md) says how each is measured. {computer}{load};
in the virtual machine Linux {kernel} and {dfu_util}.

## On the virtual clock

Exact: modelled time of the simulated board, the same on every computer. Where the link misses packets, the median of the runs
with one seed each, and the slowest of them.

{exact}

## In real time, in the virtual machine

In turn on the same served board, by the board's clock, from the first DFU request to the last; median (lowest to highest).
dfu-util erases, writes and leaves, and verifies nothing. "process" is the median of the whole process by the guest's clock, its
start under software emulation with it.

{real}

The same of an F405 with 1 MiB, one run each. "s" is from the first DFU request to the last, "erase to leave" begins with the
erase; "operations" is what the simulated flash took of it. dfurun's recipe states `supply: {supply}`. True reports are what
each operation takes, to the next millisecond.

{large_flash}
"""
