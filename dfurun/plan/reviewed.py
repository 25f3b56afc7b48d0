"""A plan that was reviewed: what a run has to find again, in the recipe, in its images and on the board, before it begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfurun.errors import Code, Refused
from dfurun.files import read_file
from dfurun.plan.observed import Observed
from dfurun.plan.plan_file import PLAN_VERSION
from dfurun.recipe.recipe import Recipe
from dfurun.recipe.variables import shown
from dfurun.resources import schema_text
from dfurun.units import format_size, parse_pages

LARGEST_PLAN_BYTES = 16 * 1024 * 1024
PLAN_ANEW = "look at what has changed, and make the plan anew: `dfurun plan`"
NOTHING_SENT = "nothing was sent to any board"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A plan from its file. `board` is None where it was made for none: then any board will do that the recipe expects."""

    path: Path
    recipe_sha256: str
    recipe_digest: str
    variables: Mapping[str, Any]
    images: Mapping[str, str]
    board: Mapping[str, Any] | None

    @classmethod
    def load(cls, path: Path) -> Reviewed:
        """Read a plan. Raise Refused, as an invalid input, where the file is none."""
        try:
            found = json.loads(read_file(path, LARGEST_PLAN_BYTES))
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from None
        except (ValueError, RecursionError):
            raise _unreadable(path, "this is not JSON") from None
        if isinstance(found, dict) and found.get("plan") not in (None, PLAN_VERSION):
            raise _unreadable(path, "it was made by a newer dfurun")
        if why := _misshapen(found):
            raise _unreadable(path, f"it is no plan of dfurun: {why}")
        recipe, variables = found["recipe"], {name: given["value"] for name, given in found["variables"].items()}
        return cls(path, recipe["sha256"], recipe["digest"], variables, found["images"], found["board"])

    @property
    def pages(self) -> tuple[int, ...]:
        """The pages of the board that the plan was made over."""
        return tuple(page for run in (self.board or {}).get("pages", ()) for page in parse_pages(run))

    def require_recipe(self, recipe: Recipe) -> None:
        """Raise Refused where the recipe or an image is not the one that was reviewed."""
        if recipe.sha256 != self.recipe_sha256:
            raise self._differs(f"{recipe.path} is not the recipe that was planned", NOTHING_SENT)
        for name, variable in recipe.variables.items():
            planned = self.variables.get(name)
            if planned is not None and variable.value != planned:
                message = f"the plan is for {name} {shown(planned)}, and this run is given {variable}"
                raise self._differs(
                    message, NOTHING_SENT, hint=f"`--set {name}={shown(planned)}`, or a plan for this one"
                )
        if recipe.digest != self.recipe_digest:
            message = f"{recipe.path} does not come to what was planned: a base is another"
            raise self._differs(message, NOTHING_SENT)
        for name, image in recipe.images.items():
            if image.sha256 != self.images.get(name):
                raise self._differs(f"image `{name}` is not the one that was planned", NOTHING_SENT)

    def require_board(self, observed: Observed) -> None:
        """Raise Refused where the board, or what it holds, is not what was reviewed."""
        board, identity, raw = self.board, observed.identity, observed.option_bytes
        if board is None:
            return
        size = identity.flash_size_bytes
        for what, planned, found in (
            ("its read protection", _protection(board["protected"]), _protection(observed.protected)),
            ("its unique id", board["unique_id"], identity.unique_id),
            ("its flash size", board["flash_size"] and format_size(board["flash_size"]), size and format_size(size)),
            ("its bootloader id", board["bootloader_id"], identity.bootloader_id),
            ("its option bytes", board["option_bytes"], None if raw is None else raw.hex()),
        ):
            if planned != found:
                message = f"{what}: {_or_unread(planned)} when the plan was made, {_or_unread(found)} now"
                raise self._differs(f"the board is not as it was planned for, {message}", "nothing was changed on it")
        if board["pages_sha256"] != observed.flash_sha256:
            message = "the board's flash holds something else than when the plan was made"
            raise self._differs(message, "nothing was changed on it")

    def _differs(self, message: str, consequence: str, *, hint: str = PLAN_ANEW) -> Refused:
        return Refused(Code.PLAN_DIFFERS, f"{self.path}: {message}", consequence=consequence, hint=hint)


def _misshapen(found: Any) -> str:
    """Return what is wrong with the shape of a plan; empty where nothing is."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft7Validator(json.loads(schema_text("plan.schema.json"))).iter_errors(found))
    return f"{error.message} ({error.json_path})" if error else ""


def _unreadable(path: Path, why: str) -> Refused:
    hint = "a file that `dfurun plan RECIPE -o FILE` has written"
    return Refused(Code.PLAN_UNREADABLE, f"{path}: {why}", consequence=NOTHING_SENT, hint=hint)


def _protection(protected: object) -> str:
    return "read-protected" if protected else "not protected"


def _or_unread(value: object) -> str:
    return "not read" if value is None else str(value)
