"""One virtual machine for all system tests, and what they have cross-checked, in the summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.system.guest_bench import GuestBench
from tests.system.vm.machine import why_not

Agreed = Callable[[str], None]

_AGREED: list[str] = []


@pytest.fixture(scope="session")
def bench() -> Iterator[GuestBench]:
    """The bench in the virtual machine; skips, and says why, where it cannot be had.

    With DFURUN_SYSTEM_TESTS=required it fails there: what is to be tested must not look as if it had been.
    """
    if reason := why_not():
        (pytest.fail if os.environ.get("DFURUN_SYSTEM_TESTS") == "required" else pytest.skip)(reason)
    with GuestBench() as found:
        yield found


@pytest.fixture
def agreed() -> Agreed:
    """Write down a cross-check that came out equal."""
    return _AGREED.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the cross-checks."""
    if _AGREED:
        terminalreporter.section("cross-checks")
        for line in _AGREED:
            terminalreporter.line(line)
