"""Both sides of a comparison compiled alike: with the same values for the variables of both, whoever gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from dfurun.diff.git import Tree
from dfurun.diff.mirror import compile_mirrored, mirror
from dfurun.plan import Compiled, compile_for_review
from dfurun.recipe import Settings, Value

Sides = tuple[Compiled | None, Compiled | None]


class Reading(Protocol):
    """A recipe that can be compiled again and again, each time with other values for its variables."""

    def __call__(self, *, settings: Settings, preferred: Mapping[str, Value], extreme: int) -> Compiled:
        """Compile it, as `compile_for_review` does."""
        ...


def of_file(path: Path, *, allow_outside: bool = False) -> Reading:
    """Return the reading of a recipe in a file."""
    return partial(compile_for_review, path, allow_outside=allow_outside, take_swapped=True)


@contextmanager
def of_revision(tree: Tree, path: str, *, allow_outside: bool = False) -> Iterator[Reading]:
    """Give the reading of a recipe as it is at a revision."""
    with TemporaryDirectory(prefix="dfurun-diff-") as name:
        folder = Path(name).resolve()
        mirror(tree, path, folder)
        yield partial(compile_mirrored, tree.label, path, folder, allow_outside=allow_outside)


def compile_both(old: Reading | None, new: Reading | None, settings: Settings, *, extreme: int = 0) -> Sides:
    """Compile both sides. What one is given for a variable, the other has as well where it declares it and takes that.

    A value may be given for a variable that only one side declares. `extreme` as in `compile_for_review`.
    """

    def compiled(reading: Reading, other: Compiled | None) -> Compiled:
        declared = other.loaded.declared if other and other.loaded else {}
        known = replace(settings, elsewhere=frozenset(declared))
        return reading(settings=known, preferred=_values(other), extreme=extreme)

    before = compiled(old, None) if old else None
    after = compiled(new, before) if new else None
    if old and before and after and _is_asked_again(before, after):
        before = compiled(old, after)
    return before, after


def _is_asked_again(before: Compiled, after: Compiled) -> bool:
    """Say whether the old side, which was compiled first, does not know of the new one's variables or their values."""
    declared = [set(side.loaded.declared) if side.loaded else set() for side in (before, after)]
    values = _values(after)
    return bool(declared[1] - declared[0]) or any(values.get(name) != value for name, value in before.stand_ins.items())


def same_stand_ins(sides: Sides) -> bool:
    """Say whether what stands in for a variable's value on one side is the other's value as well, where that has one."""
    values = [_values(side) for side in sides]
    names = {name for side in sides if side for name in side.stand_ins} & values[0].keys() & values[1].keys()
    return all(values[0][name] == values[1][name] for name in names)


def _values(compiled: Compiled | None) -> Mapping[str, Value]:
    variables = compiled.loaded.variables if compiled and compiled.loaded else {}
    return {name: variable.value for name, variable in variables.items()}
