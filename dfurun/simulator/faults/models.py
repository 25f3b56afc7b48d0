"""Another ROM than the chip's: how it executes, what it stalls, what it does not forgive."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from dfurun.simulator.commands import RomModel
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings


class _OtherRom(NamedFault):
    """A fault of the ROM's model, from one start of the bootloader to the next."""

    acts_on = ActsOn.START
    defaults = Settings(count=None)

    def model(self, model: RomModel) -> RomModel:
        """Be that ROM from this start of the bootloader to the next."""
        return self._other(model) if self._fires() else model

    def _other(self, model: RomModel) -> RomModel:
        raise NotImplementedError


class ExecutionFault(_OtherRom):
    """The ROM executes in another `mode`: background, held or inside.

    Source (document): AN3156's figures for background; ST's USB device library for held; usbd-dfu and fwupd#2696 for inside.
    """

    name = "execution"
    keys = NamedFault.keys | {"mode"}
    needs = MappingProxyType({"mode": "held"})

    def _other(self, model: RomModel) -> RomModel:
        return replace(model, execution=self.settings.execution)


class EarlyPollFault(_OtherRom):
    """The ROM has another `answer` to a GETSTATUS before the end: busy, stall or stall-error; for `background` alone.

    With `getstate=1` it answers a GETSTATE before the end in the same way (inference; busy is dfuDNBUSY).

    Source (report): dfu-util's dfuse.c (some L4 stall); openmv#1508 (the F072 stalls); usbd-dfu latches dfuERROR with the
    stall.
    """

    name = "early-poll"
    keys = NamedFault.keys | {"answer", "getstate"}
    needs = MappingProxyType({"answer": "busy"})

    def _other(self, model: RomModel) -> RomModel:
        return replace(model, early_poll=self.settings.early_poll, early_state_is_poll=self.settings.getstate)


class Strict(_OtherRom):
    """CLRSTATUS outside dfuERROR, and ABORT in dfuERROR and dfuDNBUSY, are stalled and lead to dfuERROR.

    Source (report): the STM32C5's ROM (betaflight-configurator#5300); usbd-dfu does the same.
    """

    name = "strict"

    def _other(self, model: RomModel) -> RomModel:
        return replace(model, tolerates_stray_requests=False)


class LongBlockHangs(_OtherRom):
    """A DNLOAD longer than wTransferSize leaves dfuERROR, which nothing but a power cycle ends.

    CLRSTATUS is acknowledged and does nothing (inference).

    Source (report): STM32H7, whose wTransferSize is 1024, with blocks of 2048, as a flasher's own test device models it.
    """

    name = "long-block-hangs"

    def _other(self, model: RomModel) -> RomModel:
        return replace(model, long_block_hangs=True)


class Alignment(_OtherRom):
    """A block whose address or length is no multiple of `bytes` fails, and all programming after it fails as well.

    8: C0, F7, G4, H7, L0, L1, L4, U0, WB. 16: C5, H5, L5, U5, WBA, H7R/S. That the status is errTARGET is an inference.

    Source (document): AN2606 rev 70 table 7.
    """

    name = "alignment"
    keys = NamedFault.keys | {"bytes"}
    needs = MappingProxyType({"bytes": "8"})

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Refuse an alignment that no chip has."""
        return None if settings.length_bytes in (8, 16) else "bytes= is 8 or 16 (AN2606 table 7)"

    def _other(self, model: RomModel) -> RomModel:
        return replace(model, write_alignment_bytes=self.settings.length_bytes or model.write_alignment_bytes)


KINDS: tuple[type[NamedFault], ...] = (ExecutionFault, EarlyPollFault, Strict, LongBlockHangs, Alignment)
