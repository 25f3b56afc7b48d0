"""The merge rule: how a recipe is laid over its base, and how it edits the base's steps.

Mappings are merged key by key; a scalar or a list replaces what is under it. Keys named in `remove` are taken out of the base
first. `edit-steps` changes the base's steps by their ids, one edit after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dfurun.errors import Code, Finding, Related
from dfurun.recipe.tree import Node
from dfurun.steps.step import did_you_mean

# What a file says for itself alone: none of it is inherited.
OWN_KEYS = ("extends", "abstract", "remove", "edit-steps")
_FORMS = ({"replace", "with"}, {"before", "insert"}, {"after", "insert"}, {"remove"})


def laid_over(under: Node, over: Node) -> Node:
    """Return `over` on top of `under`."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(under.value)
    for key, node in over.value.items():
        merged[key] = laid_over(merged[key], node) if key in merged else node
    return replace(over, value=merged, is_incomplete=over.is_incomplete or under.is_incomplete)


def extended(base: Node, recipe: Node) -> tuple[Node, list[Finding]]:
    """Return a recipe over its base, and what is wrong with how it edits it. The findings' paths are those of its own file."""
    findings: list[Finding] = []
    base = _without_removed(base.without("dfurun"), recipe, findings)
    edits = recipe.get("edit-steps")
    if edits is not None:
        if recipe.get("steps") is not None:
            related = (Related(("steps",), "all of them replaced here"),)
            message = "`edit-steps` beside `steps`, which replaces the base's steps"
            findings.append(Finding(Code.BAD_EDIT, message, ("edit-steps",), "keep one", on_key=True, related=related))
        else:
            base = _with_edited_steps(base, edits, findings)
    return laid_over(base, recipe.without(*OWN_KEYS)), findings


def without_base(recipe: Node) -> list[Finding]:
    """Return what is wrong with a recipe that edits a base and has none."""
    return [
        Finding(Code.BAD_EDIT, f"`{key}` without `extends`", (key,), "name the base: `extends: base.yaml`", on_key=True)
        for key in ("remove", "edit-steps")
        if recipe.get(key) is not None and recipe.get("extends") is None
    ]


def _without_removed(base: Node, recipe: Node, findings: list[Finding]) -> Node:
    removed = recipe.get("remove")
    if removed is None or not isinstance(removed.value, list):
        return base
    for number, node in enumerate(removed.value):
        if not isinstance(node.value, str):
            continue
        keys = node.value.split(".")
        owner: Node | None = base
        for key in keys[:-1]:
            owner = owner.get(key) if owner else None
        if owner is None or owner.get(keys[-1]) is None:
            known = list(owner.value) if owner is not None and isinstance(owner.value, dict) else list(base.value)
            message = f"the base has no `{node.value}`"
            findings.append(Finding(Code.BAD_EDIT, message, ("remove", number), did_you_mean(keys[-1], known)))
            continue
        base = _taken_out(base, keys)
    return base


def _taken_out(owner: Node, keys: Sequence[str]) -> Node:
    if len(keys) == 1:
        return owner.without(keys[0])
    inner = owner.get(keys[0])
    assert inner is not None
    return owner.with_entry(keys[0], _taken_out(inner, keys[1:]))


# Steps ---------------------------------------------------------------------------------------------------------------


def _with_edited_steps(base: Node, edits: Node, findings: list[Finding]) -> Node:
    steps = base.get("steps")
    if steps is None or not isinstance(steps.value, list):
        if steps is None:
            findings.append(
                Finding(Code.BAD_EDIT, "the base has no steps", ("edit-steps",), "write `steps`", on_key=True)
            )
        return base
    edited = list(steps.value)
    for number, edit in enumerate(edits.value if isinstance(edits.value, list) else []):
        edited = _edited(edited, edit, number, findings)
    return base.with_entry("steps", replace(steps, value=edited))


def _edited(steps: list[Node], edit: Node, number: int, findings: list[Finding]) -> list[Node]:
    if not isinstance(edit.value, dict) or edit.is_incomplete:
        return steps
    if set(edit.value) not in _FORMS:
        if set(edit.value) <= set().union(*_FORMS):
            forms = "`replace` and `with`, `before` and `insert`, `after` and `insert`, or `remove`"
            findings.append(Finding(Code.BAD_EDIT, f"an edit is {forms}", ("edit-steps", number), "one of these"))
        return steps
    verb = next(key for key in ("replace", "before", "after", "remove") if key in edit.value)
    wanted = edit.value[verb].value
    if not isinstance(wanted, str):
        return steps
    ids = [_id_of(step) for step in steps]
    if wanted not in ids:
        known = [name for name in ids if name is not None]
        hint = did_you_mean(wanted, known) if known else "give the base's step an `id`"
        message = f"no step has the id `{wanted}`"
        findings.append(Finding(Code.BAD_EDIT, message, ("edit-steps", number, verb), hint))
        return steps
    at = ids.index(wanted)
    match verb:
        case "replace":
            return [*steps[:at], edit.value["with"], *steps[at + 1 :]]
        case "remove":
            return [*steps[:at], *steps[at + 1 :]]
        case _:
            inserted = edit.value["insert"].value
            at += verb == "after"
            return [*steps[:at], *(inserted if isinstance(inserted, list) else []), *steps[at:]]


def _id_of(step: Node) -> str | None:
    """Return a step's id as it is written; None where it has none."""
    if not isinstance(step.value, dict) or len(step.value) != 1:
        return None
    found = next(iter(step.value.values())).get("id")
    return found.value if found is not None and isinstance(found.value, str) else None
