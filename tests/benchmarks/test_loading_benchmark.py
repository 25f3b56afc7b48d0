"""The benchmark of loading reads what it means to: 2 MiB, in as many records and pieces as its shapes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import loading, real_time
from benchmarks.loading import SHAPES, SIZE_BYTES, Loaded, Shape
from benchmarks.report import Spread
from dfurun.image import read_image

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shape", "pieces"), list(zip(SHAPES, (1, 1, 8192), strict=True)), ids=lambda it: getattr(it, "title", "")
)
def test_a_shape_is_what_its_title_says(shape: Shape, pieces: int, tmp_path: Path) -> None:
    file = tmp_path / "a.hex"
    file.write_text(shape.text(), encoding="ascii")
    memory = read_image("application", file).memory
    assert (memory.size_bytes, len(memory.pieces)) == (SIZE_BYTES, pieces)
    data = [line for line in shape.text().splitlines() if line[7:9] == "00"]
    assert (len(data), len(data[0])) == (SIZE_BYTES // shape.record, 11 + 2 * shape.record)


def test_what_takes_longer_than_the_bar_is_told() -> None:
    slow = Loaded(SHAPES[0], Spread(0.85, 0.8, 0.9), 0.01)
    assert real_time.loading_table([slow]).endswith("| 0.010 | <= 0.8 s | **0.850, missed** | reads no Intel HEX |")


def test_the_page_has_every_shape() -> None:
    assert [shape.title for shape in loading.SHAPES if f"\n| {shape.title} | 0." not in PAGE] == []
