"""Facts about chips as data: memories, ROM, timing, option bytes, guards. Nothing here talks to a board."""

from dfurun.chips.boot import BootRule, BootTarget
from dfurun.chips.chip import (
    Chip,
    EarlyPoll,
    Execution,
    FirstState,
    Identity,
    MassErase,
    Otp,
    Quirk,
    Rom,
    Supply,
    UsbIdentity,
)
from dfurun.chips.database import chip_names, load_chip
from dfurun.chips.flash import Flash, PageRun
from dfurun.chips.guards import Guard
from dfurun.chips.option_bytes import FieldChange, FieldValue, InForce, OptionField, OptionLayout
from dfurun.chips.page_geometry import PageField
from dfurun.chips.programming_width import ProgrammingWidths, Width
from dfurun.chips.storage import Storage
from dfurun.chips.timing import Duration, Timing

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
    "ProgrammingWidths",
    "Quirk",
    "Rom",
    "Storage",
    "Supply",
    "Timing",
    "UsbIdentity",
    "Width",
    "chip_names",
    "load_chip",
]
