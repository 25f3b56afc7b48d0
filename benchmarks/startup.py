"""How long dfurun takes to start, beside a Python that does nothing: python -m benchmarks.startup, or make startup."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.computer import computer, load

ROOT = Path(__file__).parents[1]
REPORT = Path(__file__).with_name("startup.md")
ROUNDS = 40


@dataclass(frozen=True)
class Command:
    """What is started, and how much longer than Python alone it may take; None where no budget is set."""

    title: str
    words: tuple[str, ...]
    budget_s: float | None = None


@dataclass(frozen=True)
class Measured:
    """A command's wall-clock times, and those of the Python alone that ran in the same round."""

    command: Command
    seconds: tuple[float, ...]
    python_s: tuple[float, ...]

    @property
    def above_python_s(self) -> float:
        """The median of what it took longer than the Python of its round."""
        return statistics.median(ours - alone for ours, alone in zip(self.seconds, self.python_s, strict=True))

    @property
    def within_budget(self) -> bool:
        """Whether the median keeps the budget."""
        return self.command.budget_s is None or self.above_python_s <= self.command.budget_s


def commands() -> tuple[Command, ...]:
    """Return what is measured: first the Python alone, then dfurun as people type it."""
    dfurun = shutil.which("dfurun", path=str(Path(sys.executable).parent))
    if dfurun is None:
        raise FileNotFoundError(f"there is no dfurun beside {sys.executable}")
    return (
        Command("python -c pass", (sys.executable, "-c", "pass")),
        Command("dfurun --version", (dfurun, "--version"), 0.15),
        Command("dfurun check recipes/f072-release.yaml", (dfurun, "check", "recipes/f072-release.yaml"), 0.40),
        Command("dfurun --help", (dfurun, "--help")),
    )


def measure(measured: Sequence[Command], rounds: int = ROUNDS) -> list[Measured]:
    """Run the commands in turn, after one round that is not counted; each round begins with another of them."""
    times: dict[Command, list[float]] = {command: [] for command in measured}
    with tempfile.TemporaryDirectory(prefix="startup-") as state:
        for number in range(-1, rounds):
            first = number % len(measured)
            for command in (*measured[first:], *measured[:first]):
                seconds = _run(command, state)
                if number >= 0:
                    times[command].append(seconds)
    alone = tuple(times[measured[0]])
    return [Measured(command, tuple(times[command]), alone) for command in measured]


def _run(command: Command, state: str) -> float:
    """Return how long the command took; its modules' bytecode is kept, as after any first run."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(
        command.words, cwd=ROOT, env=environment | {"DFURUN_STATE_DIR": state}, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - started


def table(results: Sequence[Measured]) -> str:
    """Return the results as a table in Markdown."""
    head = "| command | ms, median | lowest to highest | above Python alone | budget | |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(_row(result) for result in results)


def _row(result: Measured) -> str:
    budget, verdict = "", ""
    if result.command.budget_s is not None:
        budget, verdict = _ms(result.command.budget_s), "within" if result.within_budget else "**over**"
    spread = f"{_ms(min(result.seconds))} to {_ms(max(result.seconds))}"
    above = "" if result.seconds == result.python_s else _ms(result.above_python_s)
    return (
        f"| `{result.command.title}` | {_ms(statistics.median(result.seconds))} | {spread} "
        f"| {above} | {budget} | {verdict} |"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def write_report() -> list[Measured]:
    """Measure, print it, write it down, and return it."""
    results = measure(commands())
    print(table(results), flush=True)
    text = TEMPLATE.format(
        date=datetime.now(UTC).date(), computer=computer(), rounds=ROUNDS, table=table(results), load=load()
    )
    REPORT.write_text(text, encoding="utf-8")
    return results


def main() -> None:
    """Write the report; exit with 1 where a budget is not kept."""
    if not all(result.within_budget for result in write_report()):
        sys.exit(1)


TEMPLATE = """\
# Start-up, {date}

Made by `make startup`; [README.md](README.md) says how it is measured. {computer}; {rounds} rounds{load}.

{table}
"""

if __name__ == "__main__":
    main()
