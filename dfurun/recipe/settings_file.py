"""The file of `--vars`: a YAML mapping from variables' names to their values, read as a recipe is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dfurun.errors import Code, Finding
from dfurun.recipe.document import read_document, split_lines
from dfurun.recipe.opened import open_recipe
from dfurun.recipe.positions import Source
from dfurun.recipe.variables import Given

_HINT = "one `name: value` a line"


def read_settings(path: Path) -> tuple[dict[str, Given], list[Finding]]:
    """Return the values in a file by the variables' names, and what is wrong with the file, with its places."""
    opened = open_recipe(path, inside=None)
    if isinstance(opened, Finding):
        return {}, [replace(opened, code=Code.VARIABLES_UNREADABLE, hint="the file of `--vars` is YAML, " + _HINT)]
    document = read_document(opened.text, str(path))
    source = Source(path, opened.sha256, split_lines(opened.text), document.index)
    findings = list(source.attach(document.findings))
    if not document.whole:
        return {}, findings
    if not isinstance(document.value, dict):
        if not findings:
            place = source.find(())
            findings.append(
                Finding(Code.VARIABLES_UNREADABLE, "the file of `--vars` is a mapping", hint=_HINT, place=place)
            )
        return {}, findings
    found = {}
    for name, value in document.value.items():
        if (name,) in document.unread:
            continue
        place = source.find((name,))
        if value is None or isinstance(value, (dict, list, float)):
            message = f"`{name}` is a whole number, text, true or false"
            findings.append(Finding(Code.VARIABLE_VALUE, message, hint=_HINT, place=place))
            continue
        origin = f"{path}:{place.line}" if place else str(path)
        found[name] = Given(value, origin, is_text=False, place=place, name_place=source.find((name,), on_key=True))
    return found, findings
