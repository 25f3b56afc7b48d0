"""The schema's verdict on a recipe's shape, each mistake as one finding in the words of the recipe language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from dfurun.errors import Code, Finding, RecipePath, Related
from dfurun.recipe.many import MAXIMUM_FINDINGS
from dfurun.resources import schema_text
from dfurun.steps.step import did_you_mean, nearest
from dfurun.units import DURATION_PATTERN, in_both_bases

if TYPE_CHECKING:
    from jsonschema import Draft7Validator, ValidationError

RECIPE_SCHEMA = "recipe.schema.json"

_STEP_HINT = "`- connect`, or `- write: {image: application}`"
# What other tools call the steps, and what people mean who write it.
_OTHER_WORDS = {
    "backup": "read", "upload": "read", "flash": "write", "program": "write", "download": "write", "compare": "verify",
    "disconnect": "leave-dfu", "leave": "leave-dfu", "reset": "leave-dfu", "run": "leave-dfu", "start": "leave-dfu",
}  # fmt: skip
ON_ONE_LINE = "write it on one line, without `>`, `|` or a line end in quotes"
_FREE_TEXT = ("Title", "Name")
# `>` begins a block of text, brackets a collection, and a long row of digits may be a number: of 12E6... a float.
_TO_BE_QUOTED = re.compile(r"^>|[{}\[\],]|^[0-9a-fA-F]{24,}$")
_RULES_OF_KEYS = ("required", "additionalProperties")
TAKES_VARIABLES = "takes-variables"
INSTEAD = "instead"  # a key that stands for the one that is required
# Keys of one file that say how it is laid over its base, or what is laid into it; no recipe has them in the end.
KEYS_OF_A_FILE = ("extends", "abstract", "vars", "remove", "edit-steps")
_OWNERS = {"images": "image", "data": "data", "vars": "variable"}
_NAMED = {"images": "an image's name", "data": "the name of data", "vars": "a variable's name"}
_MOST_MISTAKES = 100 * MAXIMUM_FINDINGS  # one thing that is wrong breaks far fewer rules
_NOUN_OF_TYPE = {
    "string": "text",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
    "boolean": "true or false",
}


@cache
def recipe_schema() -> Mapping[str, Any]:
    """Return the recipe schema as it rules a recipe whose variables are known and that has been laid over its bases.

    The published one also takes `${NAME}` in the place of many values, by an `if` and `else`: those carry TAKES_VARIABLES here.
    """
    schema: dict[str, Any] = _without_conditions(json.loads(schema_text(RECIPE_SCHEMA)))
    return schema


def _without_conditions(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_conditions(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _without_conditions(part) for key, part in schema.items() if key not in ("if", "then", "else")}
    if "else" in schema and "required" in schema["if"]:
        return parts | schema["else"] | {INSTEAD: schema["if"]["required"][0]}
    if "else" in schema:
        return parts | schema["else"] | {TAKES_VARIABLES: True}
    if "then" in schema:
        return parts | {"required": [*parts["required"], *schema["then"]["required"]]}
    return parts


def step_keywords() -> tuple[str, ...]:
    """Return the names of all steps, as the schema lists them."""
    return tuple(_step_schema()["properties"])


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One error of jsonschema, as far as it matters here: `rule` is the schema's keyword, `wanted` what stands there."""

    path: RecipePath
    rule: str
    wanted: Any
    value: Any
    schema: Mapping[str, Any]
    message: str


def shape_findings(recipe: Any, *, resolved: bool = False) -> list[Finding]:
    """Return what the schema has against plain values; nothing that only follows from another finding.

    The values are those of one file as it is written, in which variables stand and what its base has may be missing; or where
    it is `resolved`, of a whole recipe. They end a little after MAXIMUM_FINDINGS: whoever goes on has to count them.
    """
    found_mistakes = _mistakes(recipe) if resolved else _as_written(recipe, _mistakes(recipe))
    mistakes = _drop_consequences(list(islice(found_mistakes, _MOST_MISTAKES)))
    if is_newer(recipe):
        mistakes = [mistake for mistake in mistakes if mistake.path == ("dfurun",)]
    meant = _meant_keys(mistakes)
    found = (finding for mistake in mistakes for finding in _explain(mistake, meant))
    return list(islice(found, 10 * MAXIMUM_FINDINGS))


