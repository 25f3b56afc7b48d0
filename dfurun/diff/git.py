"""A repository's files as they were at a revision, or are in the index: read by git's own commands, so that its filters apply.

# Ref: git-cat-file(1), --filters: line ends, clean and smudge filters (Git LFS) as in a checkout
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from posixpath import dirname, normpath

from dfurun.errors import Code, DfurunError

NOTHING = "nothing was compared"
LINK, SUBMODULE, FILES = "120000", "160000", ("100644", "100755")
MOST_LINKS = 8
SHORT = 12


class Repository:
    """One repository: `root` is the folder of its working tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def around(cls, path: Path) -> Repository:
        """Return the repository that holds `path`, which need not be there any more.

        Raises DfurunError: no git on this computer, no repository there, or one that git refuses.
        """
        folder = path if path.is_dir() else path.parent
        while not folder.is_dir():
            folder = folder.parent
        done = _run(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            raise DfurunError(
                Code.NO_REPOSITORY,
                f"{path} is in no git repository",
                consequence=NOTHING,
                hint="compare two files: `dfurun diff OLD NEW`; or run it in the repository",
                evidence=_complaint(done.stderr),
            )
        return cls(Path(os.fsdecode(done.stdout.rstrip(b"\r\n"))).resolve())

    def path_of(self, path: Path) -> str:
        """Return a file's path in the repository; raise DfurunError where it lies elsewhere."""
        real = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
        if not real.is_relative_to(self.root):
            raise DfurunError(
                Code.NO_REPOSITORY,
                f"{path} is not in the repository {self.root}",
                consequence=NOTHING,
                hint="compare the recipes of one repository at a time",
            )
        return real.relative_to(self.root).as_posix()

    def commit(self, revision: str) -> str:
        """Return the commit that a revision names; raise DfurunError where there is none."""
        done = self._find(revision)
        if done.returncode:
            raise DfurunError(
                Code.UNKNOWN_REVISION,
                f"the repository has no revision `{revision}`",
                consequence=NOTHING,
                hint="`git fetch` brings branches; a shallow clone, as CI has it, holds only the last commit: fetch more",
                evidence=_complaint(done.stderr),
            )
        return done.stdout.decode().strip()

    def has_commit(self, revision: str) -> bool:
        """Say whether a revision of this name is there."""
        return self._find(revision).returncode == 0

    def _find(self, revision: str) -> subprocess.CompletedProcess[bytes]:
        return self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def common_ancestor(self, one: str, other: str) -> str:
        """Return the commit at which two revisions parted, git's `one...other`; raise DfurunError where none is known."""
        commits = (self.commit(one), self.commit(other))
        done = self.run("merge-base", *commits)
        if done.returncode:
            raise DfurunError(
                Code.UNKNOWN_REVISION,
                f"`{one}` and `{other}` have no common ancestor here",
                consequence=NOTHING,
                hint="a shallow clone in CI does not have it: fetch more; or compare with `..`",
                evidence=_complaint(done.stderr),
            )
        return done.stdout.decode().strip()

    def parent(self, commit: str) -> str:
        """Return the first parent of a commit; empty where it has none."""
        return self.run("rev-parse", "--verify", "--quiet", f"{commit}^").stdout.decode().strip()

    def files_now(self) -> list[str]:
        """Return the files of the working tree, those that git ignores left out."""
        done = self.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = dict.fromkeys(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
        return [name for name in names if (self.root / name).is_file()]

    def renamed(self, old: str, new: str | None) -> dict[str, str]:
        """Return for new names of files the old ones, as git finds them; `new` None is the working tree."""
        done = self.run(
            "diff", "--name-status", "--find-renames", "--diff-filter=R", "-z", old, *([new] if new else []), "--"
        )
        words = [os.fsdecode(word) for word in done.stdout.split(b"\0")]
        return {words[at + 2]: words[at + 1] for at in range(0, len(words) - 2, 3)}

    def run(self, *arguments: str, attributes: str = "") -> subprocess.CompletedProcess[bytes]:
        """Run a git command in the repository; `attributes` is the tree whose are meant. Raises DfurunError without git."""
        return _run(self.root, *arguments, attributes=attributes)


@dataclass(frozen=True)
class Tree:
    """The files of one revision: `name` is a commit, or empty for the index; `label` is what people call it."""

    repository: Repository
    name: str
    label: str

    @cached_property
    def modes(self) -> Mapping[str, str]:
        """The mode of every file by its path; folders have none."""
        return {path: described[0] for path, described in self._entries.items()}

    @cached_property
    def _entries(self) -> Mapping[str, Sequence[str]]:
        """What git tells of every file by its path: the mode first, the id among the rest."""
        if self.name:
            done = self.repository.run("ls-tree", "-r", "-z", "--full-tree", self.name)
        else:
            done = self.repository.run("ls-files", "--stage", "-z", "--full-name")
        entries = (entry.partition("\t") for entry in os.fsdecode(done.stdout).split("\0") if entry)
        return {path: described.split(" ") for described, _, path in entries}

    def submodule_of(self, path: str) -> str | None:
        """Return the path of the submodule that a path leads into; None where it leads into none."""
        return next((str(f) for f in PurePosixPath(path).parents if self.modes.get(str(f)) == SUBMODULE), None)

    def read(self, path: str) -> bytes | None:
        """Return a file as a checkout would have it, a link followed, out of a submodule that is here too; None for no file."""
        for _ in range(MOST_LINKS):
            mode = self.modes.get(path)
            if mode in FILES:
                return self._content(path)
            if mode != LINK:
                return self._read_in_submodule(path)
            target = os.fsdecode(self._blob(path) or b"")
            path = normpath(f"{dirname(path)}/{target}" if dirname(path) else target)
        return None

    def _read_in_submodule(self, path: str) -> bytes | None:
        """Return a file of a submodule at the commit that this tree has of it; None where it, or the commit, is not here."""
        submodule = self.submodule_of(path)
        if submodule is None:
            return None
        root = self.repository.root / submodule
        if not (root / ".git").exists():
            return None
        described = self._entries[submodule]
        commit = described[2] if self.name else described[1]
        return Tree(Repository(root), commit, self.label).read(path.removeprefix(f"{submodule}/"))

    def blob_id(self, path: str) -> str:
        """Return the id of a file's content; empty where there is none."""
        done = self.repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.name}:{path}")
        return done.stdout.decode().strip()

    def _content(self, path: str) -> bytes | None:
        """Return what the filters make of a file; what is stored where one fails: Git LFS may lack the object."""
        done = self.repository.run("cat-file", "--filters", f"{self.name}:{path}", attributes=self.name)
        return self._blob(path) if done.returncode else done.stdout

    def _blob(self, path: str) -> bytes | None:
        done = self.repository.run("cat-file", "blob", f"{self.name}:{path}")
        return None if done.returncode else done.stdout


def _run(folder: Path, *arguments: str, attributes: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder, in English, never asking anybody; raise DfurunError where there is none."""
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    if attributes:
        environment["GIT_ATTR_SOURCE"] = attributes  # git 2.41; an older one takes those of the working tree
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise DfurunError(
            Code.NO_GIT,
            f"git cannot be run: {error.strerror or error}",
            consequence=NOTHING,
            hint="install git, or compare two files: `dfurun diff OLD NEW`",
        ) from None


def _complaint(words: bytes) -> tuple[str, ...]:
    return tuple(line for line in words.decode("utf-8", errors="replace").splitlines() if line)
