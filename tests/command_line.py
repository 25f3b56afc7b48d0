"""What a call of the command line leaves behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
            found |= {line["code"]} if isinstance(line.get("code"), str) else set()
            found |= {line["error"]["code"]} if isinstance(line.get("error"), dict) else set()
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects on standard output, where it is JSON Lines."""
        if not self.out.startswith("{"):
            return []
        return [json.loads(line) for line in self.out.splitlines()]


Dfurun = Callable[..., Finished]
