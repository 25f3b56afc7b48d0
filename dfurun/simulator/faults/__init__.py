"""The faults that a simulated board can have, by what they act on; `fault_text` is the form in which they are asked for."""

from __future__ import annotations

from dfurun.simulator.faults import (
    access,
    answers,
    mix,
    models,
    operations,
    power,
    presence,
    starts,
    strings,
    transfers,
)
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings

_ROOMS = (transfers, answers, operations, models, starts, strings, presence, power, access, mix)

FAULTS: dict[str, type[NamedFault]] = {kind.name: kind for room in _ROOMS for kind in room.KINDS}


def faults_acting_on(what: ActsOn) -> tuple[type[NamedFault], ...]:
    """Return every fault with this kind of occasion, in the order of the catalogue."""
    return tuple(kind for kind in FAULTS.values() if kind.acts_on is what)


__all__ = ["FAULTS", "ActsOn", "NamedFault", "Settings", "faults_acting_on"]
