"""The single requests of DFU over a link, repeated where repeating is harmless, and the way back to dfuIDLE.

A DNLOAD is only stored: *the next GETSTATUS executes it*. So nothing here sends a GETSTATUS while a command may be stored,
except to execute it: first contact and recovery ask GETSTATE, which executes nothing, and ABORT whatever is pending.

# Ref: AN3156 rev 18, section 2; DFU 1.1, appendix A (the state diagram); docs/reliability.md.
"""

from __future__ import annotations

from dfurun.chips import Chip, Quirk
from dfurun.clock import Clock
from dfurun.dfuse.anomalies import Anomalies
from dfurun.dfuse.link import DeviceDescription, Garbled, Link, LinkError, Stalled, TimedOut
from dfurun.dfuse.protocol import STATUS_LENGTH, DfuState, DfuStatus, Request, StatusReport
from dfurun.errors import Code, LinkUnreliable
from dfurun.units import AddressRange

TRANSFER_TIMEOUT_S = 5.0  # some ROMs hold their answer until an operation has ended (fwupd#1944)
RETRY_PAUSES_S = (0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05)
RECOVERY_ROUNDS = 24
BUSY_LOOK_S = 0.01
PATIENCE = 12.0  # transfers that may stay unanswered; each that is answered gives a little of it back
PATIENCE_REGAINED = 0.1
GENTLE_BLOCK_BYTES = 256
GENTLE_GAP_S = 0.001

Transient = (Stalled, TimedOut, Garbled)

HUB_ADVICE = (
    "try another USB port, or put a USB 2.0 hub between: "
    "ST documents ROMs that miss packets on some hosts (AN2606 table 42)"
)


