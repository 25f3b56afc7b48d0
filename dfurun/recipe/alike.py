"""Texts that a variable's pattern takes: the first and shortest, and the last and longest one that can be made out of it."""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase, digits, punctuation

# Letters and digits stand at both ends: what stands in for a value should look like one.
_CHARACTERS = f"{ascii_uppercase}{digits[:1]} {punctuation}{digits[1:]}{ascii_lowercase}"
_PART = re.compile(r"(?P<one>\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\])(?P<count>[*+?]|\{[0-9]*,?[0-9]*\})?[?+]?")
_COUNTS = {"": (1, 1), "*": (0, None), "+": (1, None), "?": (0, 1)}


def texts_like(pattern: str, maximum_length: int) -> tuple[str, ...]:
    """Return two texts that a pattern of `vars` takes, as different as may be; none where they cannot be made out.

    What a pattern looks around at, such as `\\b`, or names by its number, is not made out.
    """
    parts = list(_PART.finditer(pattern))
    if "".join(part[0] for part in parts) != pattern:
        return ()
    counts = [_counts(part["count"] or "") for part in parts]
    fewest = [least for least, _ in counts]
    left = maximum_length - sum(fewest)
    most = []
    for least, limit in counts:
        more = max(0, left if limit is None else min(limit - least, left))
        left -= more
        most.append(least + more)
    found = (
        "".join(_like(part["one"], characters) * times for part, times in zip(parts, wanted, strict=True))
        for characters, wanted in ((_CHARACTERS, fewest), (_CHARACTERS[::-1], most))
    )
    return tuple(dict.fromkeys(t for t in found if len(t) <= maximum_length and re.fullmatch(pattern, t)))


def _counts(words: str) -> tuple[int, int | None]:
    if words in _COUNTS:
        return _COUNTS[words]
    least, comma, most = words[1:-1].partition(",")
    if not comma:
        return int(least), int(least)
    return int(least or 0), int(most) if most else None


def _like(one: str, characters: str) -> str:
    """Return the first of the characters that a class, an escape or a character takes; itself where that cannot be told."""
    if one in "^$":
        return ""
    try:
        return next((c for c in characters if re.fullmatch(one, c)), one)
    except re.error:  # a part of something longer
        return one
