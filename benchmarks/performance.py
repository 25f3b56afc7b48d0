"""Makes docs/performance.md with its plots, on the virtual clock but for one section: make performance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cases, loading, modelled, plots, real_time
from benchmarks.bars import Bar, cells, missed
from benchmarks.boards_report import BoardsReport
from benchmarks.computer import computer, load
from benchmarks.modelled import CASES, F405, LARGE, SEEDS, SUPPLY, WITHOUT_GETSTATE, Case, Result
from benchmarks.report import Report

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
DFU_UTIL_WAITS_S = 35.0  # for a mass erase of which 100 ms are reported (dfu-util 0.11, dfuse.c)
LARGE_BAR = 0.45
_UNEXPLAINED = "It is not known why."


@dataclass(frozen=True)
class Line:
    """One line of a table: a case, what it is held against, and what dfu-util 0.11 took for the same (report.json).

    `theirs_s`, of a large flash: the least that dfu-util can take, and what it took in real time.
    """

    result: Result
    bars: tuple[Bar, ...]
    dfu_util: str
    theirs_s: tuple[float, ...] = ()


def lines(report: Report, seeds: int = len(SEEDS)) -> list[Line]:
    """Measure the F072, and hold each figure against its bars."""
    results = {case.name: modelled.measure(case, seeds) for case in CASES}
    clean = results["f072-verify"]
    return [
        Line(result, tuple(_bars(result, clean, report)), _theirs(name, report)) for name, result in results.items()
    ]


def _bars(result: Result, clean: Result, report: Report) -> Iterable[Bar]:
    name, title = result.case.name, result.case.title
    requests, fewest = result.median.requests_from_the_erase_on, result.case.limit.requests
    of_clean = result.median.seconds / clean.median.seconds
    if name == "f072-verify":
        yield Bar(title, "<= 1.05 of the limit", 1.05, result.median.seconds / result.case.limit.total_s, _UNEXPLAINED)
    if name in ("f072-write", "f072-verify"):
        most, theirs = {"f072-write": 0.55, "f072-verify": 0.75}[name], report.pair(name).dfu_util_requests
        why = (
            f"{requests - fewest} of the {requests} requests are more than the {fewest} with which AN3156 lets the work be"
            f" done, and with which it were {fewest / theirs:.3f}: they make sure of what was done before the bootloader is"
            " left."
        )
        yield Bar(title, f"requests <= {most} of dfu-util's {theirs}", most, requests / theirs, why)
    most_of_clean = {"f072-missed-busy": 1.25, "f072-missed-latched": 1.75}
    if name in most_of_clean:
        yield Bar(title, f"<= {most_of_clean[name]} of clean", most_of_clean[name], of_clean, _UNEXPLAINED)
    most_of_first = {"f072-same-again": 0.10, "f072-one-page": 0.12}
    if name in most_of_first:
        yield Bar(title, f"<= {most_of_first[name]:.2f} of first flash", most_of_first[name], of_clean, _UNEXPLAINED)


def _theirs(name: str, report: Report) -> str:
    """Return dfu-util's time for the same work; where a first flash is all that it can do, for that."""
    if name in ("f072-same-again", "f072-one-page"):
        return f"{report.pair('f072-verify').dfu_util_s.median:.2f} s: has no such mode, writes all, verifies nothing"
    same = {case.name: case.name for case in CASES} | {
        "f072-no-getstate-busy": "f072-missed-busy",
        "f072-no-getstate-latched": "f072-missed-latched",
        "f072-early-getstate-latched": "f072-missed-latched",
    }
    if name not in same:
        return "not measured"
    pair = report.pair(same[name])
    limit_s = next(case.limit.total_s for case in CASES if case.name == "f072-write")
    return f"{pair.dfu_util_s.median:.2f} s, {pair.dfu_util_requests} requests, limit {limit_s:.2f}; verifies nothing"


