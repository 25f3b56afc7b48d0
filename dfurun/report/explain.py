"""What each code means, at length: explanations.yaml beside this file, as people and tools read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dfurun.errors import Code, ExitStatus, Severity
from dfurun.report.sheet import print_row
from dfurun.report.words import print_folded, wrapped
from dfurun.resources import yaml_data

if TYPE_CHECKING:
    from rich.console import Console

NAME_WIDTH = 15
FURTHER_IN = 4
EXIT_MEANINGS = {
    ExitStatus.DONE: "done, or nothing to do",
    ExitStatus.FAILED: "the unit failed (a step, a verification, a check), a file or standard output cannot be written, or "
    "`lint` or `pin --check` has a finding",
    ExitStatus.USAGE: "wrong usage",
    ExitStatus.INVALID: "the recipe or an image is invalid or missing",
    ExitStatus.NO_DEVICE: "no device, or more than one that fits",
    ExitStatus.NO_ACCESS: "no permission, no driver, or another program or run has the board",
    ExitStatus.REFUSED: "refused: a guard, a pin, an expectation",
    ExitStatus.LINK: "the link is unreliable or the device was lost; its state is unknown, run again",
    ExitStatus.SEVERAL: "several units, some or all failed",
    ExitStatus.BUG: "a bug in dfurun",
    ExitStatus.CHANGES: "`plan --exit-code`, `diff --exit-code`: there are changes",
    ExitStatus.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code: what happened, what it means for the board, what to do; `wrong` and `right` are YAML, or empty."""

    code: Code
    group: str
    cause: str
    board: str
    cure: str
    wrong: str
    right: str

    @property
    def weight(self) -> str:
        """Say how much it weighs, and what the process exits with."""
        if self.code.is_advice:
            return f"advice of `dfurun lint`, which exits with {int(self.code.exit_status)} for it; no other command has it"
        if self.code.severity is Severity.WARNING:
            return "warning; it changes no exit status"
        return f"error; exit status {int(self.code.exit_status)}: {EXIT_MEANINGS[self.code.exit_status]}"


@cache
def explanations() -> Mapping[str, Explanation]:
    """Return the explanation of every code by its label, in the order of the data."""
    groups = yaml_data("dfurun.report", "explanations.yaml")
    codes = {code.label: code for code in Code}
    return {
        label: Explanation(
            codes[label], group, texts["cause"], texts["board"], texts["cure"],
            wrong=texts.get("wrong", "").rstrip(), right=texts.get("right", "").rstrip(),
        )
        for group, entries in groups.items()
        for label, texts in entries.items()
    }  # fmt: skip


def explanation_object(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values."""
    code = explanation.code
    return {
        "event": "explanation",
        "code": code.label,
        "group": explanation.group,
        "severity": str(code.severity),
        "exit": int(code.exit_status if code.severity is Severity.ERROR or code.is_advice else ExitStatus.DONE),
        "summary": code.summary,
        "cause": explanation.cause,
        "board": explanation.board,
        "cure": explanation.cure,
        "wrong": explanation.wrong or None,
        "right": explanation.right or None,
    }


def print_explanation(console: Console, explanation: Explanation) -> None:
    """Print one code at length; of a permission also what this very computer lacks."""
    from rich.text import Text

    from dfurun.usb.hints import permission_hint

    label = explanation.code.label
    first, *rest = wrapped(console, f"{label}: {explanation.code.summary}", beside=FURTHER_IN)
    console.print(Text.assemble((label, "bold"), first[len(label) :]), soft_wrap=True)
    for line in rest:
        console.print(" " * FURTHER_IN + line, soft_wrap=True)
    print_folded(console, explanation.weight, style="dim", further_in=FURTHER_IN)
    console.print()
    print_row(console, "what happened", explanation.cause, width=NAME_WIDTH)
    print_row(console, "the board", explanation.board, width=NAME_WIDTH)
    print_row(console, "what to do", explanation.cure, width=NAME_WIDTH)
    if explanation.code is Code.NO_PERMISSION:
        print_row(console, "here", permission_hint(), width=NAME_WIDTH)
    for name, example, style in (("wrong", explanation.wrong, "red"), ("right", explanation.right, "green")):
        if example:
            console.print()
            _print_example(console, name, example, style=style)


def _print_example(console: Console, name: str, example: str, *, style: str) -> None:
    """Print YAML that may be copied, its lines whole: at the margin where a terminal has no room beside the name."""
    fits = all(len(line) <= console.width - NAME_WIDTH for line in example.split("\n"))
    if fits or not console.is_terminal:
        print_row(console, name, example, width=NAME_WIDTH, style=style, whole=True)
        return
    print_row(console, name, "", width=0)
    print_row(console, "", example, width=0, style=style, whole=True)


def print_codes(console: Console) -> None:
    """Print all codes with their summaries, in groups."""
    from rich.text import Text

    width = max(map(len, explanations())) + 2
    group = ""
    for label, explanation in explanations().items():
        if explanation.group != group:
            console.print(Text(("\n" if group else "") + explanation.group, "bold"))
            group = explanation.group
        is_warning = explanation.code.severity is Severity.WARNING
        weight = "lint: " if explanation.code.is_advice else "warning: " if is_warning else ""
        print_row(console, label, weight + explanation.code.summary, width=width)
    words = "`dfurun explain CODE` tells what happened, what it means for the board, what to do."
    console.print()
    print_folded(console, words)
