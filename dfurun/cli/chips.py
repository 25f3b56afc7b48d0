"""`dfurun chips [NAME]`: the chips that dfurun knows, and all that it knows of one."""

from __future__ import annotations

from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.options import Json, quiet_option
from dfurun.cli.output import Output


def chips_command(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A chip's name.", show_default=False, autocompletion=completion.chips)
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only the names, one a line.")] = False,
) -> None:
    """List the chips in the data; with a name, show all that is known of one, and from where."""
    from dfurun.chips import chip_names, load_chip
    from dfurun.chips.database import read_facts
    from dfurun.cli.bench import chip_called
    from dfurun.report.chips import chip_object, print_chip, print_chips

    output: Output = context.obj
    chips = [load_chip(known) for known in chip_names()] if name is None else [chip_called(name)]
    facts = {chip.name: read_facts(chip.name) for chip in chips}
    for chip in chips:
        output.write(chip_object(chip, facts[chip.name], whole=name is not None))
    if output.as_json:
        return
    if quiet:
        for chip in chips:
            output.line(chip.name)
        return
    if name is None:
        print_chips(output.product, chips, facts)
    else:
        print_chip(output.product, chips[0], facts[chips[0].name])
