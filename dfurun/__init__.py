"""dfurun: flash STM32 boards over USB DFU from a reviewed recipe."""

__version__ = "0.1.0"
