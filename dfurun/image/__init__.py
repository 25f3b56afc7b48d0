"""Firmware files, whatever their format, as one sparse memory image."""

from dfurun.image.error import ImageError
from dfurun.image.memory import ImageFile, MemoryImage, Piece
from dfurun.image.reader import read_image

__all__ = ["ImageError", "ImageFile", "MemoryImage", "Piece", "read_image"]
