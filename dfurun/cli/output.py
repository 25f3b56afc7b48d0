"""Where a command's output goes: text on both streams, or JSON Lines on standard output and nothing else there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from dfurun.errors import DfurunError, ExitStatus, Finding, InvalidInput, Severity

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.report.json_lines import JsonReporter
    from dfurun.report.text import TextReporter
    from dfurun.steps.event import Event


class Output:
    """One process's output. Exactly one `result` is written in JSON, whatever happens."""

    def __init__(self, *, as_json: bool, command: str = "", quiet: bool = False) -> None:
        self.as_json = as_json
        self._quiet = quiet
        self.unit_status: int | None = None  # how the unit ended, where one did and that has been told
        if as_json:
            self._json.hello(command)

    @cached_property
    def product(self) -> Console:
        """Standard output, for what a command was asked for."""
        from rich.console import Console

        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    @cached_property
    def messages(self) -> Console:
        """Standard error, for progress and diagnostics."""
        from rich.console import Console

        return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)

    def quieten(self) -> None:
        """Show only failures, what an operator must do, and verdicts from now on."""
        self._quiet = True

    def listener(self, unit: str) -> Callable[[Event], None]:
        """Return what renders a unit's events."""
        from dfurun.steps.event import UnitFinished

        render = partial(self._json.event, unit) if self.as_json else self._text

        def listen(event: Event) -> None:
            render(event)
            if isinstance(event, UnitFinished):
                self.unit_status = event.exit_status

        return listen

    def findings(self, findings: Sequence[Finding], *, product: bool = False) -> None:
        """Show findings; they are the product of `check` and messages of every other command."""
        if not findings:
            return
        from dfurun.report.diagnostics import finding_object, print_findings

        if self.as_json:
            for finding in findings:
                self._json.write(finding_object(finding))
            return
        if self._quiet and not product:
            findings = [finding for finding in findings if finding.severity is Severity.ERROR]
        if findings:
            print_findings(findings, self.product if product else self.messages)

    def line(self, text: str) -> None:
        """Write one plain line of the product; for that rich is not imported."""
        from dfurun.report.words import printable

        print(printable(text))

    def write(self, body: dict[str, Any]) -> None:
        """Write one JSON object of the command's own; nothing in text."""
        if self.as_json:
            self._json.write(body)

    def error(self, error: DfurunError) -> None:
        """Show a failure in text; JSON has it in `result`. The findings of an invalid input have been shown already."""
        if not self.as_json and not isinstance(error, InvalidInput):
            self._text.error(error)

    def result(self, status: ExitStatus, error: DfurunError | None = None) -> None:
        """Write the last line in JSON; nothing in text."""
        if self.as_json:
            self._json.result(status, error)

    @cached_property
    def _json(self) -> JsonReporter:
        from dfurun.report.json_lines import JsonReporter

        return JsonReporter(sys.stdout)

    @cached_property
    def _text(self) -> TextReporter:
        from dfurun.report.text import TextReporter

        return TextReporter(self.messages, verbosity=-1 if self._quiet else 0)
