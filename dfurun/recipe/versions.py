"""Which dfurun a recipe asks for."""

from __future__ import annotations

import re
from typing import Any

from dfurun import __version__
from dfurun.errors import Code, Finding

_REQUIRES = re.compile(r">= ?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})")


def version_findings(values: Any) -> list[Finding]:
    """Return the finding on a file that requires a newer dfurun than this; a `requires` of another form has its own."""
    requires = values.get("requires") if isinstance(values, dict) else None
    wanted = _REQUIRES.fullmatch(requires) if isinstance(requires, str) else None
    if wanted is None or _numbers(__version__) >= _numbers(wanted[1]):
        return []
    message = f"the recipe requires dfurun {wanted[1]}, this is {__version__}"
    return [Finding(Code.VERSION_TOO_OLD, message, ("requires",), hint="upgrade dfurun")]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version, without zeros at the end: 0.1 is 0.1.0."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
