"""`dfurun devices`: the boards in DFU mode on the bus."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from dfurun.cli.bench import Bench, set_up
from dfurun.cli.board_options import survey_options
from dfurun.cli.options import Json, Sim, SimChip, SimFault, SimState, SimToken, quiet_option
from dfurun.cli.output import Output
from dfurun.errors import ExitStatus
from dfurun.report.words import print_hint, printable


@dataclass(frozen=True, slots=True)
class Listed:
    """One device in the list; `problem` says why it could not be opened, `clone` what it is where it is no STM32."""

    port: str
    address: int
    vendor_id: int
    product_id: int
    product: str
    serial: str
    layout: tuple[str, ...]
    problem: str
    clone: str | None


def devices_command(
    context: typer.Context,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only the ports, one a line.")] = False,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_fault: SimFault = None,
    sim_token: SimToken = None,
) -> int:
    """List the boards in DFU mode, by port, and the clones, marked: those are no boards for dfurun."""
    output: Output = context.obj
    output.watch(quiet=quiet)
    options = survey_options(sim=sim, sim_chip=sim_chip, sim_state=sim_state, sim_fault=sim_fault, sim_token=sim_token)
    bench = set_up(options, on_made=output.made)
    found = listed(bench)
    for board in found:
        output.write({"event": "device", **asdict(board)})
    if not output.as_json:
        _print(output, found, bench.bus.enter_dfu, quiet=quiet)
    return ExitStatus.DONE if any(not board.clone for board in found) else ExitStatus.NO_DEVICE


def listed(bench: Bench) -> list[Listed]:
    """Return what is on the bus; each board is opened for its strings, and nothing is sent to its bootloader."""
    from dfurun.usb.survey import survey

    boards = []
    for found in survey(bench.bus, bench.clock):
        candidate, told = found.candidate, found.description
        boards.append(
            Listed(
                port=str(candidate.port),
                address=candidate.address,
                vendor_id=candidate.vendor_id,
                product_id=candidate.product_id,
                product=told.product if told else "",
                serial=told.serial if told else "",
                layout=tuple(alternate.name for alternate in told.alternates) if told else (),
                problem=found.problem.message if found.problem else "",
                clone=str(found.clone) if found.clone else None,
            )
        )
    return boards


def _print(output: Output, boards: list[Listed], enter_dfu: str, *, quiet: bool) -> None:
    if all(board.clone for board in boards):
        output.messages.print("no board in DFU mode is on the bus")
        print_hint(output.messages, enter_dfu)
    for board in boards:
        if quiet:
            if not board.clone:
                output.line(board.port)
            continue
        ids = f"{board.vendor_id:04x}:{board.product_id:04x}"
        what = (
            f"{board.clone}, a clone: no STM32, not touched"
            if board.clone
            else f"{board.product}  serial {board.serial}"
        )
        words = [board.port.ljust(8), ids, board.problem or what]
        output.product.print(printable("  ".join(words)), soft_wrap=True)
        for name in board.layout:
            output.product.print(printable(f"          {name}"), soft_wrap=True)
