"""Runs every situation with dfurun and with dfu-util in the virtual machine, and writes docs/comparison.md from it.

python -m benchmarks.comparison [WORD...]      with words: only the situations whose title has one; prints, writes nothing
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.bus import OnTheBus
from benchmarks.situations import (
    ERASED,
    FLASH,
    NEW_FIRMWARE,
    OLD_FIRMWARE,
    SITUATIONS,
    SWEEPS,
    WANTED_OPTIONS,
    Job,
    Situation,
)
from tests.system.guest_bench import DFURUN, BoardInGuest, GuestBench
from tests.system.vm.machine import Done, why_not

DOCUMENT = Path(__file__).parents[1] / "docs" / "comparison.md"
TIMEOUT_S = 600.0
PLACES = 6


class Outcome(Enum):
    """What came of it, by the exit status and by what the board (or the file) holds afterwards."""

    SURVIVED = "survived"
    REFUSED = "refused"
    FAILED = "failed"
    LIED = "**lied**"
    DESTROYED = "**destroyed**"


Memories = tuple[bytes, bytes]
"""A board's flash and its option bytes."""


def memories(board: BoardInGuest) -> Memories:
    """Return what a board holds now."""
    return board.flash, board.option_bytes


@dataclass(frozen=True)
class Trial:
    """One program in one situation."""

    outcome: Outcome
    exit: int
    bus: OnTheBus

    @classmethod
    def of(cls, situation: Situation, board: BoardInGuest, before: Memories, done: Done, read: bytes | None) -> Trial:
        """Judge what a program did to a board that held `before`; `read` is the file that it made, if it made one."""
        flash, options = after = memories(board)
        match situation.job:
            case Job.FLASH:
                achieved = flash == NEW_FIRMWARE.ljust(FLASH.size_bytes, ERASED)
                kept = options == before[1]
            case Job.READ:
                achieved, kept = read == OLD_FIRMWARE, after == before
            case Job.OPTIONS:
                achieved, kept = options == WANTED_OPTIONS, flash == before[0]
        if not kept:
            outcome = Outcome.DESTROYED
        elif done.exit == 0:
            outcome = Outcome.SURVIVED if achieved else Outcome.LIED
        else:
            outcome = Outcome.REFUSED if after == before else Outcome.FAILED
        return cls(outcome, done.exit, OnTheBus.of(board.board.trace))


@contextmanager
def prepared(bench: GuestBench, situation: Situation) -> Iterator[BoardInGuest]:
    """A board in the situation, ready on the guest's bus."""
    settings = dict(situation.board)
    protection = settings.pop("protection", 0)
    with bench.board(flash=OLD_FIRMWARE, **settings) as board:
        if protection:
            with bench.coming_back(board), board.export.board() as simulated:
                simulated.protect(protection)
        with board.export.board() as simulated:
            if situation.prepare:
                situation.prepare(simulated)
            bench.afflict(board, situation.faults)
        yield board


def try_out(bench: GuestBench, situation: Situation, program: str, words: Sequence[object]) -> Trial:
    """Let one program do the situation's job."""
    with prepared(bench, situation) as board:
        before = memories(board)
        done = bench.run(program, *words, timeout_s=TIMEOUT_S)
        has_file = (
            situation.job is Job.READ and bench.machine.run("test", "-e", "flash.bin", folder=done.folder).exit == 0
        )
        read = bench.fetch(done, "flash.bin") if has_file else None
        print(done, file=sys.stderr)
        return Trial.of(situation, board, before, done, read)


def try_both(bench: GuestBench, situation: Situation) -> tuple[Trial, Trial]:
    """Let dfurun and dfu-util do the situation's job, one after the other."""
    with tempfile.TemporaryDirectory(prefix="situation-") as folder:
        ours = try_out(bench, situation, DFURUN, situation.job.dfurun(Path(folder)))
        theirs = try_out(bench, situation, "dfu-util", situation.job.dfu_util(Path(folder)))
    return ours, theirs


