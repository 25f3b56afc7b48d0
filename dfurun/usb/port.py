"""Where a board is plugged in: the bus and the chain of hub ports. The one identity that survives a reset.

Serial numbers do not do: every F0 of one kind shows the same (candleLight#175), and some are two boards' (ST153796).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PORT = re.compile(r"([0-9]{1,3})-([0-9]{1,3}(?:\.[0-9]{1,3})*)\Z")


@dataclass(frozen=True, slots=True, order=True)
class PortPath:
    """A bus number and the ports from its root hub on, printed as Linux does: `1-2.3`."""

    bus: int
    ports: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> PortPath:
        """Return the path for `1-2.3`; raise ValueError for anything else."""
        found = _PORT.match(text)
        if found is None:
            raise ValueError(f"{text!r} is not a port such as 1-2 or 1-2.3")
        return cls(int(found[1]), tuple(int(port) for port in found[2].split(".")))

    def __str__(self) -> str:
        return f"{self.bus}-{'.'.join(str(port) for port in self.ports) or '0'}"
