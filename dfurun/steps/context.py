"""What a step executes in: one board and what is known of it, and the seams to time, people, files and the outside.

Every step imports this module, `check` too, which has no board: the session and the bus are imported where a board is there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dfurun.chips import Chip, Duration, InForce, Rom, Timing
from dfurun.clock import Clock
from dfurun.dfuse.identity import BoardIdentity, read_identity
from dfurun.errors import AccessDenied, Code, LinkUnreliable, Refused, StepFailed
from dfurun.image import Piece
from dfurun.steps.event import BoardAwaited, Event, Notice, OperatorAsked, Progress, Waiting
from dfurun.steps.expect import Expect
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.kept import KeptPage
from dfurun.units import AddressRange, format_duration

if TYPE_CHECKING:
    from dfurun.dfuse.departure import Departure
    from dfurun.dfuse.link import DeviceDescription
    from dfurun.dfuse.protection import Protection
    from dfurun.dfuse.session import Session
    from dfurun.usb.connection import Connection

POWER_CYCLE_TIMEOUT_S = 120.0
REGAINS_A_STEP = 3  # the last of them in gentle mode
STAYED_GRACE_S = 1.0  # for a board that still answered, and may leave all the same
PROGRESS_INTERVAL_S = 0.05
APPLICATION_PROOF_S = 2.0  # a board that is not back in DFU after this runs something else


def _nothing() -> None:
    """Stand in for a checkpoint that nobody listens at."""


class Operator(Protocol):
    """The hands at the bench."""

    def ask(self, *, port: str, boot0: int, timeout_s: float) -> None:
        """Have the board at `port` power-cycled with BOOT0 at this level. Returns at once: the bus shows when it is done."""


class Journal(Protocol):
    """Where a unit's run is written down."""

    def write(self, entry: str, **details: Any) -> None:
        """Append an entry."""

    def before_destruction(self, entry: str, **details: Any) -> None:
        """Append an entry about what will be destroyed next, and have all entries on the disk when this returns."""

    def keep(self, address: int, data: bytes) -> Path | None:
        """Have `data` in a file on the disk when this returns, and return it; None where there is no journal on a disk."""

    def let_go(self, file: Path) -> None:
        """Remove a file that `keep` has made: what it holds is where it belongs."""


