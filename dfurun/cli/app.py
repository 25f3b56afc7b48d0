"""The commands, put together. Only the modules of the command that is meant are imported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dfurun import __version__
from dfurun.cli.options import BOARD, OUTPUT, SIM
from dfurun.cli.output import Output
from dfurun.cli.recipe_first import with_run
from dfurun.cli.recipe_options import VARIABLES
from dfurun.errors import ExitStatus

# In the order of `dfurun --help`: a function is a command, a Typer a group of commands.
COMMANDS = {
    "run": "dfurun.cli.run:run_command",
    "check": "dfurun.cli.check:check_command",
    "plan": "dfurun.cli.plan:plan_command",
    "diff": "dfurun.cli.diff:diff_command",
    "show": "dfurun.cli.show:show_command",
    "lint": "dfurun.cli.lint:lint_command",
    "pin": "dfurun.cli.pin:pin_command",
    "new": "dfurun.cli.new:new_command",
    "info": "dfurun.cli.info:info_command",
    "devices": "dfurun.cli.devices:devices_command",
    "read": "dfurun.cli.read:read_command",
    "doctor": "dfurun.cli.doctor:doctor_command",
    "chips": "dfurun.cli.chips:chips_command",
    "schema": "dfurun.cli.schema:schema_command",
    "explain": "dfurun.cli.explain:explain_command",
    "sim": "dfurun.cli.sim:sim_app",
}
# In the order of every command's help: a command's own panels stand between those that many have.
PANELS = {None: 0, VARIABLES: 1, BOARD: 2, OUTPUT: 4, SIM: 5}
OWN_PANEL = 3


class Commands(TyperGroup):
    """The group of all commands, in which a recipe may stand in the place of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what is being completed as the entry point takes it: `run` before a recipe or an option of `run`."""
        if ctx.resilient_parsing:
            args = with_run(args, run_options)
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands, and what may stand first after `run`."""
        offered = super().shell_complete(ctx, incomplete)
        run = self.get_command(ctx, "run")
        if run is None:
            return offered
        if incomplete.startswith("-"):
            known = {item.value for item in offered}
            return offered + [item for item in run.shell_complete(ctx, incomplete) if item.value not in known]
        recipe = next(parameter for parameter in run.params if parameter.name == "recipe")
        return offered + recipe.shell_complete(ctx, incomplete)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dfurun {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Flash STM32 boards over USB DFU from a reviewed recipe."""


def invoke(arguments: Sequence[str], output: Output) -> int:
    """Run a command and return its exit status; raise typer's usage errors and DfurunError."""
    command = _command(_meant(arguments))
    status = command.main(list(arguments), prog_name="dfurun", standalone_mode=False, obj=output)
    return int(status) if status is not None else ExitStatus.DONE


def run_options() -> frozenset[str]:
    """Return the options that `run` takes, without --help."""
    command = _command(("run",)).commands["run"]
    return frozenset(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))


def _meant(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the command that stands first; all of them where none does: help, completion and did-you-mean name all."""
    return tuple(arguments[:1]) if arguments and arguments[0] in COMMANDS else tuple(COMMANDS)


@cache
def _command(names: tuple[str, ...]) -> Any:
    """Import these commands and return the command line that has them alone."""
    app = typer.Typer(
        name="dfurun",
        cls=Commands,
        help="Flash STM32 boards over USB DFU from a reviewed recipe. `dfurun RECIPE` is `dfurun run RECIPE`.",
        no_args_is_help=True,
        suggest_commands=False,  # usage_errors.translate does, and takes less for close
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for name in names:
        command = resolve_name(COMMANDS[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return _tidied(typer.main.get_command(app))


def _tidied(command: Any) -> Any:
    """Return the command with its options in the order of PANELS, and no type beside a flag, as a newer typer shows it."""
    command.params.sort(key=lambda parameter: PANELS.get(getattr(parameter, "rich_help_panel", None), OWN_PANEL))
    for parameter in command.get_params(typer.Context(command)):
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _tidied(inner)
    return command
