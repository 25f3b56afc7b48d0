"""dfurun and dfu-util in real time, in turn on the same served board in the virtual machine; medians and ratios of pairs."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import limit
from benchmarks.bus import OnTheBus
from benchmarks.modelled import CHIP, FIRST_FLASH, LEAVE, NEW, OLD, SIZE_BYTES, VERIFY
from benchmarks.report import DFU_UTIL_JOB, PairedRow, Spread, paired_table
from tests.system.firmware import recipe
from tests.system.guest_bench import DFURUN, BoardInGuest, GuestBench

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Pairing:
    """One line of the report: dfurun's steps, how many pairs, and the faults of the link, `{seed}` being the pair's number.

    `case` is the name of the case of `modelled.py` that is the same on the virtual clock.
    """

    case: str
    title: str
    steps: str
    bound: limit.Limit
    pairs: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One program's run: on the bus by the board's clock, and the whole process by the guest's."""

    bus: OnTheBus
    process_s: float


@dataclass(frozen=True)
class Paired:
    """All runs of a pairing, ours and theirs in turn."""

    pairing: Pairing
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]

    def figures(self) -> PairedRow:
        """Return what the report tells of them."""
        ours, theirs = ([run.bus.seconds for run in runs] for runs in (self.ours, self.theirs))
        requests = [
            statistics.median_low([run.bus.requests_from_the_erase_on for run in runs])
            for runs in (self.ours, self.theirs)
        ]
        processes = [statistics.median(run.process_s for run in runs) for runs in (self.ours, self.theirs)]
        return PairedRow(
            self.pairing.case,
            self.pairing.title,
            self.pairing.pairs,
            Spread.of(ours),
            Spread.of(theirs),
            Spread.of([a / b for a, b in zip(ours, theirs, strict=True)]),
            self.pairing.bound.total_s,
            *requests,
            *processes,
        )


_WITHOUT, _WITH = (limit.first_flash(CHIP, SIZE_BYTES, verify=verify) for verify in (False, True))
_MISSED = "missed-service:p=0.7,seed={seed}"

PAIRINGS = (
    Pairing("f072-write", "clean link, dfurun without verify", FIRST_FLASH + LEAVE, _WITHOUT, pairs=5),
    Pairing("f072-verify", "clean link, dfurun with verify", FIRST_FLASH + VERIFY + LEAVE, _WITH, pairs=5),
    Pairing(
        "f072-missed-busy",
        "missed service p = 0.7, early poll busy, dfurun with verify",
        FIRST_FLASH + VERIFY + LEAVE,
        _WITH,
        pairs=3,
        faults=(_MISSED, "early-poll:answer=busy"),
    ),
    Pairing(
        "f072-missed-latched",
        "missed service p = 0.7, early poll latches dfuERROR, dfurun with verify",
        FIRST_FLASH + VERIFY + LEAVE,
        _WITH,
        pairs=3,
        faults=(_MISSED, "early-poll:answer=stall-error"),
    ),
)


def measure(bench: GuestBench, pairing: Pairing) -> Paired:
    """Run the pairs on one board; before each run its flash holds old firmware and it is power-cycled."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="paired-") as name, bench.board(flash=OLD) as board:
        file = recipe(Path(name), pairing.steps, application=NEW)
        image = Path(name) / "new.bin"
        image.write_bytes(NEW)
        for pair in range(pairing.pairs):
            ours.append(_run(bench, board, pairing, pair, DFURUN, file))
            theirs.append(_run(bench, board, pairing, pair, "dfu-util", *DFU_UTIL_JOB, image))
    return Paired(pairing, tuple(ours), tuple(theirs))


def _run(bench: GuestBench, board: BoardInGuest, pairing: Pairing, pair: int, *words: object) -> Run:
    renew(bench, board, OLD)
    bench.afflict(board, [fault.format(seed=pair) for fault in pairing.faults])
    return run(bench, board, pairing.title, NEW, *words)


def renew(bench: GuestBench, board: BoardInGuest, old: bytes) -> None:
    """Power-cycle the board with this in its flash and no faults, and wait until the guest has enumerated it."""
    with board.export.board() as simulated:
        simulated.faults.clear()
        simulated.replace_flash(old)
    with bench.coming_back(board):
        bench.power_cycle(board, 1)


def run(bench: GuestBench, board: BoardInGuest, title: str, new: bytes, *words: object) -> Run:
    """Run a program that is to flash `new` and to start it; raise RuntimeError where that is not what came of it."""
    done = bench.run(*words, timeout_s=TIMEOUT_S)
    if done.exit or not board.flash.startswith(new) or board.running != "application":
        raise RuntimeError(f"{title}: the board runs {board.running}\n{done}")
    return Run(OnTheBus.of(board.board.trace), done.seconds)


def table(results: Sequence[Paired]) -> str:
    """Return the results as a table in Markdown."""
    return paired_table([result.figures() for result in results])
