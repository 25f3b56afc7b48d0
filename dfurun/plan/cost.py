"""What a plan's operations cost on a link where every answer is right: control transfers, and seconds.

Transfers follow the session's own order of requests (`dfurun.dfuse.session`), and are exact there. Seconds are the sum of
three:
what the flash takes (typical times of the chip's data) or the ROM reports to take, whichever is longer; what the bytes take
on a full-speed wire; and the time in which a board is not on the bus. What a host adds, a frame a transfer perhaps, comes on
top.

# Ref: AN3156 rev 18, section 3; USB 2.0, table 5-2 (45 bytes of overhead, 13 a further data packet of 64 bytes).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import assert_never

from dfurun.chips import Chip, Duration, Execution, FirstState, Width
from dfurun.dfuse.protection import PROBE_LENGTH, PROOFS_NEEDED
from dfurun.dfuse.protocol import FIRST_DATA_BLOCK, LAST_BLOCK, STATUS_LENGTH
from dfurun.dfuse.waiting import HELD_S, HELD_SHARE, SHORTEST_INTERVAL_S, look_interval_s
from dfurun.steps.effect import Act, ActKind
from dfurun.units import AddressRange
from dfurun.usb.connection import LOOK_INTERVAL_S, SETTLE_S

BYTE_S = 8 / 12e6
PACKET_BYTES = 64
COMMAND_BYTES = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """Control transfers to the DFU interface, and seconds: of the flash and the ROM's reports, of the wire, and off the bus."""

    transfers: int = 0
    flash_s: float = 0.0
    wire_s: float = 0.0
    away_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All of the time, without what a person takes."""
        return self.flash_s + self.wire_s + self.away_s

    def __add__(self, other: Cost) -> Cost:
        """Return both costs together."""
        return Cost(
            self.transfers + other.transfers,
            self.flash_s + other.flash_s,
            self.wire_s + other.wire_s,
            self.away_s + other.away_s,
        )


OF_FLASH = (ActKind.ERASE, ActKind.MASS_ERASE, ActKind.WRITE)


class _At(Enum):
    """The states between two requests in which a device can be, as the session keeps them."""

    IDLE = "dfuIDLE"
    READING = "dfuUPLOAD-IDLE"
    WRITING = "dfuDNLOAD-IDLE"


class Meter:
    """Goes through a run's operations in order, and counts: what one costs depends on the state that the last has left.

    `width` is chosen before the first erase or write of each connection, where the ROM is met with its own.
    """

    def __init__(self, chip: Chip, width: Width | None = None) -> None:
        self._chip = chip
        self._width = width
        self._timing = chip.timing if width is None else width.timing
        self._unit_bytes = chip.flash.program_unit_bytes if width is None else width.unit_bytes
        self._width_chosen = False
        self._at = _At.IDLE
        self._cost = Cost()
        self._block_bytes = chip.usb.transfer_size_bytes
        self._judged = self._has_options = False
        self._stream: tuple[_At, int] | None = None

    def cost_of(self, acts: Iterable[Act]) -> Cost:
        """Return what these operations cost, after all that were asked for before."""
        self._cost = Cost()
        for act in acts:
            self._act(act)
        return self._cost

    def _act(self, act: Act) -> None:
        chip, timing = self._chip, self._timing
        if act.kind in OF_FLASH:
            self._choose_width()
        extent = act.extent or chip.flash.extent
        match act.kind:
            case ActKind.FIRST_CONTACT:
                self._contact()
                self._judged = self._has_options = False
                self._width_chosen = False
            case ActKind.JUDGE if self._judged:
                pass
            case ActKind.JUDGE | ActKind.JUDGE_AFRESH:
                self._judge(protected=act.protected)
            case ActKind.IDENTITY:
                for part in chip.identity.reads:
                    self._read(part)
            case ActKind.READ:
                self._read(extent, act.under)
            case ActKind.ERASE:
                self._command(timing.page_erase[extent.size_bytes])
            case ActKind.MASS_ERASE:
                self._command(timing.mass_erase)
            case ActKind.WRITE:
                self._write(extent, act.data, act.under)
            case ActKind.OPTIONS if self._has_options:
                pass
            case ActKind.OPTIONS | ActKind.OPTIONS_AFRESH:
                self._has_options = True
                for block in chip.option_bytes.blocks:
                    self._read(block)
                    self._read(block)
            case ActKind.WRITE_OPTIONS:
                self._set_address()
                self._depart(timing.option_bytes, extent.size_bytes)
            case ActKind.UNPROTECT:
                self._ready(_At.WRITING)
                self._depart(timing.read_unprotect, 1)
            case ActKind.RETURN:
                self._come_back()
            case ActKind.POWER_CYCLE:
                self._come_back()
                self._has_options = False
            case ActKind.LEAVE:
                if not act.protected:
                    self._set_address()
                self._ready(_At.WRITING)
                self._transfer(0)
                self._transfer(STATUS_LENGTH)
            case _:
                assert_never(act.kind)

    # The session's own orders -----------------------------------------------------------------------------------------

    def _contact(self) -> None:
        """First contact: GETSTATE; where the ROM is in dfuERROR also GETSTATUS, CLRSTATUS and GETSTATE again."""
        self._transfer(1)
        if self._chip.rom.first_state is FirstState.ERROR:
            for data_bytes in (STATUS_LENGTH, 0, 1):
                self._transfer(data_bytes)
        self._at = _At.IDLE

    def _come_back(self) -> None:
        looks = ceil(self._chip.usb.connect_minimum_s / LOOK_INTERVAL_S)
        self._cost += Cost(away_s=looks * LOOK_INTERVAL_S + SETTLE_S)
        self._contact()
        self._judged = self._width_chosen = False

    def _judge(self, *, protected: bool) -> None:
        """One probe where reading works; where it is refused three, each with the way back to dfuIDLE, and Get Commands."""
        self._judged = True
        for _ in range(PROOFS_NEEDED if protected else 1):
            self._set_address()
            if protected:
                for data_bytes in (1, STATUS_LENGTH, 0, 1):
                    self._transfer(data_bytes)
                self._at = _At.IDLE
            else:
                self._ready(_At.READING)
                self._transfer(min(PROBE_LENGTH, self._block_bytes))
        if protected:
            self._transfer(len(self._chip.rom.commands))
            self._at = _At.READING

    def _read(self, extent: AddressRange, under: int | None = None) -> None:
        done = 0
        self._begin_stream(_At.READING, under)
        while done < extent.size_bytes:
            length = min(self._block_bytes, extent.size_bytes - done)
            self._number(_At.READING, AddressRange(extent.start + done, length), under)
            self._ready(_At.READING)
            self._transfer(length)
            done += length

    def _write(self, extent: AddressRange, data: bytes, under: int | None) -> None:
        timing = self._timing
        erased, done = bytes([self._chip.flash.erased]), 0
        self._begin_stream(_At.WRITING, under)
        while done < extent.size_bytes:
            length = min(self._block_bytes, extent.size_bytes - done)
            if not data[done : done + length].strip(erased):
                done += length
                continue
            self._number(_At.WRITING, AddressRange(extent.start + done, length), under)
            self._ready(_At.WRITING)
            self._transfer(length)
            takes_s = ceil(length / self._unit_bytes) * timing.program_unit.typical_s
            self._finish(Duration(takes_s, timing.program_block.maximum_s, timing.program_block.reported_s))
            done += length

    def _choose_width(self) -> None:
        """Read the device feature, always twice; write it, and read it again, where the ROM is to leave its own width."""
        width, feature, widths = self._width, self._chip.device_feature, self._chip.widths
        if self._width_chosen or width is None or feature is None or widths is None:
            return
        self._width_chosen = True
        for _ in range(2):
            self._read(feature)
        if width is widths.own:
            return
        self._begin_stream(_At.WRITING, None)
        self._number(_At.WRITING, feature, None)
        self._ready(_At.WRITING)
        self._transfer(feature.size_bytes)
        self._finish(Duration(0.0, 0.0, 0.0))
        for _ in range(2):
            self._read(feature)

    def _begin_stream(self, way: _At, under: int | None) -> None:
        kept = (_At.READING, way)
        if under is None or self._stream is None or self._stream[1] != under or self._stream[0] not in kept:
            self._stream = None

    def _number(self, way: _At, at: AddressRange, under: int | None) -> None:
        """Set the address of a block where its number cannot be counted from one that is set, or that others share."""
        for base in (self._stream[1] if self._stream else None, under):
            if base is None or at.size_bytes != self._block_bytes:
                continue
            number, odd = divmod(at.start - base, self._block_bytes)
            if odd or not 0 <= number <= LAST_BLOCK - FIRST_DATA_BLOCK:
                continue
            if self._stream is None or self._stream[1] != base:
                self._set_address()
            self._stream = (way, base)
            return
        self._set_address()
        self._stream = (way, at.start)

    def _set_address(self) -> None:
        self._command(self._chip.timing.set_address)

    def _command(self, takes: Duration) -> None:
        self._stream = None
        self._ready(_At.WRITING)
        self._transfer(COMMAND_BYTES)
        self._finish(takes)

    def _finish(self, takes: Duration) -> None:
        """GETSTATUS executes, the wait, GETSTATUS; more of them where the ROM reports less than it takes."""
        self._at = _At.WRITING
        self._transfer(STATUS_LENGTH)
        waited_s, interval_s = takes.reported_s, max(min(takes.reported_s, takes.maximum_s), SHORTEST_INTERVAL_S)
        match self._chip.rom.execution:
            case Execution.BACKGROUND:
                again = ceil(max(takes.typical_s - waited_s, 0.0) / interval_s)
                waited_s += again * interval_s
                for _ in range(again):
                    self._transfer(STATUS_LENGTH)
            case Execution.HELD:
                held_s = takes.typical_s if takes.typical_s > max(HELD_S, HELD_SHARE * takes.reported_s) else 0.0
                waited_s = takes.typical_s + max(0.0, waited_s - held_s)
            case Execution.INSIDE:
                waited_s = max(waited_s, takes.typical_s)
            case _:
                assert_never(self._chip.rom.execution)
        self._cost += Cost(flash_s=waited_s)
        self._transfer(STATUS_LENGTH)

    def _depart(self, takes: Duration, data_bytes: int) -> None:
        """A download, the GETSTATUS that executes it, and GETSTATE until the device is gone."""
        self._transfer(data_bytes)
        self._transfer(STATUS_LENGTH)
        waited_s, looks = takes.reported_s, 1
        if self._chip.rom.execution is Execution.BACKGROUND:
            looks += ceil(max(takes.typical_s - waited_s, 0.0) / look_interval_s(takes.maximum_s))
            waited_s += (looks - 1) * look_interval_s(takes.maximum_s)
        self._cost += Cost(flash_s=max(waited_s, takes.typical_s))
        for _ in range(looks):
            self._transfer(1)

    def _ready(self, purpose: _At) -> None:
        if self._at not in (_At.IDLE, purpose):
            self._transfer(0)  # ABORT
        self._at = purpose

    def _transfer(self, data_bytes: int) -> None:
        packets = ceil(data_bytes / PACKET_BYTES)
        wire_s = (32 + 13 * packets + data_bytes) * BYTE_S
        self._cost += Cost(transfers=1, wire_s=wire_s)