def table(found: Sequence[Line]) -> str:
    """Return the lines as a table in Markdown."""
    head = (
        "| F072xB, 100 KiB | s | slowest | limit, s | s / limit | DFU requests | of them, erase to leave "
        "| bar | reached | dfu-util 0.11, real time |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(map(_row, found))


def _row(line: Line) -> str:
    case, median = line.result.case, line.result.median
    from_erase = median.requests_from_the_erase_on if median.erased else "-"
    return (
        f"| {case.title} | {median.seconds:.3f} | {line.result.slowest_s:.3f} | {case.limit.total_s:.3f} "
        f"| {median.seconds / case.limit.total_s:.2f} | {median.requests} | {from_erase} "
        f"| {cells(line.bars)} | {line.dfu_util} |"
    )


def large_lines(report: Report) -> list[Line]:
    """Measure the large flash; where reports are true, hold it against the least that dfu-util can take."""
    return [_large_line(modelled.measure(case), report) for case in LARGE]


def _large_line(result: Result, report: Report) -> Line:
    case = result.case
    least_s, took_s = (
        dfu_util_least_s(true_reports=case.true_reports),
        report.large_dfu_util(true_reports=case.true_reports).seconds,
    )
    bars = []
    if case.true_reports and case.supply:
        why = f"Of {result.median.seconds:.2f} s the flash itself takes {case.limit.flash_s:.2f}."
        words = f"<= {LARGE_BAR} of the least of dfu-util"
        bars.append(Bar(f"F405, {case.title}", words, LARGE_BAR, result.median.seconds / least_s, why, digits=2))
    return Line(result, tuple(bars), f"{least_s:.1f} s, {took_s:.1f} s", (least_s, took_s))


def large_table(found: Iterable[Line]) -> str:
    """Return the lines of a large flash as a table in Markdown, beside the least and the real time of dfu-util."""
    head = (
        "| F405xG, 1 MiB | s | limit, s | s / limit | requests, erase to leave | of dfu-util's: of its least, of the measured "
        "| bar | reached | dfu-util 0.11: at least, measured in real time |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(map(_large_row, found))


def _large_row(line: Line) -> str:
    case, seconds = line.result.case, line.result.median.seconds
    of_theirs = ", ".join(f"{seconds / theirs_s:.2f}" for theirs_s in line.theirs_s)
    return (
        f"| {case.title} | {seconds:.2f} | {case.limit.total_s:.2f} | {seconds / case.limit.total_s:.3f} "
        f"| {line.result.median.requests_from_the_erase_on} | {of_theirs} | {cells(line.bars)} | {line.dfu_util} |"
    )


def dfu_util_least_s(*, true_reports: bool) -> float:
    """Return what dfu-util takes at least to erase, write and leave a large flash: the limit byte by byte, and its own wait."""
    own = next(case for case in LARGE if not case.supply and case.true_reports is true_reports)
    waits_s = 0.0 if true_reports else DFU_UTIL_WAITS_S - own.chip.timing.mass_erase.typical_s
    return own.limit.total_s + waits_s


def commands(found: Sequence[Line], *theirs: str) -> str:
    """Return a block with the command line of each line, and dfu-util's for the work of these cases."""
    words = [f"# {line.result.case.title}\n{cases.command(line.result)}" for line in found]
    words += [f"# dfu-util's, on a board that is plugged in\n{cases.dfu_util_command(case)}" for case in theirs]
    return "\n".join(("```sh", *words, "```"))


def page(seeds: int = len(SEEDS), loading_runs: int = loading.RUNS) -> tuple[str, list[Result]]:
    """Measure; return the page, and what was measured with the large flash."""
    report, boards, loaded = Report.load_from(), BoardsReport.load_from(), list(loading.measure(loading_runs))
    first, large = lines(report, seeds), large_lines(report)
    alike = [Line(modelled.measure(case, seeds), (), _theirs(case.name, report)) for case in WITHOUT_GETSTATE]
    by_name = {line.result.case.name: line.result for line in (*first, *large)}
    clean = by_name["f072-verify"]
    clean_s, without_s = clean.median.seconds, by_name["f072-write"].median.seconds
    costs = [by_name[f"f072-missed-{answer}"].median.seconds / clean_s - 1 for answer in ("busy", "latched")]
    helpless = [f"{line.result.median.seconds / clean_s:.2f}" for line in alike]
    bars = [bar for line in (*first, *large) for bar in line.bars] + real_time.bars(report, boards, loaded)
    by_bytes, by_words = by_name["f405-write-bytes"], by_name["f405-write-words"]
    text = TEMPLATE.format(
        report=report,
        boards=boards,
        where=f"{computer()}{load()}",
        folder=cases.FOLDER,
        first=table(first),
        first_commands=commands(first, "f072-verify"),
        seeds=seeds,
        alike=table(alike),
        alike_commands=commands(alike),
        large=large_table(large),
        large_commands=commands(large, "f405-verify-bytes"),
        theirs_large_requests=report.large_dfu_util(true_reports=False).requests,
        waits_s=DFU_UTIL_WAITS_S,
        loading=real_time.loading_table(loaded),
        runs=loading_runs,
        many=real_time.boards_table(boards, clean.case.limit.total_s, report.pair("f072-verify").dfu_util_s.median),
        pairs=real_time.pairs_table(report),
        large_pairs=real_time.large_table(report, _large_limits_s()),
        missed=missed(bars),
        request_ms=_request_ms(report, by_name["f072-write"]),
        erase_ms=round(F405.timing.mass_erase.reported_s * 1000),
        block_ms=round(F405.timing.program_block.reported_s * 1000),
        verify_ms=(clean_s - without_s) * 1000,
        costs=f"{max(costs) * 100:.1f}",
        helpless=", ".join(helpless),
        words_save_s=by_bytes.median.seconds - by_words.median.seconds,
        erase_saves_s=by_bytes.case.chip.timing.mass_erase.typical_s - _erase_by_words_s(by_words.case),
    )
    return text, [line.result for line in large]


def _request_ms(report: Report, result: Result) -> float:
    """Return what a request of dfu-util takes in the virtual machine beyond the limit of its work, in milliseconds."""
    pair = report.pair(result.case.name)
    return (pair.dfu_util_s.median - result.case.limit.total_s) / pair.dfu_util_requests * 1000


def _erase_by_words_s(case: Case) -> float:
    return modelled.width_of(case).timing.mass_erase.typical_s


def _large_limits_s() -> dict[tuple[bool, bool], float]:
    return {("verify" in case.name, case.true_reports): case.limit.total_s for case in LARGE if case.supply == SUPPLY}


def main() -> None:
    """Measure, draw and write the page."""
    text, large = page()
    report = Report.load_from()
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    plots.by_size(report)
    plots.by_missed_services(report)
    plots.large(large, {true: dfu_util_least_s(true_reports=true) for true in (False, True)}, report)


TEMPLATE = """\
# How fast it is

Made by `make performance` (`python -m benchmarks.performance`), on the virtual clock but for the section
[In real time](#in-real-time): modelled time of the simulated board, exact and the same on every computer.
[benchmarks/README.md](../benchmarks/README.md) says what is modelled and what is left out. No figure here is of a real board.

The *limit* is the flash's own time at the datasheet's typical values, the wire's, and what the ROM asks to be waited beyond
the work. {report.dfu_util} was measured in real time in the virtual machine ([report.md](../benchmarks/report.md) of
{report.date}), where each of its requests costs some {request_ms:.0f} ms more than in the limit. It verifies nothing.

To see one line again, write the cases into files, and run its command from the same folder. What dfurun prints (exactly: the
last `duration_s` with `--json`) is the line's time, with what comes before the first DFU request and the last one's answer:
up to 2 ms. Where services are missed, the seed in the command is the median's. A run changes its board: write the
files again to repeat it. dfu-util needs a board on the bus: `make benchmark` serves it one.

```sh
make venv-dev && . .venv/bin/activate
python -m benchmarks.cases {folder}
```

## A first flash, and a second

{first}

Where services are missed, the median of {seeds} seeds and the slowest of them. A dash: nothing is erased.

{first_commands}

![by the size of the image](pictures/performance-size.svg)
![by missed services](pictures/performance-missed.svg)

### Where GETSTATE is no help

Mass-erase, write, verify, leave, services missed with p = 0.7, on ROMs that have something against GETSTATE as well. None has
been met; no bar is set.

{alike}

{alike_commands}

## A large flash

An F405's ROM programs byte by byte, and by words where the recipe's `supply` allows it
([recipes.md](guide/recipes.md#as-wide-as-the-supply-allows)). Two ROMs: one reports what a log of an F4 shows, {erase_ms} ms
for the mass erase and {block_ms} ms for every block; the other, which nobody has met, what each operation takes, to the next
millisecond. The bar is for the latter; for the former both programs' figures are told.

{large}

dfu-util has the ROM program byte by byte, verifies nothing, and waits {waits_s:.0f} s for a mass erase of which {erase_ms} ms
are reported. The least that it can take is the limit of its work with that wait; what its {theirs_large_requests} requests and
the host take comes on top.

{large_commands}

![a large flash](pictures/performance-large.svg)

## In real time

These figures are another on every computer.

**Loading an image**, processor time, the median of {runs} runs. The limit is the file read, and its digits made bytes in one
go. `python -m benchmarks.loading` measures it alone. Measured on
{where}.

{loading}

**Many boards at once**, one wire each, the simulated boards in processes of their own: mass-erase, write, verify, leave of
100 KiB. `make boards` measures it ([boards.md](../benchmarks/boards.md)). Measured {boards.date} on
{boards.computer}{boards.load}.

{many}

**Both programs in the virtual machine**, in turn on the same served board, the processor emulated in software. `make benchmark`
measures it, with `dfurun recipe.yaml` and dfu-util's command line as above ([report.md](../benchmarks/report.md)).
Measured {report.date} on
{report.computer}{report.load}.

{pairs}

{large_pairs}

## What is not reached, and why

{missed}

## What the figures rest on

- The verify's {verify_ms:.0f} ms on the virtual clock are the wire's own.
- That a link which misses seven services in ten costs {costs} % rests on GETSTATE, which tells a ROM that is at work from one
  that has not begun. On the ROMs on which it is no help, in the order of their table, a first flash takes
  {helpless} times the clean one.
- On an F405 that reports {block_ms} ms a block the waits decide, which the ROM asks for: words save {words_save_s:.1f} s, of
  which {erase_saves_s:.1f} are the erase's. That the ROM takes the width at all over USB is to be confirmed on hardware
  (A26, A27).
"""

if __name__ == "__main__":
    main()
