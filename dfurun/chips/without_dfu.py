"""The STM32 lines with no USB DFU bootloader in their ROM. The list is in without-dfu.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dfurun.chips.part_number import names_of
from dfurun.resources import yaml_data


@dataclass(frozen=True, slots=True)
class WithoutDfu:
    """Chips of one line: their names, as recipes would give them, what the debugger reads as device id, and the document."""

    names: tuple[str, ...]
    device_id: int
    source: str


@cache
def lines_without_dfu() -> tuple[WithoutDfu, ...]:
    """Return the lines, in the order of the file."""
    read = yaml_data("dfurun.chips", "without-dfu.yaml")
    return tuple(
        WithoutDfu(tuple(names_of(line["parts"])), line["device-id"], read["source"]) for line in read["lines"]
    )
