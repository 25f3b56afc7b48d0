"""`dfurun chips [WORDS]`: the lines that dfurun knows, those that fit some words, and all that it knows of one chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import Json, quiet_option
from dfurun.cli.output import Output

SHOW = "show"


def chips_command(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[show] WORD",
            help="A chip, or what its line has: part of a name, a family, a device id, a layout string.",
            show_default=False,
            autocompletion=completion.listed_chips,
        ),
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only the names, one a line.")] = False,
) -> None:
    """List the lines in the data, or those that fit all words; of one chip, show all that is known, and from where."""
    from dfurun.chips import chip_names
    from dfurun.chips.part_number import meant_by

    output: Output = context.obj
    asked = list(words or ())
    if asked[:1] == [SHOW]:
        if len(asked) != 2:
            raise UsageFailure(f"`chips {SHOW}` takes one chip", f"such as `dfurun chips {SHOW} {chip_names()[0]}`")
        _show(output, asked[1], quiet=quiet)
    elif len(asked) == 1 and len(meant_by(asked[0], chip_names()).names) == 1:
        _show(output, asked[0], quiet=quiet)
    else:
        _list(output, asked, quiet=quiet)


def _show(output: Output, text: str, *, quiet: bool) -> None:
    from dfurun.chips.database import read_facts
    from dfurun.chips.index import by_name
    from dfurun.cli.bench import chip_called
    from dfurun.report.chips import print_chip
    from dfurun.report.chips_list import chip_object

    chip = chip_called(text)
    facts = read_facts(chip.name)
    output.write({**chip_object(by_name()[chip.name], chip.name), "facts": facts})
    if output.as_json:
        return
    if quiet:
        output.line(chip.name)
    else:
        print_chip(output.product, chip, facts)


def _list(output: Output, words: Sequence[str], *, quiet: bool) -> None:
    from dfurun.chips.index import by_name
    from dfurun.chips.search import found_lines
    from dfurun.report.chips_list import chip_object, print_lines

    lines = found_lines(words)
    if not lines:
        raise _nothing(words)
    names = sorted(name for line in lines for name in line.names)
    for name in names:
        output.write(chip_object(by_name()[name], name))
    if output.as_json:
        return
    if quiet:
        for name in names:
            output.line(name)
    else:
        print_lines(output.product, lines, asked=bool(words))


def _nothing(words: Sequence[str]) -> UsageFailure:
    """Return the failure for words that no line has: for one word, what a chip of that name would be told."""
    from dfurun.steps.chip_called import NoOneChip, chip_called

    if len(words) == 1:
        try:
            chip_called(words[0])
        except NoOneChip as error:
            return UsageFailure(error.message, error.hint)
    return UsageFailure(f"no chip fits `{' '.join(words)}`", "every word has to fit; `dfurun chips` lists all lines")
