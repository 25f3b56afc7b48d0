"""Facts about chips as data: memories, ROM, timing, option bytes, guards. Nothing here talks to a board."""

from dfurun.chips.boot import BootRule, BootTarget
from dfurun.chips.chip import (
    Chip,
    Duration,
    EarlyPoll,
    Execution,
    FirstState,
    Identity,
    MassErase,
    Otp,
    Quirk,
    Rom,
    Supply,
    Timing,
    UsbIdentity,
)
from dfurun.chips.database import chip_names, load_chip
from dfurun.chips.flash import Flash, PageRun
from dfurun.chips.guards import Guard
from dfurun.chips.option_bytes import FieldChange, FieldValue, InForce, OptionField, OptionLayout
from dfurun.chips.page_geometry import PageField
from dfurun.chips.storage import Storage

__all__ = [
    "BootRule",
    "BootTarget",
    "Chip",
    "Duration",
    "EarlyPoll",
    "Execution",
    "FieldChange",
    "FieldValue",
    "FirstState",
    "Flash",
    "Guard",
    "Identity",
    "InForce",
    "MassErase",
    "OptionField",
    "OptionLayout",
    "Otp",
    "PageField",
    "PageRun",
    "Quirk",
    "Rom",
    "Storage",
    "Supply",
    "Timing",
    "UsbIdentity",
    "chip_names",
    "load_chip",
]
