"""Lines that fit: broken between words, and never inside what is to be copied or compared.

# Ref: UM0424 section 10.3.2 (the layout string of a DfuSe memory, which has blanks).
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LEAST_WIDTH = 30  # of text beside something, however narrow the terminal is
_SUFFIXES = "yaml|yml|hex|ihex|bin|elf|axf|srec|s19|mot|dfu|json|log"
_WHOLE = re.compile(
    r"`[^`]+`"
    r"|(?<![\w'])'(?:[^'\\]|\\.)+'(?!\w)"  # not the apostrophe of `board's`
    r'|(?<!\w)"(?:[^"\\]|\\.)+"(?!\w)'
    r"|@[^/@]+(?:/0x[0-9A-Fa-f]+/\d+\*\d+[ BKM]?[a-g](?:,\d+\*\d+[ BKM]?[a-g])*)+"
    rf"|\A[^:`'\"]*\.(?:{_SUFFIXES})(?=:(?: |\Z))"  # a file's name before what is wrong with it
)
_KEPT_BLANK = "\ue000"  # for private use: `escape` has taken it out of everything that is printed


def fold(text: str, width: int) -> list[str]:
    """Return a text in lines of at most `width` characters, at least one; a longer word stands alone, and whole.

    A quoted literal, a file's name at the beginning and a layout string count as a word. Hashes and paths are words anyhow.
    """
    lines = textwrap.wrap(keep_whole(text), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_KEPT_BLANK, " ") for line in lines] or [""]


def keep(text: str) -> str:
    """Return a text that `fold` takes for one word."""
    return text.replace(" ", _KEPT_BLANK)


def keep_whole(text: str) -> str:
    """Return a text in which `fold` takes for a word what counts as one."""
    return _WHOLE.sub(lambda found: keep(found[0]), text)


def fold_for(console: Console, text: str, *, beside: int) -> list[str]:
    """Return a text in lines that fit on a terminal beside something `beside` cells wide; as it is where there is none."""
    if not console.is_terminal:
        return [text.replace(_KEPT_BLANK, " ")]
    return fold(text, max(console.width - beside, LEAST_WIDTH))
