"""The commands, put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer

from dfurun import __version__
from dfurun.cli.check import check_command
from dfurun.cli.devices import devices_command
from dfurun.cli.doctor import doctor_command
from dfurun.cli.info import info_command
from dfurun.cli.output import Output
from dfurun.cli.read import read_command
from dfurun.cli.run import run_command
from dfurun.cli.serve import attach_command, serve_command
from dfurun.cli.sim import sim_app
from dfurun.errors import ExitStatus

app = typer.Typer(
    name="dfurun",
    help="Flash STM32 boards over USB DFU from a reviewed recipe. `dfurun RECIPE` is `dfurun run RECIPE`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("run")(run_command)
app.command("check")(check_command)
app.command("info")(info_command)
app.command("devices")(devices_command)
app.command("read")(read_command)
app.command("doctor")(doctor_command)
sim_app.command("serve")(serve_command)
sim_app.command("attach")(attach_command)
app.add_typer(sim_app, name="sim")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dfurun {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Flash STM32 boards over USB DFU from a reviewed recipe."""


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def invoke(arguments: Sequence[str], output: Output) -> int:
    """Run a command and return its exit status; raise typer's usage errors and DfurunError."""
    status = _command().main(list(arguments), prog_name="dfurun", standalone_mode=False, obj=output)
    return int(status) if status is not None else ExitStatus.DONE


def run_options() -> frozenset[str]:
    """Return the options that `run` takes, without --help."""
    command = _command().commands["run"]
    return frozenset(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))
