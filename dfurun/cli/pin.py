"""`dfurun pin RECIPE...`: the images' hashes and sizes in recipes brought up to date, in place; or looked at, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfurun.cli import completion
from dfurun.cli.check import worst_of
from dfurun.cli.options import Format, FormatOption, Json, quiet_option
from dfurun.cli.output import Output
from dfurun.cli.recipe_options import AllowOutside, Extending, with_extending
from dfurun.errors import Code, ExitStatus, Finding, StepFailed, worst_status

if TYPE_CHECKING:
    from dfurun.plan.pinning import FileEdit, Pinning

WIDTH = 8


def pin_command(
    context: typer.Context,
    recipes: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECIPE", help="Recipes, YAML files.", show_default=False, autocompletion=completion.recipes
        ),
    ],
    extending: Extending = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where a pin is not of its file.")
    ] = False,
    format: FormatOption = Format.TEXT,
    allow_outside: AllowOutside = False,
    json: Json = False,
    quiet: Annotated[bool, quiet_option("Only what is changed or wrong.")] = False,
) -> int:
    """Pin the images of recipes to the files that are there: `sha256`, and `size` where it is given."""
    from dfurun.plan.pinning import pin_recipe

    output: Output = context.obj
    output.annotate = format is Format.GITHUB
    recipes = with_extending(recipes, wanted=extending)
    statuses = []
    told: set[Finding] = set()  # of a base, which several recipes extend
    for path in recipes:
        pinning = pin_recipe(path, allow_outside=allow_outside)
        status = worst_status(pinning.errors)
        output.findings(pinning.errors, product=True)
        if pinning.edits and check:
            outdated = [finding for edit in pinning.edits for finding in edit.outdated]
            output.findings([finding for finding in outdated if finding not in told], product=True)
            told.update(outdated)
            status = ExitStatus.FAILED
        elif pinning.edits:
            _write_all(output, pinning)
        elif status is ExitStatus.DONE and not output.as_json and not quiet:
            output.line(f"{path}: ok, {_words(pinning)}")
        elif status is not ExitStatus.DONE and not output.as_json:
            output.line(f"{path}: nothing was pinned")
        for left in pinning.unpinned:
            output.write({"event": "unpinned", "recipe": str(left.path), "image": left.image, "why": left.why})
            if not output.as_json and not quiet:
                output.line(f"{left.path}: {left.image} is not pinned: {left.why}")
        written = bool(pinning.edits) and not check
        output.write({"event": "pinned", "recipe": str(path), "written": written, "exit": int(status)})
        statuses.append(status)
    worst = worst_of(statuses)
    return ExitStatus.FAILED if worst is ExitStatus.DONE and ExitStatus.FAILED in statuses else worst


def _words(pinning: Pinning) -> str:
    from dfurun.report.words import count

    images = len(pinning.pinned)
    if not images and pinning.unpinned:
        return "nothing can be pinned in place"
    return f"{count(images, 'image', 'images')} pinned" if images else "no images to pin"


def _write_all(output: Output, pinning: Pinning) -> None:
    """Write the edited files, the bases first; each is as it was or as it will be, whatever happens."""
    written: list[str] = []
    for edit in reversed(pinning.edits):
        others = f"; {' and '.join(written)} {'is' if len(written) == 1 else 'are'} pinned" if written else ""
        _write(edit, consequence=f"it is as it was{others}")
        written.append(str(edit.source.path))
        _tell(output, edit)


def _write(edit: FileEdit, *, consequence: str) -> None:
    from dfurun.files import replace_text

    path = edit.source.path
    try:
        replace_text(path, edit.before, edit.after)
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"{path} cannot be written: {error.strerror or error}",
            consequence=consequence,
            hint="a recipe that may be written to, in a folder that may be, with room for it",
        ) from None


def _tell(output: Output, edit: FileEdit) -> None:
    """Tell old and new of each image."""
    told, path, files = "", edit.source.path, edit.files
    for change in edit.changes:
        pin: dict[str, Any] = {"image": change.image, "file": files[change.image], "key": change.key}
        output.write({"event": "pin", "recipe": str(path), **pin, "old": change.old or None, "new": change.new})
        if output.as_json:
            continue
        if change.image != told:
            output.line(f"{path}: {change.image}, {files[change.image]}")
            told = change.image
        output.line(f"  {change.key:<{WIDTH}}was {change.old or 'not there'}")
        output.line(f"  {'':<{WIDTH}}is  {change.new}")
