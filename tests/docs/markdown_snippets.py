"""The fenced blocks of a Markdown file, and the comments above them that say how a test treats them.

A comment stands alone on the line above a block, several on the lines above it:

    <!-- not run: WHY -->       the block cannot run here (it needs a board, root, a network): the reason, for a reader
    <!-- before: COMMAND -->    a command that prepares the folder, and is not shown
    <!-- with: OPTIONS -->      put behind every dfurun command of the block: what a board does is shown on a simulated one
    <!-- file: PATH -->         the block is the content of this file, for the blocks that follow
    <!-- broken: PATH -->       the same, of a recipe that `dfurun check` refuses
    <!-- warned of: PATH -->    the same, of a recipe that it only warns of
    <!-- after: STEPS -->       the steps that stand before these in a recipe, `connect, mass-erase`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

DIRECTIVES = ("not run", "before", "with", "file", "broken", "warned of", "after")
_FENCE = re.compile(r"```(\S*)\s*")
_COMMENT = re.compile(r"<!-- ([a-z ]+): (.+) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block: `line` is that of its fence, counted from 1."""

    document: Path
    line: int
    language: str
    body: tuple[str, ...]
    directives: tuple[tuple[str, str], ...]

    def directive(self, name: str) -> str | None:
        return next((value for key, value in self.directives if key == name), None)

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.body)

    @property
    def where(self) -> str:
        return f"{self.document.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One `$ command` of a console block, and the lines that the document shows under it."""

    shown: tuple[str, ...]  # with its prompt, as it stands in the document
    command: str
    output: tuple[str, ...]


def blocks(document: Path) -> list[Block]:
    """Return the blocks of a file; raise ValueError for a fence or a comment that is not understood."""
    lines = document.read_text(encoding="utf-8").splitlines()
    found, number = [], 0
    while number < len(lines):
        line = lines[number]
        if not line.lstrip().startswith("```"):
            number += 1
            continue
        fence = _FENCE.fullmatch(line)
        if fence is None:
            raise ValueError(f"{document.name}:{number + 1}: a fence begins its line, and names one language")
        end = lines.index("```", number + 1)
        directives = tuple(reversed(list(_directives(document, lines, number))))
        found.append(Block(document, number + 1, fence[1], tuple(lines[number + 1 : end]), directives))
        number = end + 1
    return found


def _directives(document: Path, lines: Sequence[str], fence: int) -> Iterator[tuple[str, str]]:
    for number in range(fence - 1, -1, -1):
        if not lines[number].startswith("<!--"):
            return
        comment = _COMMENT.fullmatch(lines[number])
        if comment is None or comment[1] not in DIRECTIVES:
            raise ValueError(f"{document.name}:{number + 1}: of these comments there are {', '.join(DIRECTIVES)}")
        yield comment[1], comment[2]


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block; raise ValueError for output that no command gives."""
    found: list[Command] = []
    lines = iter(block.body)
    for line in lines:
        if line.startswith("$ "):
            shown, command = [line], line[2:]
            while command.endswith("\\"):
                shown.append(next(lines))
                command = command[:-1] + shown[-1].strip()
            found.append(Command(tuple(shown), command, ()))
        elif found:
            found[-1] = replace(found[-1], output=(*found[-1].output, line))
        else:
            raise ValueError(f"{block.where}: output without a `$ command`")
    return found


def agrees(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Say whether a document shows what was printed. A line `...` stands for any lines, `...` at a line's end for its rest."""
    pattern = "".join(_pattern(line) for line in shown)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    if line.endswith("..."):
        return re.escape(line.removesuffix("...")) + r".*\n"
    return re.escape(line.rstrip()) + r"\n"
