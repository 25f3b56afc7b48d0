"""Executes a compiled recipe's steps on one board, and keeps the journal while it does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dfurun import __version__
from dfurun.chips import Width
from dfurun.errors import Code, DfurunError, ExitStatus, Interrupted, LinkUnreliable, Refused, StepFailed
from dfurun.locks import Lock
from dfurun.plan.interpret import Interpretation
from dfurun.plan.reviewed import Reviewed
from dfurun.recipe.recipe import Recipe
from dfurun.run.doubts import doubts_of
from dfurun.run.journal import KeptFile, UnitJournal, reported
from dfurun.run.observe import observe
from dfurun.run.port_lock import lock_port
from dfurun.steps.connect import Connect
from dfurun.steps.context import Context
from dfurun.steps.event import (
    BoardFound,
    Event,
    Notice,
    Outcome,
    StepFinished,
    StepStarted,
    UnitFinished,
    UnitStarted,
)
from dfurun.steps.flashing import REDO_LIMIT
from dfurun.steps.kept import KeptPage
from dfurun.steps.regain import regain
from dfurun.steps.set_option_bytes import irreversible_refusal
from dfurun.steps.step import Result, Step
from dfurun.steps.verify import Verify, VerifyMismatch
from dfurun.steps.write import Write
from dfurun.units import AddressRange
from dfurun.usb.port import PortPath

PASSED = "passed"
OUTCOMES = {
    ExitStatus.REFUSED: "refused",
    ExitStatus.INTERRUPTED: "interrupted",
    ExitStatus.LINK: "lost",
    ExitStatus.NO_DEVICE: "not-found",
    ExitStatus.NO_ACCESS: "no-access",
}


class _RefusedAhead(Exception):
    """What the board says refuses a later step, before a destructive one that comes first."""

    def __init__(self, step: Step, refusal: Refused) -> None:
        super().__init__(str(refusal))
        self.step, self.refusal = step, refusal


@dataclass(slots=True)
class Unit:
    """One unit's run: the recipe, the board's context, the journal, and who listens.

    `checkpoint` is called between two operations, and raises Interrupted where the run is to stop (`Interruption.check`). Of
    several units each runs in a thread of its own, and shares with the others what is frozen alone: the recipe.
    """

    recipe: Recipe
    context: Context
    journal: UnitJournal
    listen: Callable[[Event], None]
    interpretation: Interpretation
    journal_name: Callable[[str], str | None]
    simulated: bool
    checkpoint: Callable[[], None]
    lock: Lock | None = None
    reviewed: Reviewed | None = None

    def run(self) -> UnitFinished:
        """Execute all steps; whatever happens is in what is returned, and in the journal."""
        try:
            return self._run()
        finally:
            if self.lock is not None:
                self.lock.give_back()

    def _run(self) -> UnitFinished:
        context, began = self.context, self.context.clock.now()
        context.emit = self._emit
        failure: DfurunError | None = None
        context.checkpoint = self.checkpoint
        context.connection.width, context.connection.on_width = self.recipe.width, self._width
        context.connection.on_wait = context.while_waiting
        context.connection.on_found = self._lock
        context.connection.on_gone = context.tell_gone
        try:
            self._start()
            self._steps()
        except DfurunError as error:
            failure = error
        except KeyboardInterrupt:
            failure = Interrupted(
                Code.INTERRUPTED,
                "stopped by Ctrl-C in the middle of an operation",
                consequence="its state is unknown; running again is safe",
            )
        finally:
            context.connection.close()
        return self._finish(failure, context.clock.now() - began)

    def _width(self, wanted: Width, taken: Width | None) -> None:
        """Write down how wide the bootloader programs from now on, None: not told; tell people where it is not as meant."""
        self.journal.write("width", wanted=wanted.unit_bytes, taken=taken and taken.unit_bytes)
        own = self.recipe.chip.flash.program_unit_bytes
        if wanted.unit_bytes > (taken.unit_bytes if taken else own):
            self._emit(
                Notice(
                    f"the bootloader does not take {wanted.parallelism}, which the recipe's `supply` allows: it goes on "
                    f"with {taken.parallelism if taken else 'its own width'}",
                    hint="nothing is wrong with the board or the link; it takes longer",
                )
            )

    def _start(self) -> None:
        recipe = self.recipe
        images = {name: image.sha256 for name, image in recipe.images.items()}
        variables = {name: dataclasses.asdict(variable) for name, variable in recipe.variables.items()}
        self.journal.write(
            "start",
            tool={"name": "dfurun", "version": __version__},
            recipe={
                "path": str(recipe.path),
                "name": recipe.name,
                "sha256": recipe.sha256,
                "digest": recipe.digest,
                "files": [{"path": str(file.path), "sha256": file.sha256} for file in recipe.files],
                "variables": variables,
            },
            chip=recipe.chip.name,
            images=images,
            simulated=self.simulated,
        )
        steps = tuple(step.keyword for step in recipe.steps)
        self._emit(UnitStarted(recipe.name, recipe.sha256, recipe.chip.title, images, steps, variables))

    def _steps(self) -> None:
        self._require_consent()
        for index, step in enumerate(self.recipe.steps):
            try:
                self._step(index, step)
            except _RefusedAhead as ahead:
                self._refuse_ahead(index, ahead.step, ahead.refusal)
                raise ahead.refusal from None
            except (DfurunError, KeyboardInterrupt):
                self._skip(range(index + 1, len(self.recipe.steps)), f"{step.keyword} did not succeed")
                raise

    def _refuse_ahead(self, index: int, refused: Step, refusal: Refused) -> None:
        """Show the failure at the step that is refused, not at the one before which that was found."""
        at = refused.head.index
        self._skip(range(index, at), f"not begun: {refused.keyword} would be refused")
        self._emit(StepStarted(at, refused.keyword, refused.title))
        self._step_finished(at, refused, Result(Outcome.FAILED, str(refusal)), 0.0, refusal.code)
        self._skip(range(at + 1, len(self.recipe.steps)), f"{refused.keyword} did not succeed")

    def _skip(self, indices: range, reason: str) -> None:
        """Tell of every step that is not reached: none is silently absent."""
        for index in indices:
            self._step_finished(index, self.recipe.steps[index], Result(Outcome.SKIPPED, reason), 0.0)

    def _require_consent(self) -> None:
        """Refuse what nothing undoes before the first transfer, where the recipe alone tells."""
        for step in self.recipe.steps:
            if step.irreversible and not self.context.allow_irreversible:
                self._skip(range(len(self.recipe.steps)), "refused before the first transfer")
                raise irreversible_refusal(step.irreversible)

    def _step(self, index: int, step: Step) -> None:
        context, began = self.context, self.context.clock.now()
        context.begin_step(index, step.keyword, step.head.timeout_s if step.keeps_timeout else None)
        self.journal.write("step-started", step=step.keyword)
        self._emit(StepStarted(index, step.keyword, step.title))
        try:
            context.checkpoint()
            result = self._to_its_end(index, step)
            if isinstance(step, Connect):
                self._hold_to_the_plan()
            context.check_deadline()
        except (DfurunError, KeyboardInterrupt) as error:
            code = error.code if isinstance(error, DfurunError) else Code.INTERRUPTED
            self._step_finished(index, step, Result(Outcome.FAILED, str(error)), context.clock.now() - began, code)
            raise
        self._step_finished(index, step, result, context.clock.now() - began)

    def _hold_to_the_plan(self) -> None:
        """Raise Refused where the board is not as a reviewed plan found it; what differs is read once more before."""
        if self.reviewed is None or self.reviewed.board is None:
            return
        try:
            self.reviewed.require_board(observe(self.context, self.reviewed.pages))
        except Refused:
            self.reviewed.require_board(observe(self.context, self.reviewed.pages))

    def _to_its_end(self, index: int, step: Step) -> Result:
        """Execute a step, and where its board or the link was lost meanwhile, regain it and go on by the step's own rule."""
        begun = False
        while True:
            try:
                if begun:
                    return self._redoing(step, step.resume)
                if step.destructive:
                    self._preflight(self.recipe.steps[index:])
                begun = True
                return self._redoing(step, step.execute)
            except LinkUnreliable as failure:
                regain(self.context, failure)

    def _preflight(self, steps: Sequence[Step]) -> None:
        """Judge what needs the board's own bytes before the first destructive transfer.

        Raises _RefusedAhead for a step after the first of `steps`, and DfurunError.
        """
        context = self.context
        if not context.connection.is_open:
            return
        readable = not context.is_protected() and not context.session.description.is_user_dfu
        forecast = context.option_forecast() if readable else None
        for step in steps:
            try:
                forecast = step.preflight(context, forecast)
            except Refused as refusal:
                if step is steps[0]:
                    raise
                raise _RefusedAhead(step, refusal) from None

    def _redoing(self, step: Step, execute: Callable[[Context], Result]) -> Result:
        """Execute a step; a verify that finds a difference has those pages of the image's write redone, twice at most."""
        for redo in range(REDO_LIMIT + 1):
            try:
                return execute(self.context)
            except VerifyMismatch as mismatch:
                write = self._write_of(step)
                if write is None:
                    raise mismatch.of_nothing_written() from None
                if redo == REDO_LIMIT:
                    raise
                write.require_redoable(self.context, mismatch.pages)
                self.context.pages_redone += len(mismatch.pages)
                self.context.notice(f"{mismatch.message}: writing again what differs ({redo + 1} of {REDO_LIMIT})")
                write.redo(self.context, mismatch.pages)
        raise AssertionError("the last redo returns or raises")

    def _write_of(self, verify: Step) -> Write | None:
        """Return the last write of the image before its verify, or None."""
        if not isinstance(verify, Verify):
            return None
        if self.interpretation.boards[verify.head.index].write_of(verify.image) is None:
            return None  # erased again since: what is missing is meant to be
        earlier = self.recipe.steps[: verify.head.index]
        writes = [s for s in earlier if isinstance(s, Write) and s.image.name == verify.image.name]
        return writes[-1] if writes else None

    def _step_finished(
        self, index: int, step: Step, result: Result, duration_s: float, code: Code | None = None
    ) -> None:
        event = StepFinished(index, step.keyword, result.outcome, result.detail, duration_s, code)
        self.journal.write("step", **{**_told(event), "code": None if code is None else str(code)})
        self._emit(event)

    def _emit(self, event: Event) -> None:
        """Pass an event on; a board that was found binds the journal to its port."""
        self.listen(event)
        if isinstance(event, BoardFound):
            self.journal.write("board", **_told(event))
            name = self.journal_name(event.port)
            if name is not None:
                self._bind(name)

    def _lock(self, port: PortPath) -> None:
        """Keep the port for this run, to its end: also while its board is away. Raise AccessDenied where another run has it."""
        name = self.journal_name(str(port))
        if name is None or self.lock is not None:
            return
        with reported(self.journal.path_of(name)):
            self.lock = lock_port(
                self.journal.path_of(name), str(port), f"recipe {self.recipe.name} ({self.recipe.path})"
            )

    def _bind(self, name: str) -> None:
        """Take the port's journal, and tell what it knows of runs that did not end."""
        known = self.journal.bind(name)
        if known.damage:
            self.listen(Notice(known.damage, Code.JOURNAL_DAMAGED, known.damage_hint))
        if known.unfinished is not None:
            self.listen(Notice(str(known.unfinished), Code.INTERRUPTED_RUN, "this run starts from the beginning"))
        self._inherit(known.kept)
        self.context.doubts_blank = doubts_of(known.flash_runs, self.context.identity.unique_id)
        if known.waits and not self.context.is_protected():
            self.listen(
                Notice(
                    "the last run at this port left option bytes that come into force at the next power-on",
                    Code.POWER_CYCLE_NEEDED,
                    "where the board has had none since, write protection may still be in force, and `verify` shows it",
                )
            )
        if self.context.is_protected():
            words = known.cause or "protected, cause unknown"
            self.context.cause_of_protection = f"{words}; "
            self.listen(Notice(words))

    def _inherit(self, files: Sequence[KeptFile]) -> None:
        """Take up what earlier runs have kept of this board and not put back; what may be of another board is left alone."""
        context, flash, pages = self.context, self.context.chip.flash, self.context.inherited
        for kept in files:
            if kept.unique_id is None or kept.unique_id != context.identity.unique_id:
                continue
            with reported(kept.file, "read"):
                data = kept.file.read_bytes()
            if flash.is_page(AddressRange(kept.address, len(data))):
                older = pages[kept.address].files if kept.address in pages else ()
                pages[kept.address] = KeptPage(kept.address, data, (*older, kept.file))
        for page in pages.values():
            words = (
                f"an earlier run took {page.extent} out of the flash and did not put it back: the next write there does"
            )
            self.listen(Notice(words, hint=f"it is kept in {page.files[-1]}"))

    def _finish(self, failure: DfurunError | None, duration_s: float) -> UnitFinished:
        context, anomalies = self.context, self.context.connection.anomalies
        if anomalies.total and not (failure and failure.code is Code.LINK_UNRELIABLE):
            self._emit(
                Notice(
                    "1 transfer had to be repeated or was answered wrongly"
                    if anomalies.total == 1
                    else f"{anomalies.total} transfers had to be repeated or were answered wrongly",
                    Code.UNRELIABLE_ANSWERS,
                    "a USB 2.0 hub between host and board often helps (AN2606 table 42)",
                )
            )
        if failure is None and context.power_cycle_needed:
            words = "option bytes are stored, and come into force at the next power-on"
            self._emit(Notice(words, Code.POWER_CYCLE_NEEDED, "power-cycle the board before it is used or shipped"))
        status = failure.exit_status if failure else ExitStatus.DONE
        finished = UnitFinished(
            exit_status=int(status),
            outcome=OUTCOMES.get(status, "failed") if failure else PASSED,
            verified=failure is None and not self.interpretation.unverified_images,
            code=failure.code if failure else None,
            message=failure.message if failure else "",
            consequence=self._consequence(failure) if failure else "",
            hint=failure.hint if failure else "",
            evidence=failure.evidence if failure else (),
            duration_s=duration_s,
            anomalies=anomalies.counts,
            transfers=context.connection.transfers,
            pages_redone=context.pages_redone,
            power_cycle_needed=failure is None and context.power_cycle_needed,
        )
        self._journal_end(finished)
        self._emit(finished)
        return finished

    def _consequence(self, failure: DfurunError) -> str:
        """Return what a failure means for the board; who stops a run that has none yet has done nothing to any."""
        if isinstance(failure, Interrupted) and self.context.connection.port is None:
            return "nothing was sent to any board"
        return self.context.consequence(failure.consequence)

    def _journal_end(self, finished: UnitFinished) -> None:
        error = {key: getattr(finished, key) for key in ("message", "consequence", "hint")}
        error |= {"code": str(finished.code), "evidence": list(finished.evidence)}
        try:
            self.journal.write(
                "end",
                outcome=finished.outcome,
                exit=finished.exit_status,
                verified=finished.verified,
                error=error if finished.code else None,
                duration_s=finished.duration_s,
                anomalies=dict(finished.anomalies),
                transfers=finished.transfers,
                pages_redone=finished.pages_redone,
                power_cycle_needed=finished.power_cycle_needed,
            )
        except StepFailed as problem:
            self._emit(Notice(f"the end of the run is not in the journal: {problem.message}", problem.code))


def _told(event: BoardFound | StepFinished) -> dict[str, object]:
    """Return an event's own fields; there is nothing below them to take apart."""
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
