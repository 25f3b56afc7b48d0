"""What a call of the command line leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_CODE = re.compile(r"(?:error|warning|note)\[([a-z0-9-]+)\]")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    exit: int
    out: str
    err: str

    @property
    def codes(self) -> set[str]:
        found = set(_CODE.findall(self.out + self.err))
        for line in self.lines:
            if line["event"] == "explanation":
                continue  # told of, and not met
            found |= {line["code"]} if isinstance(line.get("code"), str) else set()
            found |= {line["error"]["code"]} if isinstance(line.get("error"), dict) else set()
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects on standard output, where it is JSON Lines."""
        if not self.out.startswith('{"'):
            return []
        return [json.loads(line) for line in self.out.splitlines()]


Dfurun = Callable[..., Finished]


def in_a_process(*words: object, folder: Path, script: str = "", **environment: str) -> Finished:
    """Run the command line in a process of its own, in `folder`, after the Python in `script`."""
    program = f"{script}\nfrom dfurun.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state")} | environment,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
