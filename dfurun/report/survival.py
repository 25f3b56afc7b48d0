"""The fault matrix as people and tools read it: a survival table of steps and faults, and every case that broke a promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfurun.matrix import Breach, Matrix, Survived, Trial
from dfurun.report.words import count, printable

if TYPE_CHECKING:
    from rich.console import Console

WHOLE_RUN = "whole run"
LEGEND = "in one run + by a second run after a power cycle + by hand, !broken"
_WORDS = {
    Survived.IN_ONE_RUN: "in one run",
    Survived.BY_SECOND_RUN: "by a second run, after a power cycle",
    Survived.BY_HAND: "by hand",
    Survived.NOT: "broken",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: for each step, and last for faults over the whole run, how many cases came to what."""

    fault: str
    cells: tuple[Counter[Survived], ...]


def rows(matrix: Matrix) -> list[Row]:
    """Return the table's rows, in the order in which the kinds are listed."""
    steps = [*range(len(matrix.recipe.steps)), None]
    found: dict[str, dict[int | None, Counter[Survived]]] = {}
    for trial in matrix.trials:
        cells = found.setdefault(trial.case.kind.name, {step: Counter() for step in steps})
        cells[trial.case.step][trial.survived] += 1
    return [Row(name, tuple(found[name][step] for step in steps)) for name in matrix.kinds if name in found]


def print_survival(console: Console, matrix: Matrix, *, duration_s: float) -> None:
    """Print the table, what needs a hand, and what is broken."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console.print(f"{printable(str(matrix.recipe.path))}: {_made(matrix, duration_s)}", soft_wrap=True)
    console.print(f"boards: {_boards(matrix)}", soft_wrap=True)
    steps = [f"{step.head.index + 1} {step.keyword}" for step in matrix.recipe.steps]
    console.print(f"steps: {', '.join(steps)}", soft_wrap=True)
    console.print()
    found = rows(matrix)
    by_step = [row for row in found if any(row.cells[:-1])]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("fault in step", no_wrap=True)
    for number in range(1, len(steps) + 1):
        table.add_column(str(number), justify="right")
    for row in by_step:
        table.add_row(row.fault, *map(_cell, row.cells[:-1]), style=_style(row))
    console.print(table)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("all through the run", no_wrap=True)
    table.add_column("cases", justify="right", no_wrap=True)
    for row in found:
        if row not in by_step:
            table.add_row(row.fault, _cell(row.cells[-1]), style=_style(row))
    console.print(table)
    console.print(f"Each cell: {LEGEND}.", soft_wrap=True)
    for line in _hands(matrix):
        console.print(line, soft_wrap=True)
    for group in _alike(matrix.broken):
        console.print()
        for line in _case(matrix, group):
            console.print(line, soft_wrap=True)
    console.print(f"\n{_verdict(matrix)}", soft_wrap=True)


def survival_markdown(matrix: Matrix, *, duration_s: float) -> str:
    """Return the same as Markdown, for a pull request's comment or a file in a repository."""
    steps = [f"{step.head.index + 1} `{step.keyword}`" for step in matrix.recipe.steps]
    lines = [
        f"### Fault matrix of `{matrix.recipe.path.as_posix()}`",
        "",
        f"{_made(matrix, duration_s)} Boards: {_boards(matrix)}. Each cell: {LEGEND}.",
        "",
        "| fault | " + " | ".join([*steps, WHOLE_RUN]) + " |",
        "|---|" + "--:|" * (len(steps) + 1),
    ]
    lines += [f"| {row.fault} | " + " | ".join(map(_cell, row.cells)) + " |" for row in rows(matrix)]
    lines += ["", *(f"- {line}" for line in _hands(matrix))]
    for group in _alike(matrix.broken):
        first, *rest = _case(matrix, group)
        lines += [f"- {first}", *(f"  {line.strip()}  " for line in rest)]
    return "\n".join([*lines, "", f"**{_verdict(matrix)}**"])


