"""Failures that only the command line has."""

from __future__ import annotations

from dfurun.errors import Code, DfurunError


class UsageFailure(DfurunError):
    """The command line is not understood, or asks for what does not go together."""

    def __init__(self, message: str, hint: str = "", code: Code = Code.USAGE) -> None:
        super().__init__(code, message, consequence="nothing was sent to any board", hint=hint)


def sim_state_failure(message: str, hint: str) -> UsageFailure:
    """Return the failure of a simulated board's state file."""
    return UsageFailure(message, hint, Code.SIM_STATE)
