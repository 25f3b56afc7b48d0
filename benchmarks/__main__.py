"""Makes benchmarks/report.md: python -m benchmarks, or make benchmark."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import large_flash, modelled, paired, performance, startup
from benchmarks.computer import computer, load
from tests.system.guest_bench import GuestBench
from tests.system.vm.machine import why_not

REPORT = Path(__file__).with_name("report.md")


def main() -> None:
    """Measure everything, print it, and write it down."""
    if reason := why_not():
        sys.exit(reason)
    startup.write_report()
    performance.main()
    exact = modelled.table([modelled.measure(case) for case in modelled.CASES])
    print(exact, flush=True)
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
    REPORT.write_text(
        TEMPLATE.format(
            date=datetime.now(UTC).date(),
            where=computer(),
            load=load(),
            kernel=kernel,
            other=other,
            exact=exact,
            real=paired.table(results),
            large=large_flash.table(large),
            supply=large_flash.SUPPLY,
        )
    )


TEMPLATE = """\
# Figures of {date}

Made by `make benchmark`; [README.md](README.md) says how each is measured. {where}{load};
in the virtual machine Linux {kernel} and {other}.

## On the virtual clock

Exact: modelled time of the simulated board, the same on every computer. Where the link misses packets, the median of the runs
with one seed each, and the slowest of them.

{exact}

## In real time, in the virtual machine

In turn on the same served board, by the board's clock, from the first DFU request to the last; median (lowest to highest).
dfu-util erases, writes and leaves, and verifies nothing. "process" is the median of the whole process by the guest's clock, its
start under software emulation with it.

{real}

The same of an F405 with 1 MiB, one run each. "s" is from the first DFU request to the last, "erase to leave" begins with the
erase; "operations" is what the simulated flash took of it. dfurun's recipe states `supply: {supply}`. True reports are what
each operation takes, to the next millisecond.

{large}
"""

if __name__ == "__main__":
    main()
