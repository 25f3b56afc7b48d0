"""Recipes compared, one by one: of two files, or of two revisions of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from dfurun.diff.change import Difference
from dfurun.diff.compare import added, compare, removed
from dfurun.diff.git import NOTHING, SHORT, Repository, Tree
from dfurun.diff.readings import Reading, compile_both, of_file, of_revision, same_stand_ins
from dfurun.errors import Code, DfurunError, ExitStatus, Finding, Severity, worst_status
from dfurun.plan import Compiled
from dfurun.recipe import NO_SETTINGS, Settings, Value

SUFFIXES = (".yaml", ".yml")
WORKING_TREE, INDEX = "working tree", "index"
_RECIPE = re.compile(rb"^dfurun[ \t]*:", re.MULTILINE)
_BASE = re.compile(rb"^abstract[ \t]*:", re.MULTILINE)  # only for recipes that extend it, which are compared with it


@dataclass(frozen=True, slots=True)
class Comparison:
    """One recipe on both sides: None where it is not there. `difference` is None where a side does not compile.

    `name` is what people call it, `old_name` what it was called before where that was something else.
    """

    name: str
    old_label: str
    new_label: str
    old: Compiled | None
    new: Compiled | None
    difference: Difference | None
    old_name: str | None = None

    @property
    def stand_ins(self) -> Mapping[str, tuple[Value, ...]]:
        """The values that stand in for what only a run is given: one, or where the sides do not take the same, both."""
        sides = [side.stand_ins for side in (self.old, self.new) if side is not None]
        names = dict.fromkeys(name for side in sides for name in side)
        return {name: tuple(dict.fromkeys(side[name] for side in sides if name in side)) for name in names}

    @property
    def is_base(self) -> bool:
        """Whether what is there is only a base for other recipes, which say what its changes come to."""
        sides = [side for side in (self.old, self.new) if side is not None]
        return bool(sides) and all(side.is_base for side in sides)

    @property
    def broken_sides(self) -> tuple[str, ...]:
        """The labels of the sides that do not compile."""
        sides = ((self.old_label, self.old), (self.new_label, self.new))
        return tuple(label for label, compiled in sides if compiled is not None and compiled.to_compare is None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong: of a side that does not compile all of it, of the new one its errors as well, never twice."""
        shown: list[Finding] = []
        if self.is_base and self.new is not None:
            return self.new.findings_of_a_base
        for compiled in (self.old, self.new):
            if compiled is None:
                continue
            errors = [f for f in compiled.findings if f.severity is Severity.ERROR]
            shown += compiled.findings if compiled.to_compare is None else errors if compiled is self.new else []
        return tuple(dict.fromkeys(shown))

    @property
    def status(self) -> ExitStatus:
        """INVALID or REFUSED where a side cannot be compared or the new one could not be run, else DONE."""
        return worst_status(self.findings)


def compare_readings(
    name: str,
    labels: tuple[str, str],
    old: Reading | None,
    new: Reading | None,
    *,
    settings: Settings = NO_SETTINGS,
    old_name: str | None = None,
) -> Comparison:
    """Return the comparison of two recipes, of which one may not be there.

    Where values stand in for what only a run is given, the recipes are compared with two sets of them: one alone may be equal
    to what a recipe says without its variable.
    """
    sides = compile_both(old, new, settings)
    found = compare_compiled(name, *labels, *sides, old_name=old_name)
    if found.difference is None or not found.stand_ins:
        return found
    again = compile_both(old, new, settings, extreme=1)
    other = compare_compiled(name, *labels, *again) if same_stand_ins(again) else None
    if other is None or other.difference is None:
        return found
    return replace(found, difference=found.difference.with_more_of(other.difference))


def compare_compiled(
    name: str,
    old_label: str,
    new_label: str,
    old: Compiled | None,
    new: Compiled | None,
    *,
    old_name: str | None = None,
) -> Comparison:
    """Return the comparison of two compiled recipes, of which one may not be there."""
    found: Difference | None = None
    if old is None and new is not None and new.to_compare is not None:
        found = added(new)
    elif new is None and old is not None and not old.is_base:
        found = removed(old)
    elif old is not None and new is not None and old.to_compare is not None and new.to_compare is not None:
        found = compare(old, new)
    return Comparison(name, old_label, new_label, old, new, found, old_name)


