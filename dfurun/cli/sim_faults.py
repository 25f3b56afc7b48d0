"""`dfurun sim faults [NAME]`: what can go wrong with a simulated board, and where that is known from."""

from __future__ import annotations

from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import Json
from dfurun.cli.output import Output


def faults_command(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A fault's name.", show_default=False, autocompletion=completion.faults)
    ] = None,
    json: Json = False,
) -> None:
    """List the faults for --sim-fault, with their keys and sources; with a name, show all of one."""
    from dfurun.report.faults import fault_object, print_fault, print_faults
    from dfurun.simulator.catalogue import catalogue

    output: Output = context.obj
    known = {fault.name: fault for fault in catalogue()}
    if name is not None and name not in known:
        raise _no_such(name, list(known))
    chosen = list(known.values()) if name is None else [known[name]]
    for fault in chosen:
        output.write(fault_object(fault))
    if output.as_json:
        return
    if name is None:
        print_faults(output.product, chosen)
    else:
        print_fault(output.product, chosen[0])


def _no_such(name: str, known: list[str]) -> UsageFailure:
    from dfurun.steps.step import nearest

    near = nearest(name, known)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`dfurun sim faults` lists all faults"
    return UsageFailure(f"no fault is called {name!r}", hint)
