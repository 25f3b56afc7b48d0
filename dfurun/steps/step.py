"""What every step is: a typed body, its rules and effect on the abstract board, and its execution on a real one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from dfurun.chips import Chip
from dfurun.clock import Clock
from dfurun.errors import Code, Finding, RecipePath, Related
from dfurun.image import ImageFile
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.event import Event, Outcome
from dfurun.steps.expect import Expect
from dfurun.units import parse_duration

if TYPE_CHECKING:
    from dfurun.usb.connection import Connection


@dataclass(slots=True)
class Scope:
    """What a body may refer to while it is parsed, and where its findings go.

    An image that is listed but could not be loaded is None: it has its finding already.
    """

    chip: Chip
    images: Mapping[str, ImageFile | None]
    allow: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)

    def report(
        self, code: Code, message: str, path: RecipePath, *, hint: str = "", related: tuple[Related, ...] = ()
    ) -> None:
        """Add a finding about the value at `path`."""
        self.findings.append(Finding(code, message, path, hint=hint, related=related))

    def image(self, name: str, path: RecipePath) -> ImageFile | None:
        """Return the image of this name; where the recipe lists none, report it and return None."""
        if name not in self.images:
            self.report(
                Code.UNKNOWN_IMAGE, f"no image {name!r} under `images`", path, hint=did_you_mean(name, self.images)
            )
            return None
        return self.images[name]


@dataclass(frozen=True, slots=True)
class Head:
    """What all bodies share: where the step is in the recipe, its id, the name people read, its timeout."""

    index: int
    path: RecipePath
    id: str | None = None
    name: str | None = None
    timeout_s: float | None = None

    @classmethod
    def parse(cls, index: int, path: RecipePath, body: Mapping[str, Any]) -> Head:
        """Return the head for a schema-valid body."""
        timeout = body.get("timeout")
        return cls(index, path, body.get("id"), body.get("name"), parse_duration(timeout) if timeout else None)


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended, and one line that says what it did."""

    outcome: Outcome
    detail: str


class Operator(Protocol):
    """The hands at the bench."""

    def ask(self, *, port: str, boot0: int, timeout_s: float) -> None:
        """Have the board at `port` power-cycled with BOOT0 at this level. Returns at once; the bus shows when it is done."""


class Journal(Protocol):
    """Where a unit's run is written down before anything destructive is sent."""

    def write(self, entry: str, details: Mapping[str, Any]) -> None:
        """Append an entry and have it on the disk when this returns."""


@dataclass(slots=True)
class Context:
    """What a step executes in: one board, and the seams to time, people, files and the outside."""

    chip: Chip
    clock: Clock
    connection: Connection
    operator: Operator
    journal: Journal
    emit: Callable[[Event], None]
    output_folder: Path
    allow: frozenset[str]
    allow_irreversible: bool
    expect: Expect
    overwrite_files: bool = False
    pages_redone: int = 0


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step of a recipe. Subclasses are frozen values; all that changes while they run is in the Context."""

    keyword: ClassVar[str]
    destructive: ClassVar[bool] = False
    head: Head

    @classmethod
    @abstractmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the typed step for a schema-valid body, or None after reporting why not."""

    @abstractmethod
    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Return the abstract board after this step, and what is wrong with the step at this place."""

    @abstractmethod
    def execute(self, context: Context) -> Result:
        """Do it on the board; raise DfurunError where it fails."""

    def preflight(self, context: Context) -> None:
        """Refuse, from what the board says, before the first destructive transfer of the run. Raise Refused."""

    @property
    def title(self) -> str:
        """What people read: the recipe's name for the step, else its keyword."""
        return self.head.name or self.keyword

    @property
    def path(self) -> RecipePath:
        """Where the step's body is in the recipe."""
        return self.head.path

    def finding(
        self,
        code: Code,
        message: str,
        *keys: str | int,
        hint: str = "",
        related: tuple[Related, ...] = (),
    ) -> Finding:
        """Return a finding about this step, or about the value at `keys` in its body."""
        return Finding(code, message, (*self.path, *keys), hint=hint, on_key=not keys, related=related)

    def needs_connection(self, board: AbstractBoard) -> list[Finding]:
        """Return a finding where the board is not connected at this step."""
        match board.presence:
            case Presence.CONNECTED:
                return []
            case Presence.NOT_CONNECTED:
                message = f"{self.keyword} before connect"
                return [self.finding(Code.STEP_ORDER, message, hint="make `connect` the first step")]
            case Presence.LEFT:
                message = f"{self.keyword} after the board has left the bootloader"
                return [self.finding(Code.STEP_ORDER, message, hint="move it before `leave-dfu`")]


def did_you_mean(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """Return `did you mean 'x'?` for the nearest known word, else the list of them; empty where there are none."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(names))}" if names else ""
