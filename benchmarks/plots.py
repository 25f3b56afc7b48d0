"""The plots of docs/performance.md. dfu-util's figures in them are from report.json, in real time, and marked so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import limit, modelled
from benchmarks.modelled import CASES, CHIP, FIRST_FLASH, LEAVE, SIZE_BYTES, VERIFY, Case, Result
from benchmarks.report import Report
from tests.system.firmware import image

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SIZES_KIB = (8, 16, 32, 64, 100, 128)
MISSED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
MISSED_SEEDS = 5
ANSWERS = {"busy": "f072-missed-busy", "stall-error": "f072-missed-latched"}
REAL_TIME = "dfu-util 0.11, verifies nothing; real time, in the virtual machine"


def by_size(report: Report) -> None:
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
    axes.plot([SIZE_BYTES / 1024], [report.pair("f072-verify").dfu_util_s.median], "rs", label=REAL_TIME)
    axes.set(xlabel="image, KiB", ylabel="s on the bus", ylim=(0, None), title="STM32F072xB, clean link, virtual clock")
    _save(figure, "performance-size.svg", "lower right")


def by_missed_services(report: Report) -> None:
    """Draw first flash by how many services the ROM misses."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for answer in ANSWERS:
        took = []
        for p in MISSED:
            faults = (f"missed-service:p={p},seed={{seed}}", f"early-poll:answer={answer}")
            took.append(modelled.measure(replace(CASES[1], faults=faults), MISSED_SEEDS).median.seconds)
        axes.plot(MISSED, took, "o-" if answer == "busy" else "x--", label=f"dfurun, early poll: {answer}")
    axes.axhline(CASES[1].limit.total_s, color="gray", linestyle=":", label="limit of a clean link")
    clean_s = report.pair("f072-verify").dfu_util_s.median
    theirs_s = [report.pair(case).dfu_util_s.median for case in ANSWERS.values()]
    axes.plot([0.0, *[0.7] * len(theirs_s)], [clean_s, *theirs_s], "rs", label=REAL_TIME)
    axes.set(xlabel="missed services, p", ylabel="s on the bus, median", ylim=(0, None))
    axes.set_title("STM32F072xB, 100 KiB: mass-erase, write, verify, leave; virtual clock")
    _save(figure, "performance-missed.svg")


def large(results: Sequence[Result], least_s: dict[bool, float], report: Report) -> None:
    """Draw a large flash by its two kinds of reports: by bytes, by words, and dfu-util's `least_s` and what it took."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    verified = [result for result in results if "verify" in result.case.name]
    bars = {
        "dfurun with verify, byte by byte; virtual clock": {
            r.case.true_reports: r.median.seconds for r in verified if not r.case.supply
        },
        f"dfurun with verify, by words (supply {modelled.SUPPLY}); virtual clock": {
            r.case.true_reports: r.median.seconds for r in verified if r.case.supply
        },
        "dfu-util 0.11, verifies nothing: the least it can take": least_s,
        REAL_TIME: {true: report.large_dfu_util(true_reports=true).seconds for true in (False, True)},
    }
    width, highest_s = 0.8 / len(bars), max(max(heights.values()) for heights in bars.values())
    for number, (label, heights) in enumerate(bars.items()):
        drawn = axes.bar(
            [true + number * width for true in (0, 1)], [heights[False], heights[True]], width, label=label
        )
        axes.bar_label(drawn, fmt="%.0f")
    block_ms = round(modelled.F405.timing.program_block.reported_s * 1000)
    axes.set_xticks([0.4 - width / 2, 1.4 - width / 2], [f"the ROM reports {block_ms} ms a block", "true reports"])
    axes.set(ylabel="s on the bus", title="STM32F405xG, 1 MiB: mass-erase, write, leave", ylim=(0, highest_s * 1.5))
    _save(figure, "performance-large.svg", "upper right")


def _save(figure: Figure, name: str, legend: str = "best") -> None:
    """Write a plot that is the same, byte for byte, whenever it is drawn by the same matplotlib; `legend` is where it goes."""
    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small", loc=legend)
    with mpl.rc_context({"svg.hashsalt": "dfurun", "svg.fonttype": "none"}):
        figure.savefig(PICTURES / name, metadata={"Date": None})
