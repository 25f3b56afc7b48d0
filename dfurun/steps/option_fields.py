"""Option-byte fields in a body: names that the chip has, values that they take."""

from __future__ import annotations

from collections.abc import Mapping

from dfurun.chips import FieldValue
from dfurun.errors import Code, RecipePath
from dfurun.steps.step import Scope, did_you_mean


def parse_fields(body: Mapping[str, FieldValue], path: RecipePath, scope: Scope) -> Mapping[str, FieldValue] | None:
    """Return the fields as they are, or None after reporting every one that the chip does not take."""
    known, good = scope.chip.option_bytes.fields, True
    for name, value in body.items():
        if name.startswith("x-"):
            continue
        if name not in known:
            message = f"{scope.chip.title} has no option-byte field {name!r}"
            scope.report(Code.UNKNOWN_FIELD, message, (*path, name), hint=did_you_mean(name, known), on_key=True)
            good = False
            continue
        try:
            known[name].number(value)
        except ValueError as error:
            scope.report(Code.BAD_VALUE, str(error), (*path, name))
            good = False
    return {name: value for name, value in body.items() if name in known} if good else None