class Channel:
    """One open device: counted transfers, patient requests, recovery.

    `gentle` keeps data stages short and leaves a gap before each transfer, for a link on which nothing else gets through. That
    it helps a ROM that misses packets is not proven (docs/reliability.md).
    """

    def __init__(self, link: Link, chip: Chip, clock: Clock, anomalies: Anomalies, *, gentle: bool = False) -> None:
        self._link = link
        self._chip = chip
        self._clock = clock
        self._was_reset = False
        self._patience = PATIENCE
        self.gentle = gentle
        self.answered_in_s = 0.0  # what the last GETSTATUS that was answered took
        self.answered_s = 0.0  # when its answer was there: what the ROM asks to be waited counts from here
        self.anomalies = anomalies
        self.transfers = 0
        # wTransferSize as the device told it when it was opened: never exceeded, some ROMs hang on a longer block.
        self.transfer_size_bytes = link.description.functional.transfer_size_bytes

    @property
    def description(self) -> DeviceDescription:
        """The device's descriptors."""
        return self._link.description

    @property
    def block_bytes(self) -> int:
        """The longest block to send or to ask for: a whole transfer, or a short one in gentle mode, which the ROM can write."""
        if not self.gentle:
            return self.transfer_size_bytes
        unit = self._chip.flash.granule_bytes
        return min(self.transfer_size_bytes, GENTLE_BLOCK_BYTES // unit * unit)

    def close(self) -> None:
        """Give the device back."""
        self._link.close()

    # One transfer each, no repetition ---------------------------------------------------------------------------------

    def download(self, block: int, data: bytes) -> None:
        """Send a DNLOAD once. Raise LinkError."""
        self._out(Request.DNLOAD, block, data)

    def upload(self, block: int, length: int) -> bytes:
        """Send an UPLOAD once; the answer may be short. Raise LinkError."""
        return self._in(Request.UPLOAD, block, length)

    def poll(self, timeout_s: float = TRANSFER_TIMEOUT_S) -> StatusReport:
        """Send a GETSTATUS once; it executes what is stored. Raise LinkError; an answer that makes no sense is Garbled."""
        asked = self._clock.now()
        raw = self._in(Request.GETSTATUS, 0, STATUS_LENGTH, timeout_s)
        self.answered_s = self._clock.now()
        self.answered_in_s = self.answered_s - asked
        try:
            return StatusReport.unpack(raw)
        except ValueError as error:
            raise Garbled(str(error)) from None

    def look(self, timeout_s: float) -> DfuState | None:
        """Send a GETSTATE once, which executes nothing; None for an answer that makes no sense. Raise LinkError."""
        raw = self._in(Request.GETSTATE, 0, 1, timeout_s)
        try:
            return DfuState(raw[0]) if len(raw) == 1 else None
        except ValueError:
            return None

    # Harmless to repeat -----------------------------------------------------------------------------------------------

    def select_memory(self, address: int) -> None:
        """Select the alternate setting that holds `address`, the first one where none does. Raise LinkError.

        Which one it is its name says; of option bytes that no name tells, the chip's data does (the G0B1's ROM gives every
        setting the name of its flash).
        """
        number = self.description.alternate_of(address)
        options = self._chip.option_bytes
        is_option = any(block.contains(AddressRange(address, 1)) for block in options.blocks)
        own = options.alternate
        if is_option and not number and own is not None and own < len(self.description.alternates):
            number = own
        if self.gentle:
            self._leave_gap()
        for pause in RETRY_PAUSES_S:
            try:
                self._link.select_alternate(number)
            except Transient as error:
                self.anomalies.note(f"SET_INTERFACE {error.label}", str(error))
                self._clock.sleep(pause)
            else:
                return
        self._link.select_alternate(number)

    def abort(self) -> None:
        """Send ABORT until the device takes it. Raise LinkError after the last try."""
        self._patiently(Request.ABORT)

    def execute(self, timeout_s: float) -> StatusReport:
        """Send GETSTATUS until one is answered: it executes what is stored. Raise LinkError after the last try."""
        for pause in RETRY_PAUSES_S:
            try:
                return self.poll(timeout_s)
            except Transient as error:
                self.note(Request.GETSTATUS, error)
                self._clock.sleep(pause)
        return self.poll(timeout_s)

    def to_idle(self) -> StatusReport | None:
        """Bring the device to dfuIDLE from wherever it is, executing nothing that may be stored.

        Returns the report of the dfuERROR that was cleared on the way, or None. Raises LinkUnreliable.
        """
        found: StatusReport | None = None
        for attempt in range(RECOVERY_ROUNDS):
            state = self._state()
            match state:
                case DfuState.IDLE:
                    return found
                case DfuState.ERROR:
                    found = self._clear_error() or found
                case DfuState.DNBUSY:
                    self._wait_out()
                case DfuState.APP_IDLE | DfuState.APP_DETACH:
                    break
                case DfuState.MANIFEST | DfuState.MANIFEST_WAIT_RESET:
                    pass  # it is about to leave: only time helps, or the reset below
                case None:
                    if self._try(Request.ABORT) and (report := self._try_poll()) and report.state is DfuState.IDLE:
                        return found
                case _:
                    self._try(Request.ABORT)
            self._clock.sleep(RETRY_PAUSES_S[min(attempt, len(RETRY_PAUSES_S) - 1)])
        if not self._was_reset:
            self._was_reset = True
            self.anomalies.note("USB reset", "no way back to dfuIDLE")
            self._link.reset()
            return self.to_idle() or found
        raise self.unreliable("the device does not return to dfuIDLE")

    def unreliable(self, what: str) -> LinkUnreliable:
        """Return the error that says the link cannot be trusted, with the evidence so far."""
        return LinkUnreliable(
            Code.LINK_UNRELIABLE,
            f"the USB link is unreliable: {what}",
            consequence="its state is unknown; running again is safe",
            hint=HUB_ADVICE,
            evidence=self.anomalies.evidence,
        )

    def note(self, request: Request, error: LinkError) -> None:
        """Count a failed transfer."""
        self.anomalies.note(f"{request.name} {error.label}", str(error))

    # ------------------------------------------------------------------------------------------------------------------

    def _state(self) -> DfuState | None:
        """Ask GETSTATE a few times; None where it is not answered."""
        for pause in RETRY_PAUSES_S[:3]:
            try:
                raw = self._in(Request.GETSTATE, 0, 1)
                if len(raw) == 1:
                    return DfuState(raw[0])
                self.anomalies.note("GETSTATE short answer")
            except Transient as error:
                self.note(Request.GETSTATE, error)
            except ValueError:
                self.anomalies.note("GETSTATE unknown state")
            self._clock.sleep(pause)
        return None

    def _wait_out(self) -> None:
        """Let an operation end that somebody else has started, asking what executes nothing and can come too early."""
        deadline = self._clock.now() + self._chip.timing.longest_s
        while self._state() is DfuState.DNBUSY:
            if self._clock.now() >= deadline:
                report = self._try_poll()  # this ROM leaves dfuDNBUSY only by a GETSTATUS
                if report is not None and report.state is DfuState.DNBUSY and self._may_be_wedged:
                    self._unwedge()
                return
            self._clock.sleep(BUSY_LOOK_S)

    def leaves_wedge(self) -> bool:
        """Take a ROM that can wedge out of a dfuDNBUSY that outlasts its budget; False for others. Raise LinkUnreliable."""
        if not self._may_be_wedged:
            return False
        self._unwedge()
        self.to_idle()
        return True

    @property
    def _may_be_wedged(self) -> bool:
        return Quirk.DOUBLE_CLEAR_STATUS_WHEN_WEDGED in self._chip.rom.quirks

    def _unwedge(self) -> None:
        """Leave a dfuDNBUSY that outlasts the longest operation, on a ROM for which its data says how: CLRSTATUS twice.

        The second one only where the first has led to dfuERROR, as elsewhere it is illegal.
        """
        self.anomalies.note("wedged in dfuDNBUSY", "CLRSTATUS twice")
        self._try(Request.CLRSTATUS)
        if self._state() is DfuState.ERROR:
            self._try(Request.CLRSTATUS)

    def _clear_error(self) -> StatusReport | None:
        """Learn why the device is in dfuERROR, then CLRSTATUS. GETSTATUS executes nothing in dfuERROR."""
        report = self._try_poll()
        if report is None or report.state is DfuState.ERROR:
            self._try(Request.CLRSTATUS)  # elsewhere it is illegal, and strict ROMs stall it
        return report if report and report.status is not DfuStatus.OK else None

    def _try_poll(self) -> StatusReport | None:
        try:
            return self.poll()
        except Transient as error:
            self.note(Request.GETSTATUS, error)
            return None

    def _try(self, request: Request) -> bool:
        try:
            self._out(request, 0, b"")
        except Transient as error:
            self.note(request, error)
            return False
        return True

    def _patiently(self, request: Request) -> None:
        for pause in RETRY_PAUSES_S:
            if self._try(request):
                return
            self._clock.sleep(pause)
        self._out(request, 0, b"")

    def _out(self, request: Request, value: int, data: bytes) -> None:
        self.transfers += 1
        if self.gentle:
            self._leave_gap()
        try:
            self._link.control_out(request, value, data, TRANSFER_TIMEOUT_S)
        except TimedOut as error:
            self._lose_patience(request, error)
            raise
        if self._patience < PATIENCE:
            self._patience = min(PATIENCE, self._patience + PATIENCE_REGAINED)

    def _in(self, request: Request, value: int, length: int, timeout_s: float = TRANSFER_TIMEOUT_S) -> bytes:
        self.transfers += 1
        if self.gentle:
            self._leave_gap()
        try:
            answer = self._link.control_in(request, value, length, timeout_s)
        except TimedOut as error:
            self._lose_patience(request, error)
            raise
        if self._patience < PATIENCE:
            self._patience = min(PATIENCE, self._patience + PATIENCE_REGAINED)
        return answer

    def _lose_patience(self, request: Request, error: TimedOut) -> None:
        """Give up a device that leaves too many transfers unanswered: each costs seconds."""
        self._patience -= 1
        if self._patience < 0:
            self.note(request, error)
            raise self.unreliable("too many transfers are not answered at all") from None

    def _leave_gap(self) -> None:
        """Give a gentle link's device time before the next transfer."""
        self._clock.sleep(GENTLE_GAP_S)
