"""A recipe from its file: text, shape, chip, images and steps, with everything that is wrong said at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfurun import __version__
from dfurun.chips import Chip, chip_names, load_chip
from dfurun.errors import Code, Finding, Place, RecipePath, Related, Severity
from dfurun.image import ImageError, ImageFile, UsbIds, read_image
from dfurun.recipe.document import Document, read_document, split_lines
from dfurun.recipe.positions import Source
from dfurun.recipe.recipe import Loaded, Recipe
from dfurun.recipe.schema import shape_findings
from dfurun.steps.expect import Expect
from dfurun.steps.step import PROTECTS_WHAT_FOLLOWS, Head, Scope, Step, did_you_mean
from dfurun.units import parse_address, parse_size

MAXIMUM_SIZE_BYTES = 256 * 1024


def load_recipe(path: Path, *, allow_outside: bool = False) -> Loaded:
    """Read a recipe and its images. Nothing is raised: what is wrong is in the findings, placed and in order.

    `allow_outside` lets images lie outside the recipe's repository.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_SIZE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "a folder is not a recipe" if isinstance(error, IsADirectoryError) else ""
        return _unreadable(path, Finding(Code.RECIPE_UNREADABLE, f"{path}: {reason}", hint=hint))
    if len(data) > MAXIMUM_SIZE_BYTES:
        return _unreadable(path, Finding(Code.RECIPE_TOO_LARGE, f"{path} is larger than 256 KiB"))
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return _unreadable(path, _not_utf8(path, data, error))
    return load_text(path, text, sha256=hashlib.sha256(data).hexdigest(), allow_outside=allow_outside)


def load_text(path: Path, text: str, *, sha256: str, allow_outside: bool = False) -> Loaded:
    """Load a recipe from text that stands, or would stand, in the file `path`."""
    document = read_document(text, str(path))
    source = Source(path, sha256, split_lines(text), document.index)
    if not document.whole:
        return Loaded(source, None, source.attach(document.findings))
    loader = _Loader(path, document, allow_outside=allow_outside)
    parts = loader.load()
    findings = source.attach(loader.findings)
    if parts is None:
        return Loaded(source, None, findings)
    values = {key: value for key, value in document.value.items() if loader.is_sound((key,))}
    supply = values.get("supply")
    draft = Recipe(
        path=path,
        name=values.get("name", path.stem),
        sha256=sha256,
        chip=parts.chip,
        images=parts.images,
        expect=Expect.parse(values.get("expect", {})),
        allow=frozenset(values.get("allow", ())),
        steps=parts.steps,
        supply_v=None if supply is None else float(supply.removesuffix("V")),
    )
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Loaded(source, None, findings, draft if parts.can_be_judged else None)
    return Loaded(source, draft, findings, draft)


def repository_of(recipe: Path) -> Path:
    """Return the folder that a recipe's files may come from: the nearest parent that git knows, else its own folder."""
    folder = recipe.parent.resolve()
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)


def _unreadable(path: Path, finding: Finding) -> Loaded:
    return Loaded(Source(path, "", ()), None, (finding,))


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> Finding:
    lines = split_lines(data[: error.start].decode("utf-8"))
    rest = split_lines(data[error.start :].decode("utf-8", errors="replace"))[0]
    column = len(lines[-1]) + 1
    place = Place(str(path), len(lines), column, column + 1, lines[-1] + rest)
    message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
    return Finding(Code.RECIPE_UNREADABLE, message, hint="save the recipe as UTF-8", place=place)


@dataclass(frozen=True, slots=True)
class _Parts:
    chip: Chip
    images: Mapping[str, ImageFile]
    steps: tuple[Step, ...]
    can_be_judged: bool  # what the rules of the steps go by was read whole


