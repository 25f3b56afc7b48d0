"""Firmware files, whatever their format, as one sparse memory image."""

from dfurun.image.memory import ImageFile, MemoryImage, Piece

__all__ = ["ImageFile", "MemoryImage", "Piece"]
