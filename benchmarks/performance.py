"""Makes docs/performance.md with its plots, on the virtual clock alone: make performance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import limit, modelled
from benchmarks.modelled import CASES, CHIP, FIRST_FLASH, LARGE, LEAVE, SEEDS, VERIFY, Case, Result
from tests.system.firmware import image

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
PICTURES = DOCS / "pictures"
SIZES_KIB = (8, 16, 32, 64, 100, 128)
MISSED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
MISSED_SEEDS = 5
DFU_UTIL_REQUESTS = 310  # erase to leave, 100 KiB; benchmarks/report.md of 2026-11-24
DFU_UTIL_LARGE_S = {False: 106.75, True: 53.10}  # F405, 1 MiB, by whether reports are true; report.md of 2026-12-01
DFU_UTIL_WAITS_S = 35.0  # for a mass erase of which 100 ms are reported (dfu-util 0.11, dfuse.c)
ANSWERS = ("busy", "stall-error")


@dataclass(frozen=True)
class Line:
    """One line of the table: a case, what it is measured against, and what dfu-util 0.11 took for the same (report.md)."""

    result: Result
    bar: str
    reached: str
    dfu_util: str


def lines(seeds: int = len(SEEDS)) -> list[Line]:
    """Measure, and hold each figure against its bar."""
    results = [modelled.measure(case, seeds) for case in CASES]
    without, first, busy, latched, same, one = results
    clean_s = first.median.seconds
    to_limit = clean_s / first.case.limit.total_s
    counts = [result.median.requests_from_the_erase_on / DFU_UTIL_REQUESTS for result in (without, first)]
    return [
        Line(without, "requests <= 0.55 of dfu-util's", f"{counts[0]:.3f}", "4.06 s, limit 3.23, verifies nothing"),
        Line(first, "<= 1.05 of the limit; requests <= 0.75", f"{to_limit:.3f}; {counts[1]:.3f}", "does not verify"),
        Line(busy, "<= 1.25 of clean", f"{busy.median.seconds / clean_s:.3f}", "20.06 s, verifies nothing"),
        Line(latched, "<= 1.75 of clean", f"{latched.median.seconds / clean_s:.3f}", "20.09 s, verifies nothing"),
        Line(same, "<= 0.10 of first flash", f"{same.median.seconds / clean_s:.3f}", "has no such mode"),
        Line(one, "<= 0.12 of first flash", f"{one.median.seconds / clean_s:.3f}", "has no such mode"),
    ]


def table(found: list[Line]) -> str:
    """Return the lines as a table in Markdown."""
    head = (
        "| F072xB, 100 KiB | s | slowest | limit, s | s / limit | requests, erase to leave "
        "| bar | reached | dfu-util 0.11, real time |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {line.result.case.title} | {line.result.median.seconds:.3f} | {line.result.slowest_s:.3f} "
        f"| {line.result.case.limit.total_s:.3f} | {line.result.median.seconds / line.result.case.limit.total_s:.2f} "
        f"| {line.result.median.requests_from_the_erase_on} | {line.bar} | {line.reached} | {line.dfu_util} |"
        for line in found
    )


def large_table() -> str:
    """Return the lines of a large flash as a table in Markdown, beside the least and the real time of dfu-util."""
    head = (
        "| F405xG, 1 MiB | s | limit, s | s / limit | requests, erase to leave | of the least that dfu-util can take "
        "| dfu-util 0.11: at least, measured in real time |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(map(_large_row, (modelled.measure(case) for case in LARGE)))


def _large_row(result: Result) -> str:
    case, seconds = result.case, result.median.seconds
    least_s, took_s = dfu_util_least_s(true_reports=case.true_reports), DFU_UTIL_LARGE_S[case.true_reports]
    return (
        f"| {case.title} | {seconds:.2f} | {case.limit.total_s:.2f} | {seconds / case.limit.total_s:.3f} "
        f"| {result.median.requests_from_the_erase_on} | {seconds / least_s:.2f} | {least_s:.1f} s, {took_s:.1f} s |"
    )


def dfu_util_least_s(*, true_reports: bool) -> float:
    """Return what dfu-util takes at least to erase, write and leave a large flash: the limit byte by byte, and its own wait."""
    own = next(case for case in LARGE if not case.supply and case.true_reports is true_reports)
    waits_s = 0.0 if true_reports else DFU_UTIL_WAITS_S - own.chip.timing.mass_erase.typical_s
    return own.limit.total_s + waits_s


def _by_size() -> None:
    """Draw first flash by the size of the image, beside its limit."""
    took, least = [], []
    for size_kib in SIZES_KIB:
        bound = limit.first_flash(CHIP, size_kib * 1024, verify=True)
        new = image(CHIP, size_kib * 1024, seed=1)
        case = Case("", FIRST_FLASH + VERIFY + LEAVE, bound, new=new)
        took.append(modelled.measure(case).median.seconds)
        least.append(bound.total_s)
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    axes.plot(SIZES_KIB, least, "--", label="limit: flash, wire, the ROM's waits")
    axes.plot(SIZES_KIB, took, "o-", label="dfurun: mass-erase, write, verify, leave")
    axes.set(xlabel="image, KiB", ylabel="s on the bus", ylim=(0, None), title="STM32F072xB, clean link, virtual clock")
    _save(figure, "performance-size.svg")


def _by_missed_services() -> None:
    """Draw first flash by how many services the ROM misses."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for answer in ANSWERS:
        took = []
        for p in MISSED:
            faults = (f"missed-service:p={p},seed={{seed}}", f"early-poll:answer={answer}")
            took.append(modelled.measure(replace(CASES[1], faults=faults), MISSED_SEEDS).median.seconds)
        axes.plot(MISSED, took, "o-" if answer == "busy" else "x--", label=f"early poll: {answer}")
    axes.axhline(CASES[1].limit.total_s, color="gray", linestyle=":", label="limit of a clean link")
    axes.set(xlabel="missed services, p", ylabel="s on the bus, median", ylim=(0, None))
    axes.set_title("STM32F072xB, 100 KiB: mass-erase, write, verify, leave")
    _save(figure, "performance-missed.svg")


