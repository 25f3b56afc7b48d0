"""A recipe from its file: text, shape, chip, images and steps, with everything that is wrong said at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dfurun.chips import Chip
from dfurun.errors import Code, Finding, RecipePath, Related, Severity
from dfurun.image import ImageError, ImageFile, MemoryImage, Piece, UsbIds, read_image
from dfurun.recipe.chain import NOTHING_EDITED
from dfurun.recipe.data import data_bytes
from dfurun.recipe.document import Document
from dfurun.recipe.many import is_enough
from dfurun.recipe.opened import git_folder, may_be_inside, open_recipe, repository_of
from dfurun.recipe.positions import Source
from dfurun.recipe.recipe import Loaded, Recipe, RecipeFile
from dfurun.recipe.resolve import digest_of, resolve
from dfurun.recipe.salvage import keyword_of, readable_step, without
from dfurun.recipe.schema import ON_ONE_LINE, is_newer, shape_findings
from dfurun.recipe.variables import NO_SETTINGS, Settings
from dfurun.steps.chip_called import NoOneChip, chip_called
from dfurun.steps.expect import Expect
from dfurun.steps.step import PROTECTS_WHAT_FOLLOWS, Head, Scope, Step, did_you_mean, unknown_data, unknown_image
from dfurun.steps.unread import Unread
from dfurun.units import in_both_bases, parse_address, parse_size, parse_voltage


def load_recipe(
    path: Path, *, allow_outside: bool = False, settings: Settings = NO_SETTINGS, take_swapped: bool = False
) -> Loaded:
    """Read a recipe, its bases and its images. Nothing is raised: what is wrong is in the findings, placed and in order.

    `allow_outside` lets images and bases lie outside the recipe's repository, and the recipe be a link that leads out of it.
    `take_swapped` takes a file that is another than the recipe pins for what the recipe means: that is an error all the same.
    """
    opened = open_recipe(path, inside=None if allow_outside else repository_of(path))
    if isinstance(opened, Finding):
        return Loaded(Source(path, "", ()), None, (opened,))
    return load_text(
        path,
        opened.text,
        sha256=opened.sha256,
        allow_outside=allow_outside,
        settings=settings,
        take_swapped=take_swapped,
    )


def load_text(
    path: Path,
    text: str,
    *,
    sha256: str,
    allow_outside: bool = False,
    settings: Settings = NO_SETTINGS,
    edited: Mapping[str, str] = NOTHING_EDITED,
    take_swapped: bool = False,
) -> Loaded:
    """Load a recipe from text that stands, or would stand, in the file `path`; `edited` as for its bases in `resolve`."""
    resolved = resolve(path, text, sha256, settings, allow_outside=allow_outside, edited=edited)
    source, document = resolved.source, resolved.document
    if not document.whole or resolved.is_base:
        return Loaded(source, None, source.attach(document.findings), is_base=resolved.is_base)
    loader = _Loader(source, document, allow_outside=allow_outside, take_swapped=take_swapped)
    parts = loader.load()
    findings = source.attach(loader.findings)
    made_of: dict[str, Any] = {
        "values": document.value,
        "variables": resolved.variables,
        "declared": resolved.declared,
    }
    if parts is None:
        return Loaded(source, None, findings, **made_of)
    values = {key: value for key, value in document.value.items() if loader.is_sound((key,))}
    supply = values.get("supply")
    draft = Recipe(
        path=path,
        name=values.get("name", path.stem),
        sha256=sha256,
        chip=parts.chip,
        images=parts.images,
        expect=Expect.parse(values.get("expect", {})),
        allow=parts.allow,
        steps=parts.steps,
        supply_v=None if supply is None else parse_voltage(supply),
        files=tuple(RecipeFile(file.path, file.sha256) for file in source.files),
        variables=resolved.variables,
        declared=resolved.declared,
        digest=digest_of(document.value),
    )
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Loaded(source, None, findings, draft if parts.steps else None, **made_of)
    return Loaded(source, draft, findings, draft, **made_of)


@dataclass(frozen=True, slots=True)
class _Parts:
    chip: Chip
    images: Mapping[str, ImageFile]
    allow: frozenset[str]
    steps: tuple[Step, ...]


@dataclass(slots=True)
class _Loader:
    """Goes on after each mistake with what does not depend on it."""

    source: Source
    document: Document
    allow_outside: bool = field(kw_only=True)
    take_swapped: bool = field(kw_only=True)
    findings: list[Finding] = field(default_factory=list)
    wrong: set[RecipePath] = field(default_factory=set)  # paths of what is wrong
    bad: set[RecipePath] = field(default_factory=set)  # paths at or under which something is wrong

    def load(self) -> _Parts | None:
        self._check_shape()
        values = self.document.value
        if not isinstance(values, dict) or is_newer(values) or is_enough(self.findings):
            return None
        chip = self._load_chip(values)
        self._check_supply(values, chip)
        self.findings = [_with_own_values(finding, chip) for finding in self.findings]
        images = self._load_images(values, chip)
        data = self._load_data(values)
        self._check_use(values)
        self._check_step_ids(values)
        if chip is None:
            self._check_names(values, {"image": images, "data": data})
            return None
        allow = self._allowed(values, chip)
        steps = self._parse_steps(values, Scope(chip, images, allow, written=self.source.text_at, data=data))
        loaded = {name: image for name, image in (images | data).items() if image is not None}
        return _Parts(chip, loaded, allow, steps)

    # Shape -------------------------------------------------------------------------------------------------------

    def _check_shape(self) -> None:
        self.findings += self.document.findings
        for path in self.document.unread | self.document.incomplete:
            self._mark_bad(path)
        for finding in shape_findings(self.document.value, resolved=True):
            self._mark_bad(finding.path)
            if not self.document.explains(finding.path):
                self.findings.append(finding)

    def _mark_bad(self, path: RecipePath) -> None:
        self.wrong.add(path)
        self.bad.update(path[:length] for length in range(len(path) + 1))

    def is_sound(self, path: RecipePath) -> bool:
        """Say whether the value at `path` has the shape that the schema promises, all the way down."""
        return path not in self.bad

    def _is_perhaps_there(self, key: str, values: Mapping[str, Any]) -> bool:
        """Say whether a top-level key is missing only because one could not be read, or was misspelt."""
        unknown = any(f.code is Code.UNKNOWN_KEY and len(f.path) == 1 for f in self.findings)
        return key not in values and (unknown or () in self.document.incomplete)

    def _knows(self, key: str, values: Mapping[str, Any]) -> bool:
        """Say whether every name of `images`, or of `data`, was read: else one that a step means is perhaps among them."""
        named = not any(path[:1] == (key,) and len(path) <= 2 for path in self.wrong)
        return named and not self._is_perhaps_there(key, values)

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

    # Chip, guards ------------------------------------------------------------------------------------------------

    def _load_chip(self, values: Mapping[str, Any]) -> Chip | None:
        if "chip" not in values or not self.is_sound(("chip",)):
            return None
        try:
            return chip_called(values["chip"])
        except NoOneChip as error:
            self._report(Code.UNKNOWN_CHIP, error.message, ("chip",), hint=error.hint)
            return None

    def _check_supply(self, values: Mapping[str, Any], chip: Chip | None) -> None:
        if chip is None or "supply" not in values or not self.is_sound(("supply",)):
            return
        if not chip.supply.allows(parse_voltage(values["supply"])):
            message = f"{chip.title} is supplied with {chip.supply}, not {values['supply']}"
            hint = "VDD of the chip is meant, not what feeds the board's regulator"
            self._report(Code.BAD_VALUE, message, ("supply",), hint=hint)

    def _allowed(self, values: Mapping[str, Any], chip: Chip) -> frozenset[str]:
        """Return the guards that the recipe allows; all of them where that could not be read, so that none is missed."""
        known = [*chip.guard_names, PROTECTS_WHAT_FOLLOWS]
        allow = values.get("allow", [])
        names = list(enumerate(allow)) if isinstance(allow, list) else []
        unknown = [(index, name) for index, name in names if self.is_sound(("allow", index)) and name not in known]
        for index, name in unknown:
            hint = did_you_mean(name, known)
            self._report(Code.UNKNOWN_GUARD, f"{chip.title} has no guard `{name}`", ("allow", index), hint=hint)
        if unknown or not self.is_sound(("allow",)) or self._is_perhaps_there("allow", values):
            return frozenset(known)
        return frozenset(name for _, name in names)

    # Images ------------------------------------------------------------------------------------------------------

    def _load_images(self, values: Mapping[str, Any], chip: Chip | None) -> dict[str, ImageFile | None]:
        entries = values.get("images")
        if not isinstance(entries, dict):
            return {}
        images: dict[str, ImageFile | None] = {}
        for name, entry in entries.items():
            path = ("images", name)
            rest = without(entry, path, self.wrong)
            readable = path not in self.wrong and isinstance(rest, dict) and "file" in rest
            images[name] = self._load_image(name, rest, path, chip) if readable else None
        return images

    def _load_image(self, name: str, entry: Mapping[str, Any], path: RecipePath, chip: Chip | None) -> ImageFile | None:
        """Return the image; of one with a mistake in it, say nothing that may follow from the mistake."""
        if "\\" in entry["file"]:
            hint = f"write `{entry['file'].replace(chr(92), '/')}`: it works on every system"
            self._report(Code.BAD_VALUE, "a path in a recipe has no `\\`", (*path, "file"), hint=hint)
            return None
        file = self.source.owner((*path, "file")).path.parent / entry["file"]
        repository = None if self.allow_outside else repository_of(self.source.path)
        if repository is not None and not may_be_inside(file, repository):
            self._report_outside(entry["file"], (*path, "file"))
            return None
        try:
            address = parse_address(entry["address"]) if "address" in entry else None
        except ValueError as error:
            self._report(Code.BAD_VALUE, str(error), (*path, "address"))
            return None
        size_bytes = parse_size(entry["size"]) if "size" in entry else None
        try:
            pin = entry.get("sha256")
            image = read_image(name, file, address=address, sha256=pin, size_bytes=size_bytes, inside=repository)
        except ImageError as error:
            if self.is_sound(path) or error.code is not Code.IMAGE_ADDRESS:
                hint = (_path_hint(entry["file"]) if error.code is Code.IMAGE_MISSING else "") or error.hint
                place = (*path, error.subject.value)
                self.findings.append(Finding(error.code, error.message, place, hint=hint, notes=error.notes))
            wanted = self.take_swapped and error.code is Code.PIN_MISMATCH
            return _swapped(name, file, address, repository) if wanted else None
        if chip is not None and image.usb is not None and not image.usb.fits(chip.usb.vendor_id, chip.usb.product_id):
            own = UsbIds(chip.usb.vendor_id, chip.usb.product_id)
            message = f"{file.name} is for the USB device {image.usb}, the bootloader of {chip.title} is {own}"
            hint = "take the build for this board; where the suffix alone is wrong, make the file with the right ids"
            self._report(Code.IMAGE_FOR_OTHER_DEVICE, message, (*path, "file"), hint=hint)
            return None
        if not image.pinned and self.is_sound(path):
            hint = f'pin it: sha256: "{image.sha256}"'
            self._report(Code.UNPINNED_IMAGE, f"image `{name}` has no sha256", path, hint=hint, on_key=True)
        return image

    def _report_outside(self, file: str, path: RecipePath) -> None:
        message, hint = f"`{file}` is outside the recipe's repository", "copy it to the recipe"
        if git_folder(self.source.path) is None:
            message = f"`{file}` is outside the recipe's folder, and with no git repository around it only that counts"
            hint = "`git init` in the folder that holds both, move the file to the recipe"
        self._report(Code.IMAGE_OUTSIDE, message, path, hint=f"{hint}, or run with --allow-outside")

    def _load_data(self, values: Mapping[str, Any]) -> dict[str, ImageFile | None]:
        entries, images = values.get("data"), values.get("images")
        data: dict[str, ImageFile | None] = {}
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            path: RecipePath = ("data", name)
            if isinstance(images, dict) and name in images:
                related = (Related(("images", name), "the image"),)
                self._report(
                    Code.BAD_VALUE, f"data and an image are both called `{name}`", path, on_key=True, related=related
                )
            data[name] = self._load_bytes(name, entry, path) if self.is_sound(path) else None
        return data

    def _load_bytes(self, name: str, entry: Mapping[str, Any], path: RecipePath) -> ImageFile | None:
        try:
            address = parse_address(entry["address"])
        except ValueError as error:
            self._report(Code.BAD_VALUE, str(error), (*path, "address"))
            return None
        found = data_bytes(entry["bytes"], (*path, "bytes"))
        if isinstance(found, list):
            self.findings += found
            return None
        digest = hashlib.sha256(found).hexdigest()
        memory = MemoryImage((Piece(address, found),))
        return ImageFile(name, self.source.owner(path).path, digest, pinned=True, memory=memory, inline=True)

    def _check_use(self, values: Mapping[str, Any]) -> None:
        steps = values.get("steps")
        if not isinstance(steps, list) or not self.is_sound(("steps",)):
            return
        for key, entries, noun in (("image", values.get("images"), "image"), ("data", values.get("data"), "data")):
            used = {body.get(key) for _, _, body in _bodies(steps)}
            if not isinstance(entries, dict) or not used <= {None, *entries}:
                continue  # a misspelt name is perhaps the one that seems unused
            for name in entries:
                path: RecipePath = ("images" if key == "image" else "data", name)
                if name not in used and self.is_sound(path):
                    self._report(Code.UNUSED_IMAGE, f"no step uses {noun} `{name}`", path, on_key=True)

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

    def _check_names(self, values: Mapping[str, Any], known: Mapping[str, Mapping[str, ImageFile | None]]) -> None:
        """Look at the names of images and data in steps that cannot be parsed, as their chip is not known."""
        steps = values.get("steps")
        unknown = {"image": ("images", unknown_image), "data": ("data", unknown_data)}
        for index, keyword, body in _bodies(steps if isinstance(steps, list) else []):
            for key, (owner, finding) in unknown.items():
                path = ("steps", index, keyword, key)
                if key in body and self.is_sound(path) and body[key] not in known[key] and self._knows(owner, values):
                    self.findings.append(finding(body[key], known[key], path))

    def _parse_steps(self, values: Mapping[str, Any], scope: Scope) -> tuple[Step, ...]:
        if not isinstance(values.get("steps"), list):
            return ()
        steps = tuple(self._parse_step(index, step, scope) for index, step in enumerate(values["steps"]))
        owners = {Code.UNKNOWN_IMAGE: "images", Code.UNKNOWN_DATA: "data"}
        self.findings += [f for f in scope.findings if f.code not in owners or self._knows(owners[f.code], values)]
        return steps

    def _parse_step(self, index: int, step: Any, scope: Scope) -> Step:
        """Return the typed step. One with a mistake is looked at as far as it can be read, and then stands for itself."""
        path: RecipePath = ("steps", index)
        keyword = keyword_of(step)
        head = Head(index, (*path, keyword) if keyword and isinstance(step, dict) else path)
        before = len(scope.findings)
        if self.is_sound(path):
            parsed = self._parse_sound_step(index, step, scope)
            if parsed and not any(finding.severity is Severity.ERROR for finding in scope.findings[before:]):
                return parsed
            return Unread(head, keyword, parsed)
        rest, parsed = readable_step(step, path, self.wrong), None
        if rest is not None:
            parsed = self._parse_sound_step(index, rest, scope)
            # What is said of a body as a whole may follow from what was left out of it
            found = [f for f in scope.findings[before:] if f.path[:2] != path or len(f.path) > len(path) + 1]
            scope.findings[before:] = found
        return Unread(head, keyword, parsed)

    def _parse_sound_step(self, index: int, step: str | Mapping[str, Any], scope: Scope) -> Step | None:
        from dfurun.steps.registry import STEPS

        keyword, body = (step, None) if isinstance(step, str) else next(iter(step.items()))
        path: RecipePath = ("steps", index) if isinstance(step, str) else ("steps", index, keyword)
        body = body or {}
        try:
            return STEPS[keyword].parse(Head.parse(index, path, body), body, scope)
        except ValueError as error:  # a quantity that has the right form and is impossible: an empty range
            scope.report(Code.BAD_VALUE, str(error), path)
            return None


def _with_own_values(finding: Finding, chip: Chip | None) -> Finding:
    """Return the finding on an ambiguous value where a number or a name is due with the hint of those: quotes would not do."""
    path, place = finding.path, finding.place
    if finding.code is not Code.YAML_AMBIGUOUS or place is None:
        return finding
    if path[-1:] == ("boot0",):
        own = "`boot0` takes 0 or 1"
    elif path[3:4] == ("fields",):
        known = chip.option_bytes.fields.get(str(path[-1])) if chip else None
        own = f"{known.name} takes {known.allowed()}" if known else "a number, or a name that `dfurun chips NAME` shows"
    else:
        return finding
    text = place.source_line[place.column - 1 : place.end_column - 1]
    return replace(finding, hint=in_both_bases(text) or own)


def _swapped(name: str, file: Path, address: int | None, inside: Path | None) -> ImageFile | None:
    """Return the image in a file that is another than the recipe pins; None where nothing can be made of it."""
    try:
        return replace(read_image(name, file, address=address, inside=inside), swapped=True)
    except ImageError:
        return None


def _path_hint(file: str) -> str:
    """Return what is to be said of an image's path as it is written; empty where that is as people mean it."""
    if "\n" in file:
        return ON_ONE_LINE
    return "`~` is not the home folder here: a path begins at the recipe" if file.startswith("~") else ""


def _bodies(steps: Sequence[Any]) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Return index, keyword and body of the steps that have a body."""
    return [
        (index, keyword, body)
        for index, step in enumerate(steps)
        if isinstance(step, dict)
        for keyword, body in step.items()
        if isinstance(body, dict)
    ]
