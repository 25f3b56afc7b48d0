"""All rules over one recipe, less what the recipe silences with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from dfurun.errors import ExitStatus, Finding, Severity, worst_status
from dfurun.lint import flash_rules, flow_rules, option_rules
from dfurun.lint.case import Case, Moment
from dfurun.lint.ignores import read_ignores, unused
from dfurun.plan import Compiled

RULES = (*flow_rules.RULES, *flash_rules.RULES, *option_rules.RULES)


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that the recipe silences, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Linted:
    """What is to be said of a recipe, in the order of its text: what `check` found, and advice. `silenced` is kept apart."""

    findings: tuple[Finding, ...]
    silenced: tuple[Silenced, ...] = ()

    @property
    def status(self) -> ExitStatus:
        """What the process exits with: that of `check` where there are errors, else FAILED where there is any finding."""
        return worst_status(self.findings) or (ExitStatus.FAILED if self.findings else ExitStatus.DONE)


def lint(compiled: Compiled) -> Linted:
    """Return what `check` found and, where that has no error, the advice of all rules."""
    if compiled.is_base:
        return Linted(compiled.findings_of_a_base)
    loaded, interpretation, recipe = compiled.loaded, compiled.interpretation, compiled.recipe
    has_errors = any(finding.severity is Severity.ERROR for finding in compiled.findings)
    if has_errors or loaded is None or recipe is None or interpretation is None:
        return Linted(compiled.findings)
    boards = interpretation.boards
    moments = tuple(map(Moment, recipe.steps, boards, boards[1:]))
    case = Case(recipe, moments, loaded.values)
    advice = loaded.source.attach(chain.from_iterable(rule(case) for rule in RULES))
    ignores, wrong = read_ignores(loaded.values)
    found = (*compiled.findings, *advice)
    silenced = {
        index: ignore.reason for index, finding in enumerate(found) for ignore in ignores if ignore.covers(finding)
    }
    idle = [
        unused(ignore)
        for ignore in ignores
        if not any(map(ignore.covers, found)) and loaded.source.owner(ignore.path) is loaded.source
    ]  # one of a base may be for another recipe that extends it
    left = (finding for index, finding in enumerate(found) if index not in silenced)
    return Linted(
        loaded.source.attach((*left, *wrong, *idle)),
        tuple(Silenced(found[index], reason) for index, reason in silenced.items()),
    )
