"""docs/performance.md: its bars are met on the virtual clock, which is exact, and its table is what is measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks import modelled, performance, plots, real_time
from benchmarks.boards_report import BoardsReport
from benchmarks.report import Report

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
REPORT, BOARDS = Report.load_from(), BoardsReport.load_from()
CASES = {case.title: case for case in modelled.CASES}
FIRST = "mass-erase, write, verify, leave"
FEW_SEEDS = 3


def seconds(title: str) -> float:
    return modelled.measure(CASES[title], FEW_SEEDS).slowest_s


@pytest.fixture(scope="module")
def clean_s() -> float:
    return seconds(FIRST)


@pytest.mark.parametrize(
    ("title", "most"),
    [
        ("the same, missed service p = 0.7, an early poll answered busy", 1.05),
        ("the same, missed service p = 0.7, an early poll latches dfuERROR", 1.05),
        ("write mode: changed, the same image again", 0.03),
        ("write mode: changed, one page of 50 differs", 0.10),
    ],
)
def test_a_case_takes_at_most_so_much_of_a_clean_first_flash(title: str, most: float, clean_s: float) -> None:
    assert seconds(title) <= most * clean_s


@pytest.mark.parametrize(("title", "most"), [("mass-erase, write, leave", 0.552), (FIRST, 0.73)])
def test_the_requests_from_the_erase_to_the_leave_are_at_most_so_many_of_dfu_utils(title: str, most: float) -> None:
    assert (
        modelled.measure(CASES[title]).median.requests_from_the_erase_on
        <= most * REPORT.pair(CASES[title].name).dfu_util_requests
    )


def test_the_page_has_the_figures_of_the_clean_cases() -> None:
    rows = [
        row
        for line, row in _lines_and_rows(REPORT)
        if not line.result.case.faults  # the others are medians of many seeds
    ]
    assert len(rows) == 4
    assert [row for row in rows if row not in PAGE] == []


def _lines_and_rows(report: Report) -> list[tuple[performance.Line, str]]:
    found = performance.lines(report, 1)
    return list(zip(found, performance.table(found).splitlines()[2:], strict=True))


def test_the_page_has_what_the_reports_say() -> None:
    without = CASES["mass-erase, write, leave"]
    theirs_s = REPORT.pair("f072-verify").dfu_util_s.median
    assert real_time.pairs_table(REPORT) in PAGE
    assert real_time.large_table(REPORT, performance._large_limits_s()) in PAGE
    assert real_time.boards_table(BOARDS, CASES[FIRST].limit.total_s, theirs_s) in PAGE
    assert f"(../benchmarks/report.md) of\n{REPORT.date})" in PAGE
    assert f"{theirs_s:.2f} s, {REPORT.pair('f072-verify').dfu_util_requests} requests" in PAGE
    assert f"limit {without.limit.total_s:.2f}; verifies nothing" in PAGE


def test_the_page_tells_of_every_bar_that_is_missed() -> None:
    told = PAGE.partition("## What is not reached, and why\n\n")[2].partition("\n\n")[0].splitlines()
    figures = [line.partition(" reached.")[0].rpartition(" ")[2] for line in told]
    assert sorted(figures) == sorted(re.findall(r"\*\*([\d.]+), missed\*\*", PAGE))


def test_a_bar_is_missed_by_one_request() -> None:
    requests = modelled.measure(CASES["mass-erase, write, leave"]).median.requests_from_the_erase_on
    for theirs, met in ((math.ceil(requests / 0.55), True), (math.ceil(requests / 0.55) - 1, False)):
        pairs = tuple(replace(pair, dfu_util_requests=theirs) for pair in REPORT.paired)
        line, row = _lines_and_rows(replace(REPORT, paired=pairs))[0]
        assert [bar.met for bar in line.bars] == [met]
        assert (", missed**" in row) is not met


def test_where_nothing_is_erased_no_requests_are_counted_from_the_erase_on() -> None:
    rows = {line.result.case.name: row.split(" | ") for line, row in _lines_and_rows(REPORT)}
    assert rows["f072-same-again"][6] == "-"
    assert 0 < int(rows["f072-one-page"][6]) < int(rows["f072-one-page"][5])


def test_the_page_has_every_case_with_its_command_line() -> None:
    cases = (*modelled.CASES, *modelled.WITHOUT_GETSTATE, *modelled.LARGE)
    assert [case.title for case in cases if f"\n| {case.title} |" not in PAGE] == []
    assert [
        case.name for case in cases if f"\ndfurun build/cases/{case.name}/recipe.yaml --sim-clock" not in PAGE
    ] == []


def test_a_plot_is_the_same_whenever_it_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PICTURES", tmp_path)

    def drawn(name: str) -> bytes:
        figure = Figure()
        figure.subplots().plot([1, 2], [3, 4], label="a line")
        plots._save(figure, name)
        return (tmp_path / name).read_bytes()

    assert drawn("a.svg") == drawn("b.svg")


def half_blank(data: bytes) -> bytes:
    return data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2)


@pytest.mark.parametrize(("change", "most"), [(half_blank, 0.53), (bytes, 1.0)], ids=["half blank", "full"])
def test_what_is_blank_costs_nothing(change: Callable[[bytes], bytes], most: float, clean_s: float) -> None:
    case = replace(CASES[FIRST], new=change(modelled.NEW))
    assert modelled.measure(case).median.seconds <= most * clean_s
