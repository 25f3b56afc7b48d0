"""What is known of one chip, typed. The facts themselves are in data/, with their documents and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from dfurun.chips.boot import BootTable, BootTarget
from dfurun.chips.flash import Flash
from dfurun.chips.guards import HIDING, Guard, hiding
from dfurun.chips.option_bytes import FieldValue, OptionLayout
from dfurun.chips.page_geometry import PageField
from dfurun.chips.programming_width import ProgrammingWidths, Width
from dfurun.chips.storage import ERASED, Storage
from dfurun.chips.timing import Timing
from dfurun.units import AddressRange


class Execution(StrEnum):
    """What a ROM does when a GETSTATUS executes what is stored.

    BACKGROUND: it starts the operation and answers dfuDNBUSY at once; it can be asked meanwhile (AN3156's figures). HELD:
    the answer dfuDNBUSY is held, the host sees NAKs, until the operation has ended (ST's USB device library:
    USBD_LL_DataInStage lets the DFU class erase or write, in EP0_TxReady, before it arms the status stage of the GETSTATUS).
    INSIDE: dfuDNBUSY is answered at once, then the operation runs inside the interrupt that has served it, and nothing
    else is answered before it ends (usbd-dfu, `poll`; the log of an F7 in fwupd#2696: dfuDNBUSY at once with 100 ms, the next
    GETSTATUS answered 351 ms later). That a GETSTATUS outlasts 1 to 2 s, HELD or INSIDE, is in fwupd#1944 (F745), fwupd#6249
    and EmuConfigurator#290.
    """

    BACKGROUND = "background"
    HELD = "held"
    INSIDE = "inside"


class EarlyPoll(StrEnum):
    """How a ROM that can be asked meanwhile answers a GETSTATUS before its operation has ended.

    BUSY: dfuDNBUSY again (betaflight-configurator#1972, an H743). STALL: refused, and nothing more (some L4 stall, and
    dfu-util's dfuse.c asks three times more). STALL_ERROR: refused, with dfuERROR and errSTALLEDPKT latched (DFU 1.1, A.2.5;
    usbd-dfu, `process`; openmv#1508 shows the stall of an F072).
    """

    BUSY = "busy"
    STALL = "stall"
    STALL_ERROR = "stall-error"


class MassErase(StrEnum):
    """What a ROM does with a mass erase.

    MISSING: it has none, pages are erased one by one (L0, L1: AN2606). SILENT: it acknowledges it and does nothing (STM32H74x
    V13.3: AN2606 table 136).
    """

    WORKS = "works"
    MISSING = "missing"
    SILENT = "silent"


class FirstState(StrEnum):
    """The state that a ROM is in when a host first meets it; dfuERROR comes with errFIRMWARE and means nothing.

    # Ref: dfu-util's device logs show F1, F4 and F7 in dfuERROR, status 10, after every power-on.
    """

    IDLE = "dfuIDLE"
    ERROR = "dfuERROR"


class Quirk(StrEnum):
    """What the client has to do otherwise with one ROM, because the ROM is not as its documents say.

    DOUBLE_CLEAR_STATUS_WHEN_WEDGED: after an erase the state may stay dfuDNBUSY for good, and CLRSTATUS, which is illegal
    there, is the way out: the first leads to dfuERROR with errUNKNOWN, the second to dfuIDLE (STM32H74x V9.1: AN2606 table
    136, betaflight-configurator#1861).
    """

    DOUBLE_CLEAR_STATUS_WHEN_WEDGED = "double-clear-status-when-wedged"


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """How the chip's bootloader presents itself on the bus.

    `serial` is None where the ROM makes it of the unique id: of the sum of its first and last word, and the upper half of the
    word `serial_word`. `predicted`: no log of such a board is known; the names of the alternate settings follow from others.
    """

    vendor_id: int
    product_id: int
    release: int
    manufacturer: str
    product: str
    serial: str | None
    transfer_size_bytes: int
    attributes: int
    detach_timeout_s: float
    dfu_version: int
    alternates: tuple[str, ...]
    predicted: bool
    serial_word: int
    connect_minimum_s: float
    reconnect_timeout_s: float

    @property
    def serial_unique(self) -> bool:
        """Whether the serial number tells one board from another."""
        return self.serial is None


@dataclass(frozen=True, slots=True)
class Otp:
    """One-time programmable memory. A read that begins in it goes on to `readable_end`: the chip's unique id lies behind."""

    extent: AddressRange
    readable_end: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the ROM's version byte, the unique id and the flash size are, and the reads that reach them; None where nowhere.

    `simulated_bootloader` is the version byte of the simulated board. `unique_id` is its words, in a row or apart (L0 and L1:
    +0, +4 and +0x14, RM0367 section 33).
    """

    reads: tuple[AddressRange, ...]
    bootloader_id_address: int | None
    bootloader_versions: Mapping[int, str]
    simulated_bootloader: int | None
    unique_id: tuple[AddressRange, ...]
    flash_size_address: int | None

    @property
    def unique_id_size_bytes(self) -> int:
        """The length of all words together."""
        return sum(word.size_bytes for word in self.unique_id)


@dataclass(frozen=True, slots=True)
class Rom:
    """What the bootloader in ROM can do, its known faults, and what a client has to do otherwise because of them."""

    commands: tuple[int, ...]
    mass_erase: MassErase
    execution: Execution
    early_poll: EarlyPoll
    first_state: FirstState
    errata: tuple[str, ...]
    quirks: tuple[Quirk, ...] = ()


@dataclass(frozen=True, slots=True)
class Supply:
    """The supply voltage that the chip's datasheet allows, both ends included."""

    minimum_v: float
    maximum_v: float

    def allows(self, voltage_v: float) -> bool:
        """Say whether the chip works at this voltage."""
        return self.minimum_v <= voltage_v <= self.maximum_v

    def __str__(self) -> str:
        return f"{self.minimum_v:g} V to {self.maximum_v:g} V"


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: the facts that the client, the rules and the simulated board share.

    `rom` holds for every version of the bootloader that `rom_versions` does not have, by its id. `signature` is the memory of
    unique id and flash size where that is one of its own, which the ROM reads. `regression` is what a step from RDP level 1 to
    0 has left on boards, beyond the erased flash, empty where nothing is known. `page_fields` are the fields that the pages
    depend on. `timing` is that of the width that the ROM starts with; `widths` is None where it has no other.
    """

    name: str
    title: str
    core: str
    usb: UsbIdentity
    flash: Flash
    ram: AddressRange
    ccm: AddressRange | None
    ram_window: AddressRange | None
    system_memory: AddressRange
    otp: Otp | None
    signature: AddressRange | None
    device_feature: AddressRange | None
    identity: Identity
    rom: Rom
    rom_versions: Mapping[int, Rom]
    timing: Timing
    widths: ProgrammingWidths | None
    protection_probes: tuple[int, ...]
    regression: str
    supply: Supply
    option_bytes: OptionLayout
    boot: BootTable
    guards: tuple[Guard, ...]
    page_fields: tuple[PageField, ...]

    def width_at(self, supply_v: float | None) -> Width | None:
        """Return the width to have the ROM program with; None where it has one alone. At no known supply it is its own."""
        if self.widths is None:
            return None
        return self.widths.own if supply_v is None else self.widths.allowed_at(supply_v)

    def rom_of(self, bootloader_id: int | None) -> Rom:
        """Return what is known of the bootloader with this id; None: of one whose id could not be read."""
        return self.rom if bootloader_id is None else self.rom_versions.get(bootloader_id, self.rom)

    @property
    def errata(self) -> tuple[str, ...]:
        """The known faults of all versions of its bootloader."""
        roms = (self.rom, *self.rom_versions.values())
        return tuple(dict.fromkeys(name for rom in roms for name in rom.errata))

    @property
    def checks_for_empty_flash(self) -> bool:
        """Whether what starts depends on the first word of main flash, read when the option bytes are loaded."""
        return any(rule.flash_empty is not None for rule in self.boot.rules)

    @property
    def guard_names(self) -> tuple[str, ...]:
        """What `allow` may list for this chip."""
        named = tuple(guard.name for guard in self.guards)
        return (*named, *(name for name in HIDING if self.boot.is_in_option_bytes and name not in named))

    def moved_pages(self, fields: Mapping[str, FieldValue]) -> tuple[PageField, ...]:
        """Return which of these fields give the flash other pages than the data has; none: its pages are known."""
        return tuple(field for field in self.page_fields if field.moves(fields))

    def guards_entered(self, before: Mapping[str, FieldValue], after: Mapping[str, FieldValue]) -> list[Guard]:
        """Return the guards that a change of option bytes enters.

        That it hides the application or the bootloader is worked out of the boot table, where no guard of the data says so.
        """
        named = [guard for guard in self.guards if guard.entered(before, after)]
        return named if any(not guard.irreversible for guard in named) else [*named, *hiding(self.boot, before, after)]

    def guards_of(self, known: Mapping[str, FieldValue]) -> list[Guard]:
        """Return the guards that a board is in with these fields, whatever the others are."""
        named = [guard for guard in self.guards if guard.holds(known)]
        if any(not guard.irreversible for guard in named):
            return named
        layout = self.option_bytes
        factory, open_fields = (
            layout.decode(layout.factory),
            [layout.fields[n] for n in self.boot.fields - known.keys()],
        )
        if not self.boot.fields & known.keys() or any(field.width > 1 for field in open_fields):
            return named
        found: list[set[str]] = []
        for values in product((0, 1), repeat=len(open_fields)):
            others = {field.name: value for field, value in zip(open_fields, values, strict=True)}
            found.append({guard.name for guard in hiding(self.boot, factory, {**factory, **others, **known})})
        every = set.intersection(*found)
        return [*named, *(guard for guard in hiding(self.boot, factory, {**factory, **known}) if guard.name in every)]

    def reaches_bootloader(self, fields: Mapping[str, FieldValue]) -> bool:
        """Say whether these option-byte fields start the bootloader beside a program in flash, at any level of BOOT0."""
        return any(self.starts(fields, boot0=level) is BootTarget.SYSTEM_MEMORY for level in (0, 1))

    @property
    def lost_with_torn_options(self) -> bool:
        """Whether option bytes that a power cut leaves erased start the bootloader at neither level of BOOT0.

        Registers are changed all at once, and nothing of them is left erased (inference).
        """
        layout = self.option_bytes
        if layout.storage is Storage.REGISTER or not layout.established:
            return False
        return not self.reaches_bootloader(self._erased_options)

    @property
    def locked_with_torn_options(self) -> bool:
        """Whether erased option bytes are a state that nothing undoes."""
        return any(guard.irreversible and guard.holds(self._erased_options) for guard in self.guards)

    @property
    def _erased_options(self) -> Mapping[str, FieldValue]:
        return self.option_bytes.decode(bytes([ERASED]) * self.option_bytes.size_bytes)

    def takes_stack(self, pointer: int) -> bool:
        """Say whether an initial stack pointer lies in RAM; at its very end the first push is inside."""
        memories = (self.ram, *([self.ccm] if self.ccm else []))
        return any(memory.start < pointer <= memory.end for memory in memories)

    def starts(self, fields: Mapping[str, FieldValue], *, boot0: int, flash_empty: bool = False) -> BootTarget:
        """Return what starts at power-on with these option-byte fields and BOOT0 at this level.

        Raises LookupError where the boot table has no line for it.
        """
        try:
            return self.boot.starts(fields, boot0=boot0, flash_empty=flash_empty)
        except LookupError as error:
            raise LookupError(f"{self.name}: {error}") from None
