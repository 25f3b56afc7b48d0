"""The device feature: the virtual memory whose first byte tells a ROM how wide it may program. It is no flash.

That a ROM has it, takes it and keeps it rests on a document alone (docs/hardware.md, A26): what it refuses is no fault of the
link as long as flash can be read, and it is left at its own width. What must not be is a ROM that is known to be wider than the
supply allows.

# Ref: AN2606 rev 70 table 4: read and written by the bootloader's commands alone, one byte and three that are reserved, 0xFF.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dfurun.chips import Chip, ProgrammingWidths, Width
from dfurun.dfuse.channel import Channel
from dfurun.errors import Code, DfurunError, LinkUnreliable, StepFailed
from dfurun.units import AddressRange

RESERVED = 0xFF
X64 = 0x04  # with a second supply at VPP: never chosen
WRITES = 3
_PROBE_BYTES = 64


class Memory(Protocol):
    """What of a session reads and writes a memory."""

    doubtful: list[AddressRange]

    def read(self, extent: AddressRange) -> bytes:
        """Read."""

    def read_stable(self, extent: AddressRange) -> bytes:
        """Read until two reads agree."""

    def write(self, address: int, data: bytes) -> None:
        """Write what the link lets through; what it leaves in doubt is in `doubtful`."""


def choose(session: Memory, channel: Channel, chip: Chip, wanted: Width) -> Width | None:
    """Have the ROM program and erase with this width, and return the one that it has then; None where it does not tell.

    It is read first, written only where it is another, and read back. Raises StepFailed where the ROM stays wider, and what
    reading flash raises.
    """
    widths, feature = chip.widths, chip.device_feature
    if widths is None or feature is None or not _is_listed(channel, feature):
        return None
    kept, channel.anomalies = channel.anomalies, channel.anomalies.apart()
    try:
        found = _found(session, feature, widths, wanted)
        if found is None:
            session.read(AddressRange(chip.flash.extent.start, _PROBE_BYTES))
    except DfurunError:
        kept.add(channel.anomalies)
        raise
    else:
        if found is not None:
            kept.add(channel.anomalies)
        return found
    finally:
        channel.anomalies = kept


def _is_listed(channel: Channel, feature: AddressRange) -> bool:
    """Say whether one of the device's memories is told to be there."""
    layouts = [alternate.layout for alternate in channel.description.alternates]
    return any(layout and any(s.extent.overlaps(feature) for s in layout.segments) for layout in layouts)


def _found(session: Memory, feature: AddressRange, widths: ProgrammingWidths, wanted: Width) -> Width | None:
    code = first = _code(session, feature)
    for _ in range(WRITES):
        if code in (None, wanted.code):
            break
        _write(session, feature, wanted)
        code = _code(session, feature)
    told = first if code is None else code
    width = None if told is None else widths.chosen_by(told)
    if told == X64 or (width is not None and width.unit_bytes > wanted.unit_bytes):
        raise StepFailed(
            Code.STEP_FAILED,
            f"the bootloader is left at {'x64' if width is None else width.parallelism}, and does not go back to "
            f"{wanted.parallelism}, which is what the recipe's `supply` allows",
            consequence="nothing was erased or written by this step",
            hint="an earlier run may have chosen it: power-cycle the board, and run again",
        )
    return None if code is None else width


def _code(session: Memory, feature: AddressRange) -> int | None:
    found: list[int] = []
    with _refusable():
        found.append(session.read_stable(feature)[0])
    return found[0] if found else None


def _write(session: Memory, feature: AddressRange, width: Width) -> None:
    with _refusable():
        session.write(feature.start, bytes([width.code]).ljust(feature.size_bytes, bytes([RESERVED])))
    session.doubtful[:] = [extent for extent in session.doubtful if not extent.overlaps(feature)]  # it is read back


@contextmanager
def _refusable() -> Iterator[None]:
    """Let the ROM refuse, again and again, what is in the block. A board that is lost is no refusal."""
    try:
        yield
    except LinkUnreliable as error:
        if error.code is not Code.LINK_UNRELIABLE:
            raise
