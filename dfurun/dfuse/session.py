"""DfuSe's operations made reliable: read, erase, write, option bytes, unprotect, leave, on one open device.

Every operation either does what it says, or says that it could not. What cannot be known at once (was this block taken?) is
kept in `doubtful` for the caller to read back.

# Ref: AN3156 rev 18, section 3 (commands), 3.1 (block addressing); docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dfurun.chips import Chip, Width
from dfurun.clock import Clock
from dfurun.dfuse import device_feature
from dfurun.dfuse.anomalies import Anomalies
from dfurun.dfuse.channel import TRANSFER_TIMEOUT_S, Channel, Transient
from dfurun.dfuse.departure import Departure
from dfurun.dfuse.link import Denied, DeviceDescription, Garbled, Link, LinkError, Vanished
from dfurun.dfuse.operation import Operation, Operations
from dfurun.dfuse.outgoing import Outgoing
from dfurun.dfuse.protection import PROBE_LENGTH, Answer, Protection, Verdict, judge
from dfurun.dfuse.protocol import (
    COMMAND_BLOCK,
    FIRST_DATA_BLOCK,
    Command,
    DfuState,
    DfuStatus,
    Request,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.dfuse.stream import Stream
from dfurun.dfuse.waiting import Ending, RomError, Waiter, nothing
from dfurun.errors import AccessDenied, AddressRefused, Code, DfurunError, LinkUnreliable, Refused, StepFailed
from dfurun.units import AddressRange, format_address

ATTEMPTS = 5
STABLE_READS = 4
DEPARTURE_POLLS = 64  # each may be one that the ROM misses

OnProgress = Callable[[int], None]
OnWidth = Callable[[Width, Width | None], None]


class Session:
    """One open bootloader, from first contact to its departure. `gentle` as in `Channel`: every block gets its own address.

    Before the first erase or write `width` is chosen, None leaves it be; `on_width` hears which was wanted, and is taken.
    """

    def __init__(self, link: Link, chip: Chip, clock: Clock, anomalies: Anomalies, *, gentle: bool = False) -> None:
        self._chip = chip
        self._clock = clock
        self._channel = Channel(link, chip, clock, anomalies, gentle=gentle)
        self._waiter = Waiter(self._channel, clock)
        self._operations = Operations.of(chip, chip.timing)
        self._state = DfuState.ERROR  # what the last answer left it in, as far as it can be told; see _ready
        self._stream = Stream()
        self.doubtful: list[AddressRange] = []
        self.width: Width | None = None
        self.on_width: OnWidth | None = None

    @property
    def description(self) -> DeviceDescription:
        """The device's descriptors."""
        return self._channel.description

    @property
    def transfers(self) -> int:
        """Control transfers sent to the DFU interface so far."""
        return self._channel.transfers

    @property
    def transfer_size_bytes(self) -> int:
        """The size of a whole block."""
        return self._channel.transfer_size_bytes

    def close(self) -> None:
        """Give the device back."""
        self._channel.close()

    # First contact and identity ---------------------------------------------------------------------------------------

    def first_contact(self) -> StatusReport | None:
        """Bring the device to dfuIDLE, executing nothing; return the report of an error that was found and cleared."""
        with self._explained():
            found = self._channel.to_idle()
            self._state = DfuState.IDLE
            return found

    def commands(self) -> tuple[int, ...]:
        """Return the command bytes that the ROM lists (Get Commands), which it does even when protected."""
        with self._explained():
            for _ in range(ATTEMPTS):
                try:
                    self._ready(DfuState.UPLOAD_IDLE)
                    answer = self._channel.upload(COMMAND_BLOCK, self._channel.block_bytes)
                except Transient as error:
                    self._recover(Request.UPLOAD, error)
                    continue
                self._state = DfuState.UPLOAD_IDLE
                if answer and answer[0] == Command.GET_COMMANDS:
                    return tuple(answer)
                self._channel.anomalies.note("Get Commands answered nonsense", answer[:8].hex(" "))
            raise self._channel.unreliable("Get Commands is not answered")

    def protection(self) -> Protection:
        """Return the verdict on read protection, from evidence; see `dfurun.dfuse.protection`."""
        with self._explained():
            return judge(self._chip, self._probe, self.commands)

    # Reading ----------------------------------------------------------------------------------------------------------

    def read(self, extent: AddressRange, on_progress: OnProgress | None = None, *, under: int | None = None) -> bytes:
        """Return the bytes of `extent`; `on_progress` hears the bytes read so far.

        The address is set anew, but where the read before was `under` the same one: that one is set then, and whole blocks
        are counted from it. Raises Refused where the chip is proven protected, LinkUnreliable where it cannot be read for
        another reason.
        """
        with self._explained():
            data = bytearray()
            self._stream.begin(DfuState.UPLOAD_IDLE, under)
            failures, refusals, block_bytes = 0, 0, self._channel.block_bytes
            while len(data) < extent.size_bytes:
                at = extent.start + len(data)
                length = min(block_bytes, extent.size_bytes - len(data))
                try:
                    block = self._number(DfuState.UPLOAD_IDLE, AddressRange(at, length), under)
                    self._ready(DfuState.UPLOAD_IDLE)
                    answer = self._channel.upload(block, length)
                    if len(answer) != length:
                        raise Garbled(f"{len(answer)} bytes of {length} at {format_address(at)}")
                except Transient as error:
                    refusals += _refuses_address(self._recover(Request.UPLOAD, error))
                    under, failures = None, failures + 1
                    if failures == ATTEMPTS:
                        raise self._refusal(f"cannot read {format_address(at)}", refusals=refusals) from None
                    continue
                self._state = DfuState.UPLOAD_IDLE
                data += answer
                failures = refusals = 0
                if on_progress:
                    on_progress(len(data))
            return bytes(data)

    def read_option_bytes(self) -> bytes:
        """Read all blocks of option bytes, each until two reads agree. Raise DfurunError."""
        return b"".join(self.read_stable(block) for block in self._chip.option_bytes.blocks)

    def read_stable(self, extent: AddressRange, on_progress: OnProgress | None = None) -> bytes:
        """Read twice, and the blocks that differ until two reads in a row agree: no upload's error is acted upon or kept.

        `on_progress` hears the bytes of each of the two reads. Raises Refused and LinkUnreliable like `read`, and
        LinkUnreliable where two reads of a block never agree.
        """
        first, second = self.read(extent, on_progress), self.read(extent, on_progress)
        if first == second:
            return first
        agreed = bytearray(first)
        for offset in range(0, extent.size_bytes, self.transfer_size_bytes):
            part = slice(offset, min(offset + self.transfer_size_bytes, extent.size_bytes))
            if first[part] != second[part]:
                block = AddressRange(extent.start + part.start, part.stop - part.start)
                self._channel.anomalies.note("two reads differ", str(block))
                agreed[part] = self._agreed(block, second[part])
        return bytes(agreed)

    def _agreed(self, extent: AddressRange, before: bytes) -> bytes:
        for _ in range(STABLE_READS):
            again = self.read(extent)
            if again == before:
                return again
            before = again
        raise self._channel.unreliable(f"{extent} reads differently every time")

    # Erasing and writing flash ----------------------------------------------------------------------------------------

    def mass_erase(self) -> None:
        """Erase the whole main flash. Raise DfurunError."""
        with self._explained():
            self._choose_width()
            self._channel.select_memory(self._chip.flash.extent.start)
            self._command(mass_erase_payload(), self._operations.mass_erase)

    def erase_page(self, address: int) -> None:
        """Erase the page that holds `address`. Raise DfurunError."""
        flash = self._chip.flash
        size_bytes = flash.page(flash.page_index(address)).size_bytes
        with self._explained():
            self._choose_width()
            self._channel.select_memory(address)
            self._command(erase_page_payload(address), self._operations.erase_page[size_bytes])

    def write(
        self,
        address: int,
        data: bytes,
        on_progress: OnProgress | None = None,
        *,
        under: int | None = None,
        between: Callable[[], None] = nothing,
    ) -> None:
        """Program `data`, whose address and length the caller has aligned, into erased flash.

        Whole blocks are streamed with rising numbers; a short tail gets its own address, because AN3156 counts a block's
        address in the length of *that* request. A block that is as the erase has left it is not sent. Blocks whose fate is not
        known are added to `doubtful`. `under` as in `read`. `on_progress` hears of a block while the ROM programs the one after
        it; `between` is called when a block has ended, and may raise: the ROM is at rest then.
        """
        with self._explained():
            self._choose_width()
            self._channel.select_memory(address)
            self._stream.begin(DfuState.DNLOAD_IDLE, under)
            blocks = Outgoing(address, data, self._channel.block_bytes, self._chip.flash.erased, on_progress)
            failures = refusals = 0
            while blocks.current is not None:
                (at, chunk), stored = blocks.current, False
                try:
                    block = self._number(DfuState.DNLOAD_IDLE, at, under)
                    self._ready(DfuState.DNLOAD_IDLE)
                    self._channel.download(block, chunk)
                    stored = True
                    ending = self._waiter.finish(self._operations.write_block, blocks.meanwhile)
                except (*Transient, RomError) as error:
                    if stored:
                        self.doubtful.append(at)  # it may have been executed, in part or whole
                    refusals += _refuses_address(self._recover(Request.DNLOAD, error))
                    under, failures = None, failures + 1
                    if failures == ATTEMPTS:
                        raise self._refusal(f"cannot write {format_address(at.start)}", refusals=refusals) from None
                    continue
                self._ended(ending, at)
                failures = refusals = 0
                blocks.advance()
                between()

    # Commands that end in a departure ---------------------------------------------------------------------------------

    def write_option_bytes(self, block: AddressRange, raw: bytes) -> Departure:
        """Write one whole block of option bytes once; the ROM resets afterwards. Raise DfurunError."""
        with self._explained():
            self._channel.select_memory(block.start)
            self._store(FIRST_DATA_BLOCK, raw, self._operations.write_option_bytes, block.start)
            return self._depart(self._operations.write_option_bytes)

    def read_unprotect(self, on_execution: Callable[[], None]) -> Departure:
        """Send Read Unprotect, which erases the flash and resets. Only ever on proof of protection. Raise DfurunError.

        `on_execution` is called once it is stored, before the GETSTATUS that executes it: where this raises and has not
        called, the device has not executed it and will not.
        """
        with self._explained():
            self._store(COMMAND_BLOCK, read_unprotect_payload(), self._operations.read_unprotect, None)
            on_execution()
            return self._depart(self._operations.read_unprotect)

    def leave(self, entry: int | None) -> bool:
        """Leave the bootloader and start the program whose vector table is at `entry`; None: do not set the address.

        A device that vanishes once it was told to leave has left; whether it did is for the caller to see on the bus. One that
        vanishes before that is lost. Return whether the device has answered and not just vanished. Raise DfurunError.
        """
        with self._explained():
            if entry is not None:
                self._set_address(entry)
            self._ready(DfuState.DNLOAD_IDLE)
            for _ in range(ATTEMPTS):
                try:
                    self._ready(DfuState.DNLOAD_IDLE)
                    self._channel.download(FIRST_DATA_BLOCK, b"")
                    self._channel.execute(TRANSFER_TIMEOUT_S)
                except Vanished:
                    return False
                except Transient as error:
                    self._channel.note(Request.DNLOAD, error)
                    try:
                        self._channel.to_idle()
                        self._state = DfuState.IDLE
                    except (Vanished, LinkUnreliable):
                        return False
                else:
                    return True
            return True

    # ------------------------------------------------------------------------------------------------------------------

    def _choose_width(self) -> None:
        wanted, self.width = self.width, None
        if wanted is not None:
            if taken := device_feature.choose(self, self._channel, self._chip, wanted):
                self._operations = Operations.of(self._chip, taken.timing)
            if self.on_width:
                self.on_width(wanted, taken)

    def _probe(self, address: int) -> Answer:
        """Try once, afresh, to read a little at `address`, and tell exactly what came of it."""
        self._stream.forget()
        length = min(PROBE_LENGTH, self.transfer_size_bytes)
        request = "Set Address"
        try:
            self._channel.select_memory(address)
            self._ready(DfuState.DNLOAD_IDLE)
            self._channel.download(COMMAND_BLOCK, set_address_payload(address))
            self._waiter.finish(self._operations.set_address)
            self._state = DfuState.DNLOAD_IDLE
            request = "UPLOAD"
            self._ready(DfuState.UPLOAD_IDLE)
            answer = self._channel.upload(FIRST_DATA_BLOCK, length)
        except RomError as error:
            self._channel.to_idle()
            self._state = DfuState.IDLE
            return Answer(address, request, error.report, None)
        except Transient as error:
            self._channel.anomalies.note(f"{request} {error.label}", str(error))
            report = self._channel.to_idle()
            self._state = DfuState.IDLE
            return Answer(address, f"{request}: {error.label}", report, None)
        self._state = DfuState.UPLOAD_IDLE
        return Answer(address, "UPLOAD", None, len(answer) == length)

    def _number(self, way: DfuState, at: AddressRange, under: int | None) -> int:
        whole_bytes = 0 if self._channel.gentle else self.transfer_size_bytes
        return self._stream.number(way, at, under, whole_bytes, self._set_address)

    def _set_address(self, address: int) -> None:
        self._channel.select_memory(address)
        self._command(set_address_payload(address), self._operations.set_address)

    def _command(self, payload: bytes, operation: Operation) -> None:
        """Send a command that may be repeated, until it ends well. After it no address counts as set: ROMs may move it."""
        refusals = 0
        self._stream.forget()
        for _ in range(ATTEMPTS):
            try:
                self._ready(DfuState.DNLOAD_IDLE)
                self._channel.download(COMMAND_BLOCK, payload)
                ending = self._waiter.finish(operation)
            except (*Transient, RomError) as error:
                refusals += _refuses_address(self._recover(Request.DNLOAD, error))
                continue
            self._state = DfuState.DNLOAD_IDLE
            if ending is not Ending.DOUBTFUL:
                return
            self._channel.to_idle()
            self._state = DfuState.IDLE
        raise self._refusal(f"{operation.name} does not succeed", refusals=refusals)

    def _store(self, block: int, payload: bytes, operation: Operation, address: int | None) -> None:
        """Send a command that ends in a reset; nothing is executed before the next GETSTATUS."""
        self._stream.forget()
        for _ in range(ATTEMPTS):
            try:
                if address is not None:
                    self._set_address(address)
                self._ready(DfuState.DNLOAD_IDLE)
                self._channel.download(block, payload)
            except Transient as error:
                self._recover(Request.DNLOAD, error)  # stored or not, it was not executed: ABORT discards it
                continue
            return
        raise self._channel.unreliable(f"{operation.name} cannot be sent")

    def _depart(self, operation: Operation) -> Departure:
        """Execute what is stored and watch the device go; a transfer that fails from here on is part of its going."""
        for _ in range(DEPARTURE_POLLS):
            try:
                report = self._channel.poll(max(TRANSFER_TIMEOUT_S, operation.budget_s))
            except Vanished:
                return Departure.LEFT
            except Transient as error:
                self._channel.note(Request.GETSTATUS, error)
                self._clock.sleep(operation.maximum_s)
                continue
            match report.state:
                case DfuState.DNBUSY | DfuState.DNLOAD_SYNC:
                    if self._waiter.departs(operation, report):
                        return Departure.LEFT
                case DfuState.ERROR if report.status is DfuStatus.ERR_STALLEDPKT:
                    return Departure.STAYED  # a poll came too early; what it did is read back
                case DfuState.ERROR:
                    self._recover(Request.DNLOAD, RomError(report))
                    raise self._refusal(f"{operation.name} is refused", report)
                case _:
                    return Departure.STAYED
        return Departure.STAYED

    def _ready(self, purpose: DfuState) -> None:
        """Bring the device where a DNLOAD (purpose DNLOAD_IDLE) or an UPLOAD (UPLOAD_IDLE) is legal."""
        if self._state in (DfuState.IDLE, purpose):
            return
        if self._state is DfuState.ERROR:
            self._channel.to_idle()
        else:
            self._channel.abort()
        self._state = DfuState.IDLE

    def _recover(self, request: Request, error: LinkError | RomError) -> StatusReport | None:
        """Note what went wrong and return to dfuIDLE; what was stored is discarded, never executed.

        Returns the error that the ROM was in, if it was in one.
        """
        if isinstance(error, RomError):
            self._channel.anomalies.note(f"{request.name} ended in {error.report}")
        else:
            self._channel.note(request, error)
        self._state = DfuState.ERROR
        self._stream.forget()
        found = self._channel.to_idle()
        if found:
            self._channel.anomalies.note(f"{request.name} left {found}")
        self._state = DfuState.IDLE
        return error.report if isinstance(error, RomError) else found

    def _ended(self, ending: Ending, at: AddressRange) -> None:
        """Keep what the end of a block leaves in doubt; where not even that is known the next block gets an address."""
        if ending is not Ending.CLEAN:
            self.doubtful.append(at)
        if ending is not Ending.DOUBTFUL:
            self._state = DfuState.DNLOAD_IDLE
            return
        self._channel.to_idle()
        self._state = DfuState.IDLE
        self._stream.forget()

    def _refusal(self, what: str, report: StatusReport | None = None, *, refusals: int = 0) -> DfurunError:
        """Return what a persistent failure means: a proven protection, a refusal by the ROM, or an unreliable link."""
        if report and report.status is not DfuStatus.ERR_VENDOR:
            return StepFailed(
                Code.STEP_FAILED,
                f"{what}: the ROM answered {report}",
                consequence="the board is as it was before this step, as far as its answers tell",
                evidence=self._channel.anomalies.evidence,
            )
        verdict = judge(self._chip, self._probe, self.commands)
        if verdict.verdict is Verdict.PROTECTED:
            return Refused(
                Code.PROTECTED,
                f"{what}: the chip is read-protected (RDP level 1)",
                consequence="nothing was written by this step",
                hint="an `unprotect` step opens it, and erases all of its flash",
                evidence=verdict.evidence,
            )
        failure = self._channel.unreliable(what)
        if refusals < ATTEMPTS:
            return failure
        return AddressRefused(
            failure.code, failure.message, consequence=failure.consequence, hint=failure.hint, evidence=failure.evidence
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what is left of a link's errors into what they mean for the board."""
        try:
            yield
        except Vanished:
            raise LinkUnreliable(
                Code.DEVICE_LOST,
                "the board left the bus in the middle of an operation",
                consequence="its state is unknown; running again is safe",
                hint="check cable and supply, hold BOOT0 high and power-cycle it, then run again",
                evidence=self._channel.anomalies.evidence,
            ) from None
        except Denied as error:
            raise AccessDenied(
                Code.DEVICE_BUSY, f"the system refuses the board: {error}", consequence="nothing more was sent"
            ) from None
        except LinkError as error:
            raise self._channel.unreliable(f"{error.label} again and again") from None


def _refuses_address(report: StatusReport | None) -> bool:
    return report is not None and report.status is DfuStatus.ERR_TARGET
