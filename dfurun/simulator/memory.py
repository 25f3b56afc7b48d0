"""What lies at which address of the simulated chip, and what the bootloader may reach of it.

# Ref: AN2606 tables 5 and 226 (accessible memories); AN3156 section 4.1 (flash, RAM, system memory, option bytes).
"""

from __future__ import annotations

import random
from enum import StrEnum

from dfurun.chips import Chip, Timing, Width
from dfurun.simulator.flash import FlashMemory
from dfurun.simulator.option_bytes import OptionBytes
from dfurun.units import KIBI, AddressRange


class Region(StrEnum):
    """The kinds of memory that a ROM bootloader knows."""

    MAIN_FLASH = "main-flash"
    RAM = "ram"
    SYSTEM_MEMORY = "system-memory"
    OPTION_BYTES = "option-bytes"
    OTP = "otp"
    SIGNATURE = "signature"
    DEVICE_FEATURE = "device-feature"


class Memory:
    """All memories of one chip."""

    def __init__(self, chip: Chip, unique_id: bytes, bootloader_id: int | None = None) -> None:
        if len(unique_id) != chip.identity.unique_id_size_bytes:
            raise ValueError(f"a unique id of {len(unique_id)} bytes, not {chip.identity.unique_id_size_bytes}")
        self.chip = chip
        self.unique_id = unique_id
        self.flash = FlashMemory(chip.flash)
        self.option_bytes = OptionBytes(chip.option_bytes)
        self.ram = bytearray(chip.ram.size_bytes)
        self.otp = bytearray(b"\xff" * (chip.otp.extent.size_bytes if chip.otp else 0))
        self.device_feature = b""
        self.reset()
        self._system_memory = _system_memory(chip, unique_id, bootloader_id)
        self._behind_otp = _behind(chip.otp.extent.end, chip.otp.readable_end, chip, unique_id) if chip.otp else b""
        options = chip.option_bytes
        self._behind_option_bytes = (
            _behind(options.blocks[0].end, options.readable_end, chip, unique_id) if options.established else b""
        )
        self._signature = _behind(chip.signature.start, chip.signature.end, chip, unique_id) if chip.signature else b""

    def reset(self) -> None:
        """Set back what the ROM keeps for itself: the device feature, of which it reads one byte (AN2606 table 4).

        That the reserved bytes read 0xFF is an inference; of other chips than those whose width it chooses nothing is known.
        """
        chip, widths = self.chip, self.chip.widths
        size_bytes = chip.device_feature.size_bytes if chip.device_feature else 0
        self.device_feature = bytes([widths.own.code]).ljust(size_bytes, b"\xff") if widths else bytes(size_bytes)

    @property
    def width(self) -> Width | None:
        """The width that the device feature chooses, None where the chip has one alone.

        A byte that no document has chooses the ROM's own (inference), x64 among them: the board has no supply at VPP.
        """
        widths = self.chip.widths
        return None if widths is None else widths.chosen_by(self.device_feature[0]) or widths.own

    @property
    def timing(self) -> Timing:
        """How long operations take now."""
        width = self.width
        return self.chip.timing if width is None else width.timing

    @property
    def unit_bytes(self) -> int:
        """What of the flash is programmed at once now."""
        width = self.width
        return self.chip.flash.program_unit_bytes if width is None else width.unit_bytes

    def extent(self, region: Region) -> AddressRange | None:
        """Return where the bootloader reaches this kind of memory, or None where it has none."""
        match region:
            case Region.MAIN_FLASH:
                return self.chip.flash.extent
            case Region.RAM:
                return self.chip.ram_window
            case Region.SYSTEM_MEMORY:
                return self.chip.system_memory
            case Region.OPTION_BYTES:
                return next(iter(self.chip.option_bytes.blocks), None)
            case Region.OTP:
                return self.chip.otp.extent if self.chip.otp else None
            case Region.SIGNATURE:
                return self.chip.signature
            case Region.DEVICE_FEATURE:
                return self.chip.device_feature

    def extent_at(self, address: int) -> AddressRange | None:
        """Return the memory that the bootloader finds at `address`, or None."""
        region = self.region_of(address)
        if region is Region.OPTION_BYTES:
            byte = AddressRange(address, 1)
            return next(block for block in self.chip.option_bytes.blocks if block.contains(byte))
        return self.extent(region) if region else None

    def region_of(self, address: int) -> Region | None:
        """Return which memory the bootloader finds at `address`, or None."""
        byte = AddressRange(address, 1)
        if any(block.contains(byte) for block in self.chip.option_bytes.blocks):
            return Region.OPTION_BYTES
        for region in Region:
            extent = self.extent(region)
            if extent is not None and extent.contains(byte):
                return region
        return None

    def read(self, address: int, length: int) -> bytes:
        """Return at most `length` bytes from `address`, as far as its region goes; nothing outside every region.

        What lies behind the OTP area, the unique id and the flash size of an F4, is read in a block that begins in it
        (stm32loader reads the id so; that no block may begin behind it is an inference). On an L0 and L1 it lies behind the
        first block of option bytes.
        """
        region = self.region_of(address)
        extent = self.extent_at(address)
        if region is None or extent is None:
            return b""
        if region not in (Region.OTP, Region.OPTION_BYTES):
            length = min(length, extent.end - address)
        match region:
            case Region.MAIN_FLASH:
                return self.flash.read(address, length)
            case Region.RAM:
                offset = address - self.chip.ram.start
                return bytes(self.ram[offset : offset + length])
            case Region.SYSTEM_MEMORY:
                offset = address - extent.start
                return self._system_memory[offset : offset + length]
            case Region.OPTION_BYTES:
                own = self.option_bytes.read(address, length)
                is_first = extent == self.chip.option_bytes.blocks[0]
                return own + (self._behind_option_bytes[: length - len(own)] if is_first else b"")
            case Region.OTP:
                offset = address - extent.start
                return (bytes(self.otp) + self._behind_otp)[offset : offset + length]
            case Region.SIGNATURE:
                offset = address - extent.start
                return self._signature[offset : offset + length]
            case Region.DEVICE_FEATURE:
                offset = address - extent.start
                return self.device_feature[offset : offset + length]

    def write_ram(self, address: int, data: bytes) -> None:
        """Write RAM; the caller has made sure that the range lies inside."""
        offset = address - self.chip.ram.start
        self.ram[offset : offset + len(data)] = data

    def write_otp(self, address: int, data: bytes) -> None:
        """Program OTP: bits go from 1 to 0 and never back (RM0090 section 3.7). The lock bytes are kept and lock nothing."""
        offset = address - (self.chip.otp.extent.start if self.chip.otp else 0)
        for index, value in enumerate(data, offset):
            self.otp[index] &= value

    def clear_ram(self) -> None:
        """Set all RAM to zero. A real RAM powers up with noise; zeros keep a saved board small."""
        self.ram[:] = bytes(len(self.ram))


