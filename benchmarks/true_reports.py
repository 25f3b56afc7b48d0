"""A ROM that reports what each operation takes: none that anybody has met, to tell what of a figure is owed to the reports."""

from __future__ import annotations

import math

from dfurun.simulator.fault import Fault
from dfurun.simulator.operation import Operation


def reported_s(duration_s: float) -> float:
    """Return a time as bwPollTimeout can tell it, to the next millisecond."""
    return math.ceil(duration_s * 1000) / 1000


class TrueReports(Fault):
    """The ROM reports what each operation takes, at the width that the flash is programmed with."""

    name = "true-reports"

    def reporting(self, operation: Operation) -> float | None:
        """Report the operation's own time."""
        return reported_s(operation.duration_s)
