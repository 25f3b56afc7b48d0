"""Where several units that run at once are told of: JSON Lines, plain lines, or a line a board on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Self

from dfurun.steps.event import Event, Progress

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.cli.watching import Watch
    from dfurun.report.json_lines import JsonReporter
    from dfurun.report.log import LogFile
    from dfurun.report.several import LiveBoards, PlainBoards


class SeveralOutput(AbstractContextManager["SeveralOutput"]):
    """The output of several units; the lines of each say whose they are. `unit` is for the main thread, the rest for any."""

    def __init__(
        self,
        names: Sequence[str],
        messages: Console,
        json: JsonReporter | None,
        *,
        verbosity: int,
        log: LogFile | None,
    ) -> None:
        self._json = json
        self._verbosity = verbosity
        self._log = log
        self._is_open = True
        self._boards = _boards(messages, names, verbosity)

    def __enter__(self) -> Self:
        """Draw, where something is drawn."""
        if self._json is None:
            self._boards.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the screen in order; a unit that still runs, which a third Ctrl-C leaves behind, is not heard any more."""
        self._is_open = False
        if self._json is None:
            self._boards.__exit__()

    def unit(self, name: str) -> tuple[Callable[[Event], None], Watch | None]:
        """Return what renders one unit's events, and what listens to its link, where anybody does."""
        reporter = self._boards.reporter(name)
        render: Callable[[Event], None] = reporter if self._json is None else partial(self._json.event, name)
        watch: Watch | None = None
        if self._verbosity > 0 or self._log is not None:
            from dfurun.cli.watching import Watch

            watch = Watch(reporter.detail, self._verbosity, self._log, name)

        def listen(event: Event) -> None:
            if not self._is_open:
                return
            if watch is not None and not isinstance(event, Progress):
                watch.flush()
            if self._log is not None:
                self._log.event(event, name)
            render(event)

        return listen, watch


def _boards(messages: Console, names: Sequence[str], verbosity: int) -> PlainBoards | LiveBoards:
    from dfurun.report.several import LiveBoards, PlainBoards

    kind = LiveBoards if messages.is_interactive and verbosity >= 0 else PlainBoards
    return kind(messages, names, verbosity=verbosity)
