"""What a vector table starts, and who the board then is on the bus.

# Ref: ARMv6-M (an image starts with its initial stack pointer and its reset vector, whose bit 0 says Thumb).
"""

from __future__ import annotations

from dataclasses import replace

from dfurun.chips import Chip, FirstState, UsbIdentity
from dfurun.chips.clones import known_clones
from dfurun.simulator.commands import RomModel
from dfurun.simulator.descriptors import serial_number
from dfurun.simulator.fault import Impostor
from dfurun.simulator.memory import Memory, Region
from dfurun.simulator.situation import Running
from dfurun.simulator.user_dfu import USER_DFU_COMMANDS, user_dfu_identity


def stack_pointer_is_in_ram(memory: Memory, address: int) -> bool:
    """Say whether the word at `address` is an initial stack pointer."""
    chip, pointer = memory.chip, int.from_bytes(memory.read(address, 4), "little")
    memories = (chip.ram, *([chip.ccm] if chip.ccm else []))
    return any(extent.start < pointer <= extent.end for extent in memories)


def what_starts(memory: Memory, address: int) -> Running:
    """Return what the vector table at `address` leads to."""
    vector = int.from_bytes(memory.read(address + 4, 4), "little")
    thumb = bool(vector & 1)
    match memory.region_of(vector & ~1):
        case Region.SYSTEM_MEMORY if thumb:
            return Running.BOOTLOADER
        case Region.MAIN_FLASH if thumb and stack_pointer_is_in_ram(memory, address):
            return Running.APPLICATION
        case Region.RAM if thumb and stack_pointer_is_in_ram(memory, address):
            return Running.SRAM
    return Running.CRASHED


def rom_identity(chip: Chip, unique_id: bytes) -> UsbIdentity:
    """Return how the chip's bootloader presents itself."""
    return replace(chip.usb, serial=chip.usb.serial or serial_number(unique_id, chip.usb.serial_word))


def user_dfu(chip: Chip, unique_id: bytes, model: RomModel) -> tuple[UsbIdentity, RomModel]:
    """Return how ST's DFU example presents itself, and what it can do."""
    usb = user_dfu_identity(chip, unique_id)
    return usb, replace(
        model,
        commands=USER_DFU_COMMANDS,
        transfer_size_bytes=usb.transfer_size_bytes,
        regions=frozenset({Region.MAIN_FLASH}),
        first_state=FirstState.IDLE,
    )


def stranger_identity(chip: Chip) -> UsbIdentity:
    """Return how a device presents itself that is in DFU mode and no board of this kind: the first clone of the data."""
    stranger = known_clones()[0]
    return replace(
        chip.usb,
        vendor_id=stranger.vendor_id,
        product_id=stranger.product_id,
        release=stranger.release,
        product=stranger.product,
        serial=stranger.serial,
        alternates=stranger.alternates,
    )


def identity(
    memory: Memory, model: RomModel, running: Running, *, has_user_dfu: bool, impostor: Impostor | None
) -> tuple[UsbIdentity, RomModel] | None:
    """Return what the running program is on the bus and what it can do, or None where it is nothing there."""
    chip, unique_id = memory.chip, memory.unique_id
    match running:
        case Running.APPLICATION if has_user_dfu or impostor is Impostor.USER_DFU:
            return user_dfu(chip, unique_id, model)
        case Running.BOOTLOADER if impostor is Impostor.ANOTHER_DEVICE:
            return stranger_identity(chip), model
        case Running.BOOTLOADER:
            return rom_identity(chip, unique_id), model
    return None