def _save(figure: Figure, name: str) -> None:
    """Write a plot that is the same, byte for byte, whenever it is drawn by the same matplotlib."""
    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    with mpl.rc_context({"svg.hashsalt": "dfurun", "svg.fonttype": "none"}):
        figure.savefig(PICTURES / name, metadata={"Date": None})


def main() -> None:
    """Measure, draw and write the page."""
    found, large = table(lines()), large_table()
    print(f"{found}\n\n{large}")
    _by_size()
    _by_missed_services()
    PAGE.write_text(TEMPLATE.format(table=found, large=large), encoding="utf-8")


TEMPLATE = """\
# How fast it is

Made by `make performance` (`python -m benchmarks.performance`), on the virtual clock: modelled time of the simulated board,
exact and the same on every computer. [benchmarks/README.md](../benchmarks/README.md) says what is modelled and what is left
out. No figure here is of a real board.

The *limit* is the flash's own time at the datasheet's typical values, the wire's, and what the ROM asks to be waited beyond
the work. dfu-util 0.11 was measured in real time in the virtual machine ([report.md](../benchmarks/report.md), 2026-11-24),
where each transfer costs about a millisecond, with `dfu-util -a 0 -s 0x08000000:mass-erase:force:leave -D new.bin`;
dfurun's real time beside it stands there. Its requests from the erase to the leave are 310. The steps of each line are in
`benchmarks/modelled.py`; one is `dfurun recipe.yaml --sim-clock virtual --sim-state board.json`, with `--sim-fault
missed-service:p=0.7,seed=N --sim-fault early-poll:answer=stall-error` where services are missed.

{table}

Where services are missed, the median of 21 seeds and the slowest of them.

An F405's ROM programs byte by byte, and by words where the recipe's `supply` allows it
([recipes.md](guide/recipes.md#as-wide-as-the-supply-allows)). Two ROMs: one reports what a log of an F4 shows, 100 ms for the
mass erase and 104 ms for every block; the other, which nobody has met, what each operation takes, to the next millisecond.

{large}

dfu-util has the ROM program byte by byte, verifies nothing, and waits 35 s for a mass erase of which 100 ms are reported. The
least that it can take is the limit of its work with that wait; what its 3082 requests and the host take comes on top.

![by the size of the image](pictures/performance-size.svg)
![by missed services](pictures/performance-missed.svg)

## What is not reached, and what it rests on

- Seven of the requests without verify read back that the mass erase was done and that the vector table is there before the
  bootloader is left.
- "Less than dfu-util takes without verifying" is not reached in real time in the virtual machine, where Python is emulated;
  on the virtual clock the verify's 83 ms are the wire's own.
- That a link which misses seven services in ten costs one hundredth rests on GETSTATE, which tells a ROM that is at work
  from one that has not begun. On a ROM that misses GETSTATE as well (`missed-service:getstate=1`), or stalls it while it
  works (`early-poll:getstate=1`), and latches dfuERROR for an early poll, a first flash takes 5.2 to 5.5 times the clean
  one, as before; where an early poll is answered busy, or stalled and no more, 1.19 and 1.23 times.
- On an F405 that reports 104 ms a block the waits decide, which the ROM asks for: words save half of the erase and none of the
  rest. That the ROM takes the width at all over USB is to be confirmed on hardware (A26, A27).
"""

if __name__ == "__main__":
    main()
