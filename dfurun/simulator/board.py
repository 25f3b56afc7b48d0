"""One simulated board: power, BOOT0, reset, what runs, and its presence on the bus. `control` is the door for front ends.

# Ref: AN2606 (boot modes, connection times); RM0091 section 2.5 (boot configuration) and 4 (option bytes).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dfurun.chips import BootTarget, Chip, EarlyPoll, Execution, InForce
from dfurun.clock import Clock
from dfurun.simulator import wire
from dfurun.simulator.afflictions import Afflictions
from dfurun.simulator.boot import identity, stack_pointer_is_in_ram, what_starts
from dfurun.simulator.commands import BlockAddressing, RomModel
from dfurun.simulator.device import UsbDevice
from dfurun.simulator.fault import Fault, Impostor, Moment
from dfurun.simulator.flash import FlashMemory
from dfurun.simulator.memory import Memory
from dfurun.simulator.operation import Operation
from dfurun.simulator.option_bytes import OptionBytes
from dfurun.simulator.rom import Bootloader, Registers
from dfurun.simulator.situation import OptionReload, Running, Situation
from dfurun.simulator.transfer import Gone, NoAnswer, Setup, TraceEntry, TransferFailure
from dfurun.simulator.user_dfu import user_dfu_image

DEFAULT_UNIQUE_ID = bytes.fromhex("2D0030000D50534237343120")
DEFAULT_TRACE_LENGTH = 4096
_MAXIMUM_USB_ADDRESS = 127
_CLOCK_RESOLUTION_S = 1e-9  # sums of floating-point seconds are not exact
_FOR_EVER = float("inf")
_WORD_BYTES = 4
_RELOAD = {InForce.POWER_ON: OptionReload.POWER_ON, InForce.RESET: OptionReload.RESET}


Wait = Callable[[float], bool]
"""Lets at most so many seconds pass on the board's clock; says whether the host still waits for its answer."""


