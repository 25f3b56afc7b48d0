"""`dfurun explain [CODE|TOKEN]`: what a code means for the board and what to do, or what a token tells of a board."""

from __future__ import annotations

from typing import Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import Json
from dfurun.cli.output import Output


def explain_command(
    context: typer.Context,
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE|TOKEN",
            help="A code, as in error[CODE], or a board's token, of `info --token`.",
            show_default=False,
            autocompletion=completion.codes,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Explain a code: what happened, what it means for the board, what to do. Without one, list all codes.

    Of a board's token, tell what `info` would: option bytes by name, what differs from the factory, what starts at each level
    of BOOT0, and the step of a recipe that would put it right.
    """
    from dfurun.dfuse.token import looks_like_token
    from dfurun.report.explain import explanation_object, explanations, print_codes, print_explanation

    output: Output = context.obj
    if code is not None and looks_like_token(code):
        _explain_token(output, code)
        return
    known = explanations()
    chosen = list(known.values()) if code is None else [known[_label(code)]]
    for explanation in chosen:
        output.write(explanation_object(explanation))
    if output.as_json:
        return
    if code is None:
        print_codes(output.product)
    else:
        print_explanation(output.product, chosen[0])


def _explain_token(output: Output, text: str) -> None:
    from dfurun.cli.board_like import token_called
    from dfurun.report.token import print_token, token_object

    token, chip = token_called(text)
    output.write(token_object(token, chip))
    if not output.as_json:
        print_token(output.product, token, chip)


def _label(text: str) -> str:
    """Return the code's label, also where `error[label]` was pasted; raise UsageFailure where there is none."""
    from dfurun.errors import Code
    from dfurun.steps.step import nearest

    label = text.rpartition("[")[2].rstrip("]:").lower()
    labels = [code.label for code in Code]
    if label in labels:
        return label
    near = nearest(label, labels)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`dfurun explain` lists all codes"
    raise UsageFailure(f"no code is called {text!r}", hint)
