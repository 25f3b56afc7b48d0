"""What a stored DNLOAD asks for: judged once, when the GETSTATUS after it executes it. No state, no time.

# Ref: AN3156 section 5 with table 4; its figures of the device side, which AN2662 section 4.5 (the same bootloader's first
# description) draws in full: unsupported command -> errSTALLEDPKT; address not allowed -> errTARGET; then read protection
# active -> errVENDOR.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dfurun.chips import Chip, EarlyPoll, Execution, FirstState, MassErase
from dfurun.dfuse.protocol import COMMAND_BLOCK, FIRST_DATA_BLOCK, Command, DfuStatus
from dfurun.simulator.memory import Memory, Region
from dfurun.simulator.operation import Action, Operation
from dfurun.units import AddressRange

_ADDRESS_COMMAND_LENGTH = 5
_PLAIN_COMMAND_LENGTH = 1


class BlockAddressing(StrEnum):
    """What wTransferSize means in `address = (wBlockNum - 2) * wTransferSize + pointer`.

    FIXED: the functional descriptor's value. Streaming clients with a short last block work on the ROM (betaflight, fwupd,
    dfu-core), so this is what it does, by inference. REQUEST: the length of this very request, AN3156's own words, and what
    usbd-dfu does.
    """

    FIXED = "fixed"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class RomModel:
    """What distinguishes one bootloader from another.

    `tolerates_stray_requests`: ABORT and CLRSTATUS in states where they are illegal are acknowledged and ignored, as older
    ST ROMs do; the STM32C5's ROM stalls them (betaflight-configurator#5300). `early_poll` matters for BACKGROUND alone: the
    other two answer nothing before the operation has ended. `early_state_is_poll`: a GETSTATE then is answered as a GETSTATUS
    is, stalls among them; else it tells dfuDNBUSY. `long_block_hangs`: a DNLOAD that is longer than wTransferSize
    leaves dfuERROR for good. `write_alignment_bytes` is what addresses and lengths of data blocks are multiples of.
    """

    commands: tuple[int, ...]
    mass_erase: MassErase
    execution: Execution
    early_poll: EarlyPoll
    first_state: FirstState
    transfer_size_bytes: int
    write_alignment_bytes: int
    regions: frozenset[Region] = frozenset(Region)
    addressing: BlockAddressing = BlockAddressing.FIXED
    tolerates_stray_requests: bool = True
    long_block_hangs: bool = False
    early_state_is_poll: bool = False

    @classmethod
    def of(cls, chip: Chip, bootloader_id: int | None) -> RomModel:
        """Return the bootloader with this id as the chip's data has it."""
        rom = chip.rom_of(bootloader_id)
        return cls(
            commands=rom.commands,
            mass_erase=rom.mass_erase,
            execution=rom.execution,
            early_poll=rom.early_poll,
            first_state=rom.first_state,
            transfer_size_bytes=chip.usb.transfer_size_bytes,
            write_alignment_bytes=chip.flash.write_alignment_bytes,
        )

    def block_address(self, pointer: int, block: int, length: int) -> int:
        """Return where the data of a block with this number goes, or comes from."""
        step = self.transfer_size_bytes if self.addressing is BlockAddressing.FIXED else length
        return pointer + (block - FIRST_DATA_BLOCK) * step


@dataclass(frozen=True, slots=True)
class Download:
    """A DNLOAD that was stored and not executed yet."""

    block: int
    data: bytes


def plan(download: Download, *, model: RomModel, memory: Memory, pointer: int) -> Operation:
    """Return the operation that a stored download starts; a REFUSE with its status where it is not allowed."""
    if download.block != COMMAND_BLOCK:
        address = model.block_address(pointer, download.block, len(download.data))
        return _write(address, download.data, model=model, memory=memory)
    code, timing = download.data[0], memory.timing
    if code not in model.commands:
        return Operation(Action.REFUSE, 0.0, outcome=DfuStatus.ERR_STALLEDPKT)
    match code, len(download.data):
        case Command.SET_ADDRESS, length if length == _ADDRESS_COMMAND_LENGTH:
            return _set_address(_address(download.data), model=model, memory=memory)
        case Command.ERASE, length if length == _ADDRESS_COMMAND_LENGTH:
            return _erase_page(_address(download.data), memory=memory)
        case Command.ERASE, length if length == _PLAIN_COMMAND_LENGTH and model.mass_erase is not MassErase.MISSING:
            if memory.option_bytes.protection_level:
                return Operation(Action.REFUSE, timing.mass_erase.reported_s, outcome=DfuStatus.ERR_VENDOR)
            action = Action.ERASE_ALL if model.mass_erase is MassErase.WORKS else Action.IGNORE
            return Operation(action, timing.mass_erase.reported_s, timing.mass_erase.typical_s)
        case Command.READ_UNPROTECT, length if length == _PLAIN_COMMAND_LENGTH:
            duration = timing.read_unprotect
            return Operation(Action.READ_UNPROTECT, duration.reported_s, duration.typical_s)
    return Operation(Action.REFUSE, 0.0, outcome=DfuStatus.ERR_STALLEDPKT)


