"""A recipe's file, opened: its text, or the finding that says why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dfurun.errors import Code, Finding, Place
from dfurun.files import NotRegular, Outside, TooLarge, read_file
from dfurun.image.formats import image_format
from dfurun.recipe.document import split_lines
from dfurun.steps.step import nearest

MAXIMUM_SIZE_BYTES = 256 * 1024
IMAGE_HINT = "give the recipe, the YAML file that names this one under `images`"
TOO_LARGE_HINT = "where it is an image: give the recipe, the YAML file that names it under `images`"
RECIPE_OUTSIDE_HINT = "name the file that it leads to, or run with --allow-outside"  # findings quote what is in it
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Opened:
    """A file's text, without its byte order mark, and the SHA-256 of its bytes."""

    text: str
    sha256: str


def open_recipe(path: Path, *, inside: Path | None) -> Opened | Finding:
    """Return a recipe's text; where it cannot be read, why. `inside` is the folder that no link may lead it out of."""
    try:
        data = read_file(path, MAXIMUM_SIZE_BYTES, inside=inside)
    except Outside:
        message = f"{path} is a link that leads out of its repository"
        return Finding(Code.IMAGE_OUTSIDE, message, hint=RECIPE_OUTSIDE_HINT)
    except TooLarge:
        return Finding(Code.RECIPE_TOO_LARGE, f"{path} is larger than 256 KiB", hint=TOO_LARGE_HINT)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "a folder is not a recipe" if isinstance(error, (NotRegular, PermissionError)) and path.is_dir() else ""
        if isinstance(error, FileNotFoundError):
            hint = _meant_recipe(path)
        return Finding(Code.RECIPE_UNREADABLE, f"{path}: {reason}", hint=hint)
    if (known := image_format(data)) is not None:
        message = f"{path} is {known.name}: that is an image, not a recipe"
        return Finding(Code.RECIPE_UNREADABLE, message, hint=IMAGE_HINT)
    try:
        return Opened(data.decode("utf-8").removeprefix("\ufeff"), hashlib.sha256(data).hexdigest())
    except UnicodeDecodeError as error:
        return _not_utf8(path, data, error)


def repository_of(recipe: Path) -> Path:
    """Return the folder that a recipe's files may come from: the nearest parent that git knows, else its own folder."""
    return git_folder(recipe) or recipe.parent.resolve()


def git_folder(recipe: Path) -> Path | None:
    """Return the nearest parent of a recipe that git knows; None where there is none."""
    folder = recipe.parent.resolve()
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)


def may_be_inside(file: Path, repository: Path) -> bool:
    """Say whether a file is inside, as far as its name tells before it is opened; whether it is, is asked then again."""
    try:
        return file.resolve().is_relative_to(repository)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL: opening it says so
        return True


def _meant_recipe(path: Path) -> str:
    """Return the did-you-mean for a recipe that is not there: one of its name in `recipes`, or the YAML files beside it."""
    folder, names = path.parent, [path.name, *(path.name + suffix for suffix in _SUFFIXES)]
    if not folder.is_dir():
        return f"there is no folder {folder.as_posix()}"
    meant = [file for file in (f / name for f in (folder, folder / "recipes") for name in names) if file.is_file()]
    if not meant:
        try:
            beside = {file.stem: file for file in folder.iterdir() if file.suffix in _SUFFIXES}
        except OSError:
            return ""
        meant = [beside[name] for name in nearest(path.stem if path.suffix in _SUFFIXES else path.name, beside)]
    return f"did you mean {' or '.join(repr(file.as_posix()) for file in meant)}?" if meant else ""


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> Finding:
    lines = split_lines(data[: error.start].decode("utf-8"))
    rest = split_lines(data[error.start :].decode("utf-8", errors="replace"))[0]
    column = len(lines[-1]) + 1
    place = Place(str(path), len(lines), column, column + 1, lines[-1] + rest)
    message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
    return Finding(Code.RECIPE_UNREADABLE, message, hint="save the recipe as UTF-8", place=place)
