"""The line at the foot of a terminal that says what is going on, for how long, and how long it usually takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.progress_bar import ProgressBar
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

BAR_WIDTH = 24


class RunningLine:
    """Drawn from `begin` to `end`, below what is printed meanwhile; redrawn by a thread of its own, and gone afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._title = ""
        self._is_instead = False
        self._tasks: dict[str, TaskID] = {}

    def begin(self, title: str) -> None:
        """Show that this goes on, and for how long; in place of all that was shown."""
        self._title = title
        self._clear()
        self._tasks[""] = self._drawn().add_task(title, total=None)

    def say(self, words: str) -> None:
        """Show what keeps the step from going on, in place of all that was shown, until it goes on."""
        self._clear()
        self._tasks[""] = self._drawn().add_task(self._named(words), total=None)
        self._is_instead = True

    def go_on(self) -> None:
        """Show the step again, where something was said in its place."""
        if self._is_instead:
            self.begin(self._title)

    def wait(self, activity: str, expected_s: float) -> None:
        """Show an operation that tells nothing until it ends, beside the seconds that it usually takes."""
        self._clear()
        self._tasks[activity] = self._drawn().add_task(self._named(activity), total=None, expected_s=expected_s)

    def advance(self, activity: str, done: int, total: int) -> None:
        """Show how much of an activity is done. One that came before it stays, as done as it was."""
        if "" in self._tasks:
            self._clear()
        if activity not in self._tasks:
            self._tasks[activity] = self._drawn().add_task(self._named(activity), total=total)
        self._drawn().update(self._tasks[activity], completed=done)

    def end(self) -> None:
        """Take away what is drawn, if anything is."""
        self._title = ""
        self._is_instead = False
        self._tasks.clear()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _named(self, activity: str) -> str:
        return activity if self._title in ("", activity) else f"{self._title}: {activity}"

    def _clear(self) -> None:
        for task in self._tasks.values():
            self._drawn().remove_task(task)
        self._is_instead = False
        self._tasks.clear()

    def _drawn(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(_Title(), _Bar(BAR_WIDTH), _Times(), console=self._console, transient=True)
            self._progress.start()
            self._console.show_cursor()  # a process that is killed cannot bring it back
        return self._progress


class _Title(ProgressColumn):
    """What goes on: plain text, whatever a recipe calls its step."""

    def render(self, task: Task) -> Text:
        """Return the title."""
        return Text(f"  {task.description}", no_wrap=True, overflow="ellipsis")


class _Bar(BarColumn):
    """How far it is, by what is done or by the time that it usually takes."""

    def render(self, task: Task) -> ProgressBar:
        """Return the bar; without a width where nobody knows how far it is."""
        expected_s = task.fields.get("expected_s")
        if expected_s:
            return ProgressBar(expected_s, min(task.elapsed or 0.0, expected_s), width=self.bar_width)
        return ProgressBar(task.total or 1.0, task.completed, width=0 if task.total is None else self.bar_width)


class _Times(ProgressColumn):
    """How long it has gone on, and how long it may go on."""

    def render(self, task: Task) -> Text:
        """Return the words."""
        elapsed_s, expected_s = task.elapsed or 0.0, task.fields.get("expected_s")
        if expected_s and elapsed_s > expected_s:
            return Text(f"{in_seconds(elapsed_s)}, longer than the usual {in_seconds(expected_s)}")
        if expected_s:
            return Text(f"{in_seconds(elapsed_s)} of about {in_seconds(expected_s)}")
        if task.total is None:
            return Text(in_seconds(elapsed_s))
        left = f", about {in_seconds(task.time_remaining)} left" if task.time_remaining else ""
        return Text(f"{task.percentage:>3.0f}%  {in_seconds(elapsed_s)}{left}")


def in_seconds(seconds: float) -> str:
    """Return `3 s` or `2 min 5 s`, which ticks where a fraction would flicker."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes > 1 else f"{int(seconds)} s"
