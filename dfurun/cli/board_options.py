"""Which board a command means, real or simulated, and how a simulated one behaves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SimClock(StrEnum):
    """How time passes for a simulated board."""

    REAL = "real"
    VIRTUAL = "virtual"


class SimOperator(StrEnum):
    """Whether somebody is there to power-cycle a simulated board."""

    PRESENT = "present"
    ABSENT = "absent"


class Reload(StrEnum):
    """When a simulated board's option bytes come into force."""

    POWER_ON = "power-on"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """Which board is meant, real or simulated."""

    port: str | None = None
    serial: str | None = None
    sim: bool = False
    sim_chip: str | None = None
    sim_states: tuple[Path, ...] = ()
    sim_clock: SimClock = SimClock.REAL
    sim_faults: tuple[str, ...] = ()
    sim_operator: SimOperator = SimOperator.PRESENT
    sim_reload: Reload | None = None
    sim_token: str | None = None

    @property
    def simulated(self) -> bool:
        """Whether the board is a simulated one; a state file says so as well."""
        return self.sim or bool(self.sim_states)


def survey_options(
    *,
    sim: bool,
    sim_chip: str | None,
    sim_state: list[Path] | None,
    sim_fault: list[str] | None,
    sim_token: str | None = None,
) -> BoardOptions:
    """Return the options of a command that only looks at what is on the bus: a simulated one need not take its time."""
    simulated = sim or bool(sim_state)
    return BoardOptions(
        sim=sim,
        sim_chip=sim_chip,
        sim_states=tuple(sim_state or ()),
        sim_faults=tuple(sim_fault or ()),
        sim_clock=SimClock.VIRTUAL if simulated else SimClock.REAL,
        sim_token=sim_token,
    )