def _address(payload: bytes) -> int:
    return int.from_bytes(payload[1:], "little")


def _set_address(address: int, *, model: RomModel, memory: Memory) -> Operation:
    """AN3156 allows it under read protection; betaflight met errVENDOR on real parts, and that is what is modelled."""
    duration = memory.timing.set_address
    if memory.region_of(address) not in model.regions:
        return Operation(Action.REFUSE, duration.reported_s, outcome=DfuStatus.ERR_TARGET)
    if memory.option_bytes.protection_level:
        return Operation(Action.REFUSE, duration.reported_s, outcome=DfuStatus.ERR_VENDOR)
    return Operation(Action.SET_ADDRESS, duration.reported_s, duration.typical_s, address)


def _erase_page(address: int, *, memory: Memory) -> Operation:
    timing, flash = memory.timing, memory.chip.flash
    if memory.region_of(address) is not Region.MAIN_FLASH:
        return Operation(Action.REFUSE, timing.shortest_erase.reported_s, outcome=DfuStatus.ERR_TARGET)
    duration = timing.page_erase[flash.page(flash.page_index(address)).size_bytes]
    if memory.option_bytes.protection_level:
        return Operation(Action.REFUSE, duration.reported_s, outcome=DfuStatus.ERR_VENDOR)
    return Operation(Action.ERASE_PAGE, duration.reported_s, duration.typical_s, address)


def _write(address: int, data: bytes, *, model: RomModel, memory: Memory) -> Operation:
    timing, alignment = memory.timing, model.write_alignment_bytes
    region = memory.region_of(address)
    extent = memory.extent_at(address) if region in model.regions else None
    fits = extent is not None and extent.contains(AddressRange(address, len(data)))
    aligned = _is_aligned(address, len(data), alignment, extent)
    at_start = region is not Region.OPTION_BYTES or (extent is not None and address == extent.start)
    if not (fits and aligned and at_start) or region is Region.SYSTEM_MEMORY:
        return Operation(Action.REFUSE, timing.program_block.reported_s, outcome=DfuStatus.ERR_TARGET)
    if memory.option_bytes.protection_level:
        return Operation(Action.REFUSE, timing.program_block.reported_s, outcome=DfuStatus.ERR_VENDOR)
    if region is Region.OPTION_BYTES:
        duration = timing.option_bytes
        return Operation(Action.WRITE_OPTION_BYTES, duration.reported_s, duration.typical_s, address, data)
    if region is Region.RAM:  # no flash operation: no time (inference)
        return Operation(Action.WRITE_RAM, 0.0, 0.0, address, data)
    if region is Region.DEVICE_FEATURE:  # no flash operation: no time (inference)
        return Operation(Action.WRITE_DEVICE_FEATURE, 0.0, 0.0, address, data)
    duration_s = len(data) // memory.unit_bytes * timing.program_unit.typical_s
    action = Action.WRITE_OTP if region is Region.OTP else Action.PROGRAM
    return Operation(action, timing.program_block.reported_s, duration_s, address, data)


def _is_aligned(address: int, length: int, alignment: int, extent: AddressRange | None) -> bool:
    """Say whether a block keeps AN2606's rule. A memory that begins between, as the registers of an H7 do, is counted from.

    A memory that is shorter than the alignment, as the device feature of an F7 is, is written as a whole (inference).
    """
    start = extent.start if extent else 0
    alignment = min(alignment, extent.size_bytes) if extent else alignment
    return (address - start) % alignment == 0 and length % alignment == 0


def misaligned(download: Download, *, model: RomModel, memory: Memory, pointer: int) -> bool:
    """Say whether a data block breaks AN2606's rule: then it "fails and all following program operations fail as well"."""
    if download.block == COMMAND_BLOCK:
        return False
    address = model.block_address(pointer, download.block, len(download.data))
    return not _is_aligned(address, len(download.data), model.write_alignment_bytes, memory.extent_at(address))
