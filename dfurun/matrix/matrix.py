"""All cases of a recipe: planned from clean runs, tried on every core, collected in the order in which they were planned."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from threading import current_thread, main_thread

from dfurun.errors import Code, ExitStatus
from dfurun.matrix.hands import by_hand
from dfurun.matrix.intended import starts_rom
from dfurun.matrix.judge import NO_FAULT, Breach, Invariant, breaches, only_seems_torn
from dfurun.matrix.kinds import KINDS, Kind, Survived
from dfurun.matrix.refused import wrong_boards
from dfurun.matrix.starts import Start, starts
from dfurun.matrix.trial import Run, TrialBench
from dfurun.plan import Compiled, compile_recipe
from dfurun.recipe import NO_SETTINGS, Settings
from dfurun.recipe.recipe import Recipe
from dfurun.simulator import parse_fault
from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.event import UnitFinished
from dfurun.steps.projected import OPEN_LEVEL
from dfurun.steps.regain import REGAINED
from dfurun.steps.set_option_bytes import SetOptionBytes

DEFAULT_BUDGET = 2000  # runs for what is sampled
RUNS_A_CASE = 2
RUNS_BY_HAND = 2
_CHUNK = 16
_PROGRESS_STEPS = 100


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
        return RUNS_A_CASE * len(self.starts) + sum(trial.runs for trial in self.trials)

    @property
    def broken(self) -> tuple[Trial, ...]:
        """The trials in which an invariant did not hold."""
        return tuple(trial for trial in self.trials if trial.breaches)


class CleanRunFailed(Exception):
    """What a recipe does without any fault is not right, so that nothing can be held against it.

    It does not pass on a simulated board, or not when it is run again; or it passes on one that it has to refuse. `code` is
    what a run ended with, None where it passed.
    """

    def __init__(self, words: str, run: Run, found: Sequence[Breach] = ()) -> None:
        super().__init__(words)
        self.code = run.finished.code if run.finished else None
        self.breaches = tuple(found)


def fault_matrix(
    path: Path,
    *,
    allow_outside: bool = False,
    settings: Settings = NO_SETTINGS,
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
    compile_it = partial(compile_recipe, path, allow_outside=allow_outside, settings=settings)
    compiled = compile_it()
    boards = starts(compiled.runnable())
    trying = Trying(compiled)
    trying.require_refusals()
    cases, left_out = _plan(trying, boards, kinds=kinds, budget=budget, most=most, seed=seed)
    trials, step = [], max(1, len(cases) // _PROGRESS_STEPS)
    tried = _try_all(trying, cases, jobs or os.cpu_count() or 1, compile_it)
    for trial in tried:
        trials.append(trial)
        if on_progress and (len(trials) == len(cases) or len(trials) % step == 0):
            on_progress(len(trials), len(cases))
    return Matrix(compiled.runnable(), boards, tuple(trials), left_out)


class Trying:
    """Tries cases of one recipe; the runs without a fault, which they are held against, are made once for each board."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._clean: dict[str, tuple[Run, Run]] = {}

    def clean(self, start: Start) -> tuple[Run, Run]:
        """Return what comes of two runs without any fault on this board, a power cycle with BOOT0 high between them."""
        if start.name not in self._clean:
            with TrialBench(self.compiled, start) as bench:
                first = bench.run(self.compiled)
                bench.power_cycle()
                self._clean[start.name] = first, bench.run(self.compiled)
        return self._clean[start.name]

    def require_refusals(self) -> None:
        """Raise CleanRunFailed where the recipe passes on a board that it has to refuse, or changes it."""
        recipe = self.compiled.runnable()
        for wrong in wrong_boards(recipe):
            with TrialBench(self.compiled, wrong.start, unique_id=wrong.unique_id) as bench:
                run = bench.run(self.compiled)
            if run.passed or (wrong.untouched and not run.after.same_as(run.before, recipe.chip)):
                words = "passes" if run.passed else "is changed"
                raise CleanRunFailed(f"a board with {wrong.why} has to be refused, and {words}", run)

    def trial(self, case: Case) -> Trial:
        """Run the recipe with the fault, cycle the power with BOOT0 high, run it again, and judge.

        The second run has to leave the board, and to end, as it does where no fault ever was; or as the first one does there,
        where the fault left it all to do: a second run may open what the first has protected, and that board is another.
        """
        compiled, kind = self.compiled, case.kind
        once, wanted = self.clean(case.start)
        recipe = compiled.runnable()
        with TrialBench(compiled, case.start) as bench:
            first = bench.run(compiled, [parse_fault(text) for text in case.fault.split()])
            found = list(breaches(first, recipe, kind))
            bench.power_cycle()
            second = bench.run(compiled)
            if kind.swaps and first.swapped:  # the board that the first run began with is not at the port any more
                return Trial(case, _worst(found), tuple(found), first.finished)
            judged = replace(_again(wanted, recipe), tears=kind.tears)
            if not starts_rom(recipe.chip, second.before):
                judged = replace(judged, fits=judged.fits | {ExitStatus.NO_DEVICE})
            found += breaches(second, recipe, judged, whole=wanted.after)
            survived, hand, runs = Survived.NOT, "", RUNS_A_CASE
            if _converges(second, wanted, recipe) or (second.passed and second.after.same_as(once.after, recipe.chip)):
                survived = Survived.IN_ONE_RUN if first.passed else Survived.BY_SECOND_RUN
            elif hand := by_hand(bench, compiled, second, wanted):
                survived, runs = Survived.BY_HAND, runs + RUNS_BY_HAND
        if survived is Survived.NOT:
            found.append(Breach(Invariant.CONVERGES, f"the second run: {_ending(second, wanted, recipe)}"))
        elif survived > max(kind.bar, Survived.BY_SECOND_RUN if only_seems_torn(first, recipe) else kind.bar):
            found.append(Breach(Invariant.ONE_RUN, f"the first run: {_told(first)}{f'; {hand}' if hand else ''}"))
        elif kind.in_session and first.finished and REGAINED in first.finished.anomalies:
            found.append(Breach(Invariant.ONE_RUN, "the board had to be opened anew"))
        return Trial(case, survived if not found else Survived.NOT, tuple(found), first.finished, hand, runs)


