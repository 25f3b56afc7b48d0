"""Many boards at once through a real kernel: `--all`, several `--port`, and one board's trouble that stays its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dfurun.simulator.transfer import Kind
from tests.system.conftest import Agreed
from tests.system.firmware import image, recipe, sha
from tests.system.guest_bench import CHIP, DFURUN, BoardInGuest, GuestBench

pytestmark = pytest.mark.system

ERASED = b"\xff"
FLASH = CHIP.flash.extent
FLASH_AND_LEAVE = (
    "  - connect\n  - mass-erase\n  - write: {image: application}\n  - verify: {image: application}\n  - leave-dfu\n"
)
APPLICATION = image(CHIP, 60 * 1024, seed=21)
FLASHED = APPLICATION.ljust(FLASH.size_bytes, ERASED)
OLD = {port: image(CHIP, FLASH.size_bytes, seed=number) for number, port in enumerate(("1-1", "1-2", "1-3"), 22)}
IDS = {port: bytes([number]) * 12 for number, port in enumerate(OLD, 1)}


@contextmanager
def boards(bench: GuestBench, *ports: str, faulty: tuple[str, str] = ("", "")) -> Iterator[list[BoardInGuest]]:
    """Boards at these ports, each with an old firmware and a unique id of its own; the fault is given to one port's."""
    if not ports:
        yield []
        return
    port, *others = ports
    faults = faulty[1:] if port == faulty[0] else ()
    with (
        bench.board(port, flash=OLD[port], unique_id=IDS[port], faults=faults) as board,
        boards(bench, *others, faulty=faulty) as rest,
    ):
        yield [board, *rest]


