"""What was measured is kept as data: the pages are made of it, and it comes back as it was written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import modelled, paired, report
from benchmarks.bars import Bar, cells, missed
from benchmarks.bus import OnTheBus
from benchmarks.report import Report, Spread


def test_the_report_is_what_its_data_says() -> None:
    assert report.PAGE.read_text(encoding="utf-8") == Report.load_from().page()


def test_a_report_is_read_as_it_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DATA", tmp_path / "report.json")
    monkeypatch.setattr(report, "PAGE", tmp_path / "report.md")
    measured = replace(Report.load_from(report.Path(report.__file__).with_name("report.json")), date="2001-02-03")
    measured.save()
    assert Report.load_from(tmp_path / "report.json") == measured
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# Figures of 2001-02-03\n")


def test_no_figure_is_kept_more_exactly_than_to_the_microsecond() -> None:
    assert report.rounded(asdict(Spread(1 / 3, 0.25, 3))) == {"median": 0.333333, "lowest": 0.25, "highest": 3}
    assert json.loads(json.dumps(report.rounded({"a": (1 / 3, "b")}))) == {"a": [0.333333, "b"]}


def test_the_pairs_are_of_cases_that_are_modelled() -> None:
    assert {row.case for row in Report.load_from().paired} == {pairing.case for pairing in paired.PAIRINGS}
    cases = {case.name: case for case in modelled.CASES}
    for pairing in paired.PAIRINGS:
        assert (pairing.steps, pairing.faults) == (cases[pairing.case].steps, cases[pairing.case].faults)


def test_a_pair_is_told_by_medians_and_the_ratio_by_pairs() -> None:
    def runs(*seconds: float) -> tuple[paired.Run, ...]:
        return tuple(paired.Run(OnTheBus(taken, 200, 168, 210, taken), taken + 1) for taken in seconds)

    row = paired.Paired(paired.PAIRINGS[0], runs(1.0, 2.0, 9.0), runs(2.0, 2.0, 3.0)).figures()
    assert (row.dfurun_s, row.ratio) == (Spread(2.0, 1.0, 9.0), Spread(1.0, 0.5, 3.0))
    assert (row.dfurun_requests, row.dfu_util_process_s) == (168, 3.0)


def bar(reached: float) -> Bar:
    return Bar("a line", "requests <= 0.55", 0.55, reached, "The leave asks more.")


def test_a_bar_that_is_missed_is_told_with_why() -> None:
    assert cells([bar(0.55), bar(171 / 310)]) == "requests <= 0.55; requests <= 0.55 | 0.550; **0.552, missed**"
    assert missed([bar(0.55), bar(171 / 310)]) == "- a line: requests <= 0.55, 0.552 reached. The leave asks more."
    assert missed([bar(0.55)]) == "Every bar on this page is reached."
    assert cells([]) == "- | -"


def test_rounding_hides_no_miss() -> None:
    assert bar(0.5503).figure == "0.5503"