def _worst(found: Sequence[Breach]) -> Survived:
    return Survived.NOT if found else Survived.BY_SECOND_RUN


def _again(wanted: Run, recipe: Recipe) -> Kind:
    """Return what a second run is held against: it passes, or ends as it does where no fault ever was.

    It may end otherwise only where the first one has changed what it needs.
    """
    code = wanted.finished.code if wanted.finished else None
    if code is None or code not in _shut_out(recipe):
        return NO_FAULT
    return replace(NO_FAULT, fits=NO_FAULT.fits | {code.exit_status})


def _shut_out(recipe: Recipe) -> Iterator[Code]:
    """Yield what a recipe's second run may end with: it sets read or write protection, or what it checks before."""
    layout = recipe.chip.option_bytes
    rule = layout.write_protection
    for step in recipe.steps:
        match step:
            case SetOptionBytes(fields=fields):
                if fields.get("RDP", OPEN_LEVEL) != OPEN_LEVEL:
                    yield Code.PROTECTED
                if rule and any(name in rule.fields for name in fields):
                    yield Code.WRITE_PROTECTED
            case CheckOptionBytes():
                yield Code.OPTION_BYTES_DIFFER


def _converges(second: Run, wanted: Run, recipe: Recipe) -> bool:
    """Say whether the second run leaves the board as meant and says so."""
    return (second.passed or second.ends_like(wanted)) and second.after.same_as(wanted.after, recipe.chip)


def _ending(second: Run, wanted: Run, recipe: Recipe) -> str:
    told = _told(second)
    return told if second.after.same_as(wanted.after, recipe.chip) else f"{told}, and the board is not as meant"


def _told(run: Run) -> str:
    finished = run.finished
    if finished is None:
        return run.overrun or "a traceback"
    return f"exit {finished.exit_status}, {finished.message}" if finished.exit_status else "exit 0"


def _plan(
    trying: Trying, boards: Sequence[Start], *, kinds: Sequence[Kind], budget: int, most: int | None, seed: int
) -> tuple[list[Case], int]:
    """Return the cases to try, and how many occasions are left out."""
    recipe, choose = trying.compiled.runnable(), random.Random(seed)
    whole: list[Case] = []
    samples: list[list[Case]] = []
    for start in boards:
        clean, again = trying.clean(start)
        for run, kind in ((clean, NO_FAULT), (again, _again(again, recipe))):
            found = tuple(breaches(run, recipe, kind))
            if found or not (run.passed or run is again):
                why = "; ".join(breach.words for breach in found) if run.passed else _told(run)
                words = f"does not pass {'a second time ' if run is again else ''}without any fault"
                raise CleanRunFailed(f"on a board with {start.name} the recipe {words}: {why}", run, found)
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


_worker: Trying | None = None


def _try_all(trying: Trying, cases: Sequence[Case], jobs: int, compile_it: Callable[[], Compiled]) -> Iterator[Trial]:
    if jobs == 1 or len(cases) < _CHUNK:
        yield from map(trying.trial, cases)
        return
    with (
        _ended_by_interrupts(),
        ProcessPoolExecutor(
            jobs,
            initializer=_begin_work,
            initargs=(compile_it,),
        ) as pool,
    ):
        # Not `map`: it cancels what is not done where it is left, and the pool's own thread does not get over that.
        chunks = [pool.submit(_work, cases[first : first + _CHUNK]) for first in range(0, len(cases), _CHUNK)]
        for chunk in chunks:
            yield from chunk.result()


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Have each Ctrl-C end all workers before it ends anything else: nothing then waits for them, however many there are."""
    if current_thread() is not main_thread():
        yield
        return

    def end(*_: object) -> None:
        for worker in active_children():
            worker.kill()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin_work(compiled: Callable[[], Compiled]) -> None:
    """Compile the recipe once in a worker; Ctrl-C is for the process that has started it."""
    global _worker
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _worker = Trying(compiled())


def _work(cases: Sequence[Case]) -> list[Trial]:
    assert _worker is not None
    return [_worker.trial(case) for case in cases]
