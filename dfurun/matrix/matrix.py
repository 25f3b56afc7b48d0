"""All cases of a recipe: planned from clean runs, tried on every core, collected in the order in which they were planned."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dfurun.errors import Code
from dfurun.matrix.intended import intended
from dfurun.matrix.judge import Breach, Invariant, breaches
from dfurun.matrix.kinds import KINDS, Kind, Survived
from dfurun.matrix.starts import Start, starts
from dfurun.matrix.trial import Run, TrialBench
from dfurun.plan import Compiled, compile_recipe, interpret
from dfurun.recipe.recipe import Recipe
from dfurun.simulator import parse_fault
from dfurun.steps.connect import Connect
from dfurun.steps.event import UnitFinished
from dfurun.steps.regain import REGAINED
from dfurun.steps.step import Head
from dfurun.steps.unprotect import Unprotect

DEFAULT_BUDGET = 2000  # runs for what is sampled
_OPEN_IT = "the board reads as protected: run a recipe with `unprotect`, which erases all flash, then this one"
_AND_FLASH_IT = f"{_OPEN_IT}, which finds no application: flash the board anew"
RUNS_A_CASE = 2
_CHUNK = 16
_CLEAN = Kind("no fault", "", KINDS[0].occasion)
"""What a run without any fault is held against."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one place: its kind, its text as `--sim-fault` takes it, the step it meets, the board.

    `step` counts from 0, and is None for a fault that lies over the whole run.
    """

    kind: Kind
    fault: str
    step: int | None
    start: Start


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one case. `hand` names what only a person could do; `finished` is how the first run ended."""

    case: Case
    survived: Survived
    breaches: tuple[Breach, ...]
    finished: UnitFinished | None
    hand: str = ""
    runs: int = RUNS_A_CASE