def results(out: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return each unit's `unit-result` by its port, and the last line; of both there is one."""
    events = [json.loads(line) for line in out.splitlines()]
    units = [event for event in events if event["event"] == "unit-result"]
    by_port = {unit["unit"]: unit for unit in units}
    assert len(units) == len(by_port), "one a unit"
    assert [event["event"] for event in events].count("result") == 1
    return by_port, events[-1]


def asked(board: BoardInGuest) -> list[float]:
    """When the board was asked something of DFU, by the clock that all boards share."""
    return [entry.at_s for entry in board.board.trace if entry.setup.kind is Kind.CLASS]


def test_all_boards_on_the_bus_are_flashed_at_once(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    """Their serial numbers are the same; the records tell by the unique id which board was meant."""
    file = recipe(tmp_path, FLASH_AND_LEAVE, application=APPLICATION)
    with boards(bench, "1-1", "1-2") as both:
        done = bench.dfurun(file, "--all", "--json", "--record", "records/")
        assert done.exit == 0, done
        assert [board.flash for board in both] == [FLASHED, FLASHED]
        assert [board.running for board in both] == ["application", "application"]
        first, second = (asked(board) for board in both)
        records = bench.run("sh", "-c", "cat records/*", folder=done.folder).out
    units, last = results(done.out)
    assert {port: (unit["exit_status"], unit["outcome"]) for port, unit in units.items()} == {
        "1-1": (0, "passed"),
        "1-2": (0, "passed"),
    }
    assert last == {"event": "result", "exit": 0, "units": 2, "passed": 2, "failed": 0}
    assert max(first[0], second[0]) < min(first[-1], second[-1]), "at once, not one after the other"
    assert all(records.count(IDS[port].hex().upper()) for port in units)
    agreed(f"--all: two boards flashed, verified and left at once, {sha(FLASHED)} in both ({done.seconds:.1f} s)")


def test_named_ports_are_flashed_and_the_board_between_them_is_not_touched(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    file = recipe(tmp_path, FLASH_AND_LEAVE, application=APPLICATION)
    with boards(bench, "1-1", "1-2", "1-3") as (first, between, last):
        done = bench.dfurun(file, "--port", "1-1", "--port", "1-3")
        assert done.exit == 0, done
        assert (first.flash, between.flash, last.flash) == (FLASHED, OLD["1-2"], FLASHED)
        assert asked(between) == []
        assert asked(first)
    said = done.err.splitlines()
    assert sorted(line.split()[:2] for line in said if " PASS " in line) == [["1-1", "PASS"], ["1-3", "PASS"]], done
    assert said[-1].startswith("2 boards: 2 passed, in "), done
    agreed("--port 1-1 --port 1-3: both flashed, the board at 1-2 is not asked anything")


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [("vanish:at=70", 7, "lost"), ("flip-program:count=always", 1, "failed")],
    ids=["pulled plug", "bad flash"],
)
def test_one_boards_failure_is_its_own_and_the_other_is_done_right(
    bench: GuestBench, agreed: Agreed, tmp_path: Path, fault: str, status: int, outcome: str
) -> None:
    file = recipe(tmp_path, FLASH_AND_LEAVE, application=APPLICATION)
    with boards(bench, "1-1", "1-2", faulty=("1-1", fault)) as (bad, good):
        done = bench.dfurun(file, "--all", "--json")
        units, last = results(done.out)
        assert done.exit == 8, done
        assert (good.flash, good.running) == (FLASHED, "application")
        assert (bad.flash == FLASHED, bad.running) == (False, "bootloader")
        assert {port: (unit["exit_status"], unit["outcome"]) for port, unit in units.items()} == {
            "1-1": (status, outcome),
            "1-2": (0, "passed"),
        }
        assert last == {"event": "result", "exit": 8, "units": 2, "passed": 1, "failed": 1}
        with bad.export.board() as simulated:
            simulated.faults.clear()
        with bench.coming_back(bad):
            bench.power_cycle(bad, 1)
        again = bench.dfurun(file, "--port", "1-1")
        assert again.exit == 0, again
        assert (bad.flash, bad.running) == (FLASHED, "application")
    agreed(f"--all, {fault.partition(':')[0]} at 1-1: exit 8, 1-2 is flashed and runs; the second run does 1-1")


def test_a_power_cycle_is_asked_for_by_port_and_the_other_board_goes_on(
    bench: GuestBench, recipes: Path, agreed: Agreed
) -> None:
    """The protected board leaves the bus twice while the other one is worked on."""
    with boards(bench, "1-1", "1-2") as (protected, open_one):
        with bench.coming_back(protected), protected.export.board() as simulated:
            simulated.protect(1)
        done = bench.dfurun(recipes / "f072-release.yaml", "--all", "--json", on_line=bench.hands(protected))
        assert done.exit == 0, done
        assert protected.flash == open_one.flash
        assert protected.flash not in OLD.values()
        assert (protected.running, open_one.running) == ("application", "application")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["unit"] for event in events if event["event"] == "operator-asked"] == ["1-1"]
    assert {port: unit["exit_status"] for port, unit in results(done.out)[0].items()} == {"1-1": 0, "1-2": 0}
    agreed("--all, 1-1 protected: one power cycle asked for, at 1-1; both boards released")


def test_ctrl_c_stops_every_board_where_it_is_safe_and_the_second_run_does_both(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    file = recipe(tmp_path, FLASH_AND_LEAVE, application=APPLICATION)
    writing: set[str] = set()
    both_write = threading.Event()

    def hear(line: str) -> None:
        event = json.loads(line)
        if event["event"] == "progress" and event["activity"] == "write":
            writing.add(event["unit"])
        if len(writing) == 2:
            both_write.set()

    with boards(bench, "1-1", "1-2") as both:
        running = bench.start(DFURUN, file, "--all", "--json", on_line=hear)
        assert both_write.wait(60), running.wait(60)
        running.stop()
        done = running.wait(60)
        assert done.exit == 130, done
        units, last = results(done.out)
        assert {port: unit["exit_status"] for port, unit in units.items()} == {"1-1": 130, "1-2": 130}, done
        assert last["exit"] == 130
        for board in both:
            assert board.running == "bootloader"
            written = len(board.flash.rstrip(ERASED))
            assert 0 < written < len(APPLICATION), "it was stopped in the middle"
        again = bench.dfurun(file, "--all")
        assert again.exit == 0, again
        assert [board.flash for board in both] == [FLASHED, FLASHED]
    agreed(
        "--all and Ctrl-C while both are written: exit 130, both still in their bootloader; the second run does both"
    )
