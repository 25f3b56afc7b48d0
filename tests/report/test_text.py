"""A unit's last line: what was done, and what it does not promise."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dfurun.report.text import TextReporter
from dfurun.steps.event import UnitFinished

IN_FORCE_LATER = "option bytes come into force at the next power-on"


@pytest.mark.parametrize(
    ("verified", "power_cycle_needed", "verdict"),
    [
        (True, False, "PASS in"),
        (False, False, "PASS (written, not verified) in"),
        (True, True, f"PASS ({IN_FORCE_LATER}) in"),
        (False, True, f"PASS (written, not verified; {IN_FORCE_LATER}) in"),
    ],
)
@pytest.mark.parametrize("verbosity", [0, -1])
def test_the_verdict_names_its_reserves(verified: bool, power_cycle_needed: bool, verdict: str, verbosity: int) -> None:
    output = io.StringIO()
    finished = UnitFinished(
        exit_status=0,
        outcome="passed",
        verified=verified,
        code=None,
        message="",
        consequence="",
        hint="",
        evidence=(),
        duration_s=1.0,
        anomalies={},
        transfers=12,
        pages_redone=0,
        power_cycle_needed=power_cycle_needed,
    )
    TextReporter(Console(file=output, width=80), verbosity=verbosity)(finished)
    assert output.getvalue() == f"{verdict} 1.0 s (12 transfers)\n"
