"""How fast flashing can be: the flash's own time, the wire's, and the waits that the ROM reports.

The flash and the wire are physics: nothing is faster. The waits are what the ROM asks for; a ROM that answers an early poll
with dfuDNBUSY could be hurried.

All of it comes from the chip's data and from the wire model that the simulated board uses; nothing is measured. The requests
are the fewest with which AN3156 lets the work be done: one DNLOAD and two GETSTATUS an operation, one UPLOAD a block, one ABORT
where the direction turns, one Set Address for the write, for the read, and before leaving. `reading` is the uploads alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.chips import Chip, Duration
from dfurun.dfuse.protocol import (
    STATUS_LENGTH,
    mass_erase_payload,
    set_address_payload,
)
from dfurun.simulator.wire import transfer_s

_ADDRESS_BYTES = len(set_address_payload(0))
_ERASE_BYTES = len(mass_erase_payload())


@dataclass(frozen=True)
class Limit:
    """Seconds that the flash works, that the wire carries, and that the ROM wants to be left alone beyond its work."""

    flash_s: float = 0.0
    wire_s: float = 0.0
    waits_s: float = 0.0
    requests: int = 0

    @property
    def total_s(self) -> float:
        """All of it: what a client that does as the ROM says can reach."""
        return self.flash_s + self.wire_s + self.waits_s

    def __add__(self, other: Limit) -> Limit:
        return Limit(
            self.flash_s + other.flash_s,
            self.wire_s + other.wire_s,
            self.waits_s + other.waits_s,
            self.requests + other.requests,
        )


def first_flash(chip: Chip, size_bytes: int, *, verify: bool) -> Limit:
    """Return the limit of mass erase, write and leave, with or without a verify of all that was written."""
    timing = chip.timing
    limit = _operation(timing.mass_erase, _ERASE_BYTES) + _writing(chip, size_bytes)
    if verify:
        limit += (
            _turn() + _operation(timing.set_address, _ADDRESS_BYTES) + _turn() + reading(chip, size_bytes) + _turn()
        )
    return limit + _operation(timing.set_address, _ADDRESS_BYTES) + _request(0) + _request(STATUS_LENGTH)


def reading(chip: Chip, size_bytes: int) -> Limit:
    """Return the limit of uploading so many bytes."""
    limit = Limit()
    for length in _blocks(chip, size_bytes):
        limit += _request(length)
    return limit


def rewriting(chip: Chip, pages: int) -> Limit:
    """Return the limit of erasing and writing so many pages that lie apart, where it is known which."""
    limit = Limit()
    for _ in range(pages):
        limit += _operation(chip.timing.shortest_erase, _ADDRESS_BYTES) + _writing(chip, chip.flash.page(0).size_bytes)
    return limit


def _writing(chip: Chip, size_bytes: int) -> Limit:
    timing = chip.timing
    limit = _operation(timing.set_address, _ADDRESS_BYTES)
    for length in _blocks(chip, size_bytes):
        typical_s = length // chip.flash.program_unit_bytes * timing.program_unit.typical_s
        limit += _operation(Duration(typical_s, typical_s, timing.program_block.reported_s), length)
    return limit


def _blocks(chip: Chip, size_bytes: int) -> list[int]:
    block = chip.usb.transfer_size_bytes
    whole, tail = divmod(size_bytes, block)
    return [block] * whole + ([tail] if tail else [])


def _operation(duration: Duration, data_bytes: int) -> Limit:
    work = Limit(flash_s=duration.typical_s, waits_s=max(0.0, duration.reported_s - duration.typical_s))
    return _request(data_bytes) + _request(STATUS_LENGTH) + work + _request(STATUS_LENGTH)


def _turn() -> Limit:
    return _request(0)


def _request(data_bytes: int) -> Limit:
    return Limit(wire_s=transfer_s(data_bytes), requests=1)