def compare_files(old: Path, new: Path, *, allow_outside: bool = False, settings: Settings = NO_SETTINGS) -> Comparison:
    """Compare two recipes in files."""
    readings = [of_file(path, allow_outside=allow_outside) for path in (old, new)]
    return compare_readings(str(new), (str(old), str(new)), *readings, settings=settings)


def compare_revisions(
    revision: str, paths: Sequence[Path], *, allow_outside: bool = False, settings: Settings = NO_SETTINGS
) -> Iterator[Comparison]:
    """Yield the comparison of each recipe at a revision with that of the working tree, or with another revision's.

    `revision` is `OLD`, `OLD..NEW`, or `OLD...NEW`: since NEW parted from OLD. A folder stands for all recipes in it, on either
    side. Raises DfurunError: no git, no repository, no such revision, a recipe on neither side.
    """
    repository = Repository.around(paths[0])
    old, new = _trees(repository, revision)
    now = [] if new is not None else repository.files_now()
    renamed = repository.renamed(old.name, new.name if new else None)
    names = list(dict.fromkeys(name for path in paths for name in _recipes_of(path, old, new, now)))
    left = {renamed[name] for name in names if name in renamed}
    for name in names:
        if name not in left:
            yield _compare_at(old, new, name, renamed, allow_outside=allow_outside, settings=settings)


def _trees(repository: Repository, revision: str) -> tuple[Tree, Tree | None]:
    first, dots, last = _parted(revision)
    old, new = first or "HEAD", (last or "HEAD") if dots else None
    if new is None:
        return Tree(repository, repository.commit(old), old), None
    commit = repository.common_ancestor(old, new) if dots == "..." else repository.commit(old)
    label = f"{old} ({commit[:SHORT]})" if dots == "..." else old
    return Tree(repository, commit, label), Tree(repository, repository.commit(new), new)


def _parted(revision: str) -> tuple[str, str, str]:
    for dots in ("...", ".."):
        if dots in revision:
            return revision.partition(dots)
    return revision, "", ""


def _recipes_of(path: Path, old: Tree, new: Tree | None, now: Sequence[str]) -> list[str]:
    """Return the recipes that a path means, by their paths in the repository."""
    name = old.repository.path_of(path)
    there = set(new.modes) if new else set(now)
    if name in old.modes or name in there or (new is None and path.is_file()):
        return [name]
    folder = "" if name == "." else f"{name}/"
    inside = sorted(n for n in there | set(old.modes) if n.startswith(folder) and n.endswith(SUFFIXES))
    found = [n for n in inside if any(_is_recipe(text) for text in _texts(n, old, new))]
    if found or path.is_dir():
        return found
    sides = f"neither {old.label} nor {new.label if new else 'the working tree'} has"
    raise DfurunError(
        Code.NOT_IN_REVISION,
        f"{sides} {name}",
        consequence=NOTHING,
        hint="a path is one from this folder; `dfurun diff --git REV .` compares all recipes here",
    )


def _is_recipe(text: bytes) -> bool:
    return _RECIPE.search(text) is not None and _BASE.search(text) is None


def _texts(name: str, old: Tree, new: Tree | None) -> Iterator[bytes]:
    yield old.read(name) or b""
    if new is not None:
        yield new.read(name) or b""
    elif (file := old.repository.root / name).is_file():
        yield file.read_bytes()


def _compare_at(
    old: Tree, new: Tree | None, name: str, renamed: dict[str, str], *, allow_outside: bool, settings: Settings
) -> Comparison:
    old_name = name if name in old.modes else renamed.get(name)
    if old_name != name and old_name in (new.modes if new else ()):
        old_name = None
    with ExitStack() as stack:
        readings: list[Reading | None] = []
        for tree, wanted in ((old, old_name), (new, name)):
            if tree is None:
                file = old.repository.root / name
                there = file.is_file() or file.is_symlink()
                readings.append(of_file(shown_path(file), allow_outside=allow_outside) if there else None)
            elif wanted is None or wanted not in tree.modes:
                readings.append(None)
            else:
                readings.append(stack.enter_context(of_revision(tree, wanted, allow_outside=allow_outside)))
        labels = (old.label, new.label if new else WORKING_TREE)
        was = None if old_name == name else old_name
        return compare_readings(name, labels, readings[0], readings[1], settings=settings, old_name=was)


def shown_path(file: Path) -> Path:
    """Return a file's path as people write it here: from the working directory where it lies below."""
    here = Path.cwd().resolve()
    return file.relative_to(here) if file.is_relative_to(here) else file