def _system_memory(chip: Chip, unique_id: bytes, bootloader_id: int | None) -> bytes:
    """Return the ROM's own memory: filler, a vector table that starts it, and the three facts that can be read there."""
    extent, identity = chip.system_memory, chip.identity
    contents = bytearray(random.Random(chip.name).randbytes(extent.size_bytes))

    _put(contents, extent, extent.start, chip.ram.end.to_bytes(4, "little") + (extent.start | 1).to_bytes(4, "little"))
    if identity.bootloader_id_address is not None and bootloader_id is not None:
        _put(contents, extent, identity.bootloader_id_address, bytes([bootloader_id]))
    _put_identity(contents, extent, chip, unique_id)
    return bytes(contents)


def _behind(start: int, end: int, chip: Chip, unique_id: bytes) -> bytes:
    """Return what lies there beside what a host can change: erased memory, and of the identity what is there."""
    if start == end:
        return b""
    extent = AddressRange.between(start, end)
    contents = bytearray(b"\xff" * extent.size_bytes)
    _put_identity(contents, extent, chip, unique_id)
    return bytes(contents)


def _put_identity(contents: bytearray, extent: AddressRange, chip: Chip, unique_id: bytes) -> None:
    size_kib = chip.flash.extent.size_bytes // KIBI
    at = 0
    for word in chip.identity.unique_id:
        _put(contents, extent, word.start, unique_id[at : at + word.size_bytes])
        at += word.size_bytes
    if chip.identity.flash_size_address is not None:
        _put(contents, extent, chip.identity.flash_size_address, size_kib.to_bytes(2, "little"))


def _put(contents: bytearray, extent: AddressRange, address: int, data: bytes) -> None:
    """Put `data` at `address` into the contents of `extent`, if it lies there."""
    if extent.contains(AddressRange(address, len(data))):
        contents[address - extent.start : address - extent.start + len(data)] = data
