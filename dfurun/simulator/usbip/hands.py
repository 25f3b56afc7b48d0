"""What hands do to a board that is served, as words: somebody types them where the server runs.

power-cycle 1-1         off and on, with BOOT0 as it is
power-cycle 1-1 0       off and on, with BOOT0 low
boot0 1-1 0             move the BOOT0 switch; it counts at the next start
unplug 1-1 2.5          off the bus for 2.5 s, under power; without seconds until the next power cycle
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

from dfurun.simulator.board import SimulatedBoard
from dfurun.simulator.usbip.server import Server

USAGE = "power-cycle PORT [0|1], boot0 PORT 0|1, unplug PORT [SECONDS]"


def perform(server: Server, line: str) -> str:
    """Do what a line says to one of the server's boards; return what was done. Raise ValueError for what is not understood."""
    match line.split():
        case ["power-cycle", port]:
            with _board(server, port) as board:
                board.power_cycle()
                return f"{port}: power-cycled with BOOT0 {_level_name(board)}"
        case ["power-cycle", port, level]:
            wanted = _level(level)
            with _board(server, port) as board:
                board.power_cycle(wanted)
                return f"{port}: power-cycled with BOOT0 {_level_name(board)}"
        case ["boot0", port, level]:
            wanted = _level(level)
            with _board(server, port) as board:
                board.set_boot0(wanted)
                return f"{port}: BOOT0 {_level_name(board)}"
        case ["unplug", port]:
            with _board(server, port) as board:
                board.unplug(back_after_s=None)
                return f"{port}: unplugged, until its next power cycle"
        case ["unplug", port, seconds]:
            away_s = _seconds(seconds)
            with _board(server, port) as board:
                board.unplug(back_after_s=away_s)
                return f"{port}: unplugged for {away_s:g} s"
    raise ValueError(f"{line.strip()!r} is none of {USAGE}")


def _board(server: Server, port: str) -> AbstractContextManager[SimulatedBoard]:
    try:
        return server.export(port).board()
    except KeyError:
        ports = ", ".join(export.bus_id for export in server.exports)
        raise ValueError(f"no board at {port!r}; there are {ports}") from None


def _level(text: str) -> int:
    if text not in ("0", "1"):
        raise ValueError(f"BOOT0 is 0 or 1, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text!r} is not a number of seconds")
    return seconds


def _level_name(board: SimulatedBoard) -> str:
    return "high" if board.boot0 else "low"
