"""Where a command's output goes: text on both streams, or JSON Lines on standard output and nothing else there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfurun.cli.failures import UsageFailure
from dfurun.errors import DfurunError, ExitStatus, Finding, InvalidInput, Severity

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.cli.several_output import SeveralOutput
    from dfurun.cli.watching import Watch
    from dfurun.report.json_lines import JsonReporter
    from dfurun.report.log import LogFile
    from dfurun.report.text import TextReporter
    from dfurun.steps.event import Event

STOPPING = "stopping after this operation; Ctrl-C again stops at once"


class Output:
    """One process's output. Exactly one `result` is written in JSON, whatever happens."""

    def __init__(self, *, as_json: bool, arguments: Sequence[str] = ()) -> None:
        self.as_json = as_json
        self.trace: Watch | None = None  # what listens to the boards' links, where anybody does
        self._arguments = arguments
        self.annotate = False  # whether findings are annotations for a workflow
        self._verbosity = 0
        self._log: LogFile | None = None
        self.unit_status: int | None = None  # how the unit, or all of several, ended, where that has been told
        self.counts: dict[str, int] = {}  # of several units, for the last line in JSON
        if as_json:
            self._json.hello(arguments[0] if arguments else "")

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

    def watch(self, *, quiet: bool = False, verbose: int = 0, log: Path | None = None) -> None:
        """Show less (failures, what an operator must do, verdicts) or more from now on, and log to a file.

        Raises UsageFailure for both at once; Refused and StepFailed for a log that cannot be written.
        """
        if quiet and verbose:
            raise UsageFailure("--quiet and --verbose contradict each other", "one of the two")
        self._verbosity = -1 if quiet else verbose
        if verbose or log is not None:
            from dfurun.cli.watching import Watch, open_log

            self._log = None if log is None else open_log(log, self._arguments)
            self.trace = Watch(self._text.detail, verbose, self._log)

    def listener(self, unit: str) -> Callable[[Event], None]:
        """Return what renders a unit's events."""
        from dfurun.steps.event import Progress, UnitFinished

        render = partial(self._json.event, unit) if self.as_json else self._text

        def listen(event: Event) -> None:
            if self.trace is not None and not isinstance(event, Progress):
                self.trace.flush()
            if self._log is not None:
                self._log.event(event)
            render(event)
            if isinstance(event, UnitFinished):
                self.unit_status = event.exit_status

        return listen

    @property
    def is_quiet(self) -> bool:
        """Whether -q asks for what somebody has to know, alone."""
        return self._verbosity < 0

    def several(self, names: Sequence[str]) -> SeveralOutput:
        """Return where several units that run at once are told of, each from a thread of its own; to be entered."""
        from dfurun.cli.several_output import SeveralOutput

        return SeveralOutput(
            names, self.messages, self._json if self.as_json else None, verbosity=self._verbosity, log=self._log
        )

    def findings(self, findings: Sequence[Finding], *, product: bool = False) -> None:
        """Show findings; they are the product of `check` and messages of every other command."""
        if not findings:
            return
        from dfurun.report.diagnostics import finding_object, github_annotation, print_findings

        if self._log is not None:
            for finding in findings:
                self._log.line("finding", f"{finding.place}: {finding.severity}[{finding.code}] {finding.message}")
        if self.as_json:
            for finding in findings:
                self._json.write(finding_object(finding))
            return
        if self._verbosity < 0 and not product:
            findings = [finding for finding in findings if finding.severity is Severity.ERROR]
        console = self.product if product else self.messages
        if self.annotate:
            for finding in findings:
                console.print(github_annotation(finding), soft_wrap=True)
        elif findings:
            print_findings(findings, console)

    def line(self, text: str) -> None:
        """Write one plain line of the product; for that rich is not imported."""
        from dfurun.report.words import printable

        print(printable(text))

    def write(self, body: dict[str, Any]) -> None:
        """Write one JSON object of the command's own; nothing in text."""
        if self.as_json:
            self._json.write(body)

    def progress(self, activity: str, done: int, total: int) -> None:
        """Tell how far something is that is no step of a unit."""
        from dfurun.steps.event import Progress

        self.write({"event": "progress", "activity": activity, "done": done, "total": total})
        if not self.as_json:
            self._text(Progress(0, activity, done, total))

    def end_progress(self) -> None:
        """Take the bar away, where one is drawn."""
        if not self.as_json:
            self._text.end_bar()

    def stopping(self) -> None:
        """Say that Ctrl-C was heard, in every form of output; from any thread."""
        self.messages.print(STOPPING, style="bold yellow", soft_wrap=True)

    def made(self, path: Path) -> None:
        """Say in every form of output that a simulated board's file is new: its name may have been misspelt."""
        if self._verbosity >= 0:
            from dfurun.report.words import wrapped

            for line in wrapped(self.messages, f"note: {path} was not there; it is made, and holds a new board"):
                self.messages.print(line, style="yellow", soft_wrap=True)

    def error(self, error: DfurunError) -> None:
        """Show a failure in text; JSON has it in `result`. Of an invalid input all but what it means has been shown."""
        if self.as_json:
            return
        if isinstance(error, InvalidInput):
            self.messages.print(error.consequence, soft_wrap=True)
        else:
            self._text.error(error)

    def result(self, status: ExitStatus, error: DfurunError | None = None) -> None:
        """Write the last line in JSON and in the log; nothing in text."""
        self._end_log(status, error)
        if self.as_json:
            self._json.result(status, error, **self.counts)

    def _end_log(self, status: ExitStatus, error: DfurunError | None) -> None:
        """Write how it ended, and tell of a log that could not be written to its end."""
        if self.trace is not None:
            self.trace.flush()
        if self._log is None:
            return
        if error is not None:
            self._log.line("error", f"[{error.code}] {error.message}; {error.consequence}")
            for line in error.evidence:
                self._log.line("seen", line)
        self._log.end(int(status))
        if self._log.lost is not None:
            self.messages.print(f"the log is not complete: {self._log.lost.strerror or self._log.lost}", soft_wrap=True)

    @cached_property
    def _json(self) -> JsonReporter:
        from dfurun.report.json_lines import JsonReporter

        return JsonReporter(sys.stdout)

    @cached_property
    def _text(self) -> TextReporter:
        from dfurun.report.text import TextReporter

        return TextReporter(self.messages, verbosity=self._verbosity)
