"""A comparison of recipes as a comment on a pull request: a headline, the changes ranked, the evidence folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dfurun.diff import Rank
from dfurun.diff.comparison import Comparison
from dfurun.errors import Finding
from dfurun.report.diff_tables import NO_CHANGE, ranks_in_words, tables
from dfurun.report.diff_text import A_BASE, do_not
from dfurun.report.markdown import table
from dfurun.report.variables import compared_with
from dfurun.report.words import count, printable

FULL_HASH = 64
MOST_NAMED = 3
_ACTIVE = re.compile(r"([\\*\[\]~])")  # what begins emphasis, a link, an image
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "\n": " "})


def markdown_lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Return the lines of a comment on all comparisons: those with changes, the worst first, then the others in one line."""
    lines: list[str] = []
    if len(comparisons) > 1:
        lines += [f"## {_all_in_short(comparisons)}", ""]
    for comparison in sorted(comparisons, key=_weight):
        is_told = comparison.difference is None or comparison.difference.changes or comparison.findings
        if is_told and not comparison.is_base:
            lines += _section(comparison)
    for comparison in (c for c in comparisons if c.is_base):
        lines += [f"{_code(comparison.name)}: {A_BASE}.", ""]
    same = [c for c in comparisons if c.difference is not None and not c.difference.changes and not c.findings]
    names = ", ".join(_code(comparison.name) for comparison in same)
    if len(same) > MOST_NAMED:
        words = f"{len(same)} recipes: {NO_CHANGE}"
        lines += [f"<details><summary>{words}</summary>", "", names, "", "</details>", ""]
    elif same:
        lines += [f"{names}: {NO_CHANGE}.", ""]
    return lines[:-1] if lines and not lines[-1] else lines


def _weight(comparison: Comparison) -> int:
    rank = comparison.difference.rank if comparison.difference else None
    return -1 if comparison.difference is None else len(Rank) if rank is None else rank.weight


def _all_in_short(comparisons: Sequence[Comparison]) -> str:
    changed = [c for c in comparisons if not c.is_base and (c.difference is None or c.difference.changes)]
    ranks = [c.difference.rank for c in changed if c.difference and c.difference.rank]
    worst = f", at worst one that {_verb(min(ranks, key=lambda r: r.weight))}" if ranks else ""
    return f"{len(changed)} of {count(len(comparisons), 'recipe', 'recipes')} with changes{worst}"


def _verb(rank: Rank) -> str:
    return "is routine" if rank is Rank.ROUTINE else rank.words


def _section(comparison: Comparison) -> Iterator[str]:
    difference = comparison.difference
    if difference is None:
        yield from (f"### {_code(comparison.name)}: not compared", "")
        sides = " and ".join(_code(side) for side in comparison.broken_sides)
        yield from (f"{sides} {do_not(comparison)} compile, so what the change means cannot be told.", "")
    else:
        words = ranks_in_words(difference) if difference.changes else NO_CHANGE
        yield from (f"### {_code(comparison.name)}: {words}", "")
        if comparison.stand_ins:
            yield from (_cell(f"{compared_with(comparison.stand_ins)}."), "")
    yield from _findings(comparison)
    if difference is None or not difference.changes:
        return
    rows = [
        (
            f"**{change.rank.words}**",
            *map(_cell, (change.what, _shown(change.before), _shown(change.after), change.why)),
        )
        for change in difference.changes
    ]
    yield from table(("", "change", "before", "after", "why"), rows)
    folded = list(tables(difference, hash_length=FULL_HASH))
    if not folded:
        return
    yield from (f"<details><summary>{_cell(', '.join(t.title for t in folded))}</summary>", "")
    for each in folded:
        yield from (f"**{_cell(each.title)}**", "")
        yield from table(each.headings, (tuple(map(_cell, row)) for row in each.rows))
    yield from ("</details>", "")


def _shown(words: str) -> str:
    """Return a hash in short: the whole one is in the details."""
    return f"{words[:12]}..." if re.fullmatch("[0-9a-f]{64}", words) else words


def _findings(comparison: Comparison) -> Iterator[str]:
    """Yield what is wrong with the recipe: not what has changed, but dfurun would not run it."""
    for finding in comparison.findings:
        yield f"- **{finding.severity}** `{finding.code}` {_cell(_where(finding))}{_cell(finding.message)}"
    if comparison.findings:
        yield ""


def _where(finding: Finding) -> str:
    return f"{finding.place}: " if finding.place else ""


def _cell(text: str) -> str:
    """Return a text in which nothing is Markdown or HTML but what is between backticks, and nobody is called by `@name`."""
    parts = printable(text).translate(_ENTITIES).split("`")
    if len(parts) % 2 == 0:  # a backtick without its other
        return _ACTIVE.sub(r"\\\1", "'".join(parts))
    return "`".join(part if at % 2 else _ACTIVE.sub(r"\\\1", part) for at, part in enumerate(parts))


def _code(text: str) -> str:
    return f"`{printable(text).replace('`', chr(39))}`"
