"""Option-byte fields in a body: names that the chip has, values that they take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dfurun.chips import FieldValue, OptionField
from dfurun.chips.option_bytes import NOT_ESTABLISHED
from dfurun.errors import Code, RecipePath
from dfurun.steps.step import Scope, did_you_mean, nearest


def require_established(path: RecipePath, scope: Scope) -> bool:
    """Say whether the chip's option bytes are known; report it where they are not."""
    if scope.chip.option_bytes.established:
        return True
    hint = "leave the step out; a chip without one is flashed all the same"
    scope.report(Code.NO_OPTION_BYTES, f"{scope.chip.title}: {NOT_ESTABLISHED}", path, hint=hint)
    return False


def parse_fields(body: Mapping[str, FieldValue], path: RecipePath, scope: Scope) -> Mapping[str, FieldValue]:
    """Return the fields as they are, less every one that the chip does not take, which is reported."""
    known, sound = scope.chip.option_bytes.fields, dict(body)
    for name, value in body.items():
        if name not in known:
            message = f"{scope.chip.title} has no option-byte field {name!r}"
            scope.report(Code.UNKNOWN_FIELD, message, (*path, name), hint=did_you_mean(name, known), on_key=True)
            del sound[name]
            continue
        try:
            known[name].number(value, written=scope.written((*path, name)))
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), (*path, name), hint=_value_hint(known[name], value))
            del sound[name]
    return sound


def _value_hint(field: OptionField, value: FieldValue) -> str:
    """Return what was perhaps meant by a value that the field does not take; empty where that is anybody's guess."""
    if isinstance(value, str) and not field.values:
        digits = value.strip()
        return f"a number, without quotes: {digits}" if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", digits) else ""
    if isinstance(value, str):
        meant = nearest(value, field.values)
    else:
        meant = [name for name, number in field.values.items() if number == value or name.endswith(f"-{value}")]
    return f"did you mean {meant[0]!r}?" if len(meant) == 1 else ""  # level-3 is as near to level-2 as to level-0
