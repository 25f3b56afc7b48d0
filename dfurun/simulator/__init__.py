"""The simulated board: an STM32 with its ROM bootloader, behind a pyusb backend."""

from dfurun.simulator.backend import SimulatedBackend
from dfurun.simulator.board import OptionReload, Running, SimulatedBoard, TraceEntry
from dfurun.simulator.fault import Fault
from dfurun.simulator.faults import FAULTS, parse_fault
from dfurun.simulator.state import StateFile

__all__ = [
    "FAULTS",
    "Fault",
    "OptionReload",
    "Running",
    "SimulatedBackend",
    "SimulatedBoard",
    "StateFile",
    "TraceEntry",
    "parse_fault",
]
