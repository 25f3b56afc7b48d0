"""A recipe as values: what was read, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfurun.chips import Chip, Timing, Width
from dfurun.errors import Finding, Severity
from dfurun.image import ImageFile
from dfurun.recipe.positions import Source
from dfurun.recipe.variables import Declaration, Variable
from dfurun.steps.expect import Expect
from dfurun.steps.step import Step


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """One file that a recipe is made of, and the SHA-256 of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One product's recipe. `sha256` is that of the file's bytes, `supply_v` the board's supply where the recipe says it.

    `images` has the recipe's own `data` as well. `files` are itself and its bases, the nearest first; `digest` is the SHA-256
    of all its values as canonical JSON, after bases and variables: it changes with what the recipe says, not with comments.
    `declared` is what its variables take.
    """

    path: Path
    name: str
    sha256: str
    chip: Chip
    images: Mapping[str, ImageFile]
    expect: Expect
    allow: frozenset[str]
    steps: tuple[Step, ...]
    supply_v: float | None
    files: tuple[RecipeFile, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)
    declared: Mapping[str, Declaration] = field(default_factory=dict)
    digest: str = ""

    @property
    def width(self) -> Width | None:
        """The width to have the ROM program with: the widest that the supply allows; None where it has one alone."""
        return self.chip.width_at(self.supply_v)

    @property
    def programs_bytes_at_once(self) -> int:
        """How many bytes the ROM programs at once at that width."""
        return self.chip.flash.program_unit_bytes if self.width is None else self.width.unit_bytes

    @property
    def timing(self) -> Timing:
        """How long the chip's operations take at that width."""
        return self.chip.timing if self.width is None else self.width.timing


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading: the recipe, or None where an error was found, and all findings in the order of the text.

    `draft` is for the rules of the steps, never to be run: it is there where the steps are sound, whatever else is wrong.
    `values` are the recipe's plain values after bases and variables, None where they could not be made out; `is_base`: the file
    is only a base for others.
    """

    source: Source
    recipe: Recipe | None
    findings: tuple[Finding, ...]
    draft: Recipe | None = None
    values: Any = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    declared: Mapping[str, Declaration] = field(default_factory=dict)
    is_base: bool = False

    @property
    def has_errors(self) -> bool:
        """Say whether any finding is more than a warning."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)
