"""A recipe as a tree in which every value knows the file that it stands in: what files are laid over one another by.

The reader allows 32 levels, so that recursion is safe here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dfurun.errors import RecipePath
from dfurun.recipe.document import Document
from dfurun.recipe.positions import Marks, Source


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands: a mapping of nodes, a list of nodes, or a scalar.

    `is_unread`: what stands there is not known, `is_incomplete`: the mapping lacks entries; both have their findings. `remark`
    is a fact about the value, for people.
    """

    value: Any
    source: Source
    marks: Marks
    is_unread: bool = False
    is_incomplete: bool = False
    remark: str = ""

    def get(self, key: str) -> Node | None:
        """Return the entry of a mapping; None where there is none, or the node is no mapping."""
        found: Node | None = self.value.get(key) if isinstance(self.value, dict) else None
        return found

    def without(self, *keys: str) -> Node:
        """Return a mapping less some of its keys; any other node as it is."""
        if not isinstance(self.value, dict):
            return self
        return replace(self, value={key: node for key, node in self.value.items() if key not in keys})

    def with_entry(self, key: str, node: Node) -> Node:
        """Return a mapping with one more entry, or another one in its place."""
        return replace(self, value=self.value | {key: node})


@dataclass(slots=True)
class Flat:
    """A tree as plain values, and what is known of them by their paths; see Document and Source."""

    value: Any = None
    index: dict[RecipePath, Marks] = field(default_factory=dict)
    owners: dict[RecipePath, Source] = field(default_factory=dict)
    remarks: dict[RecipePath, str] = field(default_factory=dict)
    unread: set[RecipePath] = field(default_factory=set)
    incomplete: set[RecipePath] = field(default_factory=set)


def tree(document: Document, source: Source) -> Node:
    """Return what was read of one file as a tree."""

    def grow(value: Any, path: RecipePath) -> Node:
        if isinstance(value, dict):
            value = {key: grow(item, (*path, key)) for key, item in value.items()}
        elif isinstance(value, list):
            value = [grow(item, (*path, number)) for number, item in enumerate(value)]
        return Node(value, source, document.index[path], path in document.unread, path in document.incomplete)

    return grow(document.value, ())


def flat(root: Node) -> Flat:
    """Return a tree as plain values; every value of another file than the root's is in `owners`."""
    found = Flat()

    def lay_out(node: Node, path: RecipePath) -> Any:
        found.index[path] = node.marks
        if node.source is not root.source:
            found.owners[path] = node.source
        if node.remark:
            found.remarks[path] = node.remark
        if node.is_unread:
            found.unread.add(path)
        if node.is_incomplete:
            found.incomplete.add(path)
        if isinstance(node.value, dict):
            return {key: lay_out(item, (*path, key)) for key, item in node.value.items()}
        if isinstance(node.value, list):
            return [lay_out(item, (*path, number)) for number, item in enumerate(node.value)]
        return node.value

    found.value = lay_out(root, ())
    return found


def plain(node: Node) -> Any:
    """Return a tree's plain values alone."""
    return flat(node).value
