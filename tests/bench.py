"""A recipe on a simulated board in this process, where the test keeps hold of the board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from dfurun.chips import load_chip
from dfurun.cli.bench import known_ids
from dfurun.clock import VirtualClock
from dfurun.plan import Compiled, compile_recipe
from dfurun.run.interpreter import Unit
from dfurun.run.interruption import Interruption
from dfurun.run.journal import UnitJournal
from dfurun.run.operator import SimulatedOperator
from dfurun.simulator import SimulatedBackend, SimulatedBoard, parse_fault
from dfurun.steps.context import Context
from dfurun.steps.event import Event, StepFinished, UnitFinished
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector


def flash_with_faults(
    recipe_file: Path,
    folder: Path,
    faults: Sequence[str],
    *,
    flash: bytes = b"",
    option_bytes: bytes | None = None,
    protection: int = 0,
    reload: str = "power-on",
) -> tuple[SimulatedBoard, int, list[str]]:
    """Run a recipe on a new board; return the board, the exit status and what was said."""
    chip = load_chip("stm32f072xb")
    board = SimulatedBoard(
        chip, VirtualClock(), flash=flash, option_bytes=option_bytes, option_reload=reload, trace_length=100_000
    )
    if protection:
        board.protect(protection)
    board.afflict(parse_fault(fault) for fault in faults)
    finished, messages = run_on(board, recipe_file, folder)
    return board, finished.exit_status, messages


def run_on(board: SimulatedBoard, recipe_file: Path, folder: Path) -> tuple[UnitFinished, list[str]]:
    """Run a recipe on this board, with the board's own chip; return how it ended and what was said."""
    with patch("dfurun.recipe.load.chip_called", lambda name: board.chip):
        compiled = compile_recipe(recipe_file)
    return run_compiled(compiled, [board], folder)


def run_compiled(
    compiled: Compiled,
    boards: Sequence[SimulatedBoard],
    folder: Path,
    *,
    backend: type[SimulatedBackend] = SimulatedBackend,
) -> tuple[UnitFinished, list[str]]:
    """Run a recipe that was read already, on boards that share a clock; return how it ended and what was said."""
    recipe, clock = compiled.runnable(), boards[0].clock
    messages: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepFinished):
            messages.append(f"{event.step} {event.outcome.value}: {event.detail}")
        elif hasattr(event, "message"):
            messages.append(str(event.message))

    folder.mkdir(parents=True, exist_ok=True)
    journal = UnitJournal(folder / "journals")
    connection = Connection(Bus(backend(boards), known_ids()), recipe.chip, clock, Selector())
    context = Context(
        chip=recipe.chip,
        clock=clock,
        connection=connection,
        operator=SimulatedOperator(boards),
        journal=journal,
        emit=listen,
        output_folder=folder,
        expect=recipe.expect,
    )
    assert compiled.interpretation is not None
    with Interruption() as interruption:
        unit = Unit(
            recipe, context, journal, listen, compiled.interpretation, lambda port: port, True, interruption.check
        )
        return unit.run(), messages
