"""The simulated board: an STM32 with its ROM bootloader, behind a pyusb backend."""

from dfurun.simulator.backend import SimulatedBackend
from dfurun.simulator.board import SimulatedBoard
from dfurun.simulator.fault import Fault
from dfurun.simulator.fault_text import parse_fault
from dfurun.simulator.faults import FAULTS
from dfurun.simulator.situation import OptionReload, Running
from dfurun.simulator.state import StateFile
from dfurun.simulator.transfer import TraceEntry

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
