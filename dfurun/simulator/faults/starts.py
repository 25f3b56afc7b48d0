"""What the host finds when it meets the bootloader: an error, or what a host that died has left behind."""

from __future__ import annotations

from types import MappingProxyType

from dfurun.dfuse.protocol import (
    COMMAND_BLOCK,
    FIRST_DATA_BLOCK,
    DfuState,
    DfuStatus,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
)
from dfurun.simulator.commands import Download
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings, Stored
from dfurun.simulator.rom import Bootloader

_WITH_A_DOWNLOAD = (DfuState.DNLOAD_SYNC, DfuState.DNBUSY)


class FirstError(NamedFault):
    """The bootloader is met in dfuERROR with errFIRMWARE at every start, and nothing is wrong.

    Source (report): dfu-util's device logs of F1, F4 and F7, and its ticket 140.
    """

    name = "first-error"
    acts_on = ActsOn.START
    defaults = Settings(count=None)

    def started(self, bootloader: Bootloader, on_the_bus_s: float | None) -> None:
        """Be in dfuERROR."""
        if self._fires():
            registers = bootloader.registers
            registers.state, registers.status = DfuState.ERROR, DfuStatus.ERR_FIRMWARE


class Leftover(NamedFault):
    """The host finds the bootloader as one that died has left it: in `state`, with a DNLOAD `stored` that nothing has executed.

    The next GETSTATUS in dfuDNLOAD-SYNC executes what is stored: the erase of the first page, a mass erase, Read Unprotect, the
    factory's option bytes, or a block of zeros for the start of the flash. Without `stored` it reports the end of what was.
    In dfuDNBUSY the operation (erase, where `stored` is not given) begins when the board is on the bus, or now where it is. In
    dfuMANIFEST-SYNC the next GETSTATUS leaves. In dfuERROR the status is errSTALLEDPKT.

    Source (document): AN3156 section 3: a DNLOAD is stored, and the next GETSTATUS executes it; DFU 1.1 appendix A.
    """

    name = "leftover"
    acts_on = ActsOn.START
    keys = NamedFault.keys | {"state", "stored"}
    needs = MappingProxyType({"state": "dfuDNLOAD-SYNC"})

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Refuse what no state can hold."""
        if settings.stored is not None and settings.state not in _WITH_A_DOWNLOAD:
            return f"nothing is stored in {settings.state.spelled}: stored= is for dfuDNLOAD-SYNC and dfuDNBUSY"
        return None

    def started(self, bootloader: Bootloader, on_the_bus_s: float | None) -> None:
        """Be in that state."""
        if not self._fires():
            return
        registers, wanted = bootloader.registers, self.settings
        registers.state, registers.status = wanted.state, DfuStatus.OK
        registers.stored = registers.outcome = None
        match wanted.state:
            case DfuState.ERROR:
                registers.status = DfuStatus.ERR_STALLEDPKT
            case DfuState.DNBUSY:
                download = _stored(wanted.stored or Stored.ERASE, bootloader)
                bootloader.begin(download, not_before_s=on_the_bus_s)
            case DfuState.DNLOAD_SYNC if wanted.stored is not None:
                registers.stored = _stored(wanted.stored, bootloader)


def _stored(what: Stored, bootloader: Bootloader) -> Download:
    """Return the DNLOAD, with the address pointer where it has to be."""
    chip, registers = bootloader.memory.chip, bootloader.registers
    registers.pointer = chip.flash.extent.start
    match what:
        case Stored.ERASE:
            return Download(COMMAND_BLOCK, erase_page_payload(chip.flash.extent.start))
        case Stored.MASS_ERASE:
            return Download(COMMAND_BLOCK, mass_erase_payload())
        case Stored.READ_UNPROTECT:
            return Download(COMMAND_BLOCK, read_unprotect_payload())
        case Stored.WRITE:
            return Download(FIRST_DATA_BLOCK, bytes(bootloader.model.transfer_size_bytes))
        case Stored.OPTION_BYTES:
            registers.pointer = chip.option_bytes.address
            return Download(FIRST_DATA_BLOCK, chip.option_bytes.factory)


KINDS: tuple[type[NamedFault], ...] = (FirstError, Leftover)
