"""The STM32 lines with USB DFU in their ROM that the data leaves out, and why. The list is in left-out.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dfurun.chips.part_number import names_of
from dfurun.resources import yaml_data


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Chips of one line: their names, what the debugger reads as device id, why they are left out, and the source of that."""

    names: tuple[str, ...]
    device_id: int
    why: str
    source: str


@cache
def lines_left_out() -> tuple[LeftOut, ...]:
    """Return the lines, in the order of the file."""
    read = yaml_data("dfurun.chips", "left-out.yaml")
    return tuple(
        LeftOut(tuple(names_of(line["parts"])), line["device-id"], read["why"], line["source"])
        for line in read["lines"]
    )
