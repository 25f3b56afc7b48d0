"""Simulated boards on the USB bus of the virtual machine, kept in hand by the test: served from here, attached there."""

from __future__ import annotations

import base64
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dfurun.chips import Chip, load_chip
from dfurun.clock import RealClock
from dfurun.simulator import SimulatedBoard, parse_fault
from dfurun.simulator.usbip.server import Export, Server
from tests.system.vm.machine import HOST_IN_GUEST, WORK_FOLDER, Done, Machine, Running

CHIP = load_chip("stm32f072xb")
DFURUN = str(Path(sys.executable).with_name("dfurun"))
ATTACH_TIMEOUT_S = 60.0
_LOOK_INTERVAL_S = 0.02


@dataclass
class BoardInGuest:
    """One board: `export.board()` to touch it, `port` as the guest's kernel names it."""

    export: Export
    port: str
    board: SimulatedBoard

    @property
    def flash(self) -> bytes:
        """Main flash as it is now."""
        with self.export.board() as board:
            return board.flash.contents

    @property
    def option_bytes(self) -> bytes:
        """The option bytes as they are stored now."""
        with self.export.board() as board:
            return board.option_bytes.stored

    @property
    def running(self) -> str:
        """What the core does now."""
        with self.export.board() as board:
            return board.running.value

    @property
    def connections(self) -> int:
        """How often it has appeared on the bus."""
        with self.export.board() as board:
            board.settle()
            return board.situation.connections

    @property
    def transfers(self) -> int:
        """Control transfers so far, those of the kernel's enumeration among them."""
        with self.export.board() as board:
            return board.transfers.total()


class GuestBench:
    """A virtual machine with a server of boards behind it; a context manager."""

    def __init__(self) -> None:
        self.machine = Machine()
        self._server = Server([], "127.0.0.1", 0)
        self._folders = itertools.count(1)

    def __enter__(self) -> Self:
        self.machine.__enter__()
        self._server.__enter__()
        _, port = self._server.address
        self._helper = self.start(DFURUN, "sim", "attach", f"{HOST_IN_GUEST}:{port}")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        self.machine.__exit__()

    @contextmanager
    def board(
        self, port: str = "1-1", *, chip: Chip = CHIP, faults: tuple[str, ...] = (), **settings: Any
    ) -> Iterator[BoardInGuest]:
        """A new board at this port of the guest, until the block ends; waits until the guest has enumerated it."""
        bus, _, number = port.partition("-")
        board = SimulatedBoard(chip, RealClock(), bus=int(bus), port=(int(number),), trace_length=100_000, **settings)
        found = BoardInGuest(self._server.add(board), port, board)
        try:
            self.wait_for(found)
            self.afflict(found, faults)
            yield found
        finally:
            self._server.remove(port)
            self.machine.run("sh", "-c", f"while [ -e /sys/bus/usb/devices/{port} ]; do sleep 0.1; done")

    def wait_for(self, board: BoardInGuest, *, not_address: str = "") -> None:
        """Wait until the guest's kernel and udev have seen the board that has come to its port."""
        deadline = time.monotonic() + ATTACH_TIMEOUT_S
        while not board.export.is_imported:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the guest has not imported {board.port}:\n{self.machine.console_text}")
            time.sleep(_LOOK_INTERVAL_S)
        device = f"/sys/bus/usb/devices/{board.port}"
        script = (
            f'until [ -s {device}/bConfigurationValue ] && [ "$(cat {device}/devnum)" != "{not_address}" ]; '
            "do sleep 0.1; done; udevadm settle"
        )
        seen = self.machine.run("sh", "-c", script)
        assert seen.exit == 0, seen

    @contextmanager
    def coming_back(self, board: BoardInGuest) -> Iterator[None]:
        """Expect the board to leave the bus and to come back because of the block; wait until it is there again."""
        connections = board.connections
        address = self.machine.run("cat", f"/sys/bus/usb/devices/{board.port}/devnum").out.strip()
        yield
        deadline = time.monotonic() + ATTACH_TIMEOUT_S
        while board.connections == connections:
            assert time.monotonic() < deadline, f"{board.port} has not left the bus"
            time.sleep(_LOOK_INTERVAL_S)
        self.wait_for(board, not_address=address)

    def afflict(self, board: BoardInGuest, faults: Iterable[str]) -> None:
        """Let the faults begin, and the counting of transfers: what the kernel asked for its enumeration is past."""
        with board.export.board() as simulated:
            simulated.afflict([parse_fault(text) for text in faults])
            simulated.trace.clear()
            simulated.transfers.clear()

    def power_cycle(self, board: BoardInGuest, boot0: int) -> None:
        """Do what hands do at the bench."""
        with board.export.board() as simulated:
            simulated.power_cycle(boot0)

    def start(self, *words: object, **settings: Any) -> Running:
        """Start a command in the guest, in a folder of its own, with journals there."""
        folder = settings.pop("folder", f"{WORK_FOLDER}/{next(self._folders)}")
        environment = {"DFURUN_STATE_DIR": f"{folder}/state", "COLUMNS": "100"}
        return self.machine.start(*words, folder=folder, environment=environment, **settings)

    def run(self, *words: object, timeout_s: float = 180.0, **settings: Any) -> Done:
        """Run a command in the guest to its end."""
        return self.start(*words, **settings).wait(timeout_s)

    def dfurun(self, *words: object, **settings: Any) -> Done:
        """Run dfurun in the guest."""
        return self.run(DFURUN, *words, **settings)

    def dfu_util(self, *words: object, **settings: Any) -> Done:
        """Run dfu-util in the guest, without what it says of itself."""
        return self.run("dfu-util", *words, **settings)

    def fetch(self, done: Done, name: str) -> bytes:
        """Return a file that a command has left in its folder in the guest."""
        encoded = self.machine.run("base64", name, folder=done.folder)
        assert encoded.exit == 0, encoded
        return base64.b64decode(encoded.out)

    def hands(self, board: BoardInGuest) -> Callable[[str], None]:
        """Return a listener to `dfurun --json` that does what it asks the operator for."""

        def hear(line: str) -> None:
            event = json.loads(line)
            if event["event"] == "operator-asked" and event["port"] == board.port:
                self.power_cycle(board, event["boot0"])

        return hear
