"""The files of a recipe: itself, the base that it extends, the base of that; each read, and what it says for itself judged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dfurun.errors import Code, Finding, Place, Related
from dfurun.recipe.document import Document, read_document, split_lines
from dfurun.recipe.laid_over import OWN_KEYS
from dfurun.recipe.opened import git_folder, may_be_inside, open_recipe, repository_of
from dfurun.recipe.positions import Marks, Source, Span
from dfurun.recipe.schema import is_newer, shape_findings
from dfurun.recipe.tree import Node, tree
from dfurun.recipe.versions import version_findings

MOST_FILES = 16
NOTHING_EDITED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class File:
    """One file of the chain. `unsound` are variables whose declaration has a finding already."""

    source: Source
    document: Document
    node: Node
    unsound: frozenset[str] = frozenset()


@dataclass(slots=True)
class Chain:
    """The files, the one that was asked for first. Every finding has its place.

    Where it is not `whole`, a part of the recipe is not known. `edited` are texts to be read in place of what is in the files
    of bases, by where those really are.
    """

    allow_outside: bool
    edited: Mapping[str, str] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    whole: bool = True

    def read(self, path: Path, text: str, sha256: str) -> None:
        """Take a file's text, and go on to its base."""
        document = read_document(text, str(path))
        source = Source(path, sha256, split_lines(text), document.index)
        self.findings += source.attach(document.findings)
        if not document.whole:
            self.whole = False
            self.files.append(File(source, document, Node(None, source, Marks(None, Span(1, 1, 2)))))
            return
        unsound = self._judge_head(source, document)
        file = File(source, document, tree(document, source), unsound)
        self.files.append(file)
        base = file.node.get("extends")
        if base is None or base.is_unread or is_newer(document.value):
            self.whole &= base is None or not base.is_unread
        elif isinstance(base.value, str) and base.value:
            self._go_on(file, base)
        else:
            self.whole = False

    def _judge_head(self, source: Source, document: Document) -> frozenset[str]:
        """Judge what a file says for itself alone; return the variables whose declarations are not sound."""
        value = document.value
        if not isinstance(value, dict):
            self.whole &= not self.files  # a base that is no mapping
            if self.files:
                self.findings += source.attach(shape_findings(value))
            return frozenset()
        is_leaf = not self.files
        if is_newer(value):
            if not is_leaf:
                self.findings += source.attach(shape_findings(value))
                self.whole = False
            return frozenset()
        self.findings += source.attach(version_findings(value))
        wrong = [f for f in shape_findings(_head(value, is_leaf=is_leaf)) if not document.explains(f.path)]
        self.findings += source.attach(wrong)
        bad = {finding.path for finding in wrong} | document.unread | document.incomplete
        self.whole &= ("vars",) not in bad
        return frozenset(str(path[1]) for path in bad if path[:1] == ("vars",) and len(path) > 1)

    def _go_on(self, file: File, base: Node) -> None:
        """Read the base of a file, or say why that cannot be done."""
        place = base.source.place(base.marks.value)
        opened = self._opened(file, base.value, place)
        if isinstance(opened, Finding):
            self.findings.append(opened)
            self.whole = False
            return
        self.read(*opened)

    def _opened(self, file: File, name: str, place: Place) -> tuple[Path, str, str] | Finding:
        if "\\" in name:
            hint = f"write `{name.replace(chr(92), '/')}`: it works on every system"
            return Finding(Code.BAD_VALUE, "a path in a recipe has no `\\`", hint=hint, place=place)
        if "${" in name:
            message, hint = (
                "no variable can stand in `extends`",
                "write the name out: a reviewer reads what is extended",
            )
            return Finding(Code.BAD_REFERENCE, message, hint=hint, place=place)
        leaf = self.files[0].source.path
        target = _tidy(file.source.path.parent / name)
        repository = None if self.allow_outside else repository_of(leaf)
        if repository is not None and not may_be_inside(target, repository):
            return _outside(name, leaf, place)
        names = [str(each.source.path) for each in self.files]
        if real_path(target) in (real_path(each.source.path) for each in self.files):
            message = f"recipes that extend each other: {' -> '.join([*names, str(target)])}"
            return Finding(
                Code.BASE_CYCLE, message, hint="a base extends none of those that it is a base for", place=place
            )
        if len(self.files) >= MOST_FILES:
            message = f"more than {MOST_FILES} files that extend one another"
            return Finding(Code.BASE_CYCLE, message, hint="two or three are what a reviewer can follow", place=place)
        opened = open_recipe(target, inside=repository)
        if not isinstance(opened, Finding):
            return target, self.edited.get(real_path(target), opened.text), opened.sha256
        if opened.code is Code.IMAGE_OUTSIDE:
            return _outside(name, leaf, place)
        if opened.place is not None:
            related = (Related((), "extended here", place),)
            return replace(opened, code=Code.BASE_UNREADABLE, related=related)
        hint = opened.hint if opened.hint.startswith("did you mean") else "a path begins at the file in which it stands"
        return replace(opened, code=Code.BASE_UNREADABLE, hint=hint, place=place)


def _outside(name: str, leaf: Path, place: Place) -> Finding:
    message, hint = f"`{name}` is outside the recipe's repository", "move it into the repository"
    if git_folder(leaf) is None:
        message = f"`{name}` is outside the recipe's folder, and with no git repository around it only that counts"
        hint = "`git init` in the folder that holds both"
    return Finding(Code.BASE_OUTSIDE, message, hint=f"{hint}, or run with --allow-outside", place=place)


def _tidy(path: Path) -> Path:
    """Return a path without `..` where that leads to the same file: what is shown is what a repository calls it."""
    tidy = Path(os.path.normpath(path))
    return tidy if real_path(tidy) == real_path(path) else path


def real_path(path: Path) -> str:
    """Return where a path leads, with links followed; the path itself where no file can have it."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a loop of links, a NUL
        return str(path)


def _head(value: dict[str, Any], *, is_leaf: bool) -> dict[str, Any]:
    """Return what a file says for itself alone, as a recipe that lacks nothing else.

    The steps in its edits are judged where they come to stand.
    """
    head = {key: value[key] for key in (*OWN_KEYS, "vars") if key in value}
    head["abstract"] = value.get("abstract", True)
    if is_leaf:
        head["dfurun"] = 1
    elif "dfurun" in value:
        head["dfurun"] = value["dfurun"]
    if isinstance(edits := head.get("edit-steps"), list):
        head["edit-steps"] = [_without_steps(edit) for edit in edits]
    return head


def _without_steps(edit: Any) -> Any:
    if not isinstance(edit, dict):
        return edit
    inserted = edit.get("insert")
    stand_ins = {"with": "connect", "insert": ["connect"] * len(inserted) if isinstance(inserted, list) else inserted}
    return {key: stand_ins.get(key, value) for key, value in edit.items()}
