"""The simulated board judges the client, so it knows nothing of the client's logic."""

from __future__ import annotations

import ast
from pathlib import Path

import dfurun.simulator

SHARED = ("dfurun.chips", "dfurun.clock", "dfurun.files", "dfurun.units", "dfurun.dfuse.protocol", "dfurun.simulator")


def test_the_simulator_shares_constants_with_the_client_and_nothing_else() -> None:
    for path in Path(dfurun.simulator.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dfurun"):
                assert (node.module or "").startswith(SHARED), f"{path.name} imports {node.module}"
