"""How the comparison judges, and that its page is one of these situations."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bus import OnTheBus
from benchmarks.comparison import DOCUMENT, Outcome, Trial
from benchmarks.situations import (
    ERASED,
    FLASH,
    NEW_FIRMWARE,
    OLD_FIRMWARE,
    PROTECTED_SECTOR,
    SITUATIONS,
    WANTED_OPTIONS,
    Job,
    Situation,
)
from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.plan import compile_recipe
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.fault_text import parse_fault
from dfurun.simulator.transfer import Setup
from dfurun.simulator.usbip.server import Export
from tests.system.guest_bench import BoardInGuest
from tests.system.vm.machine import Done

CHIP = load_chip("stm32f072xb")
NEW = NEW_FIRMWARE.ljust(FLASH.size_bytes, ERASED)
HALF = NEW_FIRMWARE[:4096].ljust(FLASH.size_bytes, ERASED)


def judged(
    job: Job, exit_status: int, flash: bytes, *, options: bytes = CHIP.option_bytes.factory, read: bytes | None = None
) -> Outcome:
    board = SimulatedBoard(CHIP, VirtualClock(), flash=flash, option_bytes=options)
    found = BoardInGuest(Export(board), "1-1", board)
    done = Done((), "", exit_status, "", "", 0.0)
    before = OLD_FIRMWARE, CHIP.option_bytes.factory
    return Trial.of(Situation("a title", job, "a source"), found, before, done, read).outcome


@pytest.mark.parametrize(
    ("exit_status", "flash", "outcome"),
    [
        (0, NEW, Outcome.SURVIVED),
        (0, HALF, Outcome.LIED),
        (0, OLD_FIRMWARE, Outcome.LIED),
        (6, OLD_FIRMWARE, Outcome.REFUSED),
        (7, HALF, Outcome.FAILED),
        (74, NEW, Outcome.FAILED),
    ],
)
def test_flashing_is_judged_by_the_flash(exit_status: int, flash: bytes, outcome: Outcome) -> None:
    assert judged(Job.FLASH, exit_status, flash) is outcome


@pytest.mark.parametrize(
    ("exit_status", "flash", "read", "outcome"),
    [
        (0, OLD_FIRMWARE, OLD_FIRMWARE, Outcome.SURVIVED),
        (0, OLD_FIRMWARE, OLD_FIRMWARE[:-1] + b"\0", Outcome.LIED),
        (0, OLD_FIRMWARE, None, Outcome.LIED),
        (74, OLD_FIRMWARE, OLD_FIRMWARE[:2048], Outcome.REFUSED),
        (0, HALF, HALF, Outcome.DESTROYED),
        (74, HALF, None, Outcome.DESTROYED),
    ],
)
def test_reading_is_judged_by_the_file_and_must_not_change_the_flash(
    exit_status: int, flash: bytes, read: bytes | None, outcome: Outcome
) -> None:
    assert judged(Job.READ, exit_status, flash, read=read) is outcome


def test_option_bytes_that_a_job_is_not_to_change_are_judged_too() -> None:
    """USER 0x77: the damage that the vendor's tool does."""
    damaged = bytes.fromhex("AA557788FF00FF00FF00FF00FF00FF00")
    assert judged(Job.FLASH, 0, NEW, options=damaged) is Outcome.DESTROYED
    assert judged(Job.READ, 0, OLD_FIRMWARE, options=damaged, read=OLD_FIRMWARE) is Outcome.DESTROYED


def test_option_bytes_are_judged_by_what_is_stored() -> None:
    assert judged(Job.OPTIONS, 0, OLD_FIRMWARE, options=WANTED_OPTIONS) is Outcome.SURVIVED
    assert judged(Job.OPTIONS, 0, OLD_FIRMWARE) is Outcome.LIED
    assert judged(Job.OPTIONS, 0, HALF, options=WANTED_OPTIONS) is Outcome.DESTROYED
    assert judged(Job.OPTIONS, 7, OLD_FIRMWARE) is Outcome.REFUSED
    assert judged(Job.OPTIONS, 7, OLD_FIRMWARE, options=WANTED_OPTIONS) is Outcome.FAILED


def test_seconds_and_requests_are_those_of_the_bus() -> None:
    """The enumeration's requests are not the program's, and neither is the time before its first."""
    board = SimulatedBoard(CHIP, VirtualClock())
    board.clock.sleep(5.0)
    for pause_s in (1.0, 2.0):
        board.control(Setup(0x80, 6, 0x0100, 0, 18))
        board.control(Setup(0xA1, 5, 0, 0, 1))
        board.clock.sleep(pause_s)
    measured = OnTheBus.of(board.trace)
    assert (measured.requests, measured.requests_from_the_erase_on) == (2, 2)
    assert measured.seconds == pytest.approx(1.0, abs=0.001)


def test_requests_are_counted_from_the_erase_on() -> None:
    board = SimulatedBoard(CHIP, VirtualClock())
    board.control(Setup(0xA1, 5, 0, 0, 1))
    board.control(Setup(0x21, 1, 0, 0, 1), b"\x41")
    board.control(Setup(0xA1, 3, 0, 0, 6))
    assert OnTheBus.of(board.trace).requests_from_the_erase_on == 2


def test_the_page_has_every_situation_in_order() -> None:
    table = DOCUMENT.read_text().partition("| situation |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    assert [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows] == [
        (situation.title, situation.job.value) for situation in SITUATIONS
    ]


def test_every_situation_has_a_source_and_faults_that_exist() -> None:
    for situation in SITUATIONS:
        assert situation.source
        assert all(parse_fault(fault).name == fault.partition(":")[0] for fault in situation.faults)


def test_the_recipes_of_the_jobs_are_sound(tmp_path: Path) -> None:
    for job in Job:
        (file,) = job.dfurun(tmp_path)
        assert compile_recipe(file).runnable().steps
    assert len(PROTECTED_SECTOR) == len(WANTED_OPTIONS) == CHIP.option_bytes.size_bytes
