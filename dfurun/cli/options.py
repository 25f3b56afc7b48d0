"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dfurun.cli import completion
from dfurun.cli.board_options import Reload, SimClock, SimOperator


class Format(StrEnum):
    """How findings are written; json, as --json, is how everything is."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class CheckFormat(StrEnum):
    """How `check` writes; as Format, and the survival table of --faults as Markdown."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    MARKDOWN = "markdown"


BOARD, SIM, OUTPUT = "Which board", "Simulated board", "Output"


def quiet_option(help: str) -> Any:
    """Return -q; `help` says what the command shows then, which is another thing for each."""
    return typer.Option("--quiet", "-q", help=help, rich_help_panel=OUTPUT)


Port = Annotated[
    str | None,
    typer.Option(
        "--port",
        metavar="PORT",
        help="The board at this port, such as 1-2.3.",
        rich_help_panel=BOARD,
        autocompletion=completion.ports,
    ),
]
Serial = Annotated[
    str | None,
    typer.Option(
        "--serial",
        metavar="NUMBER",
        help="The board with this serial number; some chips all have the same.",
        rich_help_panel=BOARD,
    ),
]
BoardChip = Annotated[
    str | None,
    typer.Option(
        "--chip",
        metavar="CHIP",
        help="The board's chip; by its memory layout if not given.",
        rich_help_panel=BOARD,
        autocompletion=completion.chips,
    ),
]
Sim = Annotated[bool, typer.Option("--sim", help="Use a simulated board, no hardware.", rich_help_panel=SIM)]
SimChip = Annotated[
    str | None,
    typer.Option(
        "--sim-chip",
        metavar="CHIP",
        help="The simulated board's chip; that of its file, else of the recipe.",
        rich_help_panel=SIM,
        autocompletion=completion.chips,
    ),
]
SimState = Annotated[
    list[Path] | None,
    typer.Option(
        "--sim-state",
        metavar="FILE",
        help="Keep the board in this file. Repeat it for several boards.",
        rich_help_panel=SIM,
        autocompletion=completion.files,
    ),
]
SimToken = Annotated[
    str | None,
    typer.Option(
        "--sim-token",
        "--token",
        metavar="TOKEN",
        help="Begin with a board like the one of this token; `info --token` prints one.",
        rich_help_panel=SIM,
    ),
]
InfoSimToken = Annotated[  # where --token alone prints one; with a value it is this (dfurun.cli.token_value)
    str | None,
    typer.Option(
        "--sim-token",
        metavar="TOKEN",
        help="Begin with a board like the one of this token; so does --token TOKEN.",
        rich_help_panel=SIM,
    ),
]
SimClockOption = Annotated[
    SimClock, typer.Option("--sim-clock", help="real: as long as a board takes. virtual: at once.", rich_help_panel=SIM)
]
SimFault = Annotated[
    list[str] | None,
    typer.Option(
        "--sim-fault",
        metavar="FAULT",
        help="A fault, NAME[:key=value,...]; of one board, PORT/NAME. Repeat it for several.",
        rich_help_panel=SIM,
        autocompletion=completion.faults,
    ),
]
SimOperatorOption = Annotated[
    SimOperator,
    typer.Option("--sim-operator", help="Whether somebody power-cycles the board when asked.", rich_help_panel=SIM),
]
SimReload = Annotated[
    Reload | None,
    typer.Option(
        "--sim-option-reload",
        help="When written option bytes come into force; as the state file has it, else as the chip does.",
        rich_help_panel=SIM,
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", help="Of findings; github: annotations for a workflow.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, typer.Option("--json", help="JSON Lines on standard output.", rich_help_panel=OUTPUT)]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Tell each operation on standard error; -vv: each transfer as well.",
        rich_help_panel=OUTPUT,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Write everything that -vv tells to this file, with times. An earlier log is appended to.",
        rich_help_panel=OUTPUT,
        autocompletion=completion.files,
    ),
]
