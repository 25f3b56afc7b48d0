"""A recipe's files made one: each laid over its base, variables filled in.

What comes of it looks like the document of one file; its source knows in which file each value stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dfurun.errors import Code, Finding, Place, Severity
from dfurun.recipe.chain import NOTHING_EDITED, Chain
from dfurun.recipe.document import Document
from dfurun.recipe.laid_over import OWN_KEYS, extended, without_base
from dfurun.recipe.positions import Source
from dfurun.recipe.references import References
from dfurun.recipe.schema import shape_findings
from dfurun.recipe.settings_file import read_settings
from dfurun.recipe.tree import Flat, Node, flat
from dfurun.recipe.variables import Declaration, Given, Settings, Variable, declarations, not_declared, values


@dataclass(slots=True)
class Resolved:
    """A recipe after its bases and variables, as far as it could be made out; all findings so far are the document's.

    Where it `is_base`, it is no recipe by itself: its `document` has what stands in its files, and nothing is filled in.
    """

    source: Source
    document: Document
    variables: Mapping[str, Variable] = field(default_factory=dict)
    declared: Mapping[str, Declaration] = field(default_factory=dict)
    is_base: bool = False


def digest_of(value: Any) -> str:
    """Return the SHA-256 of plain values as JSON: keys sorted, no spaces, in ASCII."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def resolve(
    path: Path,
    text: str,
    sha256: str,
    settings: Settings,
    *,
    allow_outside: bool,
    edited: Mapping[str, str] = NOTHING_EDITED,
) -> Resolved:
    """Read the files of the recipe whose text stands in `path`, and lay them over one another. Nothing is raised.

    `edited` are texts to be read in place of what is in the files of bases, by where those really are.
    """
    chain = Chain(allow_outside, edited)
    chain.read(path, text, sha256)
    leaf, *bases = chain.files
    findings = chain.findings
    leaf_source = replace(leaf.source, bases=tuple(file.source for file in bases))
    if not chain.whole:
        return Resolved(leaf_source, Document(leaf.document.value, findings=findings, whole=False))
    merged = chain.files[-1].node.without(*OWN_KEYS)
    for file in reversed(chain.files[:-1]):
        merged, wrong = extended(merged, file.node)
        findings += file.source.attach(wrong)
    if not bases:
        findings += leaf.source.attach(without_base(leaf.node))
    declared, merged = merged.get("vars"), merged.without("vars")
    unsound = {name for file in chain.files for name in file.unsound}
    variables: Mapping[str, Variable] = {}
    sound: list[Declaration] = []
    is_base = leaf.node.get("abstract") is not None
    if is_base:
        findings += declarations(declared, unsound)[1] if declared is not None else []
        findings += _of_a_base(merged, leaf.source.find(("abstract",), on_key=True))
    else:
        sound, wrong = declarations(declared, unsound) if declared is not None else ([], [])
        findings += wrong
        merged, variables = _filled(merged, declared, sound, settings, findings)
    found = flat(merged)
    if declared is not None:
        _add_marks(found, declared, leaf.source)
    source = replace(leaf_source, index=found.index, owners=found.owners, remarks=found.remarks)
    document = Document(found.value, found.index, findings, found.unread, found.incomplete)
    return Resolved(source, document, variables, {each.name: each for each in sound}, is_base)


def _of_a_base(merged: Node, place: Place | None) -> list[Finding]:
    found = flat(merged)
    document = Document(unread=found.unread, incomplete=found.incomplete)
    wrong = [f for f in shape_findings(found.value | {"abstract": True}) if not document.explains(f.path)]
    message = "this is a base for other recipes, and no recipe by itself"
    hint = "name one that extends it; what is wrong with it shows there as well"
    return [*wrong, Finding(Code.ABSTRACT_RECIPE, message, hint=hint, place=place)]


def _add_marks(found: Flat, declared: Node, leaf: Source) -> None:
    """Let findings on declarations be placed, which are no part of the values any more."""

    def add(node: Node, path: tuple[str | int, ...]) -> None:
        found.index[path] = node.marks
        if node.source is not leaf:
            found.owners[path] = node.source
        if isinstance(node.value, dict):
            for key, item in node.value.items():
                add(item, (*path, key))

    add(declared, ("vars",))


def _filled(
    merged: Node, declared: Node | None, sound: list[Declaration], settings: Settings, findings: list[Finding]
) -> tuple[Node, Mapping[str, Variable]]:
    """Return a recipe with its variables filled in, and their values."""
    names = set(declared.value) if declared is not None else set()
    in_file, wrong_in_file = read_settings(settings.file) if settings.file is not None else ({}, [])
    variables, missing = values(sound, lambda name: _default(declared, name), settings, in_file)
    if wrong_in_file:  # what is missing perhaps stands there
        missing = [finding for finding in missing if finding.code is not Code.VARIABLE_MISSING]
    undeclared = not_declared(names, settings, in_file)
    references = References(variables, names - set(variables))
    filled = references.fill_in(merged)
    findings += [*wrong_in_file, *missing, *undeclared, *references.findings]
    misspelt = any(f.code is Code.UNKNOWN_VARIABLE and f.severity is Severity.ERROR for f in references.findings)
    findings += [
        Finding(Code.UNUSED_VARIABLE, f"nothing uses variable `{name}`", ("vars", name), on_key=True)
        for name in variables
        if name not in references.used and not misspelt
    ]
    return filled, variables


def _default(declared: Node | None, name: str) -> Given | None:
    node = declared.value[name].get("default") if declared is not None else None
    if node is None:
        return None
    place = node.source.place(node.marks.value)
    return Given(node.value, f"the default in {place.file}:{place.line}", is_text=False, place=place)