def survival_object(matrix: Matrix, *, duration_s: float) -> dict[str, Any]:
    """Return the matrix as JSON values; `step` counts from 1 as in the table, and is null for the whole run."""
    steps = [step.keyword for step in matrix.recipe.steps]
    return {
        "event": "survival",
        "recipe": str(matrix.recipe.path),
        "chip": matrix.recipe.chip.name,
        "runs": matrix.runs,
        "duration_s": round(duration_s, 3),
        "cases": len(matrix.trials),
        "left_out": matrix.left_out,
        "boards": [start.name for start in matrix.starts],
        "steps": steps,
        "rows": [
            {
                "fault": row.fault,
                "step": number if number <= len(steps) else None,
                "in_one_run": cell[Survived.IN_ONE_RUN],
                "by_second_run": cell[Survived.BY_SECOND_RUN],
                "by_hand": cell[Survived.BY_HAND],
                "broken": cell[Survived.NOT],
            }
            for row in rows(matrix)
            for number, cell in enumerate(row.cells, start=1)
            if cell
        ],
        "by_hand": [_case_object(trial) | {"hand": trial.hand} for trial in matrix.trials if trial.hand],
        "broken": [
            _case_object(trial) | {"breaches": [_breach_object(breach) for breach in trial.breaches]}
            for trial in matrix.broken
        ],
    }


def _case_object(trial: Trial) -> dict[str, Any]:
    case, finished = trial.case, trial.finished
    return {
        "kind": case.kind.name,
        "fault": case.fault,
        "step": None if case.step is None else case.step + 1,
        "board": case.start.name,
        "exit": finished.exit_status if finished else None,
        "message": finished.message if finished else None,
    }


def _breach_object(breach: Breach) -> dict[str, str]:
    return {"invariant": str(breach.invariant), "words": breach.words}


def _made(matrix: Matrix, duration_s: float) -> str:
    rate = round(matrix.runs / max(duration_s, 1e-3) * 60, -2)
    left_out = f", {matrix.left_out} more cases left out" if matrix.left_out else ""
    return (
        f"{matrix.runs} runs on a simulated {matrix.recipe.chip.title}, {len(matrix.trials)} cases{left_out}, "
        f"in {duration_s:.0f} s ({rate:.0f} a minute)."
    )


def _boards(matrix: Matrix) -> str:
    return ", ".join(start.name for start in matrix.starts)


def _cell(counts: Counter[Survived]) -> str:
    """Return `12`, `12+3`, `12+3+1`, and with `!2` what is broken; empty where nothing was tried."""
    if not counts:
        return ""
    one, second, hand = (counts[s] for s in (Survived.IN_ONE_RUN, Survived.BY_SECOND_RUN, Survived.BY_HAND))
    parts = [one, second, hand]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    broken = counts[Survived.NOT]
    if broken and not any(parts):
        return f"!{broken}"
    return "+".join(map(str, parts)) + (f" !{broken}" if broken else "")


def _hands(matrix: Matrix) -> Iterator[str]:
    """Yield a line for each hand that a board may need, and where."""
    for hand in sorted({trial.hand for trial in matrix.trials if trial.hand}):
        cases = [trial.case for trial in matrix.trials if trial.hand == hand]
        where = sorted({matrix.recipe.steps[c.step].keyword if c.step is not None else WHOLE_RUN for c in cases})
        kinds = sorted({case.kind.name for case in cases})
        yield f"By hand, {count(len(cases), 'case', 'cases')} ({', '.join(kinds)} in {', '.join(where)}): {hand}."


def _style(row: Row) -> str | None:
    return "red" if any(cell[Survived.NOT] for cell in row.cells) else None


def _alike(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Return the trials in groups that broke the same promises in the same step by the same kind of fault."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        case = trial.case
        promises = frozenset(breach.invariant for breach in trial.breaches)
        groups.setdefault((case.kind.name, case.step, case.start.name, promises), []).append(trial)
    return list(groups.values())


def _case(matrix: Matrix, alike: Sequence[Trial]) -> Iterator[str]:
    """Yield the first of the trials that are alike, and how many there are."""
    trial, case = alike[0], alike[0].case
    step = WHOLE_RUN if case.step is None else f"step {case.step + 1} {matrix.recipe.steps[case.step].keyword}"
    more = f", {len(alike)} times; the first" if len(alike) > 1 else ""
    yield f"broken: {case.kind.name} in {step}, board with {case.start.name}{more}"
    for breach in trial.breaches:
        yield f"  {breach.invariant}: {printable(breach.words)}"
    faults = " ".join(f"--sim-fault {text}" for text in case.fault.split())
    yield f"  to try it: dfurun {matrix.recipe.path.as_posix()} --sim --sim-clock virtual {faults}"


def _verdict(matrix: Matrix) -> str:
    total = Counter(trial.survived for trial in matrix.trials)
    words = ", ".join(f"{total[survived]} {_WORDS[survived]}" for survived in Survived if total[survived])
    return f"{count(len(matrix.trials), 'case', 'cases')}: {words}."
