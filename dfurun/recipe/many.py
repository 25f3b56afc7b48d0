"""How much is said of a recipe in which nearly all is wrong: no more than anybody reads, and no later than anybody waits."""

from __future__ import annotations

from collections.abc import Sequence

from dfurun.errors import Code, ExitStatus, Finding, Severity

MAXIMUM_FINDINGS = 100
MAXIMUM_VALUES = 10_000  # keys count as well; the longest recipe in use has a hundredth of it


def is_enough(findings: Sequence[Finding]) -> bool:
    """Say whether a recipe need not be looked at any further: what else is found is not shown, nor changes the status."""
    return len(findings) > MAXIMUM_FINDINGS and sum(map(_is_invalid, findings)) > MAXIMUM_FINDINGS


def shortened(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that are shown, in their order: where there are too many, errors, and a last one that says so."""
    if len(findings) <= MAXIMUM_FINDINGS:
        return tuple(findings)
    by_weight = sorted(range(len(findings)), key=lambda index: _weight(findings[index]))
    shown = [findings[index] for index in sorted(by_weight[:MAXIMUM_FINDINGS])]
    message = f"{MAXIMUM_FINDINGS} of at least {len(findings)} findings are shown"
    return (*shown, Finding(Code.TOO_MANY_FINDINGS, message, hint="mend these, and check again"))


def _is_invalid(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR and finding.code.exit_status is ExitStatus.INVALID


def _weight(finding: Finding) -> int:
    """Return a number that is less for what decides on the exit status."""
    return 0 if _is_invalid(finding) else 1 if finding.severity is Severity.ERROR else 2
