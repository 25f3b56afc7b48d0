"""Four pull requests as a page of docs/, and the comments that `dfurun diff --format markdown` makes of them as pictures.

The recipes stand beside the page; `make docs` writes both anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

from dfurun.diff.comparison import Comparison, compare_compiled
from dfurun.plan import Compiled, compile_recipe
from dfurun.report.diff_markdown import markdown_lines
from dfurun.report.markdown import page_text

FOLDER = "examples/pull-requests"
PAGE = "README.md"
NAME = "release.yaml"
BASE, HEAD = "main", "this pull request"
WIDTH = 112
_FOLDED = re.compile(r"<details><summary>(.*)</summary>")


@dataclass(frozen=True, slots=True)
class Example:
    """One pull request: its recipe in the folder, and what a reviewer sees of it in one look."""

    recipe: str
    title: str
    seen: str


EXAMPLES = (
    Example(
        "boot-sel",
        "One bit of the option bytes",
        "One digit in a long line. It takes the bootloader away from the BOOT0 pin: no board that this recipe has flashed is "
        "ever flashed over USB again. dfurun would refuse to run it, and says what a consent would be called.",
    ),
    Example(
        "firmware",
        "Another firmware",
        "The lines show two hashes and nothing else. The comment shows how much of the firmware is new, where it lies now, "
        "and that the core starts as it did.",
    ),
    Example(
        "verify-dropped",
        "A step that is gone",
        "The recipe still passes `dfurun check`, with a warning, and takes less time. What it has lost is its proof.",
    ),
    Example(
        "reordered",
        "Steps in another order",
        "The same steps, all of them. Told as one step that has moved, not as one that went and one that came; and why the "
        "order was right before.",
    ),
)


def examples_page(folder: Path) -> str:
    """Return the page of the examples in `folder`."""
    lines = [
        "<!-- Made by `make docs` from the recipes beside it: edit dfurun/report/diff_examples.py, not this page. -->",
        "# Four pull requests",
        "",
        "Each changes [before.yaml](before.yaml), and `dfurun diff --git main... --format markdown` makes a comment of it.",
        "First the lines that changed, as every review tool shows them; then the comment as a picture, as it is seen first;",
        "then the comment itself, whose details unfold. [The guide](../../guide/diff.md) says how it gets into a pull request.",
        "",
    ]
    for example in EXAMPLES:
        old, new = (
            (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines() for name in ("before", example.recipe)
        )
        patch = unified_diff(old, new, f"a/{NAME}", f"b/{NAME}", lineterm="", n=1)
        lines += [f"## {example.title}", "", example.seen, "", "```diff", *patch, "```", ""]
        lines += [f"![The comment on this pull request, folded]({example.recipe}.svg)", ""]
        lines += [*markdown_lines([comparison_of(folder, example)]), ""]
    return page_text(lines)


def comparison_of(folder: Path, example: Example) -> Comparison:
    """Return what the comparison says of an example."""
    old, new = (_compiled(folder / f"{name}.yaml") for name in ("before", example.recipe))
    return compare_compiled(NAME, BASE, HEAD, old, new)


def _compiled(path: Path) -> Compiled:
    """Compile a recipe whose findings name the file that it stands for."""
    compiled = compile_recipe(path)
    findings = (replace(f, place=replace(f.place, file=NAME) if f.place else None) for f in compiled.findings)
    return replace(compiled, findings=tuple(findings))


def pictures(folder: Path) -> dict[str, str]:
    """Return the examples' comments as SVG by the names of their files."""
    return {
        f"{example.recipe}.svg": picture(markdown_lines([comparison_of(folder, example)]), example.recipe)
        for example in EXAMPLES
    }


def picture(lines: Sequence[str], name: str) -> str:
    """Return Markdown as an SVG picture, with what is folded away left folded. `name` makes the ids in it unique."""
    import io

    from rich.console import Console
    from rich.markdown import Markdown
    from rich.terminal_theme import DEFAULT_TERMINAL_THEME
    from rich.theme import Theme

    plain = Theme({"markdown.code": "bold blue", "markdown.table.header": "bold"})
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), theme=plain, force_terminal=True, color_system="truecolor"
    )
    console.print(Markdown("\n".join(_as_seen_first(lines))))
    svg = console.export_svg(
        title="", theme=DEFAULT_TERMINAL_THEME, code_format=SVG, unique_id=f"diff-{name}", font_aspect_ratio=0.61
    )
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def _as_seen_first(lines: Sequence[str]) -> list[str]:
    """Return the lines of Markdown that are seen before anything is unfolded."""
    shown: list[str] = []
    is_folded = False
    for line in lines:
        if found := _FOLDED.fullmatch(line):
            shown.append(f"▸ {found[1]}")
            is_folded = True
        elif line == "</details>":
            is_folded = False
        elif not is_folded:
            shown.append(line)
    return shown


SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
<rect fill="#ffffff" stroke="#d0d7de" x="1" y="1" width="{width}" height="{height}" rx="6" />
<g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""
