"""A count of everything the link did wrong, kept for a whole run: the evidence behind `link-unreliable`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

EVIDENCE_LINES = 16


class Anomalies:
    """Counts by kind, and the last few in words. `listen` hears each of them as it is noted."""

    def __init__(self, listen: Callable[[str], None] | None = None) -> None:
        self.total = 0  # how many there were
        self._listen = listen
        self._counts: Counter[str] = Counter()
        self._lines: deque[str] = deque(maxlen=EVIDENCE_LINES)

    def note(self, kind: str, detail: str = "") -> None:
        """Count one anomaly; `detail` goes into the evidence only."""
        self.total += 1
        self._counts[kind] += 1
        words = f"{kind} ({detail})" if detail else kind
        self._lines.append(words)
        if self._listen is not None:
            self._listen(f"! {words}")

    def apart(self) -> Anomalies:
        """Return a count of its own for what may turn out to be none of the link's; who listens hears of it all the same."""
        return Anomalies(self._listen)

    def add(self, others: Anomalies) -> None:
        """Take over what was counted apart."""
        self.total += others.total
        self._counts += others._counts
        self._lines.extend(others._lines)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, the most frequent first."""
        return dict(self._counts.most_common())

    @property
    def evidence(self) -> tuple[str, ...]:
        """The last few in words, oldest first."""
        return tuple(self._lines)
