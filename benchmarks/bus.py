"""What a run did on the bus, from the trace of the board that it did it to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dfurun.dfuse.protocol import COMMAND_BLOCK, Command, Request
from dfurun.simulator.transfer import Kind, TraceEntry


@dataclass(frozen=True)
class OnTheBus:
    """The DFU requests of one run: seconds from its first to its last, how many, and both from the erase on.

    `transfers` are all control transfers, those of the kernel and the library among them. Where nothing was erased (`erased`)
    both are of the whole run.
    """

    seconds: float
    requests: int
    requests_from_the_erase_on: int
    transfers: int
    seconds_from_the_erase_on: float
    erased: bool = True

    @classmethod
    def of(cls, trace: Iterable[TraceEntry]) -> OnTheBus:
        """Count class requests; the enumeration, and SET_INTERFACE, are the kernel's and the library's."""
        all_of_it = list(trace)
        asked = [entry for entry in all_of_it if entry.setup.kind is Kind.CLASS]
        if not asked:
            return cls(0.0, 0, 0, len(all_of_it), 0.0, erased=False)
        found = next((index for index, entry in enumerate(asked) if _is_erase(entry)), None)
        erase = found or 0
        last_s = asked[-1].at_s
        return cls(
            last_s - asked[0].at_s,
            len(asked),
            len(asked) - erase,
            len(all_of_it),
            last_s - asked[erase].at_s,
            erased=found is not None,
        )


def _is_erase(entry: TraceEntry) -> bool:
    is_command = entry.setup.request == Request.DNLOAD and entry.setup.value == COMMAND_BLOCK
    return is_command and entry.data[:1] == bytes([Command.ERASE])
