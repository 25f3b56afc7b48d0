"""What a plain scalar means: YAML 1.2's core schema, and only where YAML 1.1 reads the same.

# Ref: YAML 1.2.2 section 10.3.2 (core schema); YAML 1.1 is taken as PyYAML implements it, with `y` and `n` added.
"""

from __future__ import annotations

import math
import re

import yaml

Scalar = None | bool | int | float | str

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_LEGACY_TRUE = ("y", "yes", "on")
_LEGACY_FALSE = ("n", "no", "off")

# JavaScript, and with it most editors, holds whole numbers exactly up to here.
_LARGEST_EXACT = 2**53
_MOST_DIGITS = 20


class AmbiguousScalar(ValueError):
    """A plain scalar that not every reader of YAML takes for the same; the message says how each reads it."""


def resolve_plain(text: str) -> Scalar:
    """Return the value of a plain scalar; raise AmbiguousScalar where YAML 1.1 and 1.2 differ on it.

    A whole number written as a float (`1.0`) is an int, as JSON Schema has it.
    """
    if _NOT_FINITE.fullmatch(text):
        raise AmbiguousScalar(f"`{text}` is a number that JSON does not have")
    modern, legacy = _modern_tag(text), _legacy_tag(text)
    if modern != legacy or _LEADING_ZERO.fullmatch(text):
        readings = (
            f"`{text}` is {_legacy_words(legacy, text)} in YAML 1.1 and {_modern_words(modern, text)} in YAML 1.2"
        )
        raise AmbiguousScalar(readings)
    match modern:
        case "null":
            return None
        case "bool":
            return _BOOLEANS[text]
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
        case _:
            return text


def _modern_tag(text: str) -> str:
    if text in _NULLS:
        return "null"
    if text in _BOOLEANS:
        return "bool"
    if any(pattern.fullmatch(text) for pattern in (_INTEGER, _OCTAL, _HEXADECIMAL)):
        return "int"
    return "float" if _FLOAT.fullmatch(text) else "str"


def _legacy_tag(text: str) -> str:
    if text.lower() in (*_LEGACY_TRUE, *_LEGACY_FALSE):
        return "bool"
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], []):
        if pattern.match(text):
            return str(tag).rpartition(":")[2]
    return "str"


def _integer(text: str) -> int:
    digits = text.lstrip("+-").removeprefix("0x")
    if len(digits) <= _MOST_DIGITS:
        value = int(text, 16 if "x" in text else 10)
        if abs(value) <= _LARGEST_EXACT:
            return value
    raise AmbiguousScalar(f"`{_short(text)}` is a number larger than every reader holds exactly")


def _float(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise AmbiguousScalar(f"`{_short(text)}` is a number larger than every reader holds")
    return int(value) if value.is_integer() and abs(value) <= _LARGEST_EXACT else value


def _modern_words(tag: str, text: str) -> str:
    if tag == "str":
        return "text"
    if len(text) > _MOST_DIGITS:
        return "a number"
    if tag == "float":
        return "infinity" if math.isinf(float(text)) else f"the number {float(text):g}"
    return f"the number {int(text.removeprefix('0o'), 8) if text.startswith('0o') else int(text, 10)}"


def _legacy_words(tag: str, text: str) -> str:
    match tag:
        case "bool":
            return "true" if text.lower() in _LEGACY_TRUE else "false"
        case "timestamp":
            return "a date"
        case "int" | "float":
            return _legacy_number(tag, text)
        case "merge" | "value":
            return "a keyword"
        case _:
            return "text"


def _legacy_number(tag: str, text: str) -> str:
    if len(text) > _MOST_DIGITS:
        return "a number"
    loader = yaml.SafeLoader("")
    construct = loader.construct_yaml_int if tag == "int" else loader.construct_yaml_float
    try:
        value = construct(yaml.ScalarNode(f"tag:yaml.org,2002:{tag}", text))
    except (ValueError, IndexError):  # its patterns match `0x_` and `0b_`, its constructors do not take them
        return "a number"
    return f"the number {value:g}" if isinstance(value, float) else f"the number {value}"


def _short(text: str) -> str:
    return text if len(text) <= 32 else f"{text[:29]}..."
