"""A run as people read it: a line a step, a bar while it goes on, and at the end what it means and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from dfurun.errors import DfurunError
from dfurun.report.words import ROW_BYTES, count, printable, raw_rows, wrapped
from dfurun.steps.event import (
    BoardAwaited,
    BoardFound,
    Event,
    Notice,
    OperatorAsked,
    OptionBytesPlanned,
    Outcome,
    Progress,
    StepFinished,
    StepStarted,
    UnitFinished,
    UnitStarted,
    Waiting,
)
from dfurun.units import format_duration, format_hex, format_size

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.report.running import RunningLine

OUTCOME_STYLES = {
    Outcome.CHANGED: "green",
    Outcome.OK: "cyan",
    Outcome.SKIPPED: "yellow",
    Outcome.FAILED: "bold red",
}
NAME_WIDTH = 22
LEVELS = {"boot0=0": "low ", "boot0=1": "high"}
FURTHER_IN = 2
WAITING_FOR_HANDS = "waiting for the power cycle"


class TextReporter:
    """Renders events onto a rich console, which knows whether it is a terminal and whether colour is wanted."""

    def __init__(self, console: Console, *, verbosity: int = 0) -> None:
        self._console = console
        self._verbosity = verbosity
        self._running: RunningLine | None = None
        self._titles: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Render one event."""
        if isinstance(event, StepFinished | UnitFinished):
            self.end_bar()
        match event:
            case UnitStarted() | BoardFound() | Notice() if self._verbosity < 0:
                pass
            case UnitStarted():
                self._line(f"{event.recipe}: {len(event.steps)} steps for {event.chip}", style="bold")
                for name, variable in event.variables.items():
                    self._line(f"  {name}: {variable['value']}, from {variable['origin']}")
            case BoardFound():
                self._board(event)
            case StepStarted():
                self._titles[event.index] = event.title
                if self._verbosity > 0:
                    self._line(f"  {event.title}", style="bold")
                if running := self._running_line():
                    running.begin(printable(event.title))
            case Progress():
                if running := self._running_line():
                    running.advance(event.activity, event.done, event.total)
            case Waiting():
                if running := self._running_line():
                    running.wait(event.activity, event.expected_s)
            case BoardAwaited():
                if running := self._running_line():
                    running.say(awaited(event))
            case OptionBytesPlanned():
                self._option_bytes(event)
            case Notice():
                self._notice(event)
                if self._running is not None:
                    self._running.go_on()
            case OperatorAsked():
                self._ask(event)
            case StepFinished():
                self._step(event)
            case UnitFinished():
                self._finish(event)
            case _:
                assert_never(event)

    @property
    def verbosity(self) -> int:
        """How much is told: less than 0 with -q, more than 0 with -v."""
        return self._verbosity

    def detail(self, text: str) -> None:
        """Render a line about the link; a bar that is drawn moves below it."""
        words = text.lstrip()
        indent = len(text) - len(words)
        self._hanging(words, indent=indent, style="yellow" if words.startswith("!") else "dim")

    def error(self, error: DfurunError) -> None:
        """Render a failure outside of a unit's run."""
        self.end_bar()
        self._failure(str(error.code), error.message, error.consequence, error.hint, error.evidence)

    def _board(self, event: BoardFound) -> None:
        size = format_size(event.flash_size_bytes) if event.flash_size_bytes else None
        words = [
            event.product,
            f"bootloader {event.bootloader}" if event.bootloader else None,
            size,
            event.protection,
        ]
        self._line(f"board at {event.port}: " + ", ".join(word for word in words if word))
        if event.unique_id:
            self._line(f"  unique id {event.unique_id}")

    def _step(self, event: StepFinished) -> None:
        if self._verbosity < 0 and event.outcome is not Outcome.FAILED:
            return
        from rich.text import Text

        line = Text("  ")
        line.append(self._titles.get(event.index, event.step).ljust(NAME_WIDTH))
        line.append(event.outcome.value.ljust(8), style=OUTCOME_STYLES[event.outcome])
        line.append(format_duration(event.duration_s).rjust(8) + "  ", style="dim")
        beside = len(line)
        first, *rest = wrapped(self._console, f"[{event.code}]" if event.code else event.detail, beside=beside)
        line.append(first)
        self._console.print(line, soft_wrap=True)
        for text in rest:
            self._line(" " * beside + text)

    def _option_bytes(self, event: OptionBytesPlanned) -> None:
        if self._verbosity < 0:
            return
        if event.before == event.after:
            whole = f"{format_hex(event.before, group=2)}, " if len(event.before) <= ROW_BYTES else ""
            self._line(f"    option bytes {whole}nothing to change")
            return
        for before in raw_rows(event.before, event.after):
            self._line(f"    before {before}")
        for after in raw_rows(event.after, event.before):
            self._line(f"    after  {after}")
        for change in event.changes:
            self._line(f"           {change}")
        for level, was in event.boots_before.items():
            starts = event.boots_after[level]
            words = f"{starts.words}, as before" if starts is was else f"{was.words} -> {starts.words}"
            self._line(f"           BOOT0 {LEVELS[level]} starts {words}")

    def _notice(self, event: Notice) -> None:
        code = f"[{event.code}]" if event.code else ""
        self._hanging(f"note{code}: {event.message}", style="yellow")
        if event.hint:
            self._hanging(event.hint, indent=4)

    def _ask(self, event: OperatorAsked) -> None:
        level = "HIGH" if event.boot0 else "LOW"
        self._line(
            f"  >>> board at {event.port}: set BOOT0 {level} and power-cycle it (all power off and on);\n"
            f"      waiting {format_duration(event.timeout_s)}",
            style="bold yellow",
        )
        if running := self._running_line():
            running.begin(WAITING_FOR_HANDS)

    def _finish(self, event: UnitFinished) -> None:
        if event.code is not None:
            self._failure(str(event.code), event.message, event.consequence, event.hint, event.evidence)
        if event.code is None:
            self._hanging(verdict(event), indent=0, style="bold green")
        else:
            self._line(verdict(event), style="bold red")

    def _failure(self, code: str, message: str, consequence: str, hint: str, evidence: tuple[str, ...]) -> None:
        self._hanging(f"error[{code}]: {message}", indent=0, style="bold red")
        for label, words in (("the board", consequence), ("what to do", hint)):
            if words:
                self._hanging(f"{label}: {words}")
        if evidence:
            self._line("  seen:")
            for line in evidence:
                self._line(f"    {line}")

    def _hanging(self, text: str, *, indent: int = 2, style: str = "") -> None:
        """Print a text, on a terminal in lines that go on a little further in; what is to be copied stays whole."""
        first, *rest = wrapped(self._console, text, beside=indent + FURTHER_IN)
        self._line(" " * indent + first, style=style)
        for line in rest:
            is_long = len(line) > self._console.width - indent - FURTHER_IN
            self._line(line if is_long else " " * (indent + FURTHER_IN) + line, style=style)

    def _line(self, text: str, *, style: str = "") -> None:
        self._console.print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)

    def _running_line(self) -> RunningLine | None:
        """Return what is drawn while a step goes on; None where nothing can be redrawn, or less is wanted."""
        if not self._console.is_interactive or self._verbosity < 0:
            return None
        if self._running is None:
            from dfurun.report.running import RunningLine

            self._running = RunningLine(self._console)
        return self._running

    def end_bar(self) -> None:
        """Take the running line away, where one is drawn."""
        if self._running is not None:
            self._running.end()


def awaited(event: BoardAwaited) -> str:
    """Return that a board is waited for: `gone from the bus, waiting 15.0 s`."""
    if not event.is_lost:
        return "waiting for the board"
    return "gone from the bus, waiting" + (f" {format_duration(event.timeout_s)}" if event.timeout_s else "")


def verdict(event: UnitFinished) -> str:
    """Return how a unit ended in one line: `PASS in 1.2 s (161 transfers)`."""
    words = count(event.transfers, "transfer", "transfers")
    if event.anomalies:
        words += f", {count(sum(event.anomalies.values()), 'anomaly', 'anomalies')}"
    if event.pages_redone:
        words += f", {count(event.pages_redone, 'page', 'pages')} redone"
    took = format_duration(event.duration_s)
    if event.code is not None:
        return f"FAIL, exit {event.exit_status}, after {took} ({words})"
    reserves = [] if event.verified else ["written, not verified"]
    if event.power_cycle_needed:
        reserves.append("option bytes come into force at the next power-on")
    return f"PASS ({'; '.join(reserves)}) in {took} ({words})" if reserves else f"PASS in {took} ({words})"
