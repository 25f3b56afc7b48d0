"""Runs of recipes on a simulated board of their own, on the virtual clock, ended where they go on as no run should."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from dfurun.clock import VirtualClock
from dfurun.matrix.intended import Contents
from dfurun.matrix.starts import Start
from dfurun.matrix.witness import Overrun, Seen, Witness
from dfurun.plan import Compiled
from dfurun.recipe.recipe import Recipe
from dfurun.run.interpreter import Unit
from dfurun.run.journal import UnitJournal
from dfurun.run.operator import SimulatedOperator
from dfurun.simulator import Fault, SimulatedBackend, SimulatedBoard
from dfurun.simulator.board import DEFAULT_UNIQUE_ID
from dfurun.simulator.operation import Action, Operation
from dfurun.steps.context import Context
from dfurun.steps.erase import Erase
from dfurun.steps.event import Event, StepStarted, UnitFinished
from dfurun.steps.write import Write
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector

LONGEST_RUN_S = 1800.0
_ANNOUNCEMENTS = frozenset({"read-unprotect", "mass-erase", "erase", "write", "rewrite", "option-bytes"})
MOST_TRANSFERS = 50_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as the board and the person at the bench saw it.

    `in_dfu`: the board is on the bus in DFU mode at its end. `reached`: the last step that was begun. `saved`: what is in
    each file that the run has made, by its name. `kept`: how many copies of pages are left. `swapped`: another board is at
    the port now. `started`: the address of the vector table that was started last. `cycled`: each power cycle that hands did,
    by its step and the level of BOOT0. `crash` is a traceback, `overrun` the cap that the run went over.
    """

    finished: UnitFinished | None
    before: Contents
    after: Contents
    in_dfu: bool
    reached: int
    seen: Seen
    saved: Mapping[str, bytes] = field(default_factory=dict)
    kept: int = 0
    swapped: bool = False
    started: int | None = None
    cycled: tuple[tuple[int, int], ...] = ()
    crash: str = ""
    overrun: str = ""

    @property
    def passed(self) -> bool:
        """Whether the run said that all is done."""
        return self.finished is not None and self.finished.exit_status == 0

    def ends_like(self, other: Run) -> bool:
        """Say whether both runs ended, in the same way."""
        mine, its = self.finished, other.finished
        return mine is not None and its is not None and (mine.exit_status, mine.code) == (its.exit_status, its.code)


class _CappedClock(VirtualClock):
    """A virtual clock on which nothing takes longer than `limit_s`."""

    limit_s = float("inf")

    def sleep(self, seconds: float) -> None:
        """Advance; raise Overrun where that is too far."""
        if self.now() + seconds > self.limit_s:
            raise Overrun(f"no end after {LONGEST_RUN_S:.0f} s")
        super().sleep(seconds)


class _Hands:
    """The simulated hands at the bench, which remember what they did and in which step."""

    def __init__(self, board: SimulatedBoard, step: Callable[[], int]) -> None:
        self._operator = SimulatedOperator([board])
        self._step = step
        self.cycled: list[tuple[int, int]] = []

    def ask(self, *, port: str, boot0: int, timeout_s: float) -> None:
        """Power-cycle the board."""
        self._operator.ask(port=port, boot0=boot0, timeout_s=timeout_s)
        self.cycled.append((self._step(), boot0))


class _Watch:
    """Where a run of a recipe is, and what is true of the board and the journal then."""

    def __init__(self, recipe: Recipe, board: SimulatedBoard, journal: UnitJournal, journals: Path) -> None:
        self._recipe, self._board, self._journal, self._journals = recipe, board, journal, journals
        self._memory = board.memory
        self._step = 0

    def listen(self, event: Event) -> None:
        """Hear which step begins."""
        if isinstance(event, StepStarted):
            self._step = event.index

    def step(self) -> int:
        """Return the step that was begun last."""
        return self._step

    def protected(self) -> bool:
        """Say whether read protection is in force."""
        return bool(self._board.memory.option_bytes.protection_level)

    def needless(self, operation: Operation) -> bool:
        """Say whether what is erased was to be erased where needed only, and is not; or option bytes are there already."""
        memory, chip = self._board.memory, self._board.chip
        match operation.action:
            case Action.ERASE_PAGE:
                page = chip.flash.page_index(operation.address)
                extent = chip.flash.page(page)
                found = memory.flash.read(extent.start, extent.size_bytes)
                match self._recipe.steps[self._step]:
                    case Erase(only_needed=True):
                        return found == chip.flash.blank(page)
                    case Write(only_changed=True, image=image):
                        is_first = page == chip.flash.page_index(image.memory.pieces[0].address)
                        is_there = found == image.memory.overlay(extent, found)
                        return not is_first and is_there and not self._puts_back(extent.start, found)
            case Action.WRITE_OPTION_BYTES:
                layout, stored = chip.option_bytes, memory.option_bytes.stored
                whole = len(operation.data) == len(stored)
                return whole and not layout.spoiled(stored) and layout.decode(operation.data) == layout.decode(stored)
        return False

    def _puts_back(self, address: int, found: bytes) -> bool:
        """Say whether a run has kept of the page at `address` something else than what is found there."""
        return any(file.read_bytes() != found for file in self._journals.glob(f"*-0x{address:08X}.bin"))

    def announced(self) -> bool:
        """Say whether the journal has, since the step began, what will be destroyed."""
        for entry in reversed(self._journal.entries):
            if entry["entry"] == "step-started":
                return False
            if entry["entry"] in _ANNOUNCEMENTS:
                return True
        return False

    def elsewhere(self) -> bool:
        """Say whether another board is at the port than at the beginning."""
        return self._board.memory is not self._memory

    def unit_bytes(self) -> int:
        """Return what of the flash is programmed at once now."""
        return self._board.memory.unit_bytes


