"""Several units at once as people read them: each line says whose it is; on a terminal each board has one line that changes."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from dfurun.report.text import TextReporter, awaited, verdict
from dfurun.report.words import count, printable
from dfurun.steps.event import (
    BoardAwaited,
    Event,
    Notice,
    OperatorAsked,
    Progress,
    StepStarted,
    UnitFinished,
    Waiting,
)
from dfurun.units import format_duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

BAR_WIDTH = 24
TIME_WIDTH = 10
REFRESHES_A_SECOND = 5
APART = "  "


class LinesOf(io.TextIOBase):
    """A text stream that passes whole lines on, each with whose it is before it."""

    def __init__(self, prefix: str, pass_on: Callable[[str], None]) -> None:
        self._prefix = prefix
        self._pass_on = pass_on
        self._rest = ""

    def write(self, text: str) -> int:
        """Take text in; what has no line end yet waits for it."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._pass_on("".join(f"{self._prefix}{line}\n" for line in lines))
        return len(text)


class PlainBoards(AbstractContextManager["PlainBoards"]):
    """For what is no terminal: all lines of all units, as they come, each led by its unit's name."""

    def __init__(self, console: Console, names: Iterable[str], *, verbosity: int = 0) -> None:
        self._console = console
        self._verbosity = verbosity
        self._width = max(map(len, names), default=0)
        self._writing = threading.Lock()

    def __exit__(self, *_: object) -> None:
        """Leave everything as it is."""

    def reporter(self, name: str) -> TextReporter:
        """Return what renders one unit's events."""
        return TextReporter(_console_of(self._console, self._lines(name), 0), verbosity=self._verbosity)

    def _lines(self, name: str) -> LinesOf:
        return LinesOf(name.ljust(self._width) + APART, self._write)

    def _write(self, text: str) -> None:
        with self._writing:
            self._console.file.write(text)
            self._console.file.flush()


@dataclass(slots=True)
class _Row:
    """One board's line: what it does, how much of it is done, since when; or its verdict."""

    words: str = "waiting for the board"
    title: str = ""
    share: float | None = None
    ended: UnitFinished | None = None
    began_s: float = field(default=0.0)


class LiveBoards(AbstractContextManager["LiveBoards"]):
    """For a terminal: a line a board at its foot, above it what somebody has to know; the lines stay when all have ended."""

    def __init__(self, console: Console, names: Iterable[str], *, verbosity: int = 0) -> None:
        self._console = console
        self._verbosity = verbosity
        self._rows = {name: _Row(began_s=console.get_time()) for name in names}
        self._width = max(map(len, self._rows), default=0)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(
            console=self._console, get_renderable=self._drawn, refresh_per_second=REFRESHES_A_SECOND, transient=False
        )
        self._live.start()
        self._console.show_cursor()  # a process that is killed cannot bring it back
        return self

    def __exit__(self, *_: object) -> None:
        """Draw the lines for the last time, and let them stay."""
        if self._live is not None:
            self._live.stop()

    def reporter(self, name: str) -> LiveUnit:
        """Return what renders one unit's events."""
        prefix = name.ljust(self._width) + APART
        above = _console_of(self._console, LinesOf(prefix, self._print_above), len(prefix))
        return LiveUnit(self._rows[name], TextReporter(above, verbosity=self._verbosity), self._console.get_time)

    def _print_above(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)

    def _drawn(self) -> RenderableType:
        from rich.console import Group

        return Group(*(self._line(name, row) for name, row in self._rows.items()))

    def _line(self, name: str, row: _Row) -> Text:
        """Return a board's line as one text: a table is laid out anew each time, while workers wait for the interpreter."""
        from rich.text import Text

        line = Text(name.ljust(self._width) + APART, no_wrap=True, overflow="ellipsis")
        if row.ended is not None:
            return line.append(_in_a_line(row.ended), "bold red" if row.ended.code else "bold green")
        room = self._console.width - line.cell_len - TIME_WIDTH - len(APART)
        bar = self._bar(row.share) if row.share is not None and room > 2 * BAR_WIDTH else Text()
        words = Text(row.words)
        words.truncate(max(1, room - bar.cell_len), overflow="ellipsis", pad=True)
        took = format_duration(self._console.get_time() - row.began_s)
        return line.append_text(words).append_text(bar).append(APART + took.rjust(TIME_WIDTH))

    def _bar(self, share: float) -> Text:
        """Return a bar like rich's own, which is full for a share of 1."""
        from rich.text import Text

        bar = Text(APART)
        done = int(min(share, 1.0) * BAR_WIDTH)
        stroke = "-" if self._console.options.ascii_only or self._console.legacy_windows else "\u2501"
        rest = " " if self._console.color_system is None else stroke
        bar.append(stroke * done, "bar.finished" if done == BAR_WIDTH else "bar.complete")
        return bar.append(rest * (BAR_WIDTH - done), "bar.back")


