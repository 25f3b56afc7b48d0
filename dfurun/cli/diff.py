"""`dfurun diff OLD NEW` and `dfurun diff --git [REV] RECIPE...`: what a recipe's change means for the boards."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import OUTPUT, Json
from dfurun.cli.output import Output
from dfurun.cli.recipe_first import RECIPE_SUFFIXES
from dfurun.cli.recipe_options import SetVariable, VarsFile, settings_of
from dfurun.errors import DfurunError, ExitStatus

if TYPE_CHECKING:
    from dfurun.diff.comparison import Comparison
    from dfurun.recipe import Settings

EXAMPLES = "for example `dfurun diff old.yaml new.yaml`, or `dfurun diff --git main recipes/`"


class DiffFormat(StrEnum):
    """How a comparison is written: for people, as JSON Lines, as a comment on a pull request."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def diff_command(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="OLD NEW | [REV] RECIPE...",
            help="Two recipes; with --git a revision and recipes, or folders of them.",
            show_default=False,
            autocompletion=completion.recipes,
        ),
    ],
    git: Annotated[
        bool,
        typer.Option(
            "--git",
            help="Compare with a revision: REV (HEAD if not given) with the working tree, REV..REV, or REV...REV.",
        ),
    ] = False,
    git_driver: Annotated[
        bool, typer.Option("--git-driver", help="For `diff.dfurun.command` in git's configuration.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 where there are changes.", rich_help_panel=OUTPUT)
    ] = False,
    format: Annotated[
        DiffFormat,
        typer.Option("--format", help="markdown: a comment on a pull request.", rich_help_panel=OUTPUT),
    ] = DiffFormat.TEXT,
    set_variables: SetVariable = None,
    vars_file: VarsFile = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let images and bases lie outside the recipe's repository.")
    ] = False,
    json: Json = False,
) -> int:
    """Say what a change of a recipe means: for the firmware, the option bytes, the safety nets. Without hardware."""
    output: Output = context.obj
    settings = settings_of(set_variables, vars_file)
    if git_driver:
        return _for_git(words, output, settings)
    comparisons = list(_comparisons(words, settings, git=git, allow_outside=allow_outside))
    if format is DiffFormat.MARKDOWN and not output.as_json:
        from dfurun.report.diff_markdown import markdown_lines

        for line in markdown_lines(comparisons):
            output.product.print(line, soft_wrap=True)
    else:
        _show(comparisons, output)
    worst = [comparison.status for comparison in comparisons]
    for status in (ExitStatus.INVALID, ExitStatus.REFUSED):
        if status in worst:
            return status
    changed = any(comparison.difference and comparison.difference.changes for comparison in comparisons)
    return ExitStatus.CHANGES if exit_code and changed else ExitStatus.DONE


def _comparisons(words: list[str], settings: Settings, *, git: bool, allow_outside: bool) -> Iterator[Comparison]:
    from dfurun.diff.comparison import compare_files, compare_revisions

    if "" in words:  # a script's variable without a value would be taken for this folder, and all be well
        raise UsageFailure("a word of diff is empty: a variable that is not set?", EXAMPLES)
    if not git:
        if len(words) != 2:
            raise UsageFailure(f"diff takes two recipes, not {len(words)}", EXAMPLES)
        yield compare_files(Path(words[0]), Path(words[1]), allow_outside=allow_outside, settings=settings)
        return
    revision, recipes = ("HEAD", words) if _is_recipe(words[0]) else (words[0], words[1:])
    if not recipes:
        raise UsageFailure("diff --git takes a revision and recipes, or a folder of them", EXAMPLES)
    paths = [Path(word) for word in recipes]
    if recipes is words and len(words) > 1:
        _require_no_revision(words[0], paths)
    yield from compare_revisions(revision, paths, allow_outside=allow_outside, settings=settings)


def _require_no_revision(word: str, paths: list[Path]) -> None:
    """Raise UsageFailure where a folder has the name of a revision: which of them is meant, only people know."""
    from dfurun.diff.git import Repository

    if not word.endswith(RECIPE_SUFFIXES) and Repository.around(paths[0]).has_commit(word):
        raise UsageFailure(f"`{word}` is a revision and a folder", f"`./{word}` is the folder, `{word}..` the revision")


def _is_recipe(word: str) -> bool:
    return word.endswith(RECIPE_SUFFIXES) or Path(word).exists()


def _show(comparisons: list[Comparison], output: Output) -> None:
    from dfurun.report.diff_json import comparison_object
    from dfurun.report.diff_text import print_comparison

    told = [c for c in comparisons if not c.is_base and (c.difference is None or c.difference.changes)]
    same = [c for c in comparisons if c not in told]
    for number, comparison in enumerate([*told, *same]):
        output.write(comparison_object(comparison))
        if not output.as_json:
            if number and (comparison in told or comparison is same[0]):
                output.product.print()
            print_comparison(comparison, output.product)
        output.findings(comparison.findings)


def _for_git(words: list[str], output: Output, settings: Settings) -> int:
    """Answer git, which takes any other status than 0 for a broken driver and shows nothing more."""
    from dfurun.diff.driver import Called, compare_called
    from dfurun.report.diagnostics import print_findings
    from dfurun.report.diff_text import print_comparison, print_patch

    called = Called.of(words)
    if called is None:
        if len(words) == 1:  # git says no more of a path that is not merged
            output.line(f"* Unmerged path {words[0]}")
            return ExitStatus.DONE
        raise UsageFailure(
            "--git-driver is for git, which gives seven words", "docs/guide/diff.md says how to set it up"
        )
    output.line(f"diff --git a/{called.path} b/{called.new_path}")
    try:
        comparison = compare_called(called, settings=settings)
        print_comparison(comparison, output.product)
        print_findings(comparison.findings, output.product)
    except DfurunError as error:
        output.error(error)
    output.product.print()
    sides = [_lines(file) for file in (called.old_file, called.new_file)]
    print_patch(called.new_path, sides[0], sides[1], output.product)
    return ExitStatus.DONE


def _lines(file: Path) -> list[str]:
    from dfurun.files import read_file
    from dfurun.recipe.opened import MAXIMUM_SIZE_BYTES

    try:
        return read_file(file, MAXIMUM_SIZE_BYTES).decode("utf-8", errors="replace").splitlines()
    except OSError:  # /dev/null, on the side that does not have the file
        return []
