"""connect: find the board, bring its bootloader to dfuIDLE, learn who it is, hold it against the recipe's expectations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from dfurun.dfuse.fitting import require_layout
from dfurun.dfuse.identity import BoardIdentity, read_identity
from dfurun.errors import Code, Finding, Refused
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import BoardAwaited, BoardFound, Outcome
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Result, Step
from dfurun.units import format_duration

if TYPE_CHECKING:
    from dfurun.dfuse.link import DeviceDescription

DEFAULT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Connect(Step):
    """Nothing destructive happens here, and nothing that a dead run left stored is executed."""

    keyword: ClassVar[str] = "connect"
    keeps_timeout: ClassVar[bool] = False

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Connect the abstract board; once is enough."""
        findings = []
        if board.presence in (Presence.CONNECTED, Presence.LEFT):
            findings.append(self.finding(Code.STEP_ORDER, "connect twice", hint="one `connect`, as the first step"))
        return replace(board, presence=Presence.CONNECTED), findings

    @property
    def needs_open_chip(self) -> bool:
        """A protected chip can be found and looked at as well."""
        return False

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Look at the board, and change nothing."""
        kinds = [ActKind.FIRST_CONTACT, ActKind.JUDGE, *([] if board.protected else [ActKind.IDENTITY])]
        acts = tuple(Act(kind, protected=bool(board.protected)) for kind in kinds)
        return board, Effect(Will.READ, "finds the board and looks at who it is", acts=acts)

    def execute(self, context: Context) -> Result:
        """Open the board and tell who it is."""
        timeout_s = self.head.timeout_or(DEFAULT_TIMEOUT_S) if context.patience_s is None else context.patience_s
        session = context.connection.open(timeout_s, on_missing=lambda: self._tell_waiting(context, timeout_s))
        context.forget()
        check_layout(context, session.description)
        context.device = session.description
        protection = context.protection()
        check_identity(context)
        emit_board(context)
        version = context.identity.bootloader_version(context.chip)
        words = [context.port, *([f"bootloader {version}"] if version else []), protection.verdict.value]
        return Result(Outcome.OK, ", ".join(words))

    def _tell_waiting(self, context: Context, timeout_s: float) -> None:
        how_long = "until there is one; Ctrl-C ends it" if timeout_s == math.inf else format_duration(timeout_s)
        context.notice(f"no board in DFU mode yet, waiting {how_long}", hint=context.connection.enter_dfu)
        context.emit(BoardAwaited(context.step_index, None if timeout_s == math.inf else timeout_s, is_lost=False))


def check_layout(context: Context, description: DeviceDescription) -> None:
    """Refuse a board whose own memory layout is not the chip's; name a DFU program in user flash."""
    if description.is_user_dfu:
        context.notice(
            "this is a DFU program in user flash, not the bootloader in ROM: its option bytes are not touched",
            code=Code.NOT_A_ROM,
            hint="hold BOOT0 high and power-cycle the board to reach the ROM",
        )
    if description.flash_layout is None:
        context.notice("the board tells no memory layout that can be read; the chip data is used")
    require_layout(
        context.chip,
        description,
        named="the recipe is for",
        consequence="nothing was written",
        hint="is this the right recipe for this board?",
    )


def check_identity(context: Context) -> None:
    """Learn who the board is and hold it against the recipe; what does not fit is read once more before it is refused.

    A protected chip tells nothing, and takes nothing either: it is held against the recipe when `unprotect` has opened it.
    """
    if context.is_protected():
        return
    learn_identity(context)
    try:
        context.expect.check(context.identity)
    except Refused:
        learn_identity(context)
        context.expect.check(context.identity)


def learn_identity(context: Context) -> None:
    """Read who the board is; of a DFU program in user flash only the size of its layout is known."""
    description = context.session.description
    if not description.is_user_dfu:
        context.identity = read_identity(context.session, context.chip)
    elif description.flash_layout is not None:
        context.identity = BoardIdentity(flash_size_bytes=description.flash_layout.size_bytes)


def emit_board(context: Context) -> None:
    """Tell who the board is."""
    description, identity = context.session.description, context.identity
    context.emit(
        BoardFound(
            port=context.port,
            product=description.product,
            serial=description.serial,
            layout=tuple(alternate.name for alternate in description.alternates),
            bootloader=identity.bootloader_version(context.chip),
            unique_id=identity.unique_id,
            flash_size_bytes=identity.flash_size_bytes,
            protection=context.protection().verdict.value,
        )
    )
