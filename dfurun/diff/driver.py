"""Git's own `git diff` shows what a recipe's change means: the driver that it calls, `diff.NAME.command`.

# Ref: gitattributes(5), "Defining an external diff driver"; git(1), GIT_EXTERNAL_DIFF: path old-file old-hex old-mode new-file
# new-hex new-mode, and of a renamed file its new path and the similarity
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dfurun.diff.comparison import INDEX, WORKING_TREE, Comparison, compare_readings, shown_path
from dfurun.diff.git import SHORT, Repository, Tree
from dfurun.diff.readings import Reading, of_file, of_revision
from dfurun.recipe import NO_SETTINGS, Settings

NO_BLOB, NOWHERE = ".", "nowhere"
FEWEST, MOST = 7, 9


@dataclass(frozen=True, slots=True)
class Called:
    """What git tells a driver: where a file is on both sides, and which blob it is; zeros are a file of the working tree."""

    path: str
    old_file: Path
    old_blob: str
    new_file: Path
    new_blob: str
    new_path: str

    @classmethod
    def of(cls, words: Sequence[str]) -> Called | None:
        """Return what git's words mean; None where they are not those of a driver. A path that is not merged comes alone."""
        if not FEWEST <= len(words) <= MOST:
            return None
        path, old_file, old_blob, _, new_file, new_blob, _, *rest = words
        return cls(path, Path(old_file), old_blob, Path(new_file), new_blob, rest[0] if rest else path)


def compare_called(called: Called, *, settings: Settings = NO_SETTINGS) -> Comparison:
    """Compare the two recipes that git shows the difference of, each with the images of a revision that has it so.

    Git does not say which revisions it compares: the index, HEAD and the recipe's own history are asked for the blob.
    """
    repository = Repository.around(Path.cwd())
    with ExitStack() as stack:
        old_label, old = _side(repository, called.path, called.old_blob, stack)
        new_label, new = _side(repository, called.new_path, called.new_blob, stack)
        was = called.path if called.path != called.new_path else None
        return compare_readings(called.new_path, (old_label, new_label), old, new, settings=settings, old_name=was)


def _side(repository: Repository, path: str, blob: str, stack: ExitStack) -> tuple[str, Reading | None]:
    if blob == NO_BLOB:
        return NOWHERE, None
    tree = None if not blob.strip("0") else _tree_of(repository, path, blob)
    if tree is None:  # a file of the working tree, or of no revision: there are no other images than those
        return WORKING_TREE, of_file(shown_path(repository.root / path))
    return tree.label, stack.enter_context(of_revision(tree, path))


def _tree_of(repository: Repository, path: str, blob: str) -> Tree | None:
    """Return the tree in which a path holds a blob: the index, HEAD, else the latest commit that brought or took it."""
    for tree in (Tree(repository, "", INDEX), Tree(repository, "HEAD", "HEAD")):
        if tree.blob_id(path).startswith(blob):
            return tree
    done = repository.run("log", "--all", "--format=%H", "--max-count=4", f"--find-object={blob}", "--", path)
    for commit in done.stdout.decode().split():
        for name in (commit, repository.parent(commit)):
            if name and Tree(repository, name, "").blob_id(path).startswith(blob):
                return Tree(repository, name, name[:SHORT])
    return None
