"""Which board on the bus is the next one, and which is the one that was just flashed and is still there.

A board is known by its port and its address, which it keeps for as long as it stays on the bus. One that was flashed is not
taken again until its port was empty for a while: a board that resets, or leaves DFU mode and comes back by itself, is away for
less than it takes a hand to change boards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dfurun.clock import Clock
from dfurun.errors import LinkUnreliable
from dfurun.usb.connection import LOOK_INTERVAL_S, SETTLE_S
from dfurun.usb.discovery import Bus, Candidate
from dfurun.usb.port import PortPath

AWAY_S = 1.0


@dataclass(slots=True)
class _Done:
    """A board that was flashed: its address, None where it was away then, and when it was last seen or left."""

    address: int | None
    seen_s: float


class NextBoard:
    """Takes one board after the other, from one port or (None) from any.

    `stays` hears once of each board that was flashed and is still there while another is waited for.
    """

    def __init__(
        self, bus: Bus, clock: Clock, port: PortPath | None, stays: Callable[[PortPath], None] = lambda _: None
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._port = port
        self._stays = stays
        self._done: dict[PortPath, _Done] = {}
        self._told: set[PortPath] = set()

    def done(self, port: PortPath) -> None:
        """Remember that the board at this port was flashed, whatever came of it. Nobody has looked at the bus meanwhile."""
        now = self._clock.now()
        there = {candidate.port: candidate.address for candidate in self._candidates()}
        self._done[port] = _Done(there.get(port), now)
        self._told.discard(port)
        for other, done in self._done.items():
            if there.get(other) in (None, done.address):
                done.seen_s = now

    def wait(self, go_on: Callable[[], bool], limit_s: float) -> PortPath | None:
        """Return where the next board is; None where `go_on` says no more, or none came within `limit_s`."""
        deadline = self._clock.now() + limit_s
        while go_on():
            if (found := self._new()) is not None:
                self._clock.sleep(SETTLE_S)  # a system may list a board for a moment after it has left
                if self._new() == found:
                    self._done.pop(found, None)
                    return found
            if self._clock.now() >= deadline:
                return None
            self._clock.sleep(LOOK_INTERVAL_S)
        return None

    def _new(self) -> PortPath | None:
        """Return the first port with a board that was not flashed."""
        now, candidates = self._clock.now(), self._candidates()
        empty = set(self._done) - {candidate.port for candidate in candidates}
        for port in empty:
            if now - self._done[port].seen_s >= AWAY_S:
                del self._done[port]  # whatever comes there next is another; an address may be used again
        new = None
        for candidate in candidates:
            done = self._done.get(candidate.port)
            if done is None or (candidate.address != done.address and now - done.seen_s >= AWAY_S):
                new = new or candidate.port
                continue
            done.address, done.seen_s = candidate.address, now
            self._tell(candidate.port)
        return new

    def _tell(self, port: PortPath) -> None:
        if port not in self._told:
            self._told.add(port)
            self._stays(port)

    def _candidates(self) -> list[Candidate]:
        """Return what is at the ports that are looked at; nothing where the bus cannot be listed now: it will be."""
        try:
            found = self._bus.candidates()
        except LinkUnreliable:
            return []
        return [candidate for candidate in found if self._port in (None, candidate.port)]
