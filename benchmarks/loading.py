"""How long dfurun's reader of images takes for 2 MiB of Intel HEX, in processor time: python -m benchmarks.loading.

2 MiB is the largest flash that a DfuSe bootloader writes. Several shapes, since a reader may be quick with one and slow with
another.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.report import Spread
from dfurun.image import read_image

SIZE_BYTES = 2 * 1024 * 1024
START = 0x0800_0000
BAR_S = 0.8
RUNS = 7
_SEGMENT = 0x1_0000
_SECTION, _GAP = 256, 16


@dataclass(frozen=True)
class Shape:
    """A title, the bytes of data a record, and of a section; between two sections lie `gap` bytes that nothing is said of."""

    title: str
    record: int
    section: int = SIZE_BYTES
    gap: int = 0

    def text(self) -> str:
        """Return the file, lines of records. A section begins with its base address, as each 64 KiB of it do."""
        data, lines, address = Random(1).randbytes(SIZE_BYTES), list[str](), START
        for begin in range(0, SIZE_BYTES, self.section):
            base = -1
            for at in range(begin, begin + self.section, self.record):
                if base != address // _SEGMENT:
                    base = address // _SEGMENT
                    lines.append(_record(0, 4, base.to_bytes(2, "big")))
                lines.append(_record(address % _SEGMENT, 0, data[at : at + self.record]))
                address += self.record
            address += self.gap
        return "\n".join((*lines, _record(0, 1, b""), ""))


SHAPES = (
    Shape("one section, 16 bytes a record", 16),
    Shape("one section, 32 bytes a record", 32),
    Shape(
        f"{SIZE_BYTES // _SECTION} sections of {_SECTION} bytes, gaps between them, 16 bytes a record",
        16,
        _SECTION,
        _GAP,
    ),
)


@dataclass(frozen=True)
class Loaded:
    """Processor seconds of the runs, and of the least that is conceivable: the file read, and its digits made bytes at once."""

    shape: Shape
    took_s: Spread
    least_s: float


def measure(runs: int = RUNS) -> Iterator[Loaded]:
    """Load every shape so often, after once that is not counted."""
    with tempfile.TemporaryDirectory(prefix="loading-") as name:
        for number, shape in enumerate(SHAPES):
            file = Path(name) / f"{number}.hex"
            file.write_text(shape.text(), encoding="ascii")
            took = _times(partial(_load, file), runs)
            least = _times(partial(_decode, file), runs)
            yield Loaded(shape, took, least.median)


def _times(work: Callable[[], None], runs: int) -> Spread:
    seconds = []
    for _ in range(runs + 1):
        gc.collect()
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return Spread.of(seconds[1:])


def _load(file: Path) -> None:
    loaded = read_image("application", file).memory.size_bytes
    if loaded != SIZE_BYTES:
        raise RuntimeError(f"{loaded} bytes were loaded")


def _decode(file: Path) -> None:
    bytes.fromhex(file.read_bytes().replace(b":", b"").decode())


def _record(address: int, kind: int, data: bytes) -> str:
    body = bytes((len(data), address >> 8, address & 0xFF, kind)) + data
    return f":{(body + bytes((-sum(body) & 0xFF,))).hex().upper()}"


if __name__ == "__main__":
    for found in measure():
        print(f"{found.shape.title}: {found.took_s} s; at least {found.least_s:.3f} s; the bar is {BAR_S} s")
