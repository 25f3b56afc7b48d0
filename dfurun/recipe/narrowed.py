"""The recipe schema narrowed to one chip: its own option-byte fields and values, guards, pages, and what it is expected to be.

Whatever it refuses beyond the schema of all recipes, `dfurun check` refuses as well; it has the words of the chip's data.
A `${NAME}` in the place of a value is right wherever that schema takes one.
`enumDescriptions` and `defaultSnippets` are no keywords of draft-07: editors show and offer them, validators pass over them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dfurun.chips import Chip, FieldValue, OptionField
from dfurun.chips.guards import HIDING
from dfurun.recipe.schema import RECIPE_SCHEMA
from dfurun.resources import schema_text
from dfurun.steps.step import PROTECTS_WHAT_FOLLOWS
from dfurun.units import format_hex, format_size

OPTION_STEPS = ("set-option-bytes", "check-option-bytes")
MOST_LISTED = 4  # values of a field without names: more are a range
FOLLOWS = "what is still to be written, or read back, would be protected by then"
VARIABLE = {"type": "string", "pattern": "\\$\\{"}
_MEANING = re.compile(r"(?:^|[,;] )(\d): (.*?)(?=[,;] \d: |; |$)")

Schema = dict[str, Any]


def narrowed_schema(chip: Chip, asked: str) -> Schema:
    """Return the recipe schema for recipes of this chip alone, which they may call by its name or as it was `asked` for."""
    few = f'"{_some_pages(chip)}"'  # a flash of two sectors has no page 3
    schema: Schema = json.loads(schema_text(RECIPE_SCHEMA).replace('"0-3"', few))
    schema["title"] = f"dfurun recipe for {chip.title}"
    schema["$comment"] = f"Made by `dfurun schema --chip {asked}`: make it anew with each version of dfurun."
    keys = schema["properties"]
    _chip(keys["chip"], chip, asked)
    _add(keys["supply"], f"{chip.title} takes {chip.supply}.")
    _expect(keys["expect"]["properties"], chip)
    _allow(keys["allow"], chip)
    steps = keys["steps"]["items"]["properties"]
    _pages(steps["erase"]["properties"]["pages"], chip)
    _option_steps(steps, chip)
    schema["examples"] = [{**example, "chip": asked} for example in schema["examples"]]
    return schema


def _chip(schema: Schema, chip: Chip, asked: str) -> None:
    names = list(dict.fromkeys((asked, chip.name)))
    _value(schema).update({"const": names[0]} if len(names) == 1 else {"enum": names})
    schema |= {"default": asked, "examples": names}


def _expect(keys: Mapping[str, Schema], chip: Chip) -> None:
    size = chip.flash.extent.size_bytes
    _add(keys["flash-size"], f"{chip.title} has {format_size(size)}.")
    keys["flash-size"]["examples"] = [f"{size // 1024}K", size]
    versions = chip.identity.bootloader_versions
    if versions:
        known = ", ".join(f"0x{number:02X} is {name}" for number, name in versions.items())
        _add(keys["bootloader-id"], f"Known of this chip and its relatives: {known}.")
        keys["bootloader-id"]["examples"] = list(versions)


def _allow(schema: Schema, chip: Chip) -> None:
    means = {name: words for name, (_, words) in HIDING.items()} | {guard.name: guard.means for guard in chip.guards}
    means[PROTECTS_WHAT_FOLLOWS] = FOLLOWS
    names = [*chip.guard_names, PROTECTS_WHAT_FOLLOWS]
    schema["items"] |= {"enum": names, "enumDescriptions": [means[name] for name in names]}
    for_ever = {guard.name for guard in chip.guards if guard.irreversible}
    schema["items"]["examples"] = [name for name in names if name not in for_ever][:1]  # editors put it in
    schema["examples"] = [schema["items"]["examples"]]


def _pages(schema: Schema, chip: Chip) -> None:
    flash = chip.flash
    last = flash.page_count - 1
    number = numbers_up_to(last)
    _add(schema, f"{chip.title} has {flash.unit}s 0 to {last}.")
    _value(schema).update({"maximum": last, "pattern": f"^({number})(-({number}))?$"})
    schema["examples"] = [0, _some_pages(chip)]


def _some_pages(chip: Chip) -> str:
    return f"0-{min(chip.flash.page_count - 1, 3)}"


def numbers_up_to(maximum: int) -> str:
    """Return a pattern for the decimal numbers from 0 to `maximum`, without leading zeros; alternatives without brackets."""
    digits = str(maximum)
    choices = []
    if len(digits) > 1:
        choices.append("[0-9]")
        choices += ["[1-9]" + "[0-9]" * (length - 1) for length in range(2, len(digits))]
    for place, digit in enumerate(digits):
        lowest = 1 if place == 0 and len(digits) > 1 else 0
        if int(digit) > lowest:
            rest = "[0-9]" * (len(digits) - place - 1)
            choices.append(f"{digits[:place]}[{lowest}-{int(digit) - 1}]{rest}")
    return "|".join([*choices, digits])


# Option bytes ---------------------------------------------------------------------------------------------------------


def _option_steps(steps: dict[str, Schema], chip: Chip) -> None:
    """Narrow the steps for option bytes; take them away where a chip's are not established, as `check` does."""
    layout = chip.option_bytes
    if not layout.established:
        for keyword in OPTION_STEPS:
            del steps[keyword]
        return
    factory = layout.decode(layout.factory)
    fields = {name: _field(field, chip, factory[name]) for name, field in layout.fields.items()}
    example = dict(list(factory.items())[:2])
    for keyword in OPTION_STEPS:
        schema = steps[keyword]["properties"]["fields"]
        schema |= {"properties": fields, "additionalProperties": False, "examples": [example]}
    body = steps["set-option-bytes"]
    keys = body["properties"]
    body["examples"] = [{"fields": example}]
    steps["check-option-bytes"]["examples"] = [{"fields": example}]
    if layout.factory_known:
        _add(keys["from"], f"From the factory: {format_hex(layout.factory, group=2)}.")
        body["examples"].append({"from": "factory"})
    else:
        _value(keys["from"]).update({"enum": ["current"]})
        keys["from"]["examples"] = ["current"]
        _add(keys["from"], "The factory values of this chip are not known, or each board has its own.")
    if layout.write_protection is None:
        del keys["write-protect"]
    else:
        _pages(keys["write-protect"]["items"]["properties"]["pages"], chip)


