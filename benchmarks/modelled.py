"""Runs on the virtual clock: exact, the same on every computer, and as fast as it computes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import limit
from benchmarks.bus import OnTheBus
from benchmarks.report import ModelledRow, modelled_table
from benchmarks.true_reports import TrueReports, reported_s
from dfurun.chips import Chip, Width, load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, parse_fault
from dfurun.units import parse_voltage
from tests.bench import run_on
from tests.system.firmware import image, recipe

CHIP = load_chip("stm32f072xb")
SIZE_BYTES = 100 * 1024
SEEDS = range(21)
NEW = image(CHIP, SIZE_BYTES, seed=1)
OLD = image(CHIP, CHIP.flash.extent.size_bytes, seed=2)
_PAGE = CHIP.flash.page(0).size_bytes
ONE_PAGE_CHANGED = NEW[: 10 * _PAGE] + bytes(_PAGE) + NEW[11 * _PAGE :]

FIRST_FLASH = "  - connect\n  - mass-erase\n  - write: {image: application}\n"
VERIFY = "  - verify: {image: application}\n"
LEAVE = "  - leave-dfu\n"
CHANGED = "  - connect\n  - write: {image: application, mode: changed}\n"


@dataclass(frozen=True)
class Case:
    """One line of the report. `faults` hold `{seed}` where every seed is one run of it; `supply` is what the recipe states.

    `true_reports`: the ROM reports what an operation takes, and not what the chip's data has. `name` is that of its folder
    (`cases.py`).
    """

    title: str
    steps: str
    limit: limit.Limit
    faults: tuple[str, ...] = ()
    flash: bytes = OLD
    new: bytes = NEW
    chip: Chip = CHIP
    supply: str = ""
    true_reports: bool = False
    name: str = ""


@dataclass(frozen=True)
class Result:
    """The median of a case's runs on the bus, with its seed, and the slowest of them; seconds of modelled time."""

    case: Case
    median: OnTheBus
    slowest_s: float
    runs: int
    seed: int = 0

    def figures(self) -> ModelledRow:
        """Return what the report tells of it."""
        bound, median = self.case.limit, self.median
        parts = bound.flash_s, bound.wire_s, bound.waits_s
        return ModelledRow(self.case.title, median.seconds, self.slowest_s, self.runs, median.requests, *parts)


_FIRST_WITH_VERIFY = limit.first_flash(CHIP, SIZE_BYTES, verify=True)
_COMPARE = limit.reading(CHIP, SIZE_BYTES)
_MISSED = "missed-service:p=0.7,seed={seed}"

CASES = (
    Case(
        "mass-erase, write, leave",
        FIRST_FLASH + LEAVE,
        limit.first_flash(CHIP, SIZE_BYTES, verify=False),
        name="f072-write",
    ),
    Case("mass-erase, write, verify, leave", FIRST_FLASH + VERIFY + LEAVE, _FIRST_WITH_VERIFY, name="f072-verify"),
    Case(
        "the same, missed service p = 0.7, an early poll answered busy",
        FIRST_FLASH + VERIFY + LEAVE,
        _FIRST_WITH_VERIFY,
        (_MISSED, "early-poll:answer=busy"),
        name="f072-missed-busy",
    ),
    Case(
        "the same, missed service p = 0.7, an early poll latches dfuERROR",
        FIRST_FLASH + VERIFY + LEAVE,
        _FIRST_WITH_VERIFY,
        (_MISSED, "early-poll:answer=stall-error"),
        name="f072-missed-latched",
    ),
    Case("write mode: changed, the same image again", CHANGED, _COMPARE, flash=NEW, name="f072-same-again"),
    Case(
        "write mode: changed, one page of 50 differs",
        CHANGED,
        _COMPARE + limit.rewriting(CHIP, 1),
        flash=ONE_PAGE_CHANGED,
        name="f072-one-page",
    ),
)