class TrialBench:
    """One simulated board with a journal of its own, and runs of recipes for its chip on it, one after the other."""

    def __init__(self, compiled: Compiled, start: Start, *, unique_id: bytes | None = None) -> None:
        recipe = compiled.runnable()
        self._chip = recipe.chip
        self._clock = _CappedClock()
        self._folder = TemporaryDirectory(prefix="dfurun-")
        self._numbers = count(1)
        expected = recipe.expect.unique_ids
        unique_id = unique_id or (bytes.fromhex(expected[0]) if expected else DEFAULT_UNIQUE_ID)
        self.board = SimulatedBoard(
            recipe.chip,
            self._clock,
            unique_id=unique_id,
            flash=start.flash,
            option_bytes=start.option_bytes,
            option_reload=start.option_reload,
            trace_length=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    @property
    def journals(self) -> Path:
        """The folder of the port's journal, and of what runs have kept."""
        return Path(self._folder.name) / "journals"

    def power_cycle(self) -> None:
        """Take away the faults and the power, and give power back with BOOT0 high."""
        self.board.faults.clear()
        self.board.power_cycle(1)

    def run(self, compiled: Compiled, faults: Iterable[Fault] = ()) -> Run:
        """Run a recipe; what happens is in what is returned."""
        board = self.board
        folder = Path(self._folder.name) / f"run-{next(self._numbers)}"
        folder.mkdir()
        journal = UnitJournal(self.journals, durable=False)
        watch = _Watch(compiled.runnable(), board, journal, self.journals)
        hands = _Hands(board, watch.step)
        witness = Witness(watch, most_transfers=MOST_TRANSFERS)
        before = self._contents()
        board.faults.append(witness)
        board.afflict(faults)
        self._clock.limit_s = self._clock.now() + LONGEST_RUN_S
        finished, crash, overrun = None, "", ""
        try:
            finished = self._unit(compiled, watch.listen, hands, folder, journal).run()
        except Overrun as error:
            overrun = str(error)
        except Exception:
            crash = traceback.format_exc()
        self._clock.limit_s = float("inf")
        return Run(
            finished,
            before,
            self._contents(),
            in_dfu=board.present,
            reached=watch.step(),
            seen=witness.seen,
            saved={str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()},
            kept=sum(1 for _ in self.journals.glob("*.bin")),
            started=board.started_at,
            swapped=watch.elsewhere(),
            cycled=tuple(hands.cycled),
            crash=crash,
            overrun=overrun,
        )

    def _unit(
        self, compiled: Compiled, listen: Callable[[Event], None], hands: _Hands, folder: Path, journal: UnitJournal
    ) -> Unit:
        recipe, chip, clock = compiled.runnable(), self._chip, self._clock
        assert compiled.interpretation is not None
        bus = Bus(SimulatedBackend([self.board]), frozenset({(chip.usb.vendor_id, chip.usb.product_id)}))
        context = Context(
            chip=chip,
            clock=clock,
            connection=Connection(bus, chip, clock, Selector(None, None)),
            operator=hands,
            journal=journal,
            emit=listen,
            output_folder=folder,
            expect=recipe.expect,
        )
        return Unit(
            recipe=recipe,
            context=context,
            journal=journal,
            listen=listen,
            interpretation=compiled.interpretation,
            journal_name=lambda port: port,
            simulated=True,
            checkpoint=_nothing,
        )

    def _contents(self) -> Contents:
        self.board.settle()
        options = self.board.memory.option_bytes
        return Contents(self.board.memory.flash.contents, options.stored, protected=bool(options.protection_level))


def _nothing() -> None:
    """Answer no Ctrl-C: it is for the process that has started this one."""
