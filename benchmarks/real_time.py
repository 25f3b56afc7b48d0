"""The figures of docs/performance.md that are real time: loading an image, many boards, and both programs on served boards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import boards_report, loading
from benchmarks.bars import Bar, cells
from benchmarks.boards_report import BoardsReport, BoardsRow
from benchmarks.loading import Loaded
from benchmarks.report import DFU_UTIL, LargeRow, PairedRow, Report

PAIR_BAR, LARGE_BAR = 1.0, 0.45
_SAME_WORK = 1.05
Row = tuple[str, Sequence[Bar]]


def loading_bar(found: Loaded) -> Bar:
    """Return what loading a file is held against."""
    why = "Every record is judged by itself, in Python."
    return Bar(
        f"2 MiB of Intel HEX, {found.shape.title}", f"<= {loading.BAR_S} s", loading.BAR_S, found.took_s.median, why
    )


def boards_bars(report: BoardsReport) -> list[Bar]:
    """Return what many boards at once are held against."""
    most = report.most
    title = f"{most.boards} boards at once"
    shared = (
        f"The {most.boards} boards' own processes share the processors with dfurun ({report.computer}{report.load})."
    )
    return [
        Bar(
            title, f"<= {boards_report.RATIO_BAR} of one board's time", boards_report.RATIO_BAR, most.of_one, shared, 2
        ),
        Bar(title, f"<= {boards_report.CPU_BAR_S:.2f} s of CPU a board", boards_report.CPU_BAR_S, most.cpu_s, shared),
    ]


def pair_bars(row: PairedRow, report: Report) -> list[Bar]:
    """Return what a pair is held against: dfurun verifies, in less time than dfu-util takes without."""
    if row.case == "f072-write":
        return []
    more_s = row.dfurun_s.median - row.dfu_util_s.median
    why = (
        f"dfurun takes {more_s:.2f} s more ({report.date}): the verify's uploads are so many requests more, of which each"
        " costs milliseconds where Python is emulated in software. On the virtual clock the verify costs the wire's time alone."
    )
    return [
        Bar(f"real time, {row.title}", "<= 1 of dfu-util's, which does not verify", PAIR_BAR, row.ratio.median, why, 2)
    ]


def large_bars(row: LargeRow, report: Report) -> list[Bar]:
    """Return what a run with a large flash is held against, where the reports are true."""
    if row.program == DFU_UTIL or not row.true_reports:
        return []
    theirs = report.large_dfu_util(true_reports=True)
    if row.work_s * _SAME_WORK > theirs.work_s:
        why = f"In these runs the flash was programmed byte by byte: its operations took {row.work_s:.2f} s, as with dfu-util."
    else:
        why = (
            f"The flash's operations took {row.work_s:.2f} s of it; the rest are requests, slow in the virtual machine."
        )
    words = f"<= {LARGE_BAR} of dfu-util's"
    return [
        Bar(f"real time, {row.program}, F405, true reports", words, LARGE_BAR, row.seconds / theirs.seconds, why, 2)
    ]


def bars(report: Report, boards: BoardsReport, loaded: Iterable[Loaded]) -> list[Bar]:
    """Return all bars of this part of the page."""
    found = [loading_bar(one) for one in loaded] + boards_bars(boards)
    found += [bar for row in report.paired for bar in pair_bars(row, report)]
    return found + [bar for row in report.large for bar in large_bars(row, report)]


def loading_table(found: Iterable[Loaded]) -> str:
    """Return the files as a table in Markdown."""
    head = (
        "| 2 MiB of Intel HEX | s, median | lowest to highest | limit, s | bar | reached | dfu-util 0.11 |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {one.shape.title} | {one.took_s.median:.3f} | {one.took_s.lowest:.3f} to {one.took_s.highest:.3f} "
        f"| {one.least_s:.3f} | {cells([loading_bar(one)])} | reads no Intel HEX |"
        for one in found
    )


def boards_table(report: BoardsReport, limit_s: float, theirs_s: float) -> str:
    """Return the boards as a table in Markdown; `limit_s` and dfu-util's time are those of one board."""
    head = (
        "| boards at once | s, median | of one board's | dfurun's CPU a board, s | limit, s | bar | reached "
        "| dfu-util 0.11 |\n|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(_boards_row(row, report, limit_s, theirs_s) for row in report.rows)


def _boards_row(row: BoardsRow, report: BoardsReport, limit_s: float, theirs_s: float) -> str:
    held = boards_bars(report) if row is report.most else []
    theirs = f"{theirs_s:.2f} s, verifies nothing" if row.boards == 1 else "one board a run"
    return (
        f"| {row.boards} | {row.seconds:.2f} | {row.of_one:.2f} | {row.cpu_s:.3f} | {limit_s:.2f} "
        f"| {cells(held)} | {theirs} |"
    )


def pairs_table(report: Report) -> str:
    """Return the pairs as a table in Markdown."""
    head = (
        "| F072xB, 100 KiB | dfurun, s | limit, s | dfu-util 0.11, s | dfurun / dfu-util, median of pairs | bar | reached |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {row.title} | {row.dfurun_s} | {row.limit_s:.2f} | {row.dfu_util_s} | {row.ratio.median:.2f} "
        f"| {cells(pair_bars(row, report))} |"
        for row in report.paired
    )


def large_table(report: Report, limits_s: dict[tuple[bool, bool], float]) -> str:
    """Return the runs with a large flash as a table; `limits_s` are by whether it is verified, and whether reports are true."""
    head = (
        f"| F405xG, 1 MiB, supply {report.supply} | s | of it the flash's operations, s | limit, s | dfu-util 0.11, s "
        "| of dfu-util's | bar | reached |\n|---|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for row in report.large:
        if row.program != DFU_UTIL:
            theirs_s = report.large_dfu_util(true_reports=row.true_reports).seconds
            limit_s = limits_s["with verify" in row.program, row.true_reports]
            rows.append(
                f"| {row.program}; the ROM's reports: {row.reports} | {row.seconds:.2f} | {row.work_s:.2f} | {limit_s:.2f} "
                f"| {theirs_s:.2f} | {row.seconds / theirs_s:.2f} | {cells(large_bars(row, report))} |"
            )
    return head + "\n".join(rows)