@dataclass(frozen=True, slots=True)
class Matrix:
    """A recipe's whole matrix."""

    recipe: Recipe
    starts: tuple[Start, ...]
    trials: tuple[Trial, ...]
    left_out: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of all kinds of faults, in the order of the table."""
        return tuple(dict.fromkeys(kind.name for kind in KINDS))

    @property
    def runs(self) -> int:
        """How many runs were made, the clean ones among them."""
        return len(self.starts) + sum(trial.runs for trial in self.trials)

    @property
    def broken(self) -> tuple[Trial, ...]:
        """The trials in which an invariant did not hold."""
        return tuple(trial for trial in self.trials if trial.breaches)


class CleanRunFailed(Exception):
    """The recipe does not pass on a simulated board without any fault: there is nothing to compare with."""

    def __init__(self, start: Start, run: Run, found: Sequence[Breach]) -> None:
        why = "; ".join(breach.words for breach in found) if run.passed else _told(run)
        super().__init__(f"on a board with {start.name} the recipe does not pass without any fault: {why}")
        self.breaches = tuple(found)


def fault_matrix(
    path: Path,
    *,
    allow_outside: bool = False,
    budget: int = DEFAULT_BUDGET,
    most: int | None = None,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Matrix:
    """Try a recipe that compiles: every exhaustive kind whole, of the others what `budget` runs allow.

    `most` cases at most are tried in all, where it is given: a sample. `jobs` processes share the work, one a core where it is
    None. The same arguments try the same cases. Raises CleanRunFailed, and InvalidInput for a recipe that does not compile.
    """
    compiled = compile_recipe(path, allow_outside=allow_outside)
    boards = starts(compiled.runnable())
    cases, left_out = _plan(compiled, boards, kinds=kinds, budget=budget, most=most, seed=seed)
    trials = []
    tried = _try_all(compiled, cases, jobs or os.cpu_count() or 1, allow_outside=allow_outside)
    for trial in tried:
        trials.append(trial)
        if on_progress:
            on_progress(len(trials), len(cases))
    return Matrix(compiled.runnable(), boards, tuple(trials), left_out)


def try_case(compiled: Compiled, case: Case) -> Trial:
    """Run the recipe with the fault, cycle the power with BOOT0 high, run it again, and judge."""
    recipe, kind = compiled.runnable(), case.kind
    bench = TrialBench(compiled, case.start)
    first = bench.run(compiled, [parse_fault(text) for text in case.fault.split()])
    found = list(breaches(first, recipe, kind))
    bench.power_cycle()
    second = bench.run(compiled)
    found += breaches(second, recipe, _CLEAN)
    survived, hand, runs = Survived.NOT, "", RUNS_A_CASE
    if first.passed:
        survived = Survived.IN_ONE_RUN
    elif second.passed or _is_as_meant(second, compiled, case.start):
        survived = Survived.BY_SECOND_RUN
    elif second.finished and second.finished.code is Code.PROTECTED and second.after.protected:
        runs += 2
        hand = _unprotected_by_hand(bench, compiled)
        survived = Survived.BY_HAND if hand else survived
    if survived is Survived.NOT:
        found.append(Breach(Invariant.CONVERGES, f"the second run: {_told(second)}"))
    elif survived > kind.bar:
        found.append(Breach(Invariant.ONE_RUN, f"the first run: {_told(first)}"))
    elif kind.in_session and first.finished and REGAINED in first.finished.anomalies:
        found.append(Breach(Invariant.ONE_RUN, "the board had to be opened anew"))
    return Trial(case, survived if not found else Survived.NOT, tuple(found), first.finished, hand, runs)


def _is_as_meant(run: Run, compiled: Compiled, start: Start) -> bool:
    """Say whether the board is what the recipe makes of `start`, though the second run did not pass: it is protected, say."""
    clean = _clean_run(compiled, start)
    return run.after.same_as(clean.after, compiled.runnable().chip)


def _unprotected_by_hand(bench: TrialBench, compiled: Compiled) -> str:
    """Open the board with a recipe that unprotects and run the recipe again; say what a person did, where all is right then."""
    recipe = compiled.runnable()
    steps = (Connect(Head(0, ("steps", 0))), Unprotect(Head(1, ("steps", 1))))
    opening = replace(recipe, steps=steps)
    opened = bench.run(Compiled(opening, interpret(opening), ()))
    again = bench.run(compiled)
    right = opened.passed and again.after.same_as(intended(recipe, again.before), recipe.chip)
    if right and again.passed:
        return _OPEN_IT
    lacks_firmware = again.finished is not None and again.finished.code is Code.NO_APPLICATION
    return _AND_FLASH_IT if right and lacks_firmware else ""


def _told(run: Run) -> str:
    finished = run.finished
    if finished is None:
        return run.overrun or "a traceback"
    return f"exit {finished.exit_status}, {finished.message}" if finished.exit_status else "exit 0"


def _clean_run(compiled: Compiled, start: Start) -> Run:
    return TrialBench(compiled, start).run(compiled)


def _plan(
    compiled: Compiled, boards: Sequence[Start], *, kinds: Sequence[Kind], budget: int, most: int | None, seed: int
) -> tuple[list[Case], int]:
    """Return the cases to try, and how many occasions are left out."""
    recipe, choose = compiled.runnable(), random.Random(seed)
    whole: list[Case] = []
    samples: list[list[Case]] = []
    for start in boards:
        clean = _clean_run(compiled, start)
        found = tuple(breaches(clean, recipe, _CLEAN))
        if found or not clean.passed:
            raise CleanRunFailed(start, clean, found)
        for kind in kinds:
            cases = [Case(kind, fault, step, start) for fault, step in kind.occasions(clean.seen)]
            if kind.exhaustive:
                whole += cases
            else:
                choose.shuffle(cases)
                samples.append(cases)
    chosen = list(_in_turn(samples))[: budget // RUNS_A_CASE]
    cases, possible = whole + chosen, len(whole) + sum(len(sample) for sample in samples)
    if most is not None and len(cases) > most:
        cases = choose.sample(cases, most)
    return cases, possible - len(cases)


def _in_turn(samples: Sequence[Sequence[Case]]) -> Iterator[Case]:
    """Yield one case of each sample in turn, so that every kind and board has its share of a budget."""
    for n in range(max((len(sample) for sample in samples), default=0)):
        yield from (sample[n] for sample in samples if n < len(sample))


_worker: Compiled | None = None


def _try_all(compiled: Compiled, cases: Sequence[Case], jobs: int, *, allow_outside: bool) -> Iterator[Trial]:
    if jobs == 1 or len(cases) < _CHUNK:
        yield from (try_case(compiled, case) for case in cases)
        return
    with ProcessPoolExecutor(
        jobs,
        initializer=_begin_work,
        initargs=(partial(compile_recipe, compiled.runnable().path, allow_outside=allow_outside),),
    ) as pool:
        yield from pool.map(_work, cases, chunksize=_CHUNK)


def _begin_work(compiled: Callable[[], Compiled]) -> None:
    """Compile the recipe once in a worker; Ctrl-C is for the process that has started it."""
    global _worker
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _worker = compiled()


def _work(case: Case) -> Trial:
    assert _worker is not None
    return try_case(_worker, case)
