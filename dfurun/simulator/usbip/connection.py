"""A USB/IP connection's ends: reading exactly so many bytes, and hanging up."""

from __future__ import annotations

import socket
from contextlib import suppress

from dfurun.simulator.usbip.protocol import Receive


def receiver(connection: socket.socket) -> Receive:
    """Return what reads exactly so many bytes from a connection, and raises EOFError where it ends before."""

    def receive(length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            part = connection.recv(length)
            if not part:
                raise EOFError("the connection was closed")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    return receive


def hang_up(connection: socket.socket) -> None:
    """Close a connection for both sides, whoever may be reading from it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
