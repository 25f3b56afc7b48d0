"""`dfurun sim serve` and `dfurun sim attach`: simulated boards for every program on a Linux computer, over USB/IP."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from dfurun.chips.index import default_chip_name
from dfurun.cli import completion
from dfurun.cli.bench import chip_called, open_state, port_called
from dfurun.cli.board_options import Reload
from dfurun.cli.failures import UsageFailure, sim_state_failure
from dfurun.cli.options import Json
from dfurun.cli.output import Output
from dfurun.clock import RealClock
from dfurun.errors import AccessDenied, Code, DeviceNotFound

if TYPE_CHECKING:
    from dfurun.simulator import SimulatedBoard
    from dfurun.simulator.usbip.attach import Address, VirtualController
    from dfurun.simulator.usbip.server import Server

DEFAULT_SERVER = "127.0.0.1:3240"
FIRST_PORT = "1-1"
ATTACH_INTERVAL_S = 0.1
FAILURE_INTERVAL_S = 0.1
LOAD_MODULE = "as root, on Linux: modprobe vhci-hcd"


def serve_command(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Boards that live in files.", show_default=False)
    ] = None,
    new: Annotated[
        list[str] | None,
        typer.Option("--new", metavar="PORT", help="A new board at this port, such as 1-2. Repeat it for several."),
    ] = None,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen.")] = DEFAULT_SERVER,
    chip: Annotated[
        str, typer.Option("--chip", metavar="CHIP", help="The new boards' chip.", autocompletion=completion.chips)
    ] = default_chip_name(),
    option_reload: Annotated[
        Reload | None,
        typer.Option("--option-reload", help="When the new boards' option bytes come into force; as the chip has it."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="A fault of every board, NAME[:key=value,...]. Repeat it for several.",
            autocompletion=completion.faults,
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Serve simulated boards over USB/IP until Ctrl-C. Standard input takes what hands do: power-cycle 1-1 0."""
    from dfurun.simulator.usbip.attach import Address
    from dfurun.simulator.usbip.server import BoardFailed, ExportEvent, Server

    output: Output = context.obj
    boards = [open_state(path, RealClock()) for path in files or ()]
    boards += [_new_board(port, chip, option_reload) for port in new or ([] if files else [FIRST_PORT])]
    _afflict(boards, fault or [])
    address = _address(listen)

    teller = Teller(output)

    def tell(port: str, event: ExportEvent) -> None:
        teller.tell(f"{port}: {event.value.replace('-', ' ')}", event="export", port=port, what=event.value)

    try:
        server = Server(boards, address.host, address.port, tell)
    except ValueError as error:
        raise UsageFailure(str(error), "`dfurun sim new --port` sets a file's port") from None
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = "another port, or end what listens there" if taken else "an address of this computer"
        raise UsageFailure(f"--listen {address}: {os.strerror(error.errno or 0)}", hint) from None
    with server:
        where = Address(*server.address)
        for export in server.exports:
            teller.tell(f"{export.bus_id}: served at {where}", event="serving", port=export.bus_id, server=str(where))
        orders = Orders(server, teller)
        while (failure := server.failure or orders.failure) is None:
            time.sleep(FAILURE_INTERVAL_S)
    if isinstance(failure, BoardFailed):
        raise sim_state_failure(f"a board cannot be saved: {failure}", "a folder that is there and may be written to")
    raise failure