def sweep(bench: GuestBench, title: str, fault: str, transfers: Sequence[int]) -> tuple[list[Trial], list[Trial]]:
    """Try a fault at places spread over each program's own transfers, of which there are so many in its clean run."""
    programs = ((DFURUN, Job.FLASH.dfurun), ("dfu-util", Job.FLASH.dfu_util))
    swept: list[list[Trial]] = []
    for (program, words), count in zip(programs, transfers, strict=True):
        swept.append([])
        for place in range(PLACES):
            at = fault.format(n=count * (2 * place + 1) // (2 * PLACES))
            situation = Situation(title, Job.FLASH, "", faults=(at,))
            with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                swept[-1].append(try_out(bench, situation, program, words(Path(folder))))
    return swept[0], swept[1]


def row(situation: Situation, ours: Trial, theirs: Trial) -> str:
    """Return a line of the table."""
    cells = [situation.title, situation.job.value]
    for trial in (ours, theirs):
        cells += [trial.outcome.value, str(trial.exit), f"{trial.bus.seconds:.2f}", str(trial.bus.requests)]
    return f"| {' | '.join(cells)} |"


def counts(trials: Sequence[Trial]) -> str:
    """Return how often each outcome came: `survived 25, refused 3`."""
    found = Counter(trial.outcome for trial in trials)
    return ", ".join(f"{outcome.value.strip('*')} {found[outcome]}" for outcome in Outcome)


def sweep_row(title: str, ours: Sequence[Trial], theirs: Sequence[Trial]) -> str:
    """Return a line of the sweeps' table."""
    return f"| {title} | {_some(ours)} | {_some(theirs)} |"


def _some(trials: Sequence[Trial]) -> str:
    found = Counter(trial.outcome for trial in trials)
    return ", ".join(f"{outcome.value} {found[outcome]}" for outcome in Outcome if found[outcome])


def document(trials: Sequence[tuple[Situation, Trial, Trial]], sweeps: Sequence[str], version: str) -> str:
    """Return docs/comparison.md."""
    rows = [row(*trial) for trial in trials]
    ours, theirs = ([trial[column] for trial in trials] for column in (1, 2))
    jobs = "\n".join(f"- **{job.value}**: {job.means}" for job in Job)
    sources = "\n".join(f"| {s.title} | {s.job.value} | {s.source} | {_given(s)} |" for s in SITUATIONS)
    return TEMPLATE.format(
        rows="\n".join(rows),
        jobs=jobs,
        sources=sources,
        version=version,
        count=len(trials),
        ours=counts(ours),
        theirs=counts(theirs),
        places=PLACES,
        sweeps="\n".join(sweeps),
    )


def _given(situation: Situation) -> str:
    words = [f"`--fault {fault}`" for fault in situation.faults]
    if situation.prepare:
        words.append("requests of a program that died before")
    words += [
        f"{name.replace('_', ' ')} {v.hex().upper() if isinstance(v, bytes) else v}"
        for name, v in situation.board.items()
    ]
    return ", ".join(words) or "-"


def main() -> None:
    """Run all of them, or some."""
    if reason := why_not():
        sys.exit(reason)
    words = sys.argv[1:]
    chosen = [s for s in SITUATIONS if not words or any(word in s.title for word in words)]
    trials = []
    with GuestBench() as bench:
        version = bench.dfu_util("--version").out.splitlines()[0]
        for situation in chosen:
            trials.append((situation, *try_both(bench, situation)))
            print(row(*trials[-1]), flush=True)
        clean = try_both(bench, next(s for s in SITUATIONS if s.job is Job.FLASH and not s.faults))
        sweeps = []
        for title, fault in SWEEPS.items():
            if not words or any(word in title for word in words):
                sweeps.append(sweep_row(title, *sweep(bench, title, fault, [trial.bus.transfers for trial in clean])))
                print(sweeps[-1], flush=True)
    if not words:
        DOCUMENT.write_text(document(trials, sweeps, version))


TEMPLATE = """\
# dfurun and dfu-util in the same situations

Both programs were run in a virtual machine, through Linux's own USB stack and libusb, against the same simulated STM32F072,
served over USB/IP. `make compare` makes this page from such a run; the other program is {version} of Debian.

{jobs}

dfurun's recipe for flash verifies what it wrote; dfu-util's command does not, it has none that does. The board's flash is full
of old firmware at first. What came of it is judged by the exit status and by what the board, or the file, holds afterwards:

| word | exit | meaning |
|---|---|---|
| survived | 0 | done, as asked |
| refused | not 0 | not done, and the board is as it was |
| failed | not 0 | not done, and the board is changed in part; the program said so |
| **lied** | 0 | not done, and the program said it was |
| **destroyed** | any | the flash, or option bytes, were changed by a job that is not to change them |

Seconds and DFU requests are counted on the bus, from the program's first DFU request to its last, so that starting the
program does not count. They are seconds of a virtual machine under software emulation, one run each: good for telling a
program that waits from one that does not, no more. What happens with a probability of 0.7 happens with one seed here: with
another one other requests are missed. [benchmarks/](../benchmarks/README.md) has the timings that are repeated.

Of these {count} situations

- dfurun: {ours};
- dfu-util: {theirs}.

| situation | job | dfurun | exit | s | requests | dfu-util | exit | s | requests |
|---|---|---|---|---|---|---|---|---|---|
{rows}

## One fault, at {places} places

Each of these faults strikes once, at {places} places spread evenly over the program's own control transfers of the flash job.
(dfurun is tried at every transfer, and with every fault of the catalogue, in [fault-matrix.md](fault-matrix.md), without a
kernel.)

| fault | dfurun | dfu-util |
|---|---|---|
{sweeps}

## Where each comes from

| situation | job | source | how to have it |
|---|---|---|---|
{sources}
"""

if __name__ == "__main__":
    main()
