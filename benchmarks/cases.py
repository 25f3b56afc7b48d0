"""The cases of docs/performance.md as files, to see one of them again by hand: python -m benchmarks.cases FOLDER.

A case gets a folder of its name: recipe.yaml, application.bin beside it, and board.json, a simulated board with the old
firmware in its flash. A run changes that board: written again, it is as before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.modelled import CASES, LARGE, WITHOUT_GETSTATE, Case, Result, width_of
from benchmarks.report import DFU_UTIL, DFU_UTIL_JOB
from benchmarks.true_reports import reported_s
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile
from tests.system.firmware import recipe

FOLDER = "build/cases"
WRITTEN = (*CASES, *WITHOUT_GETSTATE, *LARGE)


def write(folder: Path, case: Case) -> Path:
    """Write a case into its folder in this one; return that folder."""
    inside = folder / case.name
    inside.mkdir(parents=True, exist_ok=True)
    recipe(inside, case.steps, application=case.new, chip=case.chip.name, supply=case.supply)
    StateFile(inside / "board.json").save(SimulatedBoard(case.chip, VirtualClock(), flash=case.flash))
    return inside


def options(case: Case, inside: Path, seed: int) -> list[str]:
    """Return what stands behind `dfurun` on the command line that runs the case in its folder."""
    faults = [*_true_reports(case), *(fault.format(seed=seed) for fault in case.faults)]
    words = [f"{inside}/recipe.yaml", "--sim-clock", "virtual", "--sim-state", f"{inside}/board.json"]
    return words + [word for fault in faults for word in ("--sim-fault", fault)]


def _true_reports(case: Case) -> Iterator[str]:
    """Yield the faults that make a ROM report what the operations of this case take: at one width each takes the same."""
    if not case.true_reports:
        return
    width = width_of(case)
    erase_ms, block_ms = (
        round(reported_s(operation.typical_s) * 1000)
        for operation in (width.timing.mass_erase, width.timing.program_block)
    )
    yield f"poll-time:ms={erase_ms},for=mass-erase"
    if width.unit_bytes == case.chip.flash.program_unit_bytes:
        yield f"poll-time:ms={block_ms},for=write"
    else:  # first the ROM is told the width, which is a write that takes no time
        yield "poll-time:ms=0,for=write,count=1"
        yield f"poll-time:ms={block_ms},for=write,skip=1"


def command(result: Result) -> str:
    """Return the command line that shows the result again, from a checkout; the seed is that of the median."""
    return " ".join(("dfurun", *options(result.case, Path(FOLDER, result.case.name), result.seed)))


def dfu_util_command(case: str) -> str:
    """Return dfu-util's command line for the work of the case with this name."""
    return " ".join(map(str, (DFU_UTIL, *DFU_UTIL_JOB, f"{FOLDER}/{case}/application.bin")))


def main() -> None:
    """Write all of them into the folder that is named."""
    if len(sys.argv) != 2:
        sys.exit("python -m benchmarks.cases FOLDER")
    for case in WRITTEN:
        print(write(Path(sys.argv[1]), case))


if __name__ == "__main__":
    main()
