"""A recipe after its bases and variables, as people and tools read it: its values, and where each one stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from dfurun.errors import RecipePath
from dfurun.recipe.document import read_document
from dfurun.recipe.recipe import Loaded
from dfurun.recipe.resolve import digest_of
from dfurun.recipe.scalars import AmbiguousScalar, resolve_plain
from dfurun.recipe.schema import recipe_schema
from dfurun.report.variables import variables_object
from dfurun.report.words import printable

if TYPE_CHECKING:
    from rich.console import Console

MARGIN = 44  # where the remarks stand, unless a line is longer
_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_UNFOLDED = 1 << 16


def resolved_object(loaded: Loaded) -> dict[str, Any]:
    """Return a recipe as JSON values, with the place of every scalar in it."""
    source = loaded.source
    places = [(path, source.find(path)) for path in source.index if path[:1] != ("vars",)]
    return {
        "event": "resolved",
        "recipe": str(source.path),
        "digest": digest_of(loaded.values),
        "files": [{"path": str(file.path), "sha256": file.sha256} for file in source.files],
        "variables": variables_object(loaded.variables),
        "values": loaded.values,
        "origins": [
            {"path": list(path), "file": place.file, "line": place.line, "column": place.column}
            for path, place in places
            if place is not None and not source.index[path].collection
        ],
    }


def print_resolved(loaded: Loaded, console: Console) -> None:
    """Print a recipe as YAML, each line with its origin as a comment."""
    from rich.text import Text

    lines = list(resolved_lines(loaded))
    column = min(MARGIN, max(len(line) for line, _ in lines))
    for line, origin in lines:
        margin = f"{line.ljust(column)}  " if line else ""
        console.print(Text.assemble(printable(margin), (printable(f"# {origin}"), "dim")), soft_wrap=True)


def resolved_lines(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Yield the lines of a recipe as YAML, each with where it comes from; first what it is made of."""
    source = loaded.source
    yield "", f"made of {', '.join(str(file.path) for file in source.files)}"
    yield "", f"digest {digest_of(loaded.values)}"
    for name, variable in loaded.variables.items():
        yield "", f"variable {name} is {variable}"
    text = _yaml(loaded)
    written = read_document(text, "").index
    by_line: dict[int, list[RecipePath]] = {}
    for path, marks in written.items():
        if path:
            by_line.setdefault((marks.key or marks.value).line if marks.collection else marks.value.line, []).append(
                path
            )
    for number, line in enumerate(text.splitlines(), 1):
        yield line, _origin(loaded, by_line.get(number, []), written)


def _origin(loaded: Loaded, paths: list[RecipePath], written: Any) -> str:
    """Return where the values of one line stand; of a line without a scalar, where its key does."""
    source = loaded.source
    scalars = [path for path in paths if not written[path].collection] or paths
    lines: dict[str, dict[int, None]] = {}
    names: dict[str, None] = {}
    for path in scalars:
        if place := source.find(path, on_key=written[path].collection):
            lines.setdefault(place.file, {})[place.line] = None
        if path in source.remarks:
            names |= dict.fromkeys(_REFERENCE.findall(source.owner(path).slice(source.index[path].value)))
    return ", ".join([*(f"{file}:{', '.join(map(str, numbers))}" for file, numbers in lines.items()), *names])


# YAML ----------------------------------------------------------------------------------------------------------------


class _Number(int):
    """A whole number with the text that a recipe has for it, such as 0x08000000."""

    written: str


class _Block(dict[str, Any]):
    """A mapping that is written with a line for each key."""


class _Dumper(yaml.SafeDumper):
    """Writes what the recipe language reads back as the same values."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_number(dumper: yaml.SafeDumper, number: _Number) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:int", number.written)


def _represent_block(dumper: yaml.SafeDumper, block: _Block) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", block, flow_style=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        is_plain = resolve_plain(text) == text
    except AmbiguousScalar:
        is_plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(_Number, _represent_number)
_Dumper.add_representer(_Block, _represent_block)
_Dumper.add_representer(str, _represent_text)


def _yaml(loaded: Loaded) -> str:
    """Return the recipe's values as YAML, the keys of the top level in the order of the schema."""
    values = loaded.values
    order = [key for key in recipe_schema()["properties"] if key in values]
    ordered = {
        key: _as_written(values[key], (key,), loaded) for key in [*order, *(k for k in values if k not in order)]
    }
    text: str = yaml.dump(
        ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=_UNFOLDED
    )
    return text


def _as_written(value: Any, path: RecipePath, loaded: Loaded) -> Any:
    match value:
        case dict():
            entries = {key: _as_written(item, (*path, key), loaded) for key, item in value.items()}
            return _Block(entries) if path[0] in ("images", "data") and len(path) == 2 else entries
        case list():
            return [_as_written(item, (*path, number), loaded) for number, item in enumerate(value)]
        case int() if not isinstance(value, bool) and loaded.source.text_at(path).startswith("0x"):
            number = _Number(value)
            number.written = loaded.source.text_at(path)
            return number
    return value