def _field(field: OptionField, chip: Chip, factory: FieldValue) -> Schema:
    """Return the schema of one field's value."""
    words = [f"{field.means[0].upper()}{field.means[1:]}.", f"Takes {field.allowed()}."]
    if chip.option_bytes.factory_known:
        words.append(f"From the factory: {field.show(factory)}.")
    if field.keep is not None:
        words.append(f"To be kept at {field.show(field.keep)}.")
    schema: Schema = {"title": field.name, "description": " ".join(words)}
    if field.values:
        return schema | _listed("string", list(field.values), field, chip, factory)
    if field.width <= MOST_LISTED.bit_length() - 1:
        return schema | _listed("integer", range(1 << field.width), field, chip, factory)
    value = {"type": "integer", "minimum": 0, "maximum": (1 << field.width) - 1}
    return schema | {"type": ["integer", "string"], "if": VARIABLE, "else": value, "examples": [factory]}


def _listed(kind: str, values: Sequence[FieldValue], field: OptionField, chip: Chip, factory: FieldValue) -> Schema:
    """Return a schema for these values: editors show the `enum` of an `else`, and offer only what is beside the `if`."""
    means = [_meaning(field, chip, value) for value in values]
    offered = [
        {"label": str(value), "body": value, "description": words} for value, words in zip(values, means, strict=True)
    ]
    listed = {"type": kind, "enum": list(values), "enumDescriptions": means, "examples": [factory]}
    kinds = list(dict.fromkeys((kind, "string")))
    return {"type": kinds, "if": VARIABLE, "else": listed, "defaultSnippets": offered}


def _meaning(field: OptionField, chip: Chip, value: FieldValue) -> str:
    """Return what one value of a field means: what the field's words say of it, and the guards that it needs consent for."""
    first = _MEANING.search(field.means)
    context = field.means[: first.start()] if first else ""
    told: dict[str, str] = dict(_MEANING.findall(field.means))
    words = told.get(str(value), "")
    if words and context:
        words = f"{context}: {words}"
    guards = [guard for guard in chip.guards if guard.when == {field.name: value} and not guard.when_not]
    consent = [f"needs `allow: [{guard.name}]`: {guard.means}" for guard in guards]
    return "; ".join([*([words] if words else []), *consent]) or field.means


def _value(schema: Schema) -> Schema:
    """Return the part that rules a value which is written out: in its place there may stand a variable."""
    assert schema["if"] == VARIABLE
    part: Schema = schema["else"]
    return part


def _add(schema: Schema, words: str) -> None:
    """Add a sentence to a description; where it says what the default is, that stays last."""
    before, mark, default = schema["description"].partition(" Default: ")
    schema["description"] = f"{before} {words}{mark}{default}"
