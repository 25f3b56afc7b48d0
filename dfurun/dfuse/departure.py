"""How a command ends that resets the chip, or may: seen on the bus alone."""

from __future__ import annotations

from enum import Enum


class Departure(Enum):
    """What the device did after a command that ends in a reset: left, or answered on."""

    LEFT = "left"
    STAYED = "stayed"
