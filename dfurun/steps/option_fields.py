"""Option-byte fields in a body: names that the chip has, values that they take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dfurun.chips import FieldValue, OptionField
from dfurun.errors import Code, RecipePath
from dfurun.steps.step import Scope, did_you_mean, nearest


def parse_fields(body: Mapping[str, FieldValue], path: RecipePath, scope: Scope) -> Mapping[str, FieldValue] | None:
    """Return the fields as they are, or None after reporting every one that the chip does not take."""
    known, good = scope.chip.option_bytes.fields, True
    for name, value in body.items():
        if name not in known:
            message = f"{scope.chip.title} has no option-byte field {name!r}"
            scope.report(Code.UNKNOWN_FIELD, message, (*path, name), hint=did_you_mean(name, known), on_key=True)
            good = False
            continue
        try:
            known[name].number(value)
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), (*path, name), hint=_value_hint(known[name], value))
            good = False
    return {name: value for name, value in body.items() if name in known} if good else None


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
