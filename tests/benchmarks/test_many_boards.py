"""The benchmark of many boards flashes real bytes, through a process's boundary that is a socket."""

from __future__ import annotations

from pathlib import Path

from benchmarks.boards import Run, rows, unit_of
from benchmarks.boards_report import PAGE, BoardsReport, table
from benchmarks.modelled import FIRST_FLASH, LEAVE, NEW, VERIFY
from benchmarks.usbip_bus import UsbIpBackend
from dfurun.chips import load_chip
from dfurun.cli.bench import known_ids
from dfurun.clock import RealClock
from dfurun.plan import compile_recipe
from dfurun.run.batch import Halt, run_all
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.usbip.attach import Address
from dfurun.simulator.usbip.server import Server
from dfurun.usb.discovery import Bus
from tests.system.firmware import recipe

CHIP = load_chip("stm32f072xb")


def test_boards_behind_sockets_are_flashed_at_once(tmp_path: Path) -> None:
    boards = [SimulatedBoard(CHIP, RealClock(), port=(port,)) for port in (1, 2)]
    compiled = compile_recipe(recipe(tmp_path, FIRST_FLASH + VERIFY + LEAVE, application=NEW[:4096]))
    halt, units, backends = Halt(), {}, []
    with Server(boards[:1], "127.0.0.1", 0) as first, Server(boards[1:], "127.0.0.1", 0) as second:
        for server, name in ((first, "1-1"), (second, "1-2")):
            backend = UsbIpBackend(Address(*server.address))
            backends.append(backend)
            units[name] = unit_of(compiled, Bus(backend, known_ids()), halt, tmp_path, lambda event: None)
        ended = run_all({name: unit.run for name, unit in units.items()}, halt)
        for backend in backends:
            backend.close()
    assert {name: end.finished and end.finished.outcome for name, end in ended.items()} == {
        "1-1": "passed",
        "1-2": "passed",
    }
    assert all(board.flash.contents.startswith(NEW[:4096]) for board in boards)


def test_the_table_has_a_line_a_number_of_boards_with_its_share_of_one_boards_time() -> None:
    runs = {1: [Run(2.0, 0.05, 0.01, 0.1)], 16: [Run(s, 0.04, 0.01, 0.1) for s in (2.1, 2.2, 2.5)]}
    *_, alone, many = table(rows(runs)).splitlines()
    assert alone.startswith("| 1 | 2.00 | 2.00 to 2.00 | 1.00 | 0.050 |")
    assert many.startswith("| 16 | 2.20 | 2.10 to 2.50 | 1.10 | 0.040 |")


def test_the_page_is_what_the_data_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == BoardsReport.load_from().page()
