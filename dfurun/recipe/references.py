"""`${NAME}` in the values of a recipe: the variables' values in their places, wherever the schema lets one stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dfurun.errors import Code, Finding, RecipePath
from dfurun.recipe.positions import Span
from dfurun.recipe.schema import TAKES_VARIABLES, recipe_schema
from dfurun.recipe.tree import Node
from dfurun.recipe.variables import Value, Variable
from dfurun.steps.file_names import VARIABLES as NAMES_OF_THE_RUN
from dfurun.steps.step import did_you_mean

Schema = Mapping[str, Any]
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[^{}]*)\}|\$\{")
_WHOLE = re.compile(r"\$\{([^{}]*)\}")


@dataclass(slots=True)
class References:
    """Fills in variables. `unsound` are variables that are declared and whose value is not known, which has been said."""

    variables: Mapping[str, Variable]
    unsound: Collection[str]
    findings: list[Finding] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def fill_in(self, recipe: Node) -> Node:
        """Return a recipe with every variable's value in its places; findings have their places."""
        return self._filled(recipe, recipe_schema(), ())

    def _filled(self, node: Node, schema: Schema, path: RecipePath) -> Node:
        if "$ref" in schema:
            schema = recipe_schema()["definitions"][schema["$ref"].rpartition("/")[2]]
        match node.value:
            case dict():
                filled = {key: self._filled(item, _part(schema, key), (*path, key)) for key, item in node.value.items()}
                return replace(node, value=filled)
            case list():
                inner: Schema = schema.get("items", {})
                items = [self._filled(item, inner, (*path, number)) for number, item in enumerate(node.value)]
                return replace(node, value=items)
            case str() if "${" in node.value and schema.get(TAKES_VARIABLES):
                return self._scalar(node, schema, path)
            case str() if _WHOLE.search(node.value) and "type" in schema:
                what = "the name of a step" if path[:1] == ("steps",) and len(path) == 2 else f"`{_key(path)}`"
                self._report(node, None, Code.BAD_REFERENCE, f"no variable can stand in {what}", "write the value out")
                return replace(node, is_unread=True)
        return node

    def _scalar(self, node: Node, schema: Schema, path: RecipePath) -> Node:
        of_the_run = NAMES_OF_THE_RUN if path[:1] == ("steps",) and path[2:] == ("read", "file") else {}
        remarks: dict[str, str] = {}
        before = len(self.findings)
        is_unsound = False
        parts, end = [], 0
        for found in _REFERENCE.finditer(node.value):
            parts.append(node.value[end : found.start()])
            end = found.end()
            name = found["name"]
            if of_the_run and name not in self.variables and name not in self.unsound:
                parts.append(self._of_the_run(node, found))
            elif found[0] == "$${":
                parts.append("${")
            elif name is None:
                hint = "close it with `}`; `$${` is the text `${`"
                self._report(node, found, Code.BAD_REFERENCE, "a `${` without its `}`", hint)
            elif name in self.variables:
                self.used.add(name)
                remarks[name] = f"`{found[0]}` is {self.variables[name]}"
                parts.append(_text(self.variables[name].value))
            elif name in self.unsound:
                self.used.add(name)
                is_unsound = True
            else:
                self._report_unknown(node, found)
        if is_unsound or len(self.findings) > before:
            return replace(node, is_unread=True)
        value: Any = "".join(parts) + node.value[end:]
        if of_the_run and remarks and "${" in "".join(_text(self.variables[name].value) for name in remarks):
            self._report(node, None, Code.BAD_REFERENCE, "a file's name cannot hold `${`", "another value")
        if (whole := _WHOLE.fullmatch(node.value)) is not None and whole[1] in remarks:
            value = _typed(self.variables[whole[1]].value, schema)
        return replace(node, value=value, remark="; ".join(remarks.values()))

    def _of_the_run(self, node: Node, found: re.Match[str]) -> str:
        """Return what the run fills in, or objects to, as it is."""
        if found[0] == "$${":
            self._report(node, found, Code.BAD_REFERENCE, "a file's name cannot hold `${`", "another name")
        return found[0]

    def _report_unknown(self, node: Node, found: re.Match[str]) -> None:
        name, known = found["name"], {*self.variables, *self.unsound}
        hint = did_you_mean(name, known) or "declare it under `vars`; `$${` is the text `${`"
        if name in NAMES_OF_THE_RUN:
            hint = "the run fills it in, and only in the `file` of a `read`"
        message = f"the recipe has no variable `{name}`" if name else "a variable without a name"
        self._report(node, found, Code.UNKNOWN_VARIABLE, message, hint)

    def _report(self, node: Node, found: re.Match[str] | None, code: Code, message: str, hint: str) -> None:
        """Report something about a part of a scalar, with the caret under it where the text shows it as it is."""
        span = node.marks.value
        start = node.source.slice(span).find(node.value)
        if start >= 0 and found is not None:
            first = span.column + start + found.start()
            span = Span(span.line, first, first + len(found[0]))
        self.findings.append(Finding(code, message, hint=hint, place=node.source.place(span)))


def _part(schema: Schema, key: str) -> Schema:
    """Return what the schema says of a mapping's key; nothing of one that it does not know."""
    known = schema.get("properties", {})
    if key in known:
        part: Schema = known[key]
        return part
    patterned: Mapping[str, Schema] = schema.get("patternProperties", {})
    for pattern, inner in patterned.items():
        if re.search(pattern, key):
            return inner
    more = schema.get("additionalProperties")
    return more if isinstance(more, dict) else {}


def _typed(value: Value, schema: Schema) -> int | str:
    """Return a variable's value as the key takes it: text where only that is taken, 1 and 0 for true and false elsewhere."""
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if types == ["string"]:
        return _text(value)
    return int(value) if isinstance(value, bool) else value


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(path: RecipePath) -> str:
    return next((str(key) for key in reversed(path) if isinstance(key, str)), "a recipe")
