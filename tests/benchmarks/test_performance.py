"""docs/performance.md: its bars are met on the virtual clock, which is exact, and its table is what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks import modelled, performance
from benchmarks.performance import DFU_UTIL_REQUESTS

DOCS = Path(__file__).parents[2] / "docs"
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
    assert modelled.measure(CASES[title]).median.requests_from_the_erase_on <= most * DFU_UTIL_REQUESTS


def test_the_page_has_the_figures_of_the_clean_cases() -> None:
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    for title in ("mass-erase, write, leave", FIRST, "write mode: changed, the same image again"):
        result = modelled.measure(CASES[title])
        row = f"| {title} | {result.median.seconds:.3f} | {result.slowest_s:.3f} | {result.case.limit.total_s:.3f} |"
        assert row in page


def test_a_plot_is_the_same_whenever_it_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "PICTURES", tmp_path)

    def drawn(name: str) -> bytes:
        figure = Figure()
        figure.subplots().plot([1, 2], [3, 4], label="a line")
        performance._save(figure, name)
        return (tmp_path / name).read_bytes()

    assert drawn("a.svg") == drawn("b.svg")


def half_blank(data: bytes) -> bytes:
    return data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2)


@pytest.mark.parametrize(("change", "most"), [(half_blank, 0.53), (bytes, 1.0)], ids=["half blank", "full"])
def test_what_is_blank_costs_nothing(change: Callable[[bytes], bytes], most: float, clean_s: float) -> None:
    case = replace(CASES[FIRST], new=change(modelled.NEW))
    assert modelled.measure(case).median.seconds <= most * clean_s
