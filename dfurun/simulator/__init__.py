"""The simulated board: an STM32 with its ROM bootloader, behind a pyusb backend."""

from dfurun.simulator.backend import SimulatedBackend
from dfurun.simulator.board import OptionReload, Running, SimulatedBoard, TraceEntry

__all__ = ["OptionReload", "Running", "SimulatedBackend", "SimulatedBoard", "TraceEntry"]
