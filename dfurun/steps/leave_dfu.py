"""leave-dfu: start the application, and see that the bootloader is gone from the bus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dfurun.errors import Code, Finding, LinkUnreliable, Refused, Related, StepFailed
from dfurun.image import MemoryImage
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import APPLICATION_PROOF_S, Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.steps.vector_table import LINK_IT, TABLE_BYTES, implausible, objection
from dfurun.units import AddressRange, format_address, parse_address

DEPARTURE_TIMEOUT_S = 5.0
BACK_FACTOR = 3  # times the shortest time in which a ROM is back on the bus
TOLD = "told to leave"
VECTOR_ALIGNMENT_BYTES = 4  # a vector table is words; cores with VTOR want more, and check it themselves


@dataclass(frozen=True, slots=True)
class LeaveDfu(Step):
    """`entry` is the address of the vector table."""

    keyword: ClassVar[str] = "leave-dfu"
    entry: int

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for an entry inside the flash; the start of the flash where none is given."""
        flash = scope.chip.flash.extent
        try:
            entry = parse_address(body.get("address", flash.start))
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), (*head.path, "address"))
            return None
        if not flash.start <= entry < flash.end:
            message = f"{format_address(entry)} is outside the flash, {flash}"
            scope.report(Code.OUTSIDE_FLASH, message, (*head.path, "address"))
            return None
        if entry % VECTOR_ALIGNMENT_BYTES:
            message = f"{format_address(entry)} cannot hold a vector table"
            scope.report(
                Code.MISALIGNED, message, (*head.path, "address"), hint=f"a multiple of {VECTOR_ALIGNMENT_BYTES}"
            )
            return None
        return cls(head, entry)

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Let the abstract board go."""
        findings = self.needs_connection(board) + self._cannot_start(board)
        return replace(board, presence=Presence.LEFT), findings

    @property
    def needs_open_chip(self) -> bool:
        """A protected chip can be left as well."""
        return False

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Start the application; it fails where there is none for certain."""
        table = AddressRange(self.entry, TABLE_BYTES)
        reads = () if board.protected else (Act(ActKind.READ, table),)
        known = tuple(board.flash.get(board.chip.flash.page_index(self.entry), MemoryImage(())).within(table))
        why = objection(board.chip, known[0].data) if len(known) == 1 and known[0].extent == table else ""
        if why and not board.protected:
            words = f"no application at {format_address(self.entry)}: {why}"
            return board, Effect(Will.FAIL, words, acts=reads * 3)
        acts = (*reads, Act(ActKind.LEAVE, protected=bool(board.protected)))
        return board, Effect(Will.LEAVE, f"starts what is at {format_address(self.entry)}", acts=acts)

    def execute(self, context: Context) -> Result:
        """Set the address (a protected chip refuses that and starts its flash anyway), leave, and watch the bus."""
        proof_s, entry = 0.0, None
        if context.is_protected():
            self._require_start_of_flash(context)
            # What is there cannot be read: where it is no application, the ROM resets and is back (AN2662 4.5.5).
            proof_s = BACK_FACTOR * context.chip.usb.connect_minimum_s
        else:
            entry = self.entry
            self._require_application(context)
        context.journal.write("leave-dfu")
        answered = context.session.leave(entry)
        if not answered:
            proof_s = max(proof_s, APPLICATION_PROOF_S)
        if not context.connection.wait_for_departure(DEPARTURE_TIMEOUT_S) or not context.connection.stays_away(proof_s):
            if not answered and context.reached is None:
                context.reached = TOLD
                raise _lost_and_back(context)
            raise StepFailed(
                Code.STILL_IN_DFU,
                f"the board is still in its bootloader at port {context.port}",
                consequence="what was written is written; the application does not run yet",
                hint="set BOOT0 low and power-cycle the board",
            )
        return Result(Outcome.CHANGED, f"started what is at {format_address(self.entry)}")

    def _cannot_start(self, board: AbstractBoard) -> list[Finding]:
        """Return findings for images that put no vector table where this leaves for; `write` has judged the start of flash."""
        if self.entry == board.chip.flash.extent.start:
            return []
        judged = [(written, implausible(board.chip, written.image, self.entry)) for written in board.written]
        return [
            self.finding(
                Code.VECTOR_TABLE,
                unfit,
                "address",
                hint=f"leave-dfu would refuse to start it: {LINK_IT}",
                related=(Related(written.named_at, "written here"),),
            )
            for written, unfit in judged
            if unfit
        ]

    def _require_start_of_flash(self, context: Context) -> None:
        """Refuse another address on a protected chip: it takes none, and starts its flash from the beginning."""
        start = context.chip.flash.extent.start
        if self.entry != start:
            raise Refused(
                Code.PROTECTED,
                f"leave-dfu: a read-protected chip can only be left for {format_address(start)}",
                consequence="nothing was sent",
                hint="leave without `address`",
            )

    def _require_application(self, context: Context) -> None:
        """Refuse to leave for what cannot run: the ROM would reset, or the core would hang off the bus (AN2662 4.5.5)."""
        extent = AddressRange(self.entry, TABLE_BYTES)
        if not objection(context.chip, context.session.read(extent)):
            return
        why = objection(context.chip, context.session.read_stable(extent))  # no board is refused for an upload's error
        if not why:
            return
        raise StepFailed(
            Code.NO_APPLICATION,
            f"no application at {format_address(self.entry)}: {why}",
            consequence="the board stays in its bootloader; what was written is written",
            hint="write an image whose vector table is there, or leave with another `address`",
        )


def _lost_and_back(context: Context) -> LinkUnreliable:
    """Return the failure of a board that vanished while it was told to leave, and is back in DFU: it is told once more."""
    return LinkUnreliable(
        Code.DEVICE_LOST,
        "the board left the bus while it was told to leave",
        consequence="what was written is written; the application does not run yet",
        hint="set BOOT0 low and power-cycle the board",
        evidence=context.connection.anomalies.evidence,
    )
