"""Sets up the bench that the options ask for: the bus, the clock, the hands. Simulated or real, the rest is the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfurun.chips import Chip, load_chip
from dfurun.chips.index import default_chip_name, entries
from dfurun.cli.board_options import BoardOptions, SimClock, SimOperator
from dfurun.cli.failures import UsageFailure, sim_state_failure
from dfurun.clock import Clock, RealClock, VirtualClock
from dfurun.errors import AccessDenied
from dfurun.run.operator import HumanOperator, SimulatedOperator
from dfurun.steps.context import Operator
from dfurun.usb.discovery import Bus, Selector
from dfurun.usb.hints import ENTER_DFU
from dfurun.usb.port import PortPath

if TYPE_CHECKING:
    from dfurun.dfuse.trace import Trace
    from dfurun.simulator import SimulatedBoard
    from dfurun.simulator.fault import Fault
    from dfurun.usb.connection import Connection


@dataclass(frozen=True, slots=True)
class Bench:
    """Where boards are looked for, how time passes, who is there, and how a port's journal is called.

    A board that ends with this process has none: `journal_name` returns None. `told` is the chip that somebody has named for
    a simulated board, None where nobody has.
    """

    bus: Bus
    clock: Clock
    operator: Operator
    selector: Selector
    simulated: bool
    journal_name: Callable[[str], str | None]
    told: Chip | None = None

    def connection(self, chip: Chip, trace: Trace | None = None) -> Connection:
        """Return the way to the board that is meant, with this chip; `trace` hears what passes."""
        from dfurun.usb.connection import Connection

        return Connection(self.bus, chip, self.clock, self.selector, trace)

    def keep_to_itself(self, connection: Connection) -> None:
        """Have the port of a command that only looks kept from runs, from when its board is found until the command ends."""
        connection.on_found = self._hold

    def hold_selected(self) -> None:
        """Keep the port that is meant for this process, where exactly one board fits now; raise AccessDenied, DfurunError."""
        self._hold(self.bus.select(self.selector).port)

    def _hold(self, port: PortPath) -> None:
        from dfurun.cli.holding import hold_port
        from dfurun.run.journal import journal_path, journals_folder

        name = self.journal_name(str(port))
        if name is not None:
            hold_port(journal_path(journals_folder(), name), str(port))


def set_up(
    options: BoardOptions, chip: Chip | None = None, *, on_made: Callable[[Path], None] = lambda _: None
) -> Bench:
    """Return the bench for the options; `chip` is what a simulated board has where they do not say.

    `on_made` hears of each state file that was not there, and holds a new board now.
    Raises UsageFailure for options that make no sense together, AccessDenied where there is no libusb.
    """
    port = None if options.port is None else port_called("--port", options.port)
    selector = Selector(port, options.serial)
    if not options.simulated:
        return _real(options, selector)
    clock = VirtualClock() if options.sim_clock is SimClock.VIRTUAL else RealClock()
    boards = _boards(options, lambda: clock, chip, on_made)
    return _simulated(options, boards, clock, selector, _enter_dfu(options, boards, port))


@dataclass(frozen=True, slots=True)
class Benches:
    """One bus, on which each worker has a bench of its own: a library's context, a clock and hands that no other touches.

    `at` returns the bench of a port, with or without a board there. Both are for the main thread, before workers begin.
    """

    bus: Bus
    at: Callable[[PortPath], Bench]


def set_up_each(
    options: BoardOptions,
    chip: Chip,
    real_clock: Callable[[], Clock],
    *,
    on_made: Callable[[Path], None] = lambda _: None,
) -> Benches:
    """Return the benches for several boards; each has a clock of its own, which `real_clock` makes where it is no virtual one.

    Raises as `set_up` does.
    """
    if not options.simulated:
        _refuse_stray(options)
        from dfurun.usb.libusb import find_backend, own_backend

        def real(port: PortPath) -> Bench:
            return Bench(
                Bus(own_backend(), known_ids()), real_clock(), HumanOperator(), Selector(port), False, _named_like_it
            )

        return Benches(Bus(find_backend(), known_ids()), real)
    new_clock = VirtualClock if options.sim_clock is SimClock.VIRTUAL else real_clock
    _require_different(options.sim_states)
    boards = _boards(options, new_clock, chip, on_made)

    def simulated(port: PortPath) -> Bench:
        there = [board for board in boards if _port_of(board) == port]
        clock = there[0].clock if there else new_clock()
        return _simulated(options, there, clock, Selector(port), _enter_dfu(options, boards, port))

    return Benches(Bus(_simulated_backend(boards), known_ids(), _enter_dfu(options, boards)), simulated)


def _simulated(
    options: BoardOptions, boards: Sequence[SimulatedBoard], clock: Clock, selector: Selector, enter_dfu: str
) -> Bench:
    return Bench(
        bus=Bus(_simulated_backend(boards), known_ids(), enter_dfu),
        clock=clock,
        operator=SimulatedOperator(boards) if options.sim_operator is SimOperator.PRESENT else HumanOperator(),
        selector=selector,
        simulated=True,
        journal_name=partial(_simulated_journal, options),
        told=chip_called(options.sim_chip) if options.sim_chip else None,
    )


def _require_different(files: Sequence[Path]) -> None:
    """Raise UsageFailure where two boards are one file."""
    real = [path.resolve() for path in files]
    twice = next((path for path in files if real.count(path.resolve()) > 1), None)
    if twice is not None:
        raise UsageFailure(f"--sim-state {twice}: given twice, and a board is at one port", "a file a board")


def known_ids() -> frozenset[tuple[int, int]]:
    """Return the vendor and product ids that the chip data knows."""
    return frozenset((entry.vendor_id, entry.product_id) for entry in entries())


def chip_called(name: str) -> Chip:
    """Return the chip that a name or a part number means; raise UsageFailure where that is none, or several."""
    from dfurun.steps import chip_called

    try:
        return chip_called.chip_called(name)
    except chip_called.NoOneChip as error:
        raise UsageFailure(error.message, error.hint) from None


def _real(options: BoardOptions, selector: Selector) -> Bench:
    from dfurun.usb.libusb import find_backend

    _refuse_stray(options)
    return Bench(Bus(find_backend(), known_ids()), RealClock(), HumanOperator(), selector, False, _named_like_it)


def _named_like_it(port: str) -> str:
    return port


def _refuse_stray(options: BoardOptions) -> None:
    """Raise UsageFailure for what only a simulated board has."""
    stray = [
        name
        for name, given in (
            ("--sim-fault", options.sim_faults),
            ("--sim-chip", options.sim_chip),
            ("--sim-clock", options.sim_clock is not SimClock.REAL),
            ("--sim-operator", options.sim_operator is not SimOperator.PRESENT),
            ("--sim-option-reload", options.sim_reload is not None),
            ("--token TOKEN", options.sim_token is not None),
        )
        if given
    ]
    if stray:
        raise UsageFailure(f"{' and '.join(stray)} without a simulated board", "add --sim or --sim-state FILE")


def _port_of(board: SimulatedBoard) -> PortPath:
    return PortPath(board.bus, board.port)


def _enter_dfu(options: BoardOptions, boards: Sequence[SimulatedBoard], port: PortPath | None = None) -> str:
    """Say what brings a simulated board into DFU mode, the one at `port` where that is meant, or that none is there.

    One that ends with this process begins there. The file of another belongs to a run until it has ended, also while it waits.
    """
    ports = [_port_of(board) for board in boards]
    if port is not None and port not in ports:
        return f"there is {', '.join(map(str, ports))}"
    if not options.sim_states:
        return ENTER_DFU
    meant = [path for path, at in zip(options.sim_states, ports, strict=True) if port in (None, at)]
    commands = [f"`dfurun sim power-cycle {shlex.quote(str(path))} --boot0 1`" for path in meant]
    verb, files = ("brings", "file") if len(commands) == 1 else ("bring", "files")
    why = "a simulated board leaves DFU mode by `leave-dfu` and by a power-on with BOOT0 low"
    return f"{why}; {' and '.join(commands)} {verb} the bootloader back, while no run has the {files}"


def _simulated_backend(boards: Sequence[SimulatedBoard]) -> Any:
    from dfurun.simulator import SimulatedBackend

    return SimulatedBackend(boards)


def _boards(
    options: BoardOptions, new_clock: Callable[[], Clock], chip: Chip | None, on_made: Callable[[Path], None]
) -> list[SimulatedBoard]:
    """Return the simulated boards, with their faults; `on_made` hears of files that were not there."""
    absent = [path for path in options.sim_states if not path.exists()]
    for text in options.sim_faults:  # before a file is made
        _fault(_of_one_board(text)[1])
    boards = _healthy_boards(options, new_clock, chip)
    faults = _faults(options, [_port_of(board) for board in boards])
    for board in boards:
        board.afflict(faults[_port_of(board)])
    for path in absent:
        on_made(path)
    return boards


def _healthy_boards(options: BoardOptions, new_clock: Callable[[], Clock], chip: Chip | None) -> list[SimulatedBoard]:
    from dfurun.simulator import OptionReload, SimulatedBoard

    wanted = chip_called(options.sim_chip) if options.sim_chip else chip or load_chip(default_chip_name())

    if options.sim_token is not None:
        return [_board_like(options, new_clock())]

    def new(port: int, clock: Clock) -> SimulatedBoard:
        return SimulatedBoard(wanted, clock, port=(port,), option_reload=options.sim_reload)

    if not options.sim_states:
        return [new(1, new_clock())]
    boards = []
    for port, path in enumerate(options.sim_states, 1):
        clock = new_clock()
        boards.append(open_state(path, clock, partial(new, port, clock)))
    for port, (board, path) in enumerate(zip(boards, options.sim_states, strict=True), 1):
        if options.sim_chip and board.chip.name != wanted.name:
            raise UsageFailure(f"--sim-chip {wanted.name}, and {path} holds a board with {board.chip.name}")
        if len(boards) > 1:
            board.port = (port,)
        if options.sim_reload:
            board.option_reload = OptionReload(options.sim_reload.value)
    return boards


def _board_like(options: BoardOptions, clock: Clock) -> SimulatedBoard:
    """Return the one board that a token describes, in a new file where one is named."""
    from dfurun.cli.board_like import board_like, token_called

    token, chip = token_called(options.sim_token or "")
    if options.sim_chip and chip_called(options.sim_chip).name != chip.name:
        raise UsageFailure(f"--sim-chip {options.sim_chip}, and the token is of a board with {chip.title}")
    if len(options.sim_states) > 1 or any(path.exists() for path in options.sim_states):
        raise sim_state_failure(
            "a token makes one board, in a file that is not there yet", "another name, and one of them"
        )

    def new() -> SimulatedBoard:
        return board_like(token, chip, clock, port=1, reload=options.sim_reload)

    return open_state(options.sim_states[0], clock, new) if options.sim_states else new()


def _faults(options: BoardOptions, ports: Sequence[PortPath]) -> dict[PortPath, list[Fault]]:
    """Return each board's own faults, which count its occasions: `NAME` is every board's, `1-2/NAME` that of one.

    Raises UsageFailure for what is no fault, or that of no board.
    """
    faults: dict[PortPath, list[Fault]] = {port: [] for port in ports}
    for text in options.sim_faults:
        one, name = _of_one_board(text)
        if one is not None and one not in faults:
            raise UsageFailure(
                f"--sim-fault {text}: no simulated board is at {one}", f"there is {', '.join(map(str, ports))}"
            )
        for port in ports if one is None else [one]:
            faults[port].append(_fault(name))
    return faults


def _of_one_board(text: str) -> tuple[PortPath | None, str]:
    """Return whose fault it is, None for every board's, and the fault; raise UsageFailure for what is no port."""
    where, slash, name = text.partition("/")
    is_of_one = slash and where[:1].isdigit()  # no fault's name begins so
    return (port_called("--sim-fault", where), name) if is_of_one else (None, text)


