"""Makes benchmarks/report.json and report.md, then docs/performance.md: python -m benchmarks, or make benchmark."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from benchmarks import large_flash, modelled, paired, performance, startup
from benchmarks.computer import computer, load
from benchmarks.report import Report, modelled_table
from tests.system.guest_bench import GuestBench
from tests.system.vm.machine import why_not


def main() -> None:
    """Measure everything, print it, and write it down."""
    if reason := why_not():
        sys.exit(reason)
    startup.write_report()
    exact = tuple(modelled.measure(case).figures() for case in modelled.CASES)
    print(modelled_table(exact), flush=True)
    results, large = [], []
    with GuestBench() as bench:
        kernel = bench.run("uname", "-r").out.strip()
        other = bench.dfu_util("--version").out.splitlines()[0]
        for pairing in paired.PAIRINGS:
            results.append(paired.measure(bench, pairing))
            print(paired.table(results[-1:]), flush=True)
        for flashed in large_flash.measure(bench):
            large.append(flashed)
            print(large_flash.table(large).splitlines()[-1], flush=True)
    Report(
        date=str(datetime.now(UTC).date()),
        computer=computer(),
        load=load(),
        kernel=kernel,
        dfu_util=other,
        supply=modelled.SUPPLY,
        modelled=exact,
        paired=tuple(result.figures() for result in results),
        large=tuple(result.figures() for result in large),
    ).save()
    performance.main()


if __name__ == "__main__":
    main()