def attach_command(
    context: typer.Context,
    server: Annotated[
        str, typer.Argument(metavar="[HOST[:PORT]]", help="Where `dfurun sim serve` listens.")
    ] = DEFAULT_SERVER,
    json: Json = False,
) -> int:
    """Attach all that a server exports to this computer's ports, again after every reset, until Ctrl-C. Linux, as root."""
    from dfurun.simulator.usbip.attach import VirtualController, attach_all
    from dfurun.simulator.usbip.protocol import Malformed

    output: Output = context.obj
    address, controller = _address(server), VirtualController()
    _require_access(controller)
    told: dict[str, str] = {}
    while True:
        problems: dict[str, str] = {}
        try:
            for attempt in attach_all(address, controller):
                if attempt.problem:
                    problems[attempt.port] = attempt.problem
                else:
                    _tell(output, "attached", attempt.port, f"{attempt.port}: attached")
        except socket.gaierror as error:
            raise UsageFailure(f"{address.host}: {error.strerror}") from None
        except Malformed as error:
            raise DeviceNotFound(
                Code.NO_DEVICE, f"what listens at {address} does not speak USB/IP: {error}", hint="`dfurun sim serve`"
            ) from None
        except (OSError, EOFError) as error:
            problems[str(address)] = f"waiting for a server at {address}: {error}"
        for where, problem in problems.items():
            if told.get(where) != problem:
                _tell(output, "waiting", where, problem)
        told = problems
        time.sleep(ATTACH_INTERVAL_S)


def _new_board(port: str, chip: str, option_reload: Reload | None) -> SimulatedBoard:
    from dfurun.simulator import SimulatedBoard

    path = port_called("--new", port)
    return SimulatedBoard(chip_called(chip), RealClock(), bus=path.bus, port=path.ports, option_reload=option_reload)


def _afflict(boards: Sequence[SimulatedBoard], texts: Sequence[str]) -> None:
    """Give every board faults of its own: they count their occasions."""
    from dfurun.simulator import parse_fault

    try:
        for board in boards:
            board.afflict([parse_fault(text) for text in texts])
    except ValueError as error:
        raise UsageFailure(str(error)) from None


def _address(text: str) -> Address:
    from dfurun.simulator.usbip.attach import Address

    try:
        return Address.parse(text)
    except ValueError as error:
        raise UsageFailure(str(error)) from None


class Teller:
    """Tells of events from several threads, one line each."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()

    def tell(self, words: str, **event: str) -> None:
        """Show `words`, or write the event as JSON."""
        with self._lock:
            self._output.write(event)
            if not self._output.as_json:
                self._output.messages.print(words, soft_wrap=True)


class Orders:
    """What hands do, read from standard input by a thread of its own, for as long as somebody types."""

    def __init__(self, server: Server, teller: Teller) -> None:
        self._server = server
        self._teller = teller
        self.failure: Exception | None = None
        if hasattr(signal, "SIGTTIN"):  # a server in the background of a shell has nobody who types, and goes on
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        if sys.stdin is not None:
            threading.Thread(target=self._take, args=(sys.stdin,), name="orders", daemon=True).start()

    def _take(self, typed: TextIO) -> None:
        rest = b""
        try:
            descriptor = typed.fileno()
            while part := os.read(descriptor, 4096):  # not sys.stdin, whose lock this thread would hold at the end
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    self._obey(line.decode(errors="replace").strip())
        except OSError:
            return  # nobody types: a terminal that went away, or one that is another program's
        except Exception as error:
            self.failure = error

    def _obey(self, order: str) -> None:
        from dfurun.simulator.usbip import hands

        if not order:
            return
        try:
            done, problem = hands.perform(self._server, order), ""
        except ValueError as error:
            done, problem = "", str(error)
        self._teller.tell(done or problem, event="hands", order=order, done=done, problem=problem)


def _require_access(controller: VirtualController) -> None:
    """Raise AccessDenied where this computer has no virtual controller, or this user may not use it."""
    if not controller.is_there:
        raise AccessDenied(
            Code.NO_DRIVER,
            "this computer has no virtual USB host controller: the module vhci_hcd is not loaded",
            consequence="nothing was attached",
            hint=LOAD_MODULE,
        )
    if not controller.is_writable:
        raise AccessDenied(
            Code.NO_PERMISSION,
            "this user may not attach devices to the virtual USB host controller",
            consequence="nothing was attached",
            hint="as root: dfurun sim attach",
        )


def _tell(output: Output, event: str, where: str, words: str) -> None:
    output.write({"event": event, "where": where, "message": words})
    if not output.as_json:
        output.messages.print(words, soft_wrap=True)
