"""`dfurun doctor`: is there anything on this computer, or on its bus, that prevents flashing?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli.bench import Bench, set_up
from dfurun.cli.board_options import BoardOptions, survey_options
from dfurun.cli.options import Json, Sim, SimChip, SimFault, SimState, SimToken, quiet_option
from dfurun.cli.output import Output
from dfurun.errors import AccessDenied, Code, DfurunError
from dfurun.usb.hints import ENTER_DFU

if TYPE_CHECKING:
    from dfurun.usb.doctor import Board, Facts


def doctor_command(
    context: typer.Context,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only problems: nothing where there is none.")] = False,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_fault: SimFault = None,
    sim_token: SimToken = None,
) -> int:
    """Look for what prevents flashing: libusb, permissions, drivers, what is on the bus. It changes nothing.

    Each check is ok, a note or a problem, with what to do. The exit status is 0 where nothing prevents flashing, with or
    without a board on the bus, and 5 where libusb, a permission or a driver does.
    """
    from dfurun.report.checks import check_object, print_checks
    from dfurun.usb.doctor import exit_status, judge

    output: Output = context.obj
    options = survey_options(sim=sim, sim_chip=sim_chip, sim_state=sim_state, sim_fault=sim_fault, sim_token=sim_token)
    checks = judge(gather(options))
    for check in checks:
        output.write(check_object(check))
    if not output.as_json:
        print_checks(output.product, checks, quiet=quiet)
    return exit_status(checks)


def gather(options: BoardOptions) -> Facts:
    """Look at the computer and at the bus. Each board is opened for its strings; nothing is sent to its bootloader."""
    from dfurun.run.journal import state_folder
    from dfurun.usb.doctor import Facts
    from dfurun.usb.host import look_at_host

    boards: tuple[Board, ...] = ()
    strangers: tuple[str, ...] = ()
    bus_problem: DfurunError | None = None
    enter_dfu = ENTER_DFU
    try:
        bench = set_up(options)
        enter_dfu = bench.bus.enter_dfu
        boards = _boards(bench)
        clones = {board.port for board in boards if board.clone is not None}
        strangers = tuple(str(found) for found in bench.bus.strangers() if found.port not in clones)
    except AccessDenied as error:
        if error.code is not Code.NO_LIBUSB:  # which the computer's own check tells
            raise
    except DfurunError as error:
        if error.code is not Code.LINK_UNRELIABLE:
            raise
        bus_problem = error
    folder = state_folder()
    return Facts(
        host=look_at_host(),
        boards=boards,
        strangers=strangers,
        simulated=options.simulated,
        state_folder=folder,
        state_problem=_why_unwritable(folder),
        bus_problem=bus_problem,
        enter_dfu=enter_dfu,
    )


def _boards(bench: Bench) -> tuple[Board, ...]:
    from dfurun.usb.doctor import Board
    from dfurun.usb.host import Plug, plug_of
    from dfurun.usb.recognise import chips_like
    from dfurun.usb.survey import survey

    boards = []
    for found in survey(bench.bus, bench.clock):
        candidate, told = found.candidate, found.description
        boards.append(
            Board(
                port=candidate.port,
                vendor_id=candidate.vendor_id,
                product_id=candidate.product_id,
                product=told.product if told else "",
                plug=Plug() if bench.simulated else plug_of(candidate.port, candidate.address),
                chips=tuple(chips_like(told)) if told and not found.clone else (),
                clone=found.clone,
                problem=found.problem,
            )
        )
    return tuple(boards)


def _why_unwritable(folder: Path) -> str:
    """Return why nothing can be kept in a folder, or in the nearest one above it that is there; empty where it can."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is no folder"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"this user may not write to {place}"
