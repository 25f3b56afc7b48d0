"""PASS and FAIL in letters that can be read from where an operator stands."""

from __future__ import annotations

_LETTERS = {
    "A": (" ### ", "#   #", "#####", "#   #", "#   #"),
    "F": ("#####", "#    ", "#### ", "#    ", "#    "),
    "I": ("###", " # ", " # ", " # ", "###"),
    "L": ("#    ", "#    ", "#    ", "#    ", "#####"),
    "P": ("#### ", "#   #", "#### ", "#    ", "#    "),
    "S": (" ####", "#    ", " ### ", "    #", "#### "),
}


def banner(word: str) -> list[str]:
    """Return PASS or FAIL in five lines of `#`, which every terminal has."""
    return ["  ".join(rows).rstrip() for rows in zip(*(_LETTERS[letter] for letter in word), strict=True)]