class LiveUnit:
    """Renders one unit's events on its row; what needs somebody, and a failure, is printed above all rows."""

    def __init__(self, row: _Row, above: TextReporter, now: Callable[[], float]) -> None:
        self._row = row
        self._above = above
        self._now = now
        self._gone_in_s: float | None = None  # when the step began from which the board is gone

    def __call__(self, event: Event) -> None:
        """Render one event."""
        row = self._row
        match event:
            case StepStarted():
                row.title, row.words, row.share = printable(event.title), printable(event.title), None
                row.began_s, self._gone_in_s = self._now(), None
            case Progress():
                row.words = _named(row, event.activity)
                row.share = event.done / event.total if event.total else None
            case Waiting():
                row.words, row.share = _named(row, event.activity), None
            case BoardAwaited():
                row.words, row.share = _named(row, awaited(event)), None
                self._gone_in_s, row.began_s = row.began_s, self._now()
            case Notice() if self._gone_in_s is not None:  # that it is back
                row.words, row.began_s, self._gone_in_s = row.title, self._gone_in_s, None
            case OperatorAsked():
                row.words = f"set BOOT0 {'HIGH' if event.boot0 else 'LOW'} and power-cycle it"
            case UnitFinished():
                row.ended = event
            case _:
                pass
        if _is_for_somebody(event) or self._above.verbosity > 0:
            self._above(event)

    def detail(self, text: str) -> None:
        """Render a line about the link."""
        self._above.detail(text)


def _named(row: _Row, activity: str) -> str:
    return activity if row.title in ("", activity) else f"{row.title}: {activity}"


def _is_for_somebody(event: Event) -> bool:
    match event:
        case OperatorAsked():
            return True
        case UnitFinished() | Notice():
            return event.code is not None
        case _:
            return False


def _in_a_line(ended: UnitFinished) -> str:
    return f"{verdict(ended)}: {ended.code}" if ended.code else verdict(ended)


def _console_of(like: Console, file: Any, prefix_width: int) -> Console:
    """Return a console that is a terminal with the colours of another one, or none, and redraws nothing."""
    from rich.console import Console

    return Console(
        file=file,
        force_terminal=like.is_terminal,
        force_interactive=False,
        no_color=like.no_color,
        color_system=like.color_system,  # type: ignore[arg-type]
        width=max(20, like.width - prefix_width),
        highlight=False,
        markup=False,
        emoji=False,
    )


def tally(units: Mapping[str, UnitFinished]) -> str:
    """Return what came of several units that ran at once: `3 boards: 2 passed, 1 failed (1-2), in 1.2 s`."""
    failed = [name for name, ended in units.items() if ended.code is not None]
    words = [f"{len(units) - len(failed)} passed"]
    if failed:
        words.append(f"{len(failed)} failed ({', '.join(failed)})")
    took_s = max((ended.duration_s for ended in units.values()), default=0.0)
    return f"{count(len(units), 'board', 'boards')}: {', '.join(words)}, in {format_duration(took_s)}"
