"""A recipe of another revision, compiled: with all that it needs it is put into a folder that mirrors its repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import dirname, normpath
from typing import Any

from dfurun.diff.git import Tree
from dfurun.errors import Finding, Place, Related
from dfurun.plan import Compiled, compile_for_review
from dfurun.plan.review import NONE_PREFERRED
from dfurun.recipe import NO_SETTINGS, Settings, Value
from dfurun.recipe.document import read_document

MOST_PARENTS = 16
_VARIABLE = re.compile(r"\$\{[^}]*\}")


def mirror(tree: Tree, path: str, folder: Path) -> None:
    """Put a recipe as it is at a revision into an empty folder, with what it names: its images, the recipes that it extends."""
    (folder / ".git").touch()  # what tells where the repository ends that a recipe's files have to lie in
    for name in _needed(tree, path):
        data = tree.read(name)
        if data is not None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        elif submodule := tree.submodule_of(name):
            (folder / submodule).mkdir(parents=True, exist_ok=True)  # empty, as in a checkout without it
            (folder / ".gitmodules").touch()  # a finding tells by it why the folder is empty


def compile_mirrored(
    label: str,
    path: str,
    folder: Path,
    *,
    allow_outside: bool = False,
    settings: Settings = NO_SETTINGS,
    preferred: Mapping[str, Value] = NONE_PREFERRED,
    extreme: int = 0,
) -> Compiled:
    """Compile a recipe in a mirror of a revision. Its findings name `LABEL:PATH`."""
    compiled = compile_for_review(
        folder / path,
        allow_outside=allow_outside,
        settings=settings,
        preferred=preferred,
        extreme=extreme,
        take_swapped=True,
    )
    return replace(compiled, findings=tuple(_renamed(f, folder, label) for f in compiled.findings))


def _needed(tree: Tree, path: str) -> Iterator[str]:
    """Yield the files that a recipe needs, itself first."""
    seen: set[str] = set()
    waiting = [path]
    while waiting and len(seen) < MOST_PARENTS:
        recipe = waiting.pop()
        if recipe in seen:
            continue
        seen.add(recipe)
        yield recipe
        values = _values(tree, recipe)
        for file in _image_files(values):
            yield from _in_tree(tree, recipe, file)
        if isinstance(values.get("extends"), str):
            waiting.append(normpath(f"{dirname(recipe) or '.'}/{values['extends']}"))


def _values(tree: Tree, recipe: str) -> dict[str, Any]:
    text = (tree.read(recipe) or b"").decode("utf-8", errors="replace")
    values = read_document(text.removeprefix("\ufeff"), recipe).value if text else None
    return values if isinstance(values, dict) else {}


def _image_files(values: dict[str, Any]) -> Iterator[str]:
    images = values.get("images")
    for entry in images.values() if isinstance(images, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("file"), str):
            yield entry["file"]


def _in_tree(tree: Tree, recipe: str, file: str) -> Iterator[str]:
    """Yield the paths of the files that a recipe may mean: one, or where its name has variables, all that fit."""
    wanted = normpath(f"{dirname(recipe) or '.'}/{file}")
    if wanted.startswith(("/", "../")):
        return
    pattern = _VARIABLE.sub("*", wanted)
    yield from [wanted] if pattern == wanted else [name for name in tree.modes if fnmatchcase(name, pattern)]


def _renamed(finding: Finding, folder: Path, label: str) -> Finding:
    """Return a finding about a file of the mirror as one about the revision's."""

    def words(text: str) -> str:
        for root in {f"{folder.as_posix()}/", f"{folder}{_separator(folder)}", f"{folder.resolve().as_posix()}/"}:
            text = text.replace(root, f"{label}:")
        return text

    def place(found: Place | None) -> Place | None:
        return found and replace(found, file=words(found.file).replace("\\", "/"))

    return replace(
        finding,
        message=words(finding.message),
        hint=words(finding.hint),
        notes=tuple(words(note) for note in finding.notes),
        place=place(finding.place),
        related=tuple(Related(r.path, r.message, place(r.place)) for r in finding.related),
    )


def _separator(folder: Path) -> str:
    return str(folder / "x")[len(str(folder))]
