"""The device feature: the virtual memory whose first byte tells a ROM how wide it may program. It is no flash.

# Ref: AN2606 rev 70 table 4: read and written by the bootloader's commands alone, one byte and three that are reserved, 0xFF.
"""

from __future__ import annotations

from typing import Protocol

from dfurun.chips import Chip, Width
from dfurun.dfuse.anomalies import Anomalies
from dfurun.errors import AddressRefused
from dfurun.units import AddressRange

RESERVED = 0xFF


class Memory(Protocol):
    """What of a session reads and writes a memory."""

    doubtful: list[AddressRange]

    def read_stable(self, extent: AddressRange) -> bytes:
        """Read until two reads agree."""

    def write(self, address: int, data: bytes) -> None:
        """Write what the link lets through; what it leaves in doubt is in `doubtful`."""


def choose(session: Memory, chip: Chip, width: Width, anomalies: Anomalies) -> bool:
    """Have the ROM program and erase with this width, and say whether it has taken it: what it keeps is read back.

    Nothing is written where it is chosen already. A ROM that does not take it goes on with its own, which every supply allows.
    Raises what reading and writing raise.
    """
    feature = chip.device_feature
    try:
        if feature is not None and (_chosen(session, feature, width) or _write(session, feature, width)):
            return True
    except AddressRefused:
        pass
    anomalies.note("programming width not taken", f"{width.parallelism}; the ROM goes on with its own")
    return False


def _chosen(session: Memory, feature: AddressRange, width: Width) -> bool:
    return session.read_stable(feature)[0] == width.code


def _write(session: Memory, feature: AddressRange, width: Width) -> bool:
    session.write(feature.start, bytes([width.code]).ljust(feature.size_bytes, bytes([RESERVED])))
    session.doubtful[:] = [extent for extent in session.doubtful if not extent.overlaps(feature)]  # it is read back
    return _chosen(session, feature, width)
