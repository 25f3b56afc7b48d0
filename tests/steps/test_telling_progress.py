"""How often a step tells how far it is: as often as anybody sees it, and at its end."""

from __future__ import annotations

from pathlib import Path

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.run.journal import UnitJournal
from dfurun.run.operator import HumanOperator
from dfurun.steps.context import Context
from dfurun.steps.event import Event, Progress
from dfurun.steps.expect import Expect
from dfurun.usb.connection import Connection
from dfurun.usb.discovery import Bus, Selector

CHIP = load_chip("stm32f072xb")


def told(folder: Path, apart_s: float, blocks: int) -> tuple[list[int], int]:
    """Go on through so many blocks, so far apart; return what was told, and how often the run could have been stopped."""
    heard, clock, stops = list[Event](), VirtualClock(), list[int]()
    context = Context(
        chip=CHIP,
        clock=clock,
        connection=Connection(Bus(None, frozenset()), CHIP, clock, Selector()),
        operator=HumanOperator(),
        journal=UnitJournal(folder),
        emit=heard.append,
        output_folder=folder,
        expect=Expect(),
        checkpoint=lambda: stops.append(1),
    )
    go_on = context.progress("verify", blocks + 5, offset=5)
    for block in range(1, blocks + 1):
        clock.sleep(apart_s)
        go_on(block)
    return [event.done for event in heard if isinstance(event, Progress)], len(stops)


def test_blocks_that_take_their_time_are_all_told(tmp_path: Path) -> None:
    assert told(tmp_path, 0.060, 4) == ([6, 7, 8, 9], 4)


def test_blocks_that_follow_each_other_fast_are_told_in_part_the_last_one_always(tmp_path: Path) -> None:
    heard, stops = told(tmp_path, 0.002, 60)
    assert heard == [6, 31, 56, 65]
    assert stops == 60, "each of them is a boundary at which the run can be stopped all the same"
