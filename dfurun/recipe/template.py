"""The text of a new recipe: commented in the schema's own words, with steps that fit the chip."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dfurun import __version__
from dfurun.chips import Chip, FieldValue
from dfurun.chips.chip import MassErase
from dfurun.recipe.scalars import AmbiguousScalar, resolve_plain
from dfurun.recipe.schema import recipe_schema
from dfurun.units import format_address

IMAGE = "application"
LINE_LENGTH = 110
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+( [A-Za-z0-9_./+-]+)*")
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_SENTENCE_END = re.compile(r"(?<=\.)\s+")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a new recipe is made of. `expect` are texts as they stand in YAML, `notes` facts about the board it is made from.

    `schema` and `file` are paths with `/`, relative to the recipe; `address` is where a raw binary goes. `proven` are fields to
    be looked at once more behind a power cycle, by which they come into force.
    """

    name: str
    chip: Chip
    schema: str
    file: str
    sha256: str
    address: int | None = None
    expect: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    proven: Mapping[str, FieldValue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def recipe_text(draft: Draft) -> str:
    """Return the recipe, with LF at the ends of its lines."""
    keys = recipe_schema()["properties"]
    image = next(iter(keys["images"]["patternProperties"].values()))["properties"]
    lines = [f"# yaml-language-server: $schema={draft.schema}", *_comment(recipe_schema()["description"])]
    lines += [line for note in draft.notes for line in _comment(note)]
    for key, value in (
        ("dfurun", str(keys["dfurun"]["const"])),
        ("requires", f'">={".".join(__version__.split(".")[:2])}"'),
        ("name", scalar(draft.name)),
        ("chip", draft.chip.name),
    ):
        lines += ["", *_comment(keys[key]["description"]), f"{key}: {value}"]
    if draft.chip.widths is not None:
        lines += ["", *_comment(_without_default(keys["supply"]["description"])), "# supply: 3.3V"]
    if draft.expect:
        lines += ["", *_comment(keys["expect"]["description"]), "expect:"]
        for key, value in draft.expect.items():
            words = keys["expect"]["properties"][key]["description"]
            lines += [*_comment(words, indent=2), f"  {key}: {value}"]
    lines += ["", *_comment(keys["images"]["description"]), "images:", f"  {IMAGE}:"]
    for key, value in _image(draft):
        lines += [*_comment(image[key]["description"], indent=4), f"    {key}: {value}"]
    lines += ["", *_comment(keys["steps"]["description"]), "steps:"]
    for step in _steps(draft):
        keyword = step.split(":")[0]
        words = _without_default(keys["steps"]["items"]["properties"][keyword.removeprefix("# ")]["description"])
        if keyword.startswith("# "):
            lines += [*_comment(f"For boards that may come read-protected: {words}", indent=2), f"  # - {step[2:]}"]
        else:
            lines += [*_comment(words, indent=2), f"  - {step}"]
    return "\n".join(lines) + "\n"


def _image(draft: Draft) -> Iterator[tuple[str, str]]:
    yield "file", scalar(draft.file)
    yield "sha256", f'"{draft.sha256}"'
    if draft.address is not None:
        yield "address", format_address(draft.address)


def _steps(draft: Draft) -> Iterator[str]:
    """Yield the steps as they stand behind their `- `; one that begins with `#` is only offered."""
    chip = draft.chip
    yield "connect: {timeout: 10s}"
    yield "# unprotect"
    yield "mass-erase" if chip.rom.mass_erase is MassErase.WORKS else f"erase: {{image: {IMAGE}}}"
    yield f"write: {{image: {IMAGE}}}"
    yield f"verify: {{image: {IMAGE}}}"
    if draft.fields:
        yield f"set-option-bytes: {{fields: {_fields(chip, draft.fields)}}}"
    if draft.proven:
        yield "wait-for-power-cycle: {boot0: 1}"
        yield f"check-option-bytes: {{fields: {_fields(chip, draft.proven)}}}"
    yield "leave-dfu"


def _fields(chip: Chip, fields: Mapping[str, FieldValue]) -> str:
    known = chip.option_bytes.fields
    return "{" + ", ".join(f"{name}: {known[name].show(value)}" for name, value in fields.items()) + "}"


def scalar(text: str) -> str:
    """Return text as a YAML scalar on one line: plain where every reader takes it for text, else in double quotes."""
    if _PLAIN.fullmatch(text) and not text.startswith(("-", "+")):
        try:
            if resolve_plain(text) == text:
                return text
        except AmbiguousScalar:
            pass
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group()):04X}", quoted)


def _comment(words: str, *, indent: int = 0) -> Iterator[str]:
    """Yield a description as the lines of a comment, without Markdown's stars and with a line's end where it is due."""
    margin = " " * indent + "# "
    text = _without_default(words).replace("**", "")
    yield from (margin + line for line in textwrap.wrap(text, LINE_LENGTH - len(margin), break_on_hyphens=False))


def _without_default(words: str) -> str:
    """Return a description less the sentence about what holds where the key is missing: in a template it is there."""
    return " ".join(part for part in _SENTENCE_END.split(words) if not part.startswith("Default:"))
