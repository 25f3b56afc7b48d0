"""Firmware files, whatever their format, as one sparse memory image."""

from dfurun.image.contents import Target, UsbIds
from dfurun.image.error import ImageError
from dfurun.image.file import ImageFile
from dfurun.image.memory import MemoryImage, Piece
from dfurun.image.reader import read_image

__all__ = ["ImageError", "ImageFile", "MemoryImage", "Piece", "Target", "UsbIds", "read_image"]
