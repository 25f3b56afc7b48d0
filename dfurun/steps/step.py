"""What every step is: a typed body, its rules and effect on the abstract board, and its execution on a real one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, assert_never

from dfurun.chips import Chip
from dfurun.errors import Code, Finding, RecipePath, Related
from dfurun.image import ImageFile
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.context import Context
from dfurun.steps.effect import Effect
from dfurun.steps.event import Outcome
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.projected import ProjectedBoard
from dfurun.units import AddressRange, parse_duration

PROTECTS_WHAT_FOLLOWS = "protects-what-follows"


@dataclass(slots=True)
class Scope:
    """What a body may refer to while it is parsed, and where its findings go.

    An image that is listed but could not be loaded is None: it has its finding already; `data` are bytes of the
    recipe's own. `written` returns the text of the
    value at a path, as it stands in the recipe; empty where that is not known. `option_images` are the images whose option
    bytes a step sets.
    """

    chip: Chip
    images: Mapping[str, ImageFile | None]
    allow: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    written: Callable[[RecipePath], str] = lambda _: ""
    option_images: set[str] = field(default_factory=set)
    data: Mapping[str, ImageFile | None] = field(default_factory=dict)

    def report(self, code: Code, message: str, path: RecipePath, *, hint: str = "", on_key: bool = False) -> None:
        """Add a finding about the value at `path`, or about its key."""
        self.findings.append(Finding(code, message, path, hint=hint, on_key=on_key))

    def take_option_bytes(self, name: str) -> None:
        """Remember that a step sets the option bytes in an image: that `write` leaves them out is not told, nor was."""
        self.option_images.add(name)
        about = ("images", name, "file")
        self.findings[:] = [f for f in self.findings if (f.code, f.path) != (Code.OPTION_BYTES_IN_IMAGE, about)]

    def image(self, name: str, path: RecipePath) -> ImageFile | None:
        """Return the image of this name; where the recipe lists none, report it and return None."""
        if name not in self.images:
            hint = f"that is data: write `data: {name}`" if name in self.data else ""
            self.findings.append(unknown_image(name, self.images, path, hint=hint))
            return None
        return self.images[name]

    def data_called(self, name: str, path: RecipePath) -> ImageFile | None:
        """Return the data of this name; where the recipe has none, report it and return None."""
        if name not in self.data:
            hint = f"that is an image: write `image: {name}`" if name in self.images else ""
            self.findings.append(unknown_data(name, self.data, path, hint=hint))
            return None
        return self.data[name]


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

    def timeout_or(self, default_s: float) -> float:
        """Return the recipe's timeout, or `default_s` where it gives none."""
        return default_s if self.timeout_s is None else self.timeout_s


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended, and one line that says what it did."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One step of a recipe. Subclasses are frozen values; all that changes while they run is in the Context."""

    keyword: ClassVar[str]
    destructive: ClassVar[bool] = False
    keeps_timeout: ClassVar[bool] = True  # False: the step waits for something, and `timeout` says how long
    head: Head

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the typed step for a schema-valid body, or None after reporting why not.

        A step that is returned after an error was reported is what is sound of it; see `judged_alone`. This one serves the
        steps whose body has only what all bodies share.
        """
        return cls(head)

    @abstractmethod
    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Return the abstract board after this step, and what is wrong with the step at this place."""

    def judged_alone(self) -> list[Finding]:
        """Return what is wrong with the step wherever it stands, and whatever else were in its body."""
        return []

    @abstractmethod
    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Return what the step makes of a board of which so much is known, and what it will do, where nothing goes wrong."""

    @abstractmethod
    def execute(self, context: Context) -> Result:
        """Do it on the board; raise DfurunError where it fails."""

    def resume(self, context: Context) -> Result:
        """Go on after the board was lost, or the link, and regained: by default from the beginning."""
        return self.execute(context)

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Refuse, from what the board says, before anything destructive. Raise Refused.

        `forecast` are the option bytes when the step's turn comes, None where they cannot be known; return them as the step
        leaves them.
        """
        return forecast

    @property
    def needs_open_chip(self) -> bool:
        """Whether the step fails on a chip that is read-protected."""
        return True

    @property
    def irreversible(self) -> str | None:
        """What this step would do for ever, as far as the recipe alone tells; None where nothing."""
        return None

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
                message, hint = f"{self.keyword} before connect", "make `connect` the first step"
            case Presence.LEFT:
                message = f"{self.keyword} after the board has left the bootloader"
                hint = "move it before `leave-dfu`, or put `wait-for-power-cycle: {boot0: 1}` before it"
            case Presence.UNKNOWN:
                return []
            case _:
                assert_never(board.presence)
        return [self.finding(Code.STEP_ORDER, message, hint=hint)]

    def needs_open_flash(self, board: AbstractBoard) -> list[Finding]:
        """Return findings where the board is not connected, or an earlier step has closed it to reading and writing."""
        findings = self.needs_connection(board)
        if board.sealed_by is not None and PROTECTS_WHAT_FOLLOWS not in board.allow:
            findings.append(
                self.finding(
                    Code.GUARD,
                    f"{self.keyword} after the recipe has read-protected the chip",
                    hint=f"set RDP last, or write `allow: [{PROTECTS_WHAT_FOLLOWS}]`",
                    related=(Related(board.sealed_by, "protected here"),),
                )
            )
        return findings

    def needs_known_pages(self, board: AbstractBoard) -> list[Finding]:
        """Return a finding where an earlier step of the recipe gives the flash other pages than the chip's data has."""
        fields, unit = {name: earlier.value for name, earlier in board.option_fields.items()}, board.chip.flash.unit
        return [
            self.finding(
                Code.PAGES_MOVED,
                f"{self.keyword} by {unit}s that are other ones: with {field.name} at {fields[field.name]} {field.otherwise}",
                hint=f"`mass-erase`, and a `write` after it, need no {unit}s",
                related=(Related(board.option_fields[field.name].path, "set here"),),
            )
            for field in board.chip.moved_pages(fields)
        ]

    def needs_writable(self, board: AbstractBoard, extents: Sequence[AddressRange], *keys: str | int) -> list[Finding]:
        """Return a finding where an earlier step of the recipe write-protects a part of `extents`."""
        covered = next((p for p in board.write_protected for e in extents if p.overlaps(e)), None)
        if covered is None or board.write_protected_by is None or PROTECTS_WHAT_FOLLOWS in board.allow:
            return []
        return [
            self.finding(
                Code.GUARD,
                f"the recipe write-protects {covered} before this {self.keyword}",
                *keys,
                hint=f"protect last, or write `allow: [{PROTECTS_WHAT_FOLLOWS}]`",
                related=(Related(board.write_protected_by, "protected here"),),
            )
        ]


