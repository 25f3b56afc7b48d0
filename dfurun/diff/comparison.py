"""Recipes compared, one by one: of two files, or of two revisions of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dfurun.diff.change import Difference
from dfurun.diff.compare import added, compare, removed
from dfurun.diff.git import NOTHING, SHORT, Repository, Tree
from dfurun.diff.mirror import compile_at
from dfurun.errors import Code, DfurunError, ExitStatus, Finding, Severity, worst_status
from dfurun.plan import Compiled, compile_recipe

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
    def broken_sides(self) -> tuple[str, ...]:
        """The labels of the sides that do not compile."""
        sides = ((self.old_label, self.old), (self.new_label, self.new))
        return tuple(label for label, compiled in sides if compiled is not None and compiled.recipe is None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong: of a side that does not compile all of it, of the new one its errors as well, never twice."""
        shown: list[Finding] = []
        for compiled in (self.old, self.new):
            if compiled is None:
                continue
            errors = [f for f in compiled.findings if f.severity is Severity.ERROR]
            shown += compiled.findings if compiled.recipe is None else errors if compiled is self.new else []
        return tuple(dict.fromkeys(shown))

    @property
    def status(self) -> ExitStatus:
        """INVALID or REFUSED where a side cannot be compared or the new one could not be run, else DONE."""
        return worst_status(self.findings)


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
    if old is None and new is not None and new.recipe is not None:
        found = added(new)
    elif new is None and old is not None:
        found = removed(old)
    elif old is not None and new is not None and old.recipe is not None and new.recipe is not None:
        found = compare(old, new)
    return Comparison(name, old_label, new_label, old, new, found, old_name)


def compare_files(old: Path, new: Path, *, allow_outside: bool = False) -> Comparison:
    """Compare two recipes in files."""
    sides = [compile_recipe(path, allow_outside=allow_outside) for path in (old, new)]
    return compare_compiled(str(new), str(old), str(new), sides[0], sides[1])


def compare_revisions(revision: str, paths: Sequence[Path], *, allow_outside: bool = False) -> Iterator[Comparison]:
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
            yield _compare_at(old, new, name, renamed, allow_outside=allow_outside)


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


def _compare_at(old: Tree, new: Tree | None, name: str, renamed: dict[str, str], *, allow_outside: bool) -> Comparison:
    old_name = name if name in old.modes else renamed.get(name)
    if old_name != name and old_name in (new.modes if new else ()):
        old_name = None
    sides: list[Compiled | None] = []
    for tree, wanted in ((old, old_name), (new, name)):
        if tree is None:
            file = old.repository.root / name
            there = file.is_file() or file.is_symlink()
            sides.append(compile_recipe(shown_path(file), allow_outside=allow_outside) if there else None)
        elif wanted is None or wanted not in tree.modes:
            sides.append(None)
        else:
            with TemporaryDirectory(prefix="dfurun-diff-") as folder:
                sides.append(compile_at(tree, wanted, Path(folder).resolve(), allow_outside=allow_outside))
    label = new.label if new else WORKING_TREE
    return compare_compiled(name, old.label, label, sides[0], sides[1], old_name=None if old_name == name else old_name)


def shown_path(file: Path) -> Path:
    """Return a file's path as people write it here: from the working directory where it lies below."""
    here = Path.cwd().resolve()
    return file.relative_to(here) if file.is_relative_to(here) else file
