"""How long a control transfer takes on a full-speed bus, from the specification's own accounting.

USB 2.0 table 5-2 gives a full-speed control transfer with one data packet 45 bytes of overhead: 9 SYNC, 9 PID, 6 address,
endpoint and CRC5, 6 CRC16, 8 SETUP data and 7 of inter-packet delay, for three transactions of three packets. Table 5-9
gives a further transaction 13: 3 SYNC, 3 PID, 2 address and CRC5, 2 CRC16, 3 of inter-packet delay. Hence

    no data stage        45 - 13            = 32 bytes
    n bytes of data      32 + 13 * packets + n, with 64 bytes to a packet
    a byte               8 / 12 MHz         = 0.667 us

What it leaves out: bit stuffing (up to 1/6 more), start-of-frame packets, the frame in which a host controller schedules a
transfer (OHCI, EHCI and xHCI differ; often the next millisecond), other devices on the bus, hubs, NAKs, and the host's
software. A real transfer is slower; none is faster.

# Ref: USB 2.0, tables 5-2 and 5-9 (the columns of bytes remaining in a 1500-byte frame agree with these numbers).
"""

from __future__ import annotations

from dfurun.simulator.transfer import Setup

BYTE_S = 8 / 12e6
PACKET_BYTES = 64
FRAME_BYTES = 1500
_OVERHEAD_WITHOUT_DATA_BYTES = 32
_OVERHEAD_A_DATA_PACKET_BYTES = 13

SETUP_S = (_OVERHEAD_A_DATA_PACKET_BYTES + 8) * BYTE_S  # the SETUP transaction: a packet with eight bytes of data
BUS_RESET_S = 0.05  # USB 2.0 section 7.1.7.5: TDRSTR, a reset from a root port


def transfer_bytes(data_bytes: int) -> int:
    """Return what a whole control transfer with so many bytes of data occupies on the wire, in byte times."""
    packets = -(-data_bytes // PACKET_BYTES)
    return _OVERHEAD_WITHOUT_DATA_BYTES + _OVERHEAD_A_DATA_PACKET_BYTES * packets + data_bytes


def transfer_s(data_bytes: int) -> float:
    """Return what a whole control transfer with so many bytes of data takes, in seconds."""
    return transfer_bytes(data_bytes) * BYTE_S


def until_device_acts_s(setup: Setup) -> float:
    """Return the time from the SETUP transaction until the device acts: that of the data and the status where data goes out.

    What keeps the host waiting with NAKs comes between the two.
    """
    return 0.0 if setup.is_in else transfer_s(setup.length) - SETUP_S


def after_device_acts_s(setup: Setup, answer_bytes: int) -> float:
    """Return the rest: the data that comes in and the status stage."""
    return transfer_s(answer_bytes) - SETUP_S if setup.is_in else 0.0
