"""The computed limit, held against arithmetic by hand and against runs that cannot be faster."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import limit, modelled
from dfurun.chips import load_chip
from dfurun.simulator.wire import transfer_s

CHIP = load_chip("stm32f072xb")


def test_the_flash_works_for_its_typical_times() -> None:
    """30 ms of mass erase, and 51200 half-words of 53.5 us."""
    assert limit.first_flash(CHIP, 100 * 1024, verify=False).flash_s == pytest.approx(0.030 + 51200 * 53.5e-6)


def test_the_wire_carries_the_image_once_and_once_more_to_verify() -> None:
    without, with_verify = (limit.first_flash(CHIP, 100 * 1024, verify=verify) for verify in (False, True))
    blocks = 50
    commands = 2 * transfer_s(5) + transfer_s(1) + transfer_s(0)
    answers = (1 + 1 + blocks) * 2 * transfer_s(6) + 2 * transfer_s(6) + transfer_s(6)
    assert without.wire_s == pytest.approx(blocks * transfer_s(2048) + commands + answers)
    more = blocks * transfer_s(2048) + transfer_s(5) + 2 * transfer_s(6) + 3 * transfer_s(0)
    assert with_verify.wire_s - without.wire_s == pytest.approx(more)
    assert with_verify.requests - without.requests == blocks + 6


def test_the_rom_wants_its_reported_times() -> None:
    """It reports 40 ms for a mass erase of 30, and 62 ms for a block of 1024 half-words, 54.784 ms."""
    assert limit.first_flash(CHIP, 100 * 1024, verify=False).waits_s == pytest.approx(0.010 + 50 * (0.062 - 0.054784))


def test_a_short_tail_is_a_block_of_its_own() -> None:
    assert limit.reading(CHIP, 2049).requests == 2
    assert limit.reading(CHIP, 2049).wire_s == pytest.approx(transfer_s(2048) + transfer_s(1))


@pytest.mark.parametrize("case", [case for case in modelled.CASES if not case.faults], ids=lambda case: case.title)
def test_no_run_is_faster_than_its_limit(case: modelled.Case) -> None:
    assert modelled.measure(case).median.seconds >= case.limit.total_s - transfer_s(6)  # the last answer is not in it


def test_a_clean_first_flash_is_within_one_percent_of_the_limit() -> None:
    case = next(case for case in modelled.CASES if case.title == "mass-erase, write, verify, leave")
    assert modelled.measure(case).median.seconds <= 1.01 * case.limit.total_s


def test_the_report_has_every_case() -> None:
    report = (Path(__file__).parents[2] / "benchmarks" / "report.md").read_text()
    assert [case.title for case in modelled.CASES if f"| {case.title} |" not in report] == []