def unknown_image(name: str, images: Collection[str], path: RecipePath, *, hint: str = "") -> Finding:
    """Return the finding about a name that the recipe's `images` do not have."""
    hint = hint or did_you_mean(name, images) or "list it under `images`"
    return Finding(Code.UNKNOWN_IMAGE, f"no image {name!r} under `images`", path, hint=hint)


def unknown_data(name: str, data: Collection[str], path: RecipePath, *, hint: str = "") -> Finding:
    """Return the finding about a name that the recipe's `data` do not have."""
    hint = hint or did_you_mean(name, data) or "spell it out under `data`"
    return Finding(Code.UNKNOWN_DATA, f"no data {name!r} under `data`", path, hint=hint)


def did_you_mean(word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """Return `did you mean 'x'?` for the nearest known words, else the list of all; empty where there are none.

    `cutoff` is how much of a word must be right.
    """
    near = nearest(word, known, cutoff=cutoff)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known: {', '.join(sorted(known))}" if known else ""


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.6) -> list[str]:
    """Return the known word that is nearest, or all that are equally near; none where even they are far.

    Upper and lower case, and `_` and `-`, count as the same.
    """
    from difflib import SequenceMatcher, get_close_matches

    folded = {_fold(name): name for name in known}
    near = get_close_matches(_fold(word), folded, n=4, cutoff=cutoff)
    ratios = [SequenceMatcher(None, name, _fold(word)).ratio() for name in near]
    return sorted(folded[name] for name, ratio in zip(near, ratios, strict=True) if ratio == ratios[0])


def _fold(word: str) -> str:
    return word.casefold().replace("_", "-")
