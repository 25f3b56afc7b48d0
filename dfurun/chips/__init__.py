"""Facts about chips as data: memories, ROM, timing, option bytes, guards. Nothing here talks to a board."""

from dfurun.chips.chip import (
    BootRule,
    BootTarget,
    Chip,
    Duration,
    EarlyPoll,
    Execution,
    Flash,
    Guard,
    Identity,
    Rom,
    Timing,
    UsbIdentity,
)
from dfurun.chips.database import chip_names, load_chip
from dfurun.chips.option_bytes import FieldChange, FieldValue, OptionField, OptionLayout

__all__ = [
    "BootRule",
    "BootTarget",
    "Chip",
    "Duration",
    "EarlyPoll",
    "Execution",
    "FieldChange",
    "FieldValue",
    "Flash",
    "Guard",
    "Identity",
    "OptionField",
    "OptionLayout",
    "Rom",
    "Timing",
    "UsbIdentity",
    "chip_names",
    "load_chip",
]