def is_newer(recipe: Any) -> bool:
    """Say whether a recipe is in a newer version of the language: the rest of it is not for this schema to judge."""
    version = recipe.get("dfurun") if isinstance(recipe, dict) else None
    return type(version) is int and version > recipe_schema()["properties"]["dfurun"]["const"]


def _mistakes(recipe: Any) -> Iterator[_Mistake]:
    for error in _validator().iter_errors(recipe):
        schema: Any = error.schema
        path = tuple(error.absolute_path)
        if error.validator == "required" and schema.get(INSTEAD) in error.instance:
            continue
        yield _Mistake(path, str(error.validator), error.validator_value, error.instance, schema, error.message)


def _as_written(recipe: Any, mistakes: Iterator[_Mistake]) -> Iterator[_Mistake]:
    """Yield the mistakes less those that only a variable's value or a base can tell: what the published schema has."""
    is_part = isinstance(recipe, dict) and ("extends" in recipe or "abstract" in recipe)
    for mistake in mistakes:
        if mistake.schema.get(TAKES_VARIABLES) and isinstance(mistake.value, str) and "${" in mistake.value:
            continue
        if is_part and mistake.path == () and mistake.rule == "required":
            if "dfurun" in recipe:
                continue
            mistake = replace(mistake, wanted=["dfurun"])
        yield mistake


