"""What a run tells while it goes on. Events know no terminal: `dfurun.report` turns them into text and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dfurun.chips import BootTarget
from dfurun.errors import Code


class Outcome(StrEnum):
    """How a step ended: it changed the board, found nothing to do, was skipped with a reason, or failed."""

    CHANGED = "changed"
    OK = "ok"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UnitStarted:
    """A unit's run begins. `variables` have a `value` and its `origin` each."""

    recipe: str
    recipe_sha256: str
    chip: str
    images: Mapping[str, str]
    steps: tuple[str, ...]
    variables: Mapping[str, Mapping[str, int | str | bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BoardFound:
    """A board was opened: who it is, as far as it could be read."""

    port: str
    product: str
    serial: str
    layout: tuple[str, ...]
    bootloader: str | None
    unique_id: str | None
    flash_size_bytes: int | None
    protection: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins; `index` counts from 0."""

    index: int
    step: str
    title: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Part of a step is done, in bytes or pages; `total` does not change within an `activity`."""

    index: int
    activity: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An operation of a step begins that tells nothing until it ends; `expected_s` is what its datasheet calls typical."""

    index: int
    activity: str
    expected_s: float


@dataclass(frozen=True, slots=True)
class BoardAwaited:
    """No board is there, and one is waited for: for so long at most, None where only Ctrl-C ends it.

    `is_lost` says that it was there before, and has left the bus in the middle of something.
    """

    index: int
    timeout_s: float | None
    is_lost: bool


@dataclass(frozen=True, slots=True)
class OptionBytesPlanned:
    """Option bytes before and after a change, raw and by field; sent before anything is written.

    `boots_before` and `boots_after` say what starts at each level of BOOT0 (`boot0=0`, `boot0=1`) from a flash that holds a
    program; they are empty where nothing changes that decides it.
    """

    index: int
    before: bytes
    after: bytes
    changes: tuple[str, ...]
    boots_before: Mapping[str, BootTarget]
    boots_after: Mapping[str, BootTarget]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know that is not a failure."""

    message: str
    code: Code | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class OperatorAsked:
    """Somebody must power-cycle the board, with BOOT0 at this level."""

    port: str
    boot0: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended."""

    index: int
    step: str
    outcome: Outcome
    detail: str
    duration_s: float
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class UnitFinished:
    """A unit's run ended. `code` and `message` are those of the failure, where there is one.

    `verified` says whether everything that the recipe writes was read back by it, `power_cycle_needed` whether option bytes
    were written that are perhaps not in force yet.
    """

    exit_status: int
    outcome: str
    verified: bool
    code: Code | None
    message: str
    consequence: str
    hint: str
    evidence: tuple[str, ...]
    duration_s: float
    anomalies: Mapping[str, int]
    transfers: int
    pages_redone: int
    power_cycle_needed: bool = False


Event = (
    UnitStarted
    | BoardFound
    | StepStarted
    | Progress
    | Waiting
    | BoardAwaited
    | OptionBytesPlanned
    | Notice
    | OperatorAsked
    | StepFinished
    | UnitFinished
)