def _fault(text: str) -> Fault:
    from dfurun.simulator import parse_fault

    try:
        return parse_fault(text)
    except ValueError as error:
        message, _, near = str(error).partition("; did you mean ")
        known = "`dfurun sim faults` lists all faults and their keys"
        raise UsageFailure(message, f"did you mean {near} {known}" if near else known) from None


def open_state(path: Path, clock: Clock, new: Callable[[], SimulatedBoard] | None = None) -> SimulatedBoard:
    """Return the board in a state file, kept saved and from other processes from now on; without a file what `new` makes.

    Raises UsageFailure for a file that is no board, or is not there and may not be made, AccessDenied where another process
    has it.
    """
    from dfurun.cli.holding import hold_file
    from dfurun.simulator import StateFile

    with _explained(path):
        if path.is_file() or new:
            hold_file(path)
        return StateFile(path).open(clock, new=new) if new else StateFile(path).load(clock)


def look_at_state(path: Path, clock: Clock) -> SimulatedBoard:
    """Return the board in a state file, which stays as it is. Raise UsageFailure."""
    from dfurun.simulator import StateFile

    with _explained(path):
        return StateFile(path).peek(clock)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a state file into a failure of the command line."""
    hint = "`dfurun sim new FILE` makes a board"
    try:
        yield
    except AccessDenied:  # which is an OSError as well
        raise
    except FileNotFoundError:
        raise sim_state_failure(f"{path} is not there", hint) from None
    except OSError as error:
        raise sim_state_failure(f"{path}: {error.strerror or error}", hint) from None
    except ValueError as error:
        raise sim_state_failure(str(error), hint) from None


def port_called(option: str, text: str) -> PortPath:
    """Return the port path that an option names; raise UsageFailure for what is none."""
    try:
        return PortPath.parse(text)
    except ValueError as error:
        raise UsageFailure(f"{option}: {error}", "`dfurun devices` lists the ports") from None


def _simulated_journal(options: BoardOptions, port: str) -> str | None:
    """Return the name of a simulated port's journal, which the state files tell from those of other benches."""
    if not options.sim_states:
        return None
    files = "\n".join(str(path.resolve()) for path in options.sim_states)
    return f"sim-{sha256(files.encode()).hexdigest()[:12]}-{port}"