@cache
def _validator() -> Draft7Validator:
    from jsonschema import Draft7Validator, ValidationError, validators

    def pattern(_validator: Any, wanted: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        # Python's `$` also matches before a final line end; that of every other validator does not
        if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", wanted), instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    extend: Callable[..., type[Draft7Validator]] = validators.extend
    return extend(Draft7Validator, {"pattern": pattern})(recipe_schema())


def _step_schema() -> Mapping[str, Any]:
    step: Mapping[str, Any] = recipe_schema()["properties"]["steps"]["items"]
    return step


def _is_step(path: RecipePath) -> bool:
    return len(path) == 2 and path[0] == "steps"


# What one mistake causes besides itself ------------------------------------------------------------------------------


def _drop_consequences(mistakes: list[_Mistake]) -> list[_Mistake]:
    """Keep one error for each mistake: a value of the wrong type is not also out of bounds, a crowded step is one mistake."""
    mistyped = {mistake.path for mistake in mistakes if mistake.rule == "type"}
    crowded = {mistake.path for mistake in mistakes if mistake.rule == "maxProperties" and _is_step(mistake.path)}
    kept: dict[tuple[RecipePath, str], _Mistake] = {}
    for mistake in mistakes:
        path, rule = mistake.path, mistake.rule
        if (path in mistyped and rule != "type") or (path in crowded and rule != "maxProperties"):
            continue
        if path[:2] in crowded and len(path) == 3 and rule == "type":
            continue
        # jsonschema makes one error of each missing key; the value itself is wrong once, by however many rules
        kept.setdefault((path, rule if rule in _RULES_OF_KEYS else "value"), mistake)
    return list(kept.values())


def _meant_keys(mistakes: list[_Mistake]) -> set[RecipePath]:
    """Return the paths that misspelt keys were meant to have: those are not missing as well."""
    return {
        (*mistake.path, name)
        for mistake in mistakes
        if mistake.rule == "additionalProperties"
        for key in islice(_keys_too_many(mistake), MAXIMUM_FINDINGS)
        for name in nearest(key, mistake.schema.get("properties", {}))
    }


# One mistake, in words -----------------------------------------------------------------------------------------------


def _explain(mistake: _Mistake, meant: set[RecipePath]) -> Iterator[Finding]:
    path = mistake.path
    match mistake.rule:
        case "required":
            yield from _missing_keys(mistake, meant)
        case "additionalProperties":
            yield from _unknown_keys(mistake)
        case "type":
            yield _wrong_type(mistake)
        case "minProperties" | "maxProperties" if _is_step(path):
            yield _crowded_step(mistake.value, path)
        case "pattern" if _is_step(path):
            yield _bare_step(mistake.value, path)
        case _:
            yield _bad_value(mistake)


def _missing_keys(mistake: _Mistake, meant: set[RecipePath]) -> Iterator[Finding]:
    path = mistake.path
    for key in mistake.wanted:
        if key not in mistake.value and (*path, key) not in meant:
            example = _flow(mistake.schema["properties"][key]["examples"][0])
            hint = f"for example `{key}: {example}`"
            yield Finding(Code.MISSING_KEY, f"{_owner(path)} needs `{key}`", path, hint=hint, on_key=True)


def _unknown_keys(mistake: _Mistake) -> Iterator[Finding]:
    known = [name for name in mistake.schema.get("properties", {}) if not name.startswith("x-")]
    for key in _keys_too_many(mistake):
        hint = did_you_mean(key, known)
        if _is_step(mistake.path):
            hint = _step_hint(key, known)
            code, message = Code.UNKNOWN_STEP, f"no step is called `{key}`"
        elif len(mistake.path) == 1 and mistake.path[0] in _NAMED:
            code, message = Code.BAD_VALUE, f"`{key}` cannot be {_NAMED[str(mistake.path[0])]}"
            hint = "lower-case letters, digits and hyphens, a letter first"
        else:
            code, message = Code.UNKNOWN_KEY, f"{_owner(mistake.path)} has no key `{key}`"
        yield Finding(code, message, (*mistake.path, key), hint=hint, on_key=True)


def _keys_too_many(mistake: _Mistake) -> Iterator[str]:
    known, patterns = mistake.schema.get("properties", {}), mistake.schema.get("patternProperties", {})
    for key in mistake.value:
        if key not in known and not any(re.search(pattern, key) for pattern in patterns):
            yield key


def _wrong_type(mistake: _Mistake) -> Finding:
    path, found = mistake.path, _found(mistake.value)
    if _is_step(path):
        message = f"a step is a name, or one key with a body; this is {found}"
        return Finding(Code.STEP_SHAPE, message, path, hint=_STEP_HINT)
    if len(path) == 3 and _is_step(path[:2]):
        return _bad_body(mistake, found)
    message = f"{_name(path)} is {_wanted(mistake.schema)}, not {found}"
    hint = _type_hint(mistake)
    has_no_line_of_its_own = mistake.value is None or isinstance(mistake.value, (dict, list))
    return Finding(Code.WRONG_TYPE, message, path, hint=hint, on_key=has_no_line_of_its_own)


def _type_hint(mistake: _Mistake) -> str:
    value, types = mistake.value, _types(mistake.schema)
    match mistake.path:
        case ():
            return "a recipe begins with `dfurun: 1`"
        case ("steps",):
            return "each step begins with `-`, for example `- connect`"
    if types == ["string"] and isinstance(value, (bool, int, float)):
        text = json.dumps(value)
        if re.search(mistake.schema.get("pattern", ""), text):
            return f'quote it: "{text}"'
    if types == ["array"] and isinstance(value, str) and value:
        return f"in brackets: [{_short(value)}]"
    if isinstance(value, bool) and ("fields" in mistake.path or value in mistake.schema.get("enum", ())):
        return f"did you mean {int(value)}?"
    if types == ["integer"] and isinstance(value, str) and re.fullmatch("[0-9]+|0x[0-9a-fA-F]+", value):
        return f"without quotes: {value}"
    return _example_hint(mistake.schema)


def _bad_body(mistake: _Mistake, found: str) -> Finding:
    keyword, value = str(mistake.path[2]), mistake.value
    hint = _step_example(keyword)
    if value is None:
        return Finding(Code.STEP_SHAPE, f"`{keyword}` needs a body", mistake.path, hint=hint, on_key=True)
    if keyword in ("write", "verify") and isinstance(value, str) and value:
        hint = f"write `- {keyword}: {{image: {_short(value)}}}`"
    elif "null" in _types(mistake.schema):
        hint = f"`- {keyword}` needs none; {hint}"
    return Finding(Code.WRONG_TYPE, f"the body of `{keyword}` is a mapping, not {found}", mistake.path, hint=hint)


def _step_example(keyword: str) -> str:
    examples = _step_schema()["properties"][keyword]["examples"]
    return f"for example `- {keyword}: {_flow(next(filter(None, examples)))}`"


def _step_hint(word: str, known: Collection[str]) -> str:
    """Return the did-you-mean for a step: by meaning first, since `reset` looks like `erase` and is not."""
    meant = _OTHER_WORDS.get(word.lower())
    return f"did you mean {meant!r}?" if meant else did_you_mean(word, known, cutoff=0.7)


def _bare_step(word: str, path: RecipePath) -> Finding:
    known: Mapping[str, Any] = _step_schema()["properties"]
    if word in known:
        return Finding(Code.STEP_SHAPE, f"`{word}` needs a body", path, hint=_step_example(word))
    first = re.split(r"[\s:]", word)[0]
    if " - " in word:
        hint = "begin each step on a line of its own, and all of them in the same column"
    elif first != word and first in known:
        hint = f"a step with a body is a key with its `: `, {_step_example(first)}"
    else:
        hint = _step_hint(word, known)
    return Finding(Code.UNKNOWN_STEP, f"no step is called `{_short(word)}`", path, hint=hint)


def _crowded_step(step: Mapping[str, Any], path: RecipePath) -> Finding:
    if not step:
        return Finding(Code.STEP_SHAPE, "a step without a name", path, hint=_STEP_HINT)
    known: Mapping[str, Any] = _step_schema()["properties"]
    owner = next((key for key in step if key in known), next(iter(step)))
    extra = next(key for key in step if key != owner)
    if extra in known:
        hint = f"begin each step with its own `-`: `- {extra}`"
    elif owner in known:
        hint = f"indent `{extra}` below `{owner}`, or write `- {owner}: {{{extra}: ...}}`"
    else:
        hint = _STEP_HINT
    return Finding(
        Code.STEP_SHAPE,
        f"a step is one key: `{extra}` stands beside `{owner}`",
        (*path, extra),
        hint=hint,
        on_key=True,
        related=(Related((*path, owner), "the step"),),
    )


def _bad_value(mistake: _Mistake) -> Finding:
    value, wanted, schema = mistake.value, mistake.wanted, mistake.schema
    path, name, hint = mistake.path, _name(mistake.path), ""
    related: tuple[Related, ...] = ()
    match mistake.rule:
        case "const":
            message = f"{name} is {_wanted(schema)}, not {_flow(value)}"
            hint = f"this dfurun reads version {_flow(wanted)} of the recipe language"
            if value > wanted:
                message = f"the recipe is written in version {_flow(value)} of the recipe language"
                hint += "; upgrade dfurun"
        case "enum":
            message = f"{name} is {_wanted(schema)}, not {_flow(value)}"
            hint = did_you_mean(value, schema["enum"]) if isinstance(value, str) else ""
        case "minimum" | "maximum":
            bounds = f"{_number(schema['minimum'])} to {_number(schema['maximum'])}"
            message = f"{name} is {_wanted(schema)} from {bounds}, not {_number(value)}"
        case "uniqueItems":
            first, again = _first_repeated(value)
            path, message = (*path, again), f"{name} names {_flow(value[again])} twice"
            related = (Related((*mistake.path, first), "first here"),)
        case "minItems" | "minProperties":
            message, hint = f"{name} is empty", _example_hint(schema)
        case "minLength" | "maxLength" | "pattern" if not value:
            message, hint = f"{name} is empty text", _example_hint(schema)
        case "pattern" if schema.get("title") in _FREE_TEXT:
            hint = ON_ONE_LINE if "\n" in value else "without tabs and control characters"
            message = f"{name} is one line of text, not {_found(value)}"
        case "pattern" if "\n" in value:
            message, hint = f"{name} is {_wanted(schema)}, not {_found(value)}", ON_ONE_LINE
        case "pattern" if re.fullmatch(DURATION_PATTERN, value):
            message, hint = f"{name} is more than zero, not {_found(value)}", _example_hint(schema)
        case "pattern" if value != value.lower() and re.search(wanted, value.lower()):
            message, hint = f"{name} is {_wanted(schema)}, not {_found(value)}", f"in lower case: {value.lower()}"
        case "pattern" if in_both_bases(value) and re.search(wanted, f"0x{value}"):
            message, hint = f"{name} is {_wanted(schema)}, and {_found(value)} begins with a zero", in_both_bases(value)
        case "maxLength" | "pattern":
            message, hint = f"{name} is {_wanted(schema)}, not {_found(value)}", _example_hint(schema)
        case _:  # a keyword that the schema did not use when this was written
            message = mistake.message
    return Finding(Code.BAD_VALUE, message, path, hint=hint, related=related)


def _first_repeated(values: list[Any]) -> tuple[int, int]:
    """Return where the first value is that comes again, and where it does."""
    again = next(index for index, value in enumerate(values) if value in values[:index])
    return values.index(values[again]), again


# Words ---------------------------------------------------------------------------------------------------------------


def _owner(path: RecipePath) -> str:
    """Return what people call the mapping at this path."""
    if not path:
        return "a recipe"
    if len(path) == 2 and path[0] in _OWNERS:
        return f"{_OWNERS[str(path[0])]} `{path[1]}`"
    if isinstance(path[-1], int):
        return _name(path)
    return f"`{path[-1]}`"


def _name(path: RecipePath) -> str:
    """Return what people call the value at this path."""
    if not path:
        return "a recipe"
    if isinstance(path[-1], int):
        return f"an entry of `{path[-2]}`"
    return f"`{path[-1]}`"


def _wanted(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return _flow(schema["const"])
    if "enum" in schema:
        return " or ".join(_flow(known) for known in schema["enum"])
    types = _types(schema)
    title = schema.get("title", "")
    scalar = not {"object", "array"} & set(types)
    if title and scalar and title not in _FREE_TEXT:
        noun = title if title.isupper() or title.startswith("SHA") else title[0].lower() + title[1:]
        return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"
    return " or ".join(_NOUN_OF_TYPE[name] for name in types)


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _example_hint(schema: Mapping[str, Any]) -> str:
    examples = example_texts(schema, _short)
    return f"for example {' or '.join(examples)}" if examples else ""


def example_texts(schema: Mapping[str, Any], shorten: Callable[[str], str] = str) -> list[str]:
    """Return a schema's examples as people write them: a bootloader id in hexadecimal, which JSON cannot."""
    examples = schema.get("examples", [])
    if schema.get("title") == "Bootloader id":
        return [f"0x{example:02X}" for example in examples]
    return [flow_text(example, shorten) for example in examples]


def _found(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_short(str(value))}"
        case str():
            return f"{_short(value)!r}" if value else "empty text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _number(value: float) -> str:
    return f"0x{value:X}" if isinstance(value, int) and value > 0xFFFF else _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _flow(value: Any) -> str:
    return flow_text(value, _short)


def flow_text(value: Any, shorten: Callable[[str], str] = str) -> str:
    """Return a value as YAML people would write it on one line; quoted where YAML may take it for something else."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow_text(item, shorten)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow_text(item, shorten) for item in value) + "]"
        case str():
            return f'"{shorten(value)}"' if _TO_BE_QUOTED.search(value) else shorten(value)
        case None:
            return ""
        case _:
            return json.dumps(value)
