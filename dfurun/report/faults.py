"""The simulated board's faults as people and tools read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dfurun.report.sheet import print_row
from dfurun.report.words import print_folded

if TYPE_CHECKING:
    from rich.console import Console

    from dfurun.simulator.catalogue import FaultEntry, FaultKey

NAME_WIDTH = 19
SOURCES = {
    "document": "documented",
    "report": "reported",
    "inference": "inference, to confirm on hardware",
}
OCCASIONS = {
    "transfer": "transfers",
    "operation": "operations",
    "start": "starts, resets and leaves",
    "opening": "openings",
}


def fault_object(fault: FaultEntry) -> dict[str, Any]:
    """Return a fault as JSON values; a key without a default has to be given."""
    return {
        "event": "fault",
        "name": fault.name,
        "acts_on": fault.acts_on.value,
        "means": fault.means,
        "details": list(fault.details),
        "confidence": fault.confidence,
        "source": fault.source,
        "example": fault.example,
        "keys": [{"name": key.name, "takes": key.takes, "default": key.default} for key in (*fault.keys, *fault.usual)],
    }


def print_faults(console: Console, faults: Sequence[FaultEntry]) -> None:
    """Print every fault with what it does, its own keys and its source."""
    for fault in faults:
        print_row(console, fault.name, fault.means, width=NAME_WIDTH)
        if fault.keys:
            print_row(console, "", _breakable(console, _keys(fault.keys)), width=NAME_WIDTH, style="cyan")
        print_row(console, "", sourced(fault), width=NAME_WIDTH, style="dim")
    console.print()
    print_folded(
        console, "Every fault takes skip=, count=, p= and seed= as well. `dfurun sim faults NAME` shows all of one."
    )


def print_fault(console: Console, fault: FaultEntry) -> None:
    """Print one fault with all that is known of it."""
    print_row(console, fault.name, fault.means, width=NAME_WIDTH)
    for paragraph in fault.details:
        print_row(console, "", paragraph, width=NAME_WIDTH)
    print_row(console, "as in", f"--sim-fault {fault.example}", width=NAME_WIDTH)
    for key in (*fault.keys, *fault.usual):
        print_row(console, f"  {key.name}=", _breakable(console, f"{key.takes}{_standing(key)}"), width=NAME_WIDTH)
    print_row(console, "counts", OCCASIONS[fault.acts_on], width=NAME_WIDTH)
    print_row(console, "source", sourced(fault), width=NAME_WIDTH)


def fault_rows(faults: Iterable[FaultEntry]) -> list[Sequence[str]]:
    """Return the rows of the table in the documents."""
    return [
        (
            f"`{fault.example}`",
            " ".join((fault.means, *fault.details)),
            ", ".join(f"`{key.name}={_short(key)}`{_standing(key)}" for key in fault.keys),
            fault.acts_on.value,
            sourced(fault),
        )
        for fault in faults
    ]


def sourced(fault: FaultEntry) -> str:
    """Return a fault's source and how sure it is."""
    return f"{SOURCES[fault.confidence]}: {fault.source}"


def _breakable(console: Console, text: str) -> str:
    """Return a text in which a long row of choices may go on in the next line of a terminal."""
    room = console.width - NAME_WIDTH
    if not console.is_terminal:
        return text
    return " ".join(word.replace("|", " | ") if len(word) > room else word for word in text.split(" "))


def _keys(keys: Sequence[FaultKey]) -> str:
    return "; ".join(f"{key.name}={_short(key)}{_standing(key)}" for key in keys)


def _short(key: FaultKey) -> str:
    """Return what a key takes; of a long list the first few."""
    words = key.takes.split("|")
    return key.takes if len(words) <= 9 else "|".join((*words[:2], "..."))


def _standing(key: FaultKey) -> str:
    return " (needed)" if key.default is None else f" ({key.default})"
