"""What a link carries, told to whoever listens: a wrapper with the link's own shape that changes nothing.

# Ref: docs/reliability.md; the requests are those of DFU 1.1, table 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dfurun.clock import Clock
from dfurun.dfuse.link import DeviceDescription, Link, LinkError
from dfurun.dfuse.protocol import Request


@dataclass(frozen=True, slots=True)
class Transfer:
    """One control transfer to the DFU interface: `data` was sent or answered, `length` is wLength in bytes.

    `began_s` and `duration_s` are on the board's clock, in seconds. `failure` is how it failed, None where it did not.
    """

    request: Request
    value: int
    length: int
    data: bytes
    began_s: float
    duration_s: float
    failure: LinkError | None = None


class Trace(Protocol):
    """Somebody who listens to a link. Never raises: a board that is being flashed does not care who listens."""

    def transfer(self, transfer: Transfer) -> None:
        """Hear of a transfer that has ended."""

    def note(self, text: str) -> None:
        """Hear of something else: a board that was opened or has left, an answer that makes no sense."""


class TracedLink:
    """Implements `dfurun.dfuse.link.Link` over another link, and tells `trace` of all that passes."""

    def __init__(self, link: Link, clock: Clock, trace: Trace) -> None:
        self._link = link
        self._clock = clock
        self._trace = trace

    @property
    def description(self) -> DeviceDescription:
        """The device's descriptors."""
        return self._link.description

    def control_out(self, request: Request, value: int, data: bytes, timeout_s: float) -> None:
        """Send `data` with the request; raise LinkError."""

        def send() -> bytes:
            self._link.control_out(request, value, data, timeout_s)
            return data

        self._traced(request, value, len(data), data, send)

    def control_in(self, request: Request, value: int, length: int, timeout_s: float) -> bytes:
        """Return at most `length` bytes that the device answers; raise LinkError."""
        return self._traced(
            request, value, length, b"", lambda: self._link.control_in(request, value, length, timeout_s)
        )

    def select_alternate(self, number: int) -> None:
        """Select an alternate setting; raise LinkError."""
        try:
            self._link.select_alternate(number)
        except LinkError as error:
            self._trace.note(f"SET_INTERFACE {number}: {error.label} ({error})")
            raise

    def reset(self) -> None:
        """Reset the port and open the device again; raise LinkError."""
        self._trace.note("USB reset of the port")
        self._link.reset()

    def close(self) -> None:
        """Give the device back. Never raises."""
        self._link.close()

    def _traced(self, request: Request, value: int, length: int, sent: bytes, carry: Callable[[], bytes]) -> bytes:
        began = self._clock.now()
        failure: LinkError | None = None
        data = sent
        try:
            data = carry()
        except LinkError as error:
            failure = error
            raise
        finally:
            self._trace.transfer(Transfer(request, value, length, data, began, self._clock.now() - began, failure))
        return data