WITHOUT_GETSTATE = tuple(
    Case(title, FIRST_FLASH + VERIFY + LEAVE, _FIRST_WITH_VERIFY, faults, name=name)
    for title, faults, name in (
        (
            "GETSTATE is missed as well; an early GETSTATUS is answered busy",
            ("missed-service:p=0.7,getstate=1,seed={seed}", "early-poll:answer=busy"),
            "f072-no-getstate-busy",
        ),
        (
            "GETSTATE is missed as well; an early GETSTATUS latches dfuERROR",
            ("missed-service:p=0.7,getstate=1,seed={seed}", "early-poll:answer=stall-error"),
            "f072-no-getstate-latched",
        ),
        (
            "an early GETSTATE or GETSTATUS is stalled, and no more",
            (_MISSED, "early-poll:answer=stall,getstate=1"),
            "f072-early-getstate-stalled",
        ),
        (
            "an early GETSTATE or GETSTATUS latches dfuERROR",
            (_MISSED, "early-poll:answer=stall-error,getstate=1"),
            "f072-early-getstate-latched",
        ),
    )
)
"""A first flash, services missed with p = 0.7, by ROMs on which GETSTATE is of no help."""

F405 = load_chip("stm32f405xg")
F405_BYTES = F405.flash.extent.size_bytes
F405_NEW, F405_OLD = (image(F405, F405_BYTES, seed=seed) for seed in (1, 2))
SUPPLY = "3.3V"


def programmed_by(chip: Chip, width: Width, *, true_reports: bool) -> Chip:
    """Return the chip as its limit is worked out: with one width, its times, and what the ROM reports."""
    timing, flash = width.timing, replace(chip.flash, program_unit_bytes=width.unit_bytes)
    if true_reports:
        erase, block = timing.mass_erase, timing.program_block
        timing = replace(
            timing,
            mass_erase=replace(erase, reported_s=reported_s(erase.typical_s)),
            program_block=replace(block, reported_s=reported_s(block.typical_s)),
        )
    return replace(chip, timing=timing, flash=flash)


def _width(chip: Chip, supply: str) -> Width:
    """Return how wide dfurun has the flash programmed by a recipe with this supply, or with none."""
    width = chip.width_at(parse_voltage(supply or "1.8V"))
    assert width is not None
    return width


def width_of(case: Case) -> Width:
    """Return how wide the flash of a chip with widths is programmed in this case."""
    return _width(case.chip, case.supply)


def _large(title: str, name: str, steps: str, supply: str, *, verify: bool, true_reports: bool) -> Case:
    width = _width(F405, supply)
    bound = limit.first_flash(programmed_by(F405, width, true_reports=true_reports), F405_BYTES, verify=verify)
    return Case(title, steps, bound, (), F405_OLD, F405_NEW, F405, supply, true_reports, name)


_F405_BLOCK_MS = round(F405.timing.program_block.reported_s * 1000)

LARGE = tuple(
    _large(
        f"{work}, {said}, {f'{_F405_BLOCK_MS} ms a block' if not true else 'true reports'}",
        f"f405-{short}-{'words' if supply else 'bytes'}{'-true' if true else ''}",
        steps,
        supply,
        verify=verify,
        true_reports=true,
    )
    for true in (False, True)
    for said, supply in (("no supply stated", ""), (f"supply {SUPPLY}", SUPPLY))
    for work, short, steps, verify in (
        ("mass-erase, write, leave", "write", FIRST_FLASH + LEAVE, False),
        ("mass-erase, write, verify, leave", "verify", FIRST_FLASH + VERIFY + LEAVE, True),
    )
)


def measure(case: Case, most_seeds: int = len(SEEDS)) -> Result:
    """Run a case once, or once a seed where it has some."""
    seeds: Sequence[int] = SEEDS[:most_seeds] if any("{seed}" in fault for fault in case.faults) else [0]
    runs = sorted(((_run(case, seed), seed) for seed in seeds), key=lambda run: run[0].seconds)
    median, seed = runs[len(runs) // 2]
    return Result(case, median, runs[-1][0].seconds, len(runs), seed)


def _run(case: Case, seed: int) -> OnTheBus:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = recipe(folder, case.steps, application=case.new, chip=case.chip.name, supply=case.supply)
        faults = [parse_fault(fault.format(seed=seed)) for fault in case.faults]
        faults += [TrueReports()] if case.true_reports else []
        board = SimulatedBoard(case.chip, VirtualClock(), flash=case.flash, faults=faults, trace_length=100_000)
        finished, messages = run_on(board, file, folder / "out")
    if finished.exit_status or board.flash.contents[: len(case.new)] != case.new:
        raise RuntimeError(f"{case.title}, seed {seed}: exit {finished.exit_status}: {messages}")
    return OnTheBus.of(board.trace)


if __name__ == "__main__":
    print(modelled_table([measure(case).figures() for case in CASES]))
