"""Which recipes a base concerns: those of its repository that extend it, or extend one that does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfurun.errors import Finding
from dfurun.recipe.chain import Chain
from dfurun.recipe.opened import open_recipe, repository_of

_SUFFIXES = (".yaml", ".yml")
_EXTENDS = re.compile(r"^extends[ \t]*:", re.MULTILINE)
_ABSTRACT = re.compile(r"^abstract[ \t]*:", re.MULTILINE)  # a base itself: what it passes on shows in recipes


def with_those_that_extend(recipes: Sequence[Path]) -> list[Path]:
    """Return these recipes, then those that extend one of them, by their paths from the working directory."""
    given = {path.resolve() for path in recipes}
    found: set[Path] = set()
    for repository in {repository_of(path) for path in recipes}:
        found.update(path for path in _recipes_in(repository) if not given.isdisjoint(_bases_of(path, repository)))
    return [*recipes, *sorted(_from_here(path) for path in found - given)]


def _recipes_in(folder: Path) -> Iterator[Path]:
    """Yield the YAML files of a folder and of those in it; not of hidden ones, nor of what packages bring along."""
    for here, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "node_modules"]
        yield from (Path(here, name) for name in names if name.endswith(_SUFFIXES))


def _bases_of(path: Path, repository: Path) -> set[Path]:
    """Return the files that a recipe extends; none of a file that extends nothing, is a base, or cannot be read."""
    opened = open_recipe(path, inside=repository)
    if isinstance(opened, Finding) or not _EXTENDS.search(opened.text) or _ABSTRACT.search(opened.text):
        return set()
    chain = Chain(allow_outside=False)
    chain.read(path, opened.text, opened.sha256)
    return {file.source.path.resolve() for file in chain.files[1:]}


def _from_here(path: Path) -> Path:
    try:
        return Path(os.path.relpath(path))
    except ValueError:  # on another drive
        return path
