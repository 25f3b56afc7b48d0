"""How start-up is measured and judged."""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmarks.startup import REPORT, Command, Measured, commands, measure, table

CHECK = Command("dfurun check", ("dfurun", "check"), budget_s=0.40)
PYTHON_S = (0.010, 0.030, 0.010)


def test_a_command_is_judged_by_how_much_longer_it_takes_than_python_in_the_same_round() -> None:
    measured = Measured(CHECK, (0.300, 0.330, 0.900), PYTHON_S)
    assert round(measured.above_python_s, 3) == 0.300
    assert measured.within_budget
    assert "| 330 | 300 to 900 | 300 | 400 | within |" in table([measured])


def test_a_command_that_takes_longer_than_its_budget_is_told() -> None:
    measured = Measured(CHECK, (0.500, 0.480, 0.300), PYTHON_S)
    assert not measured.within_budget
    assert table([measured]).endswith("| 450 | 400 | **over** |")


def test_each_round_runs_every_command_and_the_first_round_is_not_counted() -> None:
    quick = Command("python -c pass", (sys.executable, "-c", "pass"))
    results = measure((quick, replace(quick, title="again")), rounds=2)
    assert [(result.command.title, len(result.seconds)) for result in results] == [("python -c pass", 2), ("again", 2)]


def test_the_report_on_file_is_of_these_commands_and_these_budgets() -> None:
    rows = [line.split(" | ") for line in REPORT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == [command.title for command in commands()]
    budgets = ["" if c.budget_s is None else f"{c.budget_s * 1000:.0f}" for c in commands()]
    assert [row[4].strip() for row in rows] == budgets
    assert "over" not in REPORT.read_text(encoding="utf-8")