@dataclass(slots=True)
class _Loader:
    """Goes on after each mistake with what does not depend on it."""

    path: Path
    document: Document
    allow_outside: bool = field(kw_only=True)
    findings: list[Finding] = field(default_factory=list)
    bad: set[RecipePath] = field(default_factory=set)  # paths at or under which something is wrong
    step_errors: list[Finding] = field(default_factory=list)  # what was found while the steps were parsed

    def load(self) -> _Parts | None:
        self._check_shape()
        values = self.document.value
        if not isinstance(values, dict):
            return None
        self._check_version(values)
        chip = self._load_chip(values)
        images = self._load_images(values, chip)
        self._check_use(values)
        self._check_step_ids(values)
        if chip is None:
            return None
        self._check_allow(values, chip)
        steps = self._parse_steps(values, chip, images)
        loaded = {name: image for name, image in images.items() if image is not None}
        return _Parts(chip, loaded, steps, self._can_be_judged(values, steps))

    # Shape -------------------------------------------------------------------------------------------------------

    def _check_shape(self) -> None:
        self.findings += self.document.findings
        for path in self.document.unread | self.document.incomplete:
            self._mark_bad(path)
        for finding in shape_findings(self.document.value):
            self._mark_bad(finding.path)
            if not self._is_consequence(finding):
                self.findings.append(finding)

    def _mark_bad(self, path: RecipePath) -> None:
        self.bad.update(path[:length] for length in range(len(path) + 1))

    def _is_consequence(self, finding: Finding) -> bool:
        """Say whether a finding is about what could not be read, which has been said."""
        path = finding.path
        if any(path[:length] in self.document.unread for length in range(len(path) + 1)):
            return True
        return path in self.document.incomplete  # it lacks something, or is empty

    def is_sound(self, path: RecipePath) -> bool:
        """Say whether the value at `path` has the shape that the schema promises, all the way down."""
        return path not in self.bad

    def _report(
        self,
        code: Code,
        message: str,
        path: RecipePath,
        *,
        hint: str = "",
        on_key: bool = False,
        related: tuple[Related, ...] = (),
    ) -> None:
        self.findings.append(Finding(code, message, path, hint=hint, on_key=on_key, related=related))

    # Version, chip, guards ---------------------------------------------------------------------------------------

    def _check_version(self, values: Mapping[str, Any]) -> None:
        if "requires" not in values or not self.is_sound(("requires",)):
            return
        wanted = values["requires"].removeprefix(">=").strip()
        if _numbers(__version__) < _numbers(wanted):
            message = f"the recipe requires dfurun {wanted}, this is {__version__}"
            self._report(Code.VERSION_TOO_OLD, message, ("requires",), hint="upgrade dfurun")

    def _load_chip(self, values: Mapping[str, Any]) -> Chip | None:
        if "chip" not in values or not self.is_sound(("chip",)):
            return None
        name = values["chip"]
        if name not in chip_names():
            hint = did_you_mean(name.lower(), chip_names())
            self._report(Code.UNKNOWN_CHIP, f"no chip is called `{name}`", ("chip",), hint=hint)
            return None
        return load_chip(name)

    def _check_allow(self, values: Mapping[str, Any], chip: Chip) -> None:
        if not isinstance(values.get("allow"), list):
            return
        known = [guard.name for guard in chip.guards] + [PROTECTS_WHAT_FOLLOWS]
        for index, name in enumerate(values["allow"]):
            path = ("allow", index)
            if self.is_sound(path) and name not in known:
                hint = did_you_mean(name, known)
                self._report(Code.UNKNOWN_GUARD, f"{chip.name} has no guard `{name}`", path, hint=hint)

    # Images ------------------------------------------------------------------------------------------------------

    def _load_images(self, values: Mapping[str, Any], chip: Chip | None) -> dict[str, ImageFile | None]:
        entries = values.get("images")
        if not isinstance(entries, dict):
            return {}
        images: dict[str, ImageFile | None] = {}
        for name, entry in entries.items():
            path = ("images", name)
            images[name] = self._load_image(name, entry, path, chip) if self.is_sound(path) else None
        return images

    def _load_image(self, name: str, entry: Mapping[str, Any], path: RecipePath, chip: Chip | None) -> ImageFile | None:
        file = self.path.parent / entry["file"]
        if not self.allow_outside and not self._is_inside(file):
            message = f"`{entry['file']}` is outside the recipe's repository"
            hint = "copy it to the recipe, or run with --allow-outside"
            self._report(Code.IMAGE_OUTSIDE, message, (*path, "file"), hint=hint)
            return None
        try:
            address = parse_address(entry["address"]) if "address" in entry else None
        except ValueError as error:
            self._report(Code.BAD_VALUE, str(error), (*path, "address"))
            return None
        size_bytes = parse_size(entry["size"]) if "size" in entry else None
        try:
            image = read_image(name, file, address=address, sha256=entry.get("sha256"), size_bytes=size_bytes)
        except ImageError as error:
            place = (*path, error.subject.value)
            self.findings.append(Finding(error.code, error.message, place, hint=error.hint, notes=error.notes))
            return None
        if chip is not None and image.usb is not None and not image.usb.fits(chip.usb.vendor_id, chip.usb.product_id):
            own = UsbIds(chip.usb.vendor_id, chip.usb.product_id)
            message = f"{file.name} is for the USB device {image.usb}, the bootloader of {chip.title} is {own}"
            hint = "take the build for this board; where the suffix alone is wrong, make the file with the right ids"
            self._report(Code.IMAGE_FOR_OTHER_DEVICE, message, (*path, "file"), hint=hint)
            return None
        if not image.pinned:
            hint = f'pin it: sha256: "{image.sha256}"'
            self._report(Code.UNPINNED_IMAGE, f"image `{name}` has no sha256", path, hint=hint, on_key=True)
        return image

    def _is_inside(self, file: Path) -> bool:
        try:
            return file.resolve().is_relative_to(repository_of(self.path))
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL: reading it says so
            return True

    def _check_use(self, values: Mapping[str, Any]) -> None:
        entries, steps = values.get("images"), values.get("steps")
        if not isinstance(entries, dict) or not isinstance(steps, list) or not self.is_sound(("steps",)):
            return
        used = {body.get("image") for _, _, body in _bodies(steps)}
        for name in entries:
            if name not in used and self.is_sound(("images", name)):
                self._report(Code.UNUSED_IMAGE, f"no step uses image `{name}`", ("images", name), on_key=True)

    # Steps -------------------------------------------------------------------------------------------------------

    def _check_step_ids(self, values: Mapping[str, Any]) -> None:
        steps = values.get("steps")
        first: dict[str, RecipePath] = {}
        for index, keyword, body in _bodies(steps if isinstance(steps, list) else []):
            path = ("steps", index, keyword, "id")
            if "id" not in body or not self.is_sound(path):
                continue
            if body["id"] in first:
                related = (Related(first[body["id"]], "first here"),)
                self._report(Code.BAD_VALUE, f"two steps have the id `{body['id']}`", path, related=related)
            else:
                first[body["id"]] = path

    def _parse_steps(
        self, values: Mapping[str, Any], chip: Chip, images: Mapping[str, ImageFile | None]
    ) -> tuple[Step, ...]:
        if not isinstance(values.get("steps"), list):
            return ()
        allow = values.get("allow")
        allowed = frozenset(name for name in allow if isinstance(name, str)) if isinstance(allow, list) else frozenset()
        scope = Scope(chip, images, allowed)
        steps: list[Step] = []
        for index, step in enumerate(values["steps"]):
            if self.is_sound(("steps", index)):
                steps += self._parse_step(index, step, scope)
        # An image under a name that could not be read is perhaps the one that a step means
        images_are_known = self.is_sound(("images",))
        self.findings += [f for f in scope.findings if images_are_known or f.code is not Code.UNKNOWN_IMAGE]
        self.step_errors = [f for f in scope.findings if f.severity is Severity.ERROR]
        return tuple(steps)

    def _can_be_judged(self, values: Mapping[str, Any], steps: Sequence[Step]) -> bool:
        """Say whether every step was parsed, and every guard that is allowed: else the rules would report consequences."""
        if not (self.is_sound(("steps",)) and self.is_sound(("allow",))):
            return False
        if len(steps) != len(values.get("steps", ())) or not steps:
            return False
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        if any(finding.path[:1] == ("allow",) or finding in self.step_errors for finding in errors):
            return False
        unread_key = () in self.document.incomplete or any(
            finding.code is Code.UNKNOWN_KEY and len(finding.path) == 1 for finding in errors
        )
        return "allow" in values or not unread_key  # a key that could not be read is perhaps `allow`

    def _parse_step(self, index: int, step: str | Mapping[str, Any], scope: Scope) -> Sequence[Step]:
        from dfurun.steps.registry import STEPS

        keyword, body = (step, None) if isinstance(step, str) else next(iter(step.items()))
        path: RecipePath = ("steps", index) if isinstance(step, str) else ("steps", index, keyword)
        body = body or {}
        try:
            parsed = STEPS[keyword].parse(Head.parse(index, path, body), body, scope)
        except ValueError as error:  # a quantity that has the right form and is impossible: an empty range
            scope.report(Code.BAD_VALUE, str(error), path)
            return ()
        return () if parsed is None else (parsed,)


def _bodies(steps: Sequence[Any]) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Return index, keyword and body of the steps that have a body."""
    return [
        (index, keyword, body)
        for index, step in enumerate(steps)
        if isinstance(step, dict)
        for keyword, body in step.items()
        if isinstance(body, dict)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading dotted numbers of a version, without zeros at the end: 0.1 is 0.1.0."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
