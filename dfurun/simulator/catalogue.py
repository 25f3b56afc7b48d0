"""Every named fault as data: what it does, its keys with their defaults, and its source, read from its own docstring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dfurun.simulator.fault_text import EVERY_FAULT_TAKES, KEYS
from dfurun.simulator.faults import FAULTS, ActsOn, NamedFault

_SOURCE = re.compile(r"Source \((\w+)\): (.+)")


@dataclass(frozen=True, slots=True)
class FaultKey:
    """A key of a fault: what it takes, what it is where it is not given; None where it has to be."""

    name: str
    takes: str
    default: str | None


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """A fault as it is listed. `confidence` is document, report or inference; `details` are paragraphs.

    `keys` are those that not every fault takes, `usual` those that every fault takes and whose default is this fault's own.
    """

    name: str
    acts_on: ActsOn
    means: str
    details: tuple[str, ...]
    confidence: str
    source: str
    example: str
    keys: tuple[FaultKey, ...]
    usual: tuple[FaultKey, ...]


def catalogue() -> tuple[FaultEntry, ...]:
    """Return every fault, in the catalogue's order."""
    return tuple(_entry(kind) for kind in FAULTS.values())


def _entry(kind: type[NamedFault]) -> FaultEntry:
    *paragraphs, last = [" ".join(part.split()) for part in (kind.__doc__ or "").strip().split("\n\n")]
    source = _SOURCE.fullmatch(last)
    if source is None or not paragraphs:
        raise ValueError(f"the fault {kind.name} does not say what it does and its source")
    needs = ",".join(f"{key}={example}" for key, example in kind.needs.items())
    own = [key for key in KEYS if key in kind.keys and key not in EVERY_FAULT_TAKES]
    return FaultEntry(
        name=kind.name,
        acts_on=kind.acts_on,
        means=paragraphs[0],
        details=tuple(paragraphs[1:]),
        confidence=source[1],
        source=source[2],
        example=f"{kind.name}:{needs}" if needs else kind.name,
        keys=tuple(_key(kind, key) for key in own),
        usual=tuple(_key(kind, key) for key in EVERY_FAULT_TAKES),
    )


def _key(kind: type[NamedFault], key: str) -> FaultKey:
    takes = "|".join(kind.operations) if key == "for" and kind.operations else KEYS[key].takes
    unset = kind.unset.get(key, KEYS[key].unset)
    return FaultKey(key, takes, None if key in kind.needs else _shown(getattr(kind.defaults, KEYS[key].field), unset))


def _shown(value: Any, unset: str) -> str:
    match value:
        case None:
            return unset
        case bool():
            return str(int(value))
        case StrEnum():
            return value.value
        case float():
            return f"{value:g}"
    return str(value)