class SimulatedBoard:
    """A board with one chip, a BOOT0 switch and a USB plug.

    It is switched on when it is made and has been for a while: the bootloader is on the bus at once. `user_dfu` makes the
    application in main flash ST's own DFU example, which looks like the ROM, and starts it by holding BOOT0 low.
    `on_change` is called after everything that may have changed the board.
    """

    def __init__(
        self,
        chip: Chip,
        clock: Clock,
        *,
        bus: int = 1,
        port: tuple[int, ...] = (1,),
        unique_id: bytes = DEFAULT_UNIQUE_ID,
        boot0: int | None = None,
        flash: bytes = b"",
        option_bytes: bytes | None = None,
        option_reload: OptionReload | str | None = None,
        addressing: BlockAddressing = BlockAddressing.FIXED,
        execution: Execution | None = None,
        early_poll: EarlyPoll | None = None,
        tolerates_stray_requests: bool = True,
        faults: Sequence[Fault] = (),
        user_dfu: bool = False,
        bootloader_id: int | None = None,
        trace_length: int = DEFAULT_TRACE_LENGTH,
    ) -> None:
        self.chip = chip
        self.clock = clock
        self.bus = bus
        self.port = port
        self.option_reload = OptionReload(option_reload or _RELOAD[chip.option_bytes.in_force_at])
        self.faults = Afflictions(faults)
        self.power_cuts = 0
        self.started_at: int | None = None
        self._impostor: Impostor | None = None
        self.user_dfu = user_dfu
        self.bootloader_id = chip.identity.simulated_bootloader if bootloader_id is None else bootloader_id
        self.memory = Memory(chip, unique_id, self.bootloader_id)
        self.memory.flash.replace(flash or (user_dfu_image(chip) if user_dfu else b""))
        if option_bytes is not None:
            self.memory.option_bytes.replace(option_bytes)
        self.transfers: Counter[str] = Counter()
        self.trace: deque[TraceEntry] = deque(maxlen=trace_length)
        self.on_change: Callable[[], None] = _nothing
        self.new_address: Callable[[], int] = self._next_own_address
        self.situation = Situation(boot0=boot0 if boot0 is not None else int(not user_dfu))
        self._load_option_bytes()
        model = RomModel.of(chip, self.bootloader_id)
        self.model = replace(
            model,
            execution=execution or model.execution,
            early_poll=early_poll or model.early_poll,
            addressing=addressing,
            tolerates_stray_requests=tolerates_stray_requests,
        )
        self._bootloader: Bootloader | None = None
        self._device: UsbDevice | None = None
        self._given_up_at_s = _FOR_EVER
        self._wait: Wait | None = None
        self._boot(connects_at_s=clock.now())

    # What there is to see --------------------------------------------------------------------------------------------

    @property
    def flash(self) -> FlashMemory:
        """Main flash, as it is now."""
        self.settle()
        return self.memory.flash

    @property
    def option_bytes(self) -> OptionBytes:
        """The option bytes, stored and in force, as they are now."""
        self.settle()
        return self.memory.option_bytes

    @property
    def running(self) -> Running:
        """What the core does now."""
        self.settle()
        return self.situation.running

    @property
    def boot0(self) -> int:
        """The level of the BOOT0 pin."""
        return self.situation.boot0

    @property
    def bootloader(self) -> Bootloader | None:
        """The bootloader that runs, in ROM or as user DFU; None where none does."""
        self.settle()
        return self._bootloader

    @property
    def connected_device(self) -> UsbDevice | None:
        """The USB device that the running program is, on the bus already or about to be; None where it is none."""
        self.settle()
        return self._device

    @property
    def device(self) -> UsbDevice | None:
        """The USB device as the bus has it now; None where the board is not on the bus."""
        self.settle()
        connects_at_s = self.situation.connects_at_s
        on_the_bus = connects_at_s is not None and connects_at_s <= self.clock.now()
        return self._device if on_the_bus else None

    @property
    def present(self) -> bool:
        """Whether the board is on the bus now."""
        return self.device is not None

    # What the bus does ------------------------------------------------------------------------------------------------

    def control(
        self, setup: Setup, data: bytes = b"", *, timeout_s: float | None = None, wait: Wait | None = None
    ) -> bytes:
        """Carry one control transfer and return what the device answers; raise TransferFailure.

        Takes the transfer's time on the board's clock. A host that has no answer `timeout_s` after the transfer began gives
        it up (NoAnswer), and the device goes on with what it does. Without a timeout it waits for as long as the device makes
        it wait, and learns at once where no answer will ever come. The wire's own time is not held against the timeout. A host
        that may give up at any moment brings `wait`.
        """
        at_s = self.clock.now()
        self._given_up_at_s = _FOR_EVER if timeout_s is None else at_s + timeout_s
        self._wait = wait
        answer, failure, unanswered = b"", None, False
        try:
            self.clock.sleep(wire.SETUP_S)
            answer = self._carry(Moment(setup, data, self))
        except TransferFailure as error:
            failure, unanswered = error.label, isinstance(error, NoAnswer)
            raise
        finally:
            if unanswered and timeout_s is not None:
                self._sleep_until(self._given_up_at_s)
            else:
                self.clock.sleep(wire.after_device_acts_s(setup, len(answer)))
            self.trace.append(TraceEntry(at_s, setup, data, answer, failure))
            self.on_change()
        return answer

    def _carry(self, moment: Moment) -> bytes:
        if not self.present:
            raise Gone
        self.transfers[moment.setup.name] += 1
        self._wait_until_it_listens()
        self.clock.sleep(wire.until_device_acts_s(moment.setup))
        if not self.present:
            raise Gone
        cuts = self.power_cuts
        try:
            answer = self.faults.before(moment)
            if answer is None:
                device = self.device
                if device is None:  # a fault has pulled the plug
                    raise Gone
                answer = device.control(moment.setup, moment.data)
            return self.faults.after(moment, answer)
        finally:
            self.faults.ended(moment)
            if self.power_cuts != cuts:  # while the host waited for its answer
                raise Gone

    def _wait_until_it_listens(self) -> None:
        """Keep the host waiting while the bootloader serves nothing.

        A request that is given up in this time has changed nothing (inference, from USB 2.0 section 5.5.5: the next SETUP
        takes the place of one that was not served).
        """
        bootloader = self.bootloader
        if bootloader is not None and bootloader.deaf_until_s is not None:
            self.keep_waiting(bootloader.deaf_until_s)

    def usb_reset(self) -> None:
        """Signal a reset on the bus: the device answers at its address as before, its DFU state starts over."""
        device, bootloader = self.device, self._bootloader
        if device is None or bootloader is None:
            raise Gone
        self.clock.sleep(wire.BUS_RESET_S)
        self.settle()
        bootloader.bus_reset()
        device.alternate = 0
        self.on_change()

    def afflict(self, faults: Iterable[Fault]) -> None:
        """Add faults; what they make of the ROM and of its start holds for the bootloader that runs, too."""
        added = self.faults.add(faults)
        if self._bootloader is not None:
            self._bootloader.model = added.model(self._bootloader.model)
            added.started(self._bootloader, self.situation.connects_at_s)

    # What hands do ----------------------------------------------------------------------------------------------------

    def power_cycle(self, boot0: int | None = None) -> None:
        """Take the power away and give it back, with BOOT0 at this level (None: as it is)."""
        self.power_off()
        if boot0 is not None:
            self.situation.boot0 = boot0
        self.power_on()

    def power_off(self) -> None:
        """Take the power away: RAM is lost, and so is what a running operation has not done yet."""
        self.settle()
        self._let_power_go(self.clock.now())
        self.on_change()

    def power_on(self) -> None:
        """Give power: the option bytes are loaded and decide with BOOT0 what starts."""
        self.settle()
        self._let_power_come(self.clock.now())
        self.on_change()

    def lose_power(self, *, at_s: float | None, back_after_s: float | None) -> None:
        """Let the power go at that time, None being now, for a while or (None) until hands give it back."""
        self.settle()
        at_s = max(self.clock.now(), at_s or 0.0)
        self.situation.power_goes_at_s = at_s
        self.situation.power_returns_at_s = None if back_after_s is None else at_s + back_after_s
        self.settle()
        self.on_change()

    def set_boot0(self, level: int) -> None:
        """Move the BOOT0 switch; it counts at the next start."""
        self.settle()
        self.situation.boot0 = level
        self.on_change()

    def unplug(self, *, back_after_s: float | None) -> None:
        """Lose the bus, not the power: for a while, or (None) until the next power cycle."""
        self.settle()
        if self._bootloader is not None:
            self._bootloader.bus_reset()
        self._connect(None if back_after_s is None else self.clock.now() + back_after_s)
        self.on_change()

    def replace_flash(self, contents: bytes) -> None:
        """Put `contents` into main flash as a debugger would; nothing restarts."""
        self.settle()
        self.memory.flash.replace(contents)
        self.on_change()

    def replace_option_bytes(self, raw: bytes) -> None:
        """Store these option bytes and load them; the board is then as if it had been switched on with them a while ago."""
        self.settle()
        self.memory.option_bytes.replace(raw)
        self._load_option_bytes()
        if self.situation.running is not Running.OFF:
            self._boot(connects_at_s=self.clock.now())
        self.on_change()

    def protect(self, level: int) -> None:
        """Set a level of read protection in the option bytes and load them; flash stays as it is.

        Raises ValueError for a level that the chip does not have.
        """
        field = self.chip.option_bytes.fields.get("RDP")
        codes = {name.removeprefix("level-"): code for name, code in field.values.items()} if field else {}
        if str(level) not in codes:
            *others, last = codes or ("unknown",)
            raise ValueError(
                f"{self.chip.title} has the read protection levels {', '.join(others)} and {last}, not {level}"
            )
        self.replace_option_bytes(self.option_bytes.with_rdp(codes[str(level)]))

    def settle(self) -> None:
        """Let everything happen whose time has passed, in its order."""
        situation, now_s = self.situation, self.clock.now() + _CLOCK_RESOLUTION_S
        if situation.power_goes_at_s is not None and situation.power_goes_at_s <= now_s:
            returns_at_s = situation.power_returns_at_s
            self._let_power_go(situation.power_goes_at_s)
            situation.power_returns_at_s = returns_at_s
        goes, returns = situation.power_goes_at_s, situation.power_returns_at_s
        if goes is None and returns is not None and returns <= now_s:
            self._let_power_come(returns)
        if self._bootloader is not None:
            self._bootloader.settle()

    def _let_power_go(self, at_s: float) -> None:
        self.power_cuts += 1
        if self._bootloader is not None:
            self._bootloader.cut_power(at_s)
        self.memory.clear_ram()
        self._stop()
        self.situation.power_goes_at_s = self.situation.power_returns_at_s = None

    def _let_power_come(self, at_s: float) -> None:
        self.situation.power_goes_at_s = self.situation.power_returns_at_s = None
        self._load_option_bytes()
        self._boot(connects_at_s=self._on_the_bus_from(at_s))

    def _on_the_bus_from(self, reset_at_s: float) -> float:
        """Return when a board that is reset then, and not kept away, is on the bus."""
        return reset_at_s + self.chip.usb.connect_minimum_s + self.faults.returns_later_s()

    # What the bootloader asks for --------------------------------------------------------------------------------------

    def system_reset(self, at_s: float) -> None:
        """Reset the chip: what starts is decided anew, on option bytes that are loaded only where the model says so."""
        if self.option_reload is OptionReload.RESET:
            self._load_option_bytes()
        connects_at_s = None if self.faults.stays_away() else self._on_the_bus_from(at_s)
        self._boot(connects_at_s=connects_at_s, impostor=self.faults.returns_as())

    def leave(self, address: int) -> None:
        """Leave the bus and jump to the word at `address` + 4.

        AN2662 section 4.5.5: where the address "doesn't contain executable code, then the device will be reset". That the ROM
        knows by an initial stack pointer outside RAM is an inference.
        """
        if self.faults.stays():
            return
        if stack_pointer_is_in_ram(self.memory, address):
            self._stop()
            self._start_image(address, connects_at_s=self.clock.now() + self.chip.usb.connect_minimum_s)
        else:
            self.system_reset(self.clock.now())

    def beginning(self, operation: Operation) -> Operation:
        """Return the operation that runs: `operation`, or what the faults make of it."""
        return self.faults.beginning(operation, self)

    def keep_waiting(self, until_s: float) -> None:
        """Let the host see NAKs until then; raise NoAnswer where it gives its transfer up before.

        Raises Gone where hands take the board off the bus meanwhile, which they can where the host waits by itself.
        """
        power_goes_at_s = self.situation.power_goes_at_s
        goes_before = power_goes_at_s is not None and power_goes_at_s < until_s - _CLOCK_RESOLUTION_S
        until_s = power_goes_at_s if power_goes_at_s is not None and goes_before else until_s
        if self._given_up_at_s < until_s - _CLOCK_RESOLUTION_S:
            raise NoAnswer
        self.on_change()  # whoever kills the process now finds the operation under way
        if self._wait is None:
            self._sleep_until(until_s)
        else:
            self._wait_along(self._wait, until_s)
        if goes_before:
            self.settle()
            raise Gone

    def _wait_along(self, wait: Wait, until_s: float) -> None:
        connection, cuts = self.situation.connections, self.power_cuts
        while (rest_s := until_s - self.clock.now()) > _CLOCK_RESOLUTION_S:
            waits_on = wait(rest_s)
            if (self.situation.connections, self.power_cuts) != (connection, cuts):
                raise Gone
            if not waits_on:
                raise NoAnswer

    def _sleep_until(self, moment_s: float) -> None:
        """Sleep until then. Some clocks are so coarse that they call a sleep done before it seems to be over."""
        while (rest_s := moment_s - self.clock.now()) > _CLOCK_RESOLUTION_S:
            self.clock.sleep(rest_s)

    # Starting -----------------------------------------------------------------------------------------------------------

    def _load_option_bytes(self) -> None:
        """Load them, and with them the empty check's flag: the first word of main flash is erased (RM0091 section 2.5)."""
        self.memory.option_bytes.load()
        flash = self.memory.flash
        erased = bytes([flash.layout.erased]) * _WORD_BYTES
        self.situation.flash_empty = flash.read(flash.layout.extent.start, _WORD_BYTES) == erased

    def _boot(self, *, connects_at_s: float | None, impostor: Impostor | None = None) -> None:
        self._stop()
        self._impostor = impostor
        if impostor is Impostor.ANOTHER_BOARD:
            self.memory = Memory(self.chip, bytes(byte ^ 0xFF for byte in self.memory.unique_id), self.bootloader_id)
        self.memory.reset()
        if impostor is Impostor.USER_DFU:
            self.situation.running = Running.APPLICATION
            self._start_device(connects_at_s)
            return
        options = self.memory.option_bytes
        target = self.chip.starts(options.fields, boot0=self.situation.boot0, flash_empty=self.situation.flash_empty)
        if options.protection_level == 2:  # RM0365 section 4.3.1: boot from RAM and system memory are disabled
            target = BootTarget.MAIN_FLASH
        match target:
            case BootTarget.SYSTEM_MEMORY:
                self._start_image(self.chip.system_memory.start, connects_at_s=connects_at_s)
            case BootTarget.MAIN_FLASH:
                self._start_image(self.chip.flash.extent.start, connects_at_s=connects_at_s)
            case BootTarget.SRAM:
                self.situation.running = Running.SRAM

    def _start_image(self, address: int, *, connects_at_s: float | None) -> None:
        """Start what the vector table at `address` leads to."""
        self.started_at = address
        self.situation.running = what_starts(self.memory, address)
        self._start_device(connects_at_s)

    def _start_device(self, connects_at_s: float | None) -> None:
        self._make_device()
        if self._device is not None:
            self._connect(connects_at_s)
        if self._bootloader is not None:
            self.faults.started(self._bootloader, connects_at_s)

    def _make_device(self) -> None:
        """Make the USB device that the running program is, if it is one."""
        running, impostor = self.situation.running, self._impostor
        found = identity(self.memory, self.model, running, has_user_dfu=self.user_dfu, impostor=impostor)
        if found is not None:
            usb, model = found
            self._bootloader = Bootloader(self.faults.model(model), self.memory, self.clock, self)
            self._device = UsbDevice(usb, self._bootloader.control)

    def resume(self, situation: Situation, registers: Registers | None, *, configuration: int, alternate: int) -> None:
        """Go on from a saved situation, in the middle of whatever the bootloader was doing."""
        self._stop()
        self.situation = situation
        self._make_device()
        if registers is not None and self._bootloader is not None and self._device is not None:
            self._bootloader.registers = registers
            self._device.configuration, self._device.alternate = configuration, alternate

    def _stop(self) -> None:
        self._bootloader = self._device = None
        self.situation.running = Running.OFF
        self.situation.connects_at_s = None

    def _connect(self, at_s: float | None) -> None:
        self.situation.connections += 1
        self.situation.connects_at_s = at_s
        self.situation.usb_address = self.new_address()
        if self._device is not None:
            self._device.alternate = 0

    def _next_own_address(self) -> int:
        return self.situation.usb_address % _MAXIMUM_USB_ADDRESS + 1


def _nothing() -> None:
    """Nobody watches the board."""
