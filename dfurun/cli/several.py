"""Which boards a run means, where that is not one: `--all`, several `--port` or `--serial`, `--wait`, `--loop`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.bench import port_called
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import BOARD
from dfurun.units import parse_duration
from dfurun.usb.port import PortPath

if TYPE_CHECKING:
    from dfurun.cli.job import Job

Ports = Annotated[
    list[str] | None,
    typer.Option(
        "--port",
        metavar="PORT",
        help="The board at this port, such as 1-2.3. Repeat it for several boards at once.",
        rich_help_panel=BOARD,
        autocompletion=completion.ports,
    ),
]
Serials = Annotated[
    list[str] | None,
    typer.Option(
        "--serial",
        metavar="NUMBER",
        help="The board with this serial number; some chips all have the same. Repeat it for several boards.",
        rich_help_panel=BOARD,
    ),
]
All = Annotated[bool, typer.Option("--all", help="All boards that are on the bus, at once.", rich_help_panel=BOARD)]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for the board for as long as it takes.", rich_help_panel=BOARD)
]
Loop = Annotated[
    bool,
    typer.Option(
        "--loop",
        help="Board after board, at the port or at any, until Ctrl-C: how a bench works.",
        rich_help_panel=BOARD,
    ),
]
WaitLimit = Annotated[
    str | None,
    typer.Option(
        "--wait-limit",
        metavar="TIME",
        help="Wait for the board, or in a loop for the next one, for so long at most, such as 10min.",
        rich_help_panel=BOARD,
    ),
]


@dataclass(frozen=True, slots=True)
class Meant:
    """Which boards are meant. `limit_s` is how long one is waited for, None where the recipe says it."""

    ports: tuple[PortPath, ...] = ()
    serials: tuple[str, ...] = ()
    all: bool = False
    loop: bool = False
    limit_s: float | None = None

    @property
    def is_batch(self) -> bool:
        """Whether several boards are flashed at once."""
        return self.all or len(self.ports) > 1 or len(self.serials) > 1

    @property
    def is_one(self) -> bool:
        """Whether one board is flashed, once."""
        return not self.is_batch and not self.loop


def meant(
    ports: Sequence[str] | None,
    serials: Sequence[str] | None,
    *,
    all: bool,
    wait: bool,
    loop: bool,
    wait_limit: str | None,
) -> Meant:
    """Return what the options mean; raise UsageFailure where they do not go together."""
    limit_s = math.inf if wait or loop else None
    if wait_limit is not None:
        try:
            limit_s = parse_duration(wait_limit)
        except ValueError as error:
            raise UsageFailure(f"--wait-limit: {error}", "such as 30s or 10min") from None
    found = Meant(tuple(port_called("--port", port) for port in ports or ()), tuple(serials or ()), all, loop, limit_s)
    for given, message, hint in (
        (all and (ports or serials), "--all, and a board is named as well", "one of the two"),
        (len(set(found.ports)) < len(found.ports), "a --port is given twice", "each board once"),
        (len(set(found.serials)) < len(found.serials), "a --serial is given twice", "each board once"),
        (found.is_batch and ports and serials, "several boards, some by --port and some by --serial", "one of the two"),
        (loop and found.is_batch, *_loop_and_several(found)),
        (loop and serials, "--loop waits for the next board, and --serial is that of one", "--port, or neither"),
        (all and limit_s is not None, "--all takes the boards that are there, and waits for none", "--port for each"),
    ):
        if given:
            raise UsageFailure(message, hint)
    return found


def _loop_and_several(found: Meant) -> tuple[str, str]:
    message = "--loop takes one board after the other"
    if len(found.ports) > 1:
        given = f"{', '.join(map(str, found.ports[:-1]))} and {found.ports[-1]}"
        return f"{message}, and --port names {given}", "one of them; --loop alone takes boards at any port"
    return message, "--loop alone takes them at any port"


def require_several(job: Job, boards: Meant, record: str | None) -> None:
    """Raise UsageFailure where what a run leaves, or was reviewed for, is one board's and several are meant."""
    from dfurun.run.record import names_folder
    from dfurun.steps.read import Read

    if boards.is_one:
        return
    if job.reviewed is not None and job.reviewed.board is not None:
        raise UsageFailure(
            f"{job.reviewed.path} was planned for one board, and several are meant",
            "a plan without --live, for any board",
        )
    if record is not None and not names_folder(record):
        raise UsageFailure(f"--record {record} is one file, and several boards are meant", f"a folder: {record}/")
    wanted = ("${unique-id}", "${time}") if boards.loop else ("${port}",)
    for step in job.recipe.steps:
        if isinstance(step, Read) and not any(variable in step.file for variable in wanted):
            raise UsageFailure(
                f"step {step.head.index + 1} reads several boards into one file, {step.file}",
                f"`{wanted[0]}` in its name",
            )
