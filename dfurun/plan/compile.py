"""One compile for check, plan, diff and run: the recipe read, its shape and its rules judged, every finding placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfurun.errors import Code, Finding, InvalidInput, Severity
from dfurun.plan.interpret import Interpretation, interpret
from dfurun.recipe import NO_SETTINGS, Loaded, Recipe, Settings, Value, load_recipe
from dfurun.recipe.many import shortened


@dataclass(frozen=True, slots=True)
class Compiled:
    """A recipe that may be run where `recipe` is not None, and what was found, in the order of the text.

    `loaded` is what it was made of, where that is known: the text with its places, and its plain values.
    """

    recipe: Recipe | None
    interpretation: Interpretation | None
    findings: tuple[Finding, ...]
    loaded: Loaded | None = None

    @property
    def stand_ins(self) -> Mapping[str, Value]:
        """The values that stand in for what only a run is given, by the names of their variables."""
        variables = self.loaded.variables if self.loaded else {}
        return {name: variable.value for name, variable in variables.items() if variable.is_stand_in}

    @property
    def is_base(self) -> bool:
        """Whether this is only a base for other recipes."""
        return self.loaded is not None and self.loaded.is_base

    @property
    def findings_of_a_base(self) -> tuple[Finding, ...]:
        """The findings but for the one that a base is no recipe, where nobody has asked to run it."""
        return tuple(finding for finding in self.findings if finding.code is not Code.ABSTRACT_RECIPE)

    @property
    def to_compare(self) -> Recipe | None:
        """The recipe, also where all that stands against it is that files are others than it pins, and those were read."""
        loaded = self.loaded
        if self.recipe is not None or loaded is None or loaded.draft is None:
            return self.recipe
        codes = {finding.code for finding in loaded.findings if finding.severity is Severity.ERROR}
        images = loaded.draft.images
        return (
            loaded.draft
            if codes == {Code.PIN_MISMATCH} and loaded.values.get("images", {}).keys() <= images.keys()
            else None
        )

    def runnable(self) -> Recipe:
        """Return the recipe; raise InvalidInput, with all findings, where an error stands against it."""
        if self.recipe is None or any(finding.severity is Severity.ERROR for finding in self.findings):
            raise InvalidInput(self.findings)
        return self.recipe


def compile_recipe(
    path: Path, *, allow_outside: bool = False, settings: Settings = NO_SETTINGS, take_swapped: bool = False
) -> Compiled:
    """Load a recipe and judge it. Nothing is raised for a bad one: its findings say what is wrong.

    `settings` are what the run is given for the recipe's variables, `take_swapped` is as in `load_recipe`.
    """
    loaded = load_recipe(path, allow_outside=allow_outside, settings=settings, take_swapped=take_swapped)
    return compile_loaded(loaded)


def compile_loaded(loaded: Loaded) -> Compiled:
    """Judge a recipe that was read already."""
    if loaded.draft is None:
        return Compiled(None, None, shortened(loaded.findings), loaded)
    interpretation = interpret(loaded.draft)
    findings = loaded.source.attach((*loaded.findings, *interpretation.findings))
    return Compiled(loaded.recipe, interpretation, shortened(findings), loaded)
