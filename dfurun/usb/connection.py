"""The one board a run talks to: found, opened, and followed across its resets at the same port."""

from __future__ import annotations

from collections.abc import Callable

from dfurun.chips import Chip, Width
from dfurun.clock import Clock
from dfurun.dfuse.anomalies import Anomalies
from dfurun.dfuse.channel import HUB_ADVICE
from dfurun.dfuse.link import LinkError
from dfurun.dfuse.session import OnWidth, Session
from dfurun.dfuse.trace import Trace, TracedLink
from dfurun.errors import Code, DeviceNotFound, LinkUnreliable
from dfurun.usb.discovery import Bus, Candidate, Selector
from dfurun.usb.foreign import clone_told, refusal
from dfurun.usb.port import PortPath
from dfurun.usb.pyusb_link import PyusbLink

LOOK_INTERVAL_S = 0.05
SETTLE_S = 0.1  # between a board's appearance and the first transfer
OPEN_ATTEMPTS = 4


def _nothing() -> None:
    """Stand in for nobody who waits along."""


def _untold(timeout_s: float) -> None:
    """Stand in for nobody who wants to know that a board is gone."""


def _let_in(port: PortPath) -> None:
    """Stand in for nobody who has a say in which port is opened."""


class Connection:
    """Finds and opens the board that `selector` means; after that it is the board at that port, whatever its address.

    `on_wait` is called while a board is looked for, and may raise. So may `on_found`, which is called before a board that
    `selector` means is opened: nothing has been sent to it by then. `on_gone` is called where a board that nothing has reset is
    not on the bus, with how long it is waited for. `trace` hears of every transfer and of comings and goings. `gentle`,
    `width` and `on_width` are what sessions that are opened from now on have.
    """

    def __init__(self, bus: Bus, chip: Chip, clock: Clock, selector: Selector, trace: Trace | None = None) -> None:
        self._bus = bus
        self._chip = chip
        self._clock = clock
        self._selector = selector
        self._trace = trace
        self._session: Session | None = None
        self._address: int | None = None
        self._closed_transfers = 0
        self._missing_since: float | None = None
        self.port: PortPath | None = None
        self.gentle = False
        self.width: Width | None = None
        self.on_width: OnWidth | None = None
        self.on_wait: Callable[[], None] = _nothing
        self.on_found: Callable[[PortPath], None] = _let_in
        self.on_gone: Callable[[float], None] = _untold
        self.anomalies = Anomalies(self._tell)

    @property
    def session(self) -> Session:
        """The open session; raise LinkUnreliable where there is none (the board left)."""
        if self._session is None:
            raise LinkUnreliable(Code.DEVICE_LOST, "no board is connected", consequence="nothing was sent")
        return self._session

    @property
    def is_open(self) -> bool:
        """Whether a session is open."""
        return self._session is not None

    @property
    def enter_dfu(self) -> str:
        """What brings a board of this bus into DFU mode, for people."""
        return self._bus.enter_dfu

    @property
    def transfers(self) -> int:
        """Control transfers to the DFU interface, over all sessions."""
        return self._closed_transfers + (self._session.transfers if self._session else 0)

    def open(self, timeout_s: float, on_missing: Callable[[], None] = _nothing) -> Session:
        """Wait until the board is there, open it and bring it to dfuIDLE. `on_missing` is called once where it is not yet.

        Raises DeviceNotFound when the time is over or several fit, AccessDenied, LinkUnreliable.
        """
        deadline = self._clock.now() + timeout_s
        tell = on_missing
        while True:
            try:
                candidate = self._bus.select(self._selector)
            except DeviceNotFound as error:
                if error.code is Code.AMBIGUOUS_DEVICE or self._clock.now() >= deadline:
                    raise
                tell()
                tell = _nothing
                self._wait()
            else:
                self.on_found(candidate.port)
                return self._open(candidate)

    def close(self) -> None:
        """Give the board back, where one is open."""
        if self._session is not None:
            self._closed_transfers += self._session.transfers
            self._session.close()
            self._session = None
            self._tell(f"closed {self.port}")

    def wait_for_departure(self, timeout_s: float) -> bool:
        """Close the session and wait until the board leaves its port or re-enumerates; say whether it did."""
        self.close()
        self._missing_since = None
        deadline = self._clock.now() + timeout_s
        while (found := self._present()) is not None and found.address == self._address:
            if self._clock.now() >= deadline:
                return False
            self._wait()
        self._tell(f"{self.port} has left the bus" if found is None else f"{self.port} has a new address: it was reset")
        return True

    def wait_for_return(self, timeout_s: float, *, is_lost: bool = False) -> Session | None:
        """Wait for a board at the same port and open it; None when the time is over. `is_lost`: nothing has reset it."""
        self.close()
        found = self._await_presence(timeout_s, is_lost=is_lost)
        return None if found is None else self._open(found)

    def stays_away(self, duration_s: float) -> bool:
        """Say whether nothing appears at the port for `duration_s` from now."""
        deadline = self._clock.now() + duration_s
        while self._present() is None:
            if self._clock.now() >= deadline:
                return True
            self._wait()
        return False

    def _await_presence(self, timeout_s: float, *, is_lost: bool = True) -> Candidate | None:
        """Wait for a board at the port, counting what it was already waited for in vain; None where there is none in time.

        A system may list a board for a moment after it has left: one that is gone again after SETTLE_S was not back.
        """
        while True:
            if self._present() is not None:
                self._clock.sleep(SETTLE_S)
                if (found := self._present()) is not None:
                    self._missing_since = None
                    return found
            if self._missing_since is None:
                self._missing_since = self._clock.now()
                if is_lost:
                    self.on_gone(timeout_s)
            if self._clock.now() >= self._missing_since + timeout_s:
                return None
            self._wait()

    def _wait(self) -> None:
        self.on_wait()
        self._clock.sleep(LOOK_INTERVAL_S)

    def _tell(self, text: str) -> None:
        if self._trace is not None:
            self._trace.note(text)

    def _present(self) -> Candidate | None:
        return None if self.port is None else self._bus.at(self.port)

    def _open(self, candidate: Candidate) -> Session:
        self.close()
        self.port = candidate.port
        for _ in range(OPEN_ATTEMPTS):
            try:
                link = PyusbLink(candidate, self._clock)
            except LinkError as error:
                self.anomalies.note(f"open: {error.label}", str(error))
                found = self._await_presence(self._chip.usb.reconnect_timeout_s)
                if found is None:
                    raise self._lost_while_opened() from None
                candidate = found
                continue
            if (clone := clone_told(link.description)) is not None:
                link.close()
                raise refusal(clone, candidate.port)
            self._address = candidate.address
            self._tell(f"opened {candidate} at address {candidate.address}")
            traced = link if self._trace is None else TracedLink(link, self._clock, self._trace)
            self._session = Session(traced, self._chip, self._clock, self.anomalies, gentle=self.gentle)
            self._session.width, self._session.on_width = self.width, self.on_width
            try:
                self._session.first_contact()
            except LinkUnreliable as error:
                # It was ending what a dead run had started, a reset for one: it will be back.
                found = (
                    self._await_presence(self._chip.usb.reconnect_timeout_s) if error.code is Code.DEVICE_LOST else None
                )
                if found is None:
                    raise
                self.close()
                candidate = found
                continue
            return self._session
        raise LinkUnreliable(
            Code.LINK_UNRELIABLE,
            f"the board at {candidate.port} is on the bus and does not answer",
            consequence="nothing was changed on it",
            hint=HUB_ADVICE,
            evidence=self.anomalies.evidence,
        )

    def _lost_while_opened(self) -> LinkUnreliable:
        return LinkUnreliable(
            Code.DEVICE_LOST,
            "the board left the bus while it was opened",
            consequence="nothing was changed on it",
            hint="check cable and supply, hold BOOT0 high and power-cycle it, then run again",
            evidence=self.anomalies.evidence,
        )
