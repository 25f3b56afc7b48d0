"""Where a board stands: its pin, what its core does, where it is on the bus, and when its option bytes come into force."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Running(StrEnum):
    """What the core does."""

    OFF = "off"
    BOOTLOADER = "bootloader"
    APPLICATION = "application"
    SRAM = "sram"
    CRASHED = "crashed"


class OptionReload(StrEnum):
    """When option bytes that the bootloader has written come into force.

    POWER_ON: RM0091 section 4, "a POR or OBL_LAUNCH is necessary". RESET: the ROM's own reset loads them, as it would if it
    were an OBL_LAUNCH. Which of the two it is has not been established.
    """

    POWER_ON = "power-on"
    RESET = "reset"


@dataclass(slots=True)
class Situation:
    """Where the board stands: pin, core and bus.

    `connects_at_s` is when the device is on the bus, None where it will not come before a power cycle. `connections` counts
    its appearances: a handle belongs to one of them. `flash_empty` is the empty check's flag, taken when the option bytes are
    loaded. `power_goes_at_s` and `power_returns_at_s` are what happens to the power by itself, None where nothing does.
    """

    boot0: int
    running: Running = Running.OFF
    usb_address: int = 0
    connections: int = 0
    connects_at_s: float | None = None
    flash_empty: bool = False
    power_goes_at_s: float | None = None
    power_returns_at_s: float | None = None