@dataclass(slots=True)
class Context:
    """One unit's run. Steps are frozen: all that changes is here and on the board.

    Of the step that runs: `reached` is how far it has come, in its own terms, for its `resume`; `power_cycled` says whether it
    has seen a power cycle; `regains_left` how often its board may still be regained. `inherited` are pages of this board, by
    their addresses, that earlier runs have kept and not put back. `doubts_blank` are pages, by their numbers, in whose erase a
    run was perhaps cut short: they may read blank and not be erased. `patience_s` is how long the board is waited for,
    whatever the recipe says; None where it is the recipe that says it.
    """

    chip: Chip
    clock: Clock
    connection: Connection
    operator: Operator
    journal: Journal
    emit: Callable[[Event], None]
    output_folder: Path
    expect: Expect
    allow_irreversible: bool = False
    overwrite_files: bool = False
    patience_s: float | None = None
    checkpoint: Callable[[], None] = _nothing
    step_index: int = 0
    step_keyword: str = ""
    step_deadline: float | None = None
    reached: object = None
    power_cycled: bool = False
    regains_left: int = 0
    device: DeviceDescription | None = None
    pages_redone: int = 0
    identity: BoardIdentity = field(default_factory=BoardIdentity)
    inherited: dict[int, KeptPage] = field(default_factory=dict)
    doubts_blank: Container[int] = ()
    begun: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    cause_of_protection: str = ""
    began: datetime = field(default_factory=lambda: datetime.now().astimezone())
    _protection: Protection | None = None
    _option_bytes: OptionForecast | None = None
    _judged: tuple[OptionForecast, list[AddressRange]] | None = None
    _stoppable: bool = True

    @property
    def session(self) -> Session:
        """The open session; raise LinkUnreliable where the board has left."""
        return self.connection.session

    @property
    def timing(self) -> Timing:
        """How long flash operations take with the width that the ROM is to program with."""
        width = self.connection.width
        return self.chip.timing if width is None else width.timing

    @property
    def or_low_supply(self) -> str:
        """What else may be wrong with a page that stays wrong, to end a hint with; empty where the ROM's own width is used."""
        width = self.connection.width
        if width is None or width.unit_bytes == self.chip.flash.program_unit_bytes:
            return ""
        return f"; or the board's supply is lower than the recipe says: {width.parallelism} needs {width.minimum_v:g} V"

    @property
    def port(self) -> str:
        """The board's port, for people."""
        return str(self.connection.port or "?")

    def forget(self) -> None:
        """Drop what was known of the board's option bytes and protection: it was connected anew, or power-cycled."""
        self._protection = None
        self._option_bytes = None

    def forget_protection(self) -> None:
        """Drop the verdict on read protection, which may have changed where the board was away. Option bytes stay as stored."""
        self._protection = None

    def begin_destruction(self, entry: str, what: str, **details: Any) -> None:
        """Journal what will be destroyed or changed next, and remember it in words: `erase all flash`."""
        self.journal.before_destruction(entry, **details)
        if what not in self.begun:
            self.begun.append(what)

    def consequence(self, stated: str) -> str:
        """Return what a failure means for the board, after all that this run has begun.

        A step may say `nothing was written` of itself; of a board on which the run has done something it is not true.
        """
        if not self.begun:
            return stated
        so_far = f"so far this run has begun to {', '.join(self.begun)}"
        words = so_far if not stated or stated.startswith("nothing") else f"{so_far}; {stated}"
        return "; ".join([words, *self.kept])

    @contextmanager
    def holding(self, piece: Piece | None) -> Iterator[None]:
        """Hold a part of the flash that the block takes out of it and puts back; None holds nothing.

        Neither Ctrl-C nor the step's timeout stops the block, and a copy is kept in a file, which a failure tells of.
        """
        if piece is None:
            yield
            return
        file = self.journal.keep(piece.address, piece.data)
        if file:
            self.kept.append(f"what was in {piece.extent} is kept in {file}, and the next write there puts it back")
        before, self._stoppable = self._stoppable, False
        try:
            yield
        finally:
            self._stoppable = before
        if file:
            self.kept.pop()
            self.journal.let_go(file)

    def let_go_inherited(self, extent: AddressRange) -> None:
        """Let go what earlier runs have kept of the pages in `extent`: they are whole again, or erased as the recipe says."""
        for address in [address for address, page in self.inherited.items() if extent.contains(page.extent)]:
            for file in self.inherited.pop(address).files:
                self.journal.let_go(file)

    def notice(self, message: str, *, code: Code | None = None, hint: str = "") -> None:
        """Tell people something that is not a failure."""
        self.emit(Notice(message, code, hint))

    def progress(self, activity: str, total: int, offset: int = 0) -> Callable[[int], None]:
        """Return what turns a count into a progress event of this step; a safe boundary each time."""
        tell = self.telling(activity, total, offset)

        def go_on(done: int) -> None:
            tell(done)
            self.safe_boundary()

        return go_on

    def telling(self, activity: str, total: int, offset: int = 0) -> Callable[[int], None]:
        """Return what turns a count into a progress event of this step, also while the ROM is at work: it stops nothing.

        What comes sooner after the one before than anybody sees is not told, but for the end.
        """
        due_s = self.clock.now()

        def tell(done: int) -> None:
            nonlocal due_s
            now_s = self.clock.now()
            if now_s >= due_s or offset + done == total:
                due_s = now_s + PROGRESS_INTERVAL_S
                self.emit(Progress(self.step_index, activity, offset + done, total))

        return tell

    def waiting(self, activity: str, duration: Duration) -> None:
        """Tell that an operation begins of which nothing is heard until it ends."""
        self.emit(Waiting(self.step_index, activity, duration.typical_s))

    def tell_gone(self, timeout_s: float) -> None:
        """Tell that the board is gone from the bus, and is waited for."""
        self.emit(BoardAwaited(self.step_index, timeout_s, is_lost=True))

    def safe_boundary(self) -> None:
        """Stop here for Ctrl-C or the step's timeout, unless what is held is in no flash."""
        if self._stoppable:
            self.checkpoint()
            self.check_deadline()

    def while_waiting(self) -> None:
        """Stop for Ctrl-C while the board is waited for, unless what is held is in no flash."""
        if self._stoppable:
            self.checkpoint()

    def begin_step(self, index: int, keyword: str, timeout_s: float | None) -> None:
        """Begin a step afresh, with the count for its own timeout, which is looked at between two operations."""
        self.step_index, self.step_keyword = index, keyword
        self.step_deadline = None if timeout_s is None else self.clock.now() + timeout_s
        self.reached, self.power_cycled, self.regains_left = None, False, REGAINS_A_STEP

    def time_left(self, wanted_s: float) -> float:
        """Return for how much of `wanted_s` the step may still wait; all of it where nothing may stop the step."""
        if self.step_deadline is None or not self._stoppable:
            return wanted_s
        return max(0.0, min(wanted_s, self.step_deadline - self.clock.now()))

    def check_deadline(self) -> None:
        """Raise StepFailed where the step's own timeout has passed."""
        if self.step_deadline is not None and self.clock.now() > self.step_deadline:
            raise StepFailed(
                Code.STEP_TIMEOUT,
                "the step did not end within its timeout",
                consequence="it is done in part; running the recipe again is safe",
                hint="a longer `timeout`, or a better link",
                evidence=self.connection.anomalies.evidence,
            )

    def protection(self) -> Protection:
        """Return the verdict on read protection; raise LinkUnreliable where the evidence allows none."""
        if self._protection is None:
            found = self.session.protection()
            found.require_verdict()
            self._protection = found
        return self._protection

    def is_protected(self) -> bool:
        """Whether the chip is proven read-protected."""
        from dfurun.dfuse.protection import Verdict

        return self.protection().verdict is Verdict.PROTECTED

    def is_protected_again(self) -> bool:
        """Reach the verdict once more, from fresh attempts: what hangs on it is not decided by one."""
        if self.is_protected():
            self._protection = None
        return self.is_protected()

    def require_readable(self, what: str) -> None:
        """Raise Refused where the chip is proven read-protected."""
        if self.is_protected():
            raise Refused(
                Code.PROTECTED,
                f"{what}: the chip is read-protected (RDP level 1)",
                consequence="nothing was written; all flash is as it was",
                hint=self.cause_of_protection + "an `unprotect` step opens it, and erases all of its flash",
                evidence=self.protection().evidence,
            )

    def option_bytes(self) -> bytes:
        """Return the raw option bytes as they are stored; they are kept until something changes them."""
        return self.option_forecast().stored

    def option_forecast(self) -> OptionForecast:
        """Return the option bytes as they are stored and as they may be in force."""
        if self._option_bytes is None:
            self._option_bytes = OptionForecast.settled(self.session.read_option_bytes())
        return self._option_bytes

    def option_bytes_written(self, raw: bytes) -> bytes:
        """Read back after `raw` was written and the board was reset; return what is stored now."""
        before = self.option_forecast()
        self._option_bytes = before.written(self.session.read_option_bytes(), self.chip.option_bytes)
        return self._option_bytes.stored

    @property
    def power_cycle_needed(self) -> bool:
        """Whether option bytes are stored that are perhaps not in force."""
        return self._option_bytes is not None and not self._option_bytes.is_settled

    def require_writable(self, what: str, extents: list[AddressRange], forecast: OptionForecast | None) -> None:
        """Raise Refused where the device's layout or its write protection covers a part of `extents`.

        The ROM acknowledges writes to write-protected sectors and does nothing (AN3156 table 4), so it is asked before.
        `forecast` are the option bytes at that time, None where they cannot be known.
        """
        layout = self.session.description.flash_layout
        closed = [s.extent for s in layout.segments if not s.writable] if layout else []
        for segment in closed:
            if any(extent.overlaps(segment) for extent in extents):
                raise Refused(
                    Code.NOT_A_ROM,
                    f"{what}: {segment} holds the DFU program itself, which runs from user flash on this board",
                    consequence="nothing was written",
                    hint="hold BOOT0 high and power-cycle the board to reach the bootloader in ROM",
                )
        if forecast is None:
            return
        moved = forecast.moves_pages(self.chip)
        for sector in self._write_protected(forecast):
            if moved or any(extent.overlaps(sector) for extent in extents):
                where = f"some {self.chip.flash.unit}s, which is not known," if moved else str(sector)
                raise Refused(
                    Code.WRITE_PROTECTED,
                    f"{what}: {where} {'are' if moved else 'is'} write-protected",
                    consequence="nothing was written; the ROM would have acknowledged and ignored it",
                    hint=f"before it, clear {self._protecting_fields()} with `set-option-bytes`{self._until_in_force()}",
                )

    def _write_protected(self, forecast: OptionForecast) -> list[AddressRange]:
        """Return the sectors that may be write-protected; step after step asks it of the same option bytes."""
        if self._judged is None or self._judged[0] != forecast:
            self._judged = forecast, forecast.write_protected(self.chip.option_bytes, self.chip.flash)
        return self._judged[1]

    def _protecting_fields(self) -> str:
        protection = self.chip.option_bytes.write_protection
        return "the WRP field" if protection is None else " or ".join(protection.fields)

    def _until_in_force(self) -> str:
        if self.chip.option_bytes.in_force_at is InForce.RESET:
            return ""
        return " and `wait-for-power-cycle: {boot0: 1}`"

    @property
    def rom(self) -> Rom:
        """What is known of the board's own bootloader, by its id where that could be read."""
        return self.chip.rom_of(self.identity.bootloader_id)

    def require_rom(self, what: str) -> None:
        """Raise Refused where the device is a DFU program in user flash."""
        if self.session.description.is_user_dfu:
            raise Refused(
                Code.NOT_A_ROM,
                f"{what}: this is a DFU program in user flash (bcdDevice 0x0200), not the bootloader in ROM",
                consequence="nothing was sent",
                hint="hold BOOT0 high and power-cycle the board to reach the bootloader in ROM",
            )

    def follow_reset(self, departure: Departure) -> str | None:
        """Wait until the board has left and is open again at its port; return why it is not, None where it is.

        Raises Refused where another board is there.
        """
        from dfurun.dfuse.departure import Departure

        timeout_s = self.chip.usb.reconnect_timeout_s
        self.connection.wait_for_departure(timeout_s if departure is Departure.LEFT else STAYED_GRACE_S)
        self._protection = None
        try:
            back = self.connection.wait_for_return(timeout_s) is not None
        except AccessDenied as error:
            return f"back and cannot be opened: {error.message}"
        if not back:
            return f"not back at port {self.port} after {format_duration(timeout_s)}"
        self.require_same_board()
        return None

    def power_cycle(self, *, boot0: int, timeout_s: float) -> None:
        """Have the board power-cycled, and wait for it: back in DFU with BOOT0 high, gone for good with BOOT0 low.

        Raises LinkUnreliable where nobody does it in time, StepFailed where it starts the bootloader with BOOT0 low.
        """
        self.connection.close()
        self.emit(OperatorAsked(self.port, boot0, timeout_s))
        self.operator.ask(port=self.port, boot0=boot0, timeout_s=timeout_s)
        request = f"power-cycle the board at port {self.port} with BOOT0 {'high' if boot0 else 'low'}"
        if not self.connection.wait_for_departure(timeout_s):
            raise LinkUnreliable(
                Code.NO_POWER_CYCLE,
                f"nobody power-cycled the board within {format_duration(timeout_s)}",
                consequence="the board waits, its last step is not complete",
                hint=f"{request}, and run again",
            )
        self.forget()
        self.power_cycled, self.device = True, None  # another program may be the one that comes back
        if boot0 == 0:
            if not self.connection.stays_away(APPLICATION_PROOF_S):
                raise StepFailed(
                    Code.STILL_IN_DFU,
                    "with BOOT0 low the board is in DFU mode again",
                    consequence="its bootloader starts, or an application that is a DFU program itself",
                    hint=self._why_still_in_dfu(),
                )
            return
        if self.connection.wait_for_return(timeout_s) is None:
            raise LinkUnreliable(
                Code.NO_POWER_CYCLE,
                f"the board did not come back in DFU mode within {format_duration(timeout_s)}",
                consequence="nothing was sent to it since its power was cycled",
                hint=f"{request}, and run again",
            )
        self.require_same_board()
        self.device = self.session.description

    def _why_still_in_dfu(self) -> str:
        back = "{from: factory}" if self.chip.option_bytes.factory_known else "{fields: ...}"
        hint = f"`dfurun info` tells why; `set-option-bytes: {back}` puts boot option bytes right"
        if self.chip.checks_for_empty_flash:
            hint += "; an empty flash starts the bootloader as well, whatever BOOT0 says"
        return hint

    def require_same_board(self) -> None:
        """Refuse another board than the one that was known at this port. A protected one tells nothing, and passes.

        What does not fit is read once more before it is refused. Raises LinkUnreliable where it cannot be read any more.
        """
        known = self.identity.unique_id
        if known is None or self.is_protected():
            return
        for _ in range(2):
            found = read_identity(self.session, self.chip).unique_id
            if found == known:
                return
        if found is None:
            raise LinkUnreliable(
                Code.LINK_UNRELIABLE,
                "the USB link is unreliable: the unique id, read before, cannot be read any more",
                consequence="nothing was sent to the board that is at the port now",
                evidence=self.connection.anomalies.evidence,
            )
        raise self.another_board(f"its unique id is {found}, before it was {known}")

    def another_board(self, why: str) -> Refused:
        """Return the refusal of a board that has taken the other's place."""
        return Refused(
            Code.EXPECTATION,
            f"another board is at port {self.port} now: {why}",
            consequence="nothing was sent to it",
            hint="run the recipe again with the board that is meant",
        )
