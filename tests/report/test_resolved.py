"""What `dfurun show` prints is YAML that means the recipe, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dfurun.recipe import load_text
from dfurun.recipe.document import read_document
from dfurun.report.resolved import resolved_lines

ODD = (
    "", "~", "on", "010", "1e10", "0o17", "12:34:56", "2026-11-30", "0x10", "- a", "a: b", "a #b", "'", '"', "${", "=", "<<",
)  # fmt: skip
TEXTS = st.sampled_from(ODD) | st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp"]), max_size=90
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e3, 1e3, width=32) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(str.isprintable), inner, max_size=3),
)


@given(VALUES, TEXTS.map(lambda text: text.replace("${", "$${")))
def test_what_is_shown_reads_back_as_the_same_values(value: Any, name: str) -> None:
    recipe = {"dfurun": 1, "name": name, "chip": "stm32f072xb", "x-value": value, "steps": ["connect"]}
    loaded = load_text(Path("recipe.yaml"), json.dumps(recipe, ensure_ascii=False), sha256="")
    lines = [line for line, _ in resolved_lines(loaded)]
    shown = read_document("\n".join(lines), "shown")
    assert shown.findings == []
    assert shown.value == loaded.values
    assert loaded.values["x-value"] == value
