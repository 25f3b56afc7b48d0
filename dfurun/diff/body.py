"""What a step does, as values to compare and words to show: its body with defaults filled in, images by what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dfurun.image import ImageFile
from dfurun.steps.connect import DEFAULT_TIMEOUT_S
from dfurun.steps.context import POWER_CYCLE_TIMEOUT_S
from dfurun.steps.erase import Erase
from dfurun.steps.leave_dfu import LeaveDfu
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step
from dfurun.units import AddressRange, format_address, format_duration, format_pages

# Fields of the typed steps that say nothing of their own: where the step stands, and what the recipe says elsewhere.
NOT_OF_THE_BODY = frozenset({"head", "chip", "allow", "written"})
KEYS = {
    "only_changed": ("mode", {True: "changed", False: "all"}),
    "only_needed": ("mode", {True: "needed", False: "all"}),
    "from_factory": ("from", {True: "factory", False: "current"}),
}
NAMES = {"extent": "range", "entry": "address"}
USUAL_TIMEOUTS_S = {
    "connect": DEFAULT_TIMEOUT_S,
    "unprotect": POWER_CYCLE_TIMEOUT_S,
    "wait-for-power-cycle": POWER_CYCLE_TIMEOUT_S,
}
TIMEOUT, NAME, IMAGE, DATA, FIELDS = "timeout", "name", "image", "data", "fields"
WORDS_ONLY = frozenset({TIMEOUT, NAME})


@dataclass(frozen=True, slots=True)
class Aspect:
    """One key of a step's body: what is compared, and how it is shown."""

    value: object
    shown: str


def body_of(step: Step, image_names: Mapping[str, str] | None = None) -> dict[str, Aspect]:
    """Return what a step's body says by the recipe's keys; `image_names` are the names by which images are compared."""
    names = image_names or {}
    body = {NAME: Aspect(step.head.name, step.head.name or "")}
    timeout_s = step.head.timeout_or(USUAL_TIMEOUTS_S.get(step.keyword, 0.0))
    body[TIMEOUT] = Aspect(timeout_s, format_duration(timeout_s) if timeout_s else "none")
    for field in fields(step):
        if field.name in NOT_OF_THE_BODY:
            continue
        value = getattr(step, field.name)
        if value is None or (isinstance(step, Erase) and field.name == "pages" and step.image is not None):
            continue  # the pages of an image are told with the image
        key, words = KEYS.get(field.name, (NAMES.get(field.name, field.name.replace("_", "-")), {}))
        if isinstance(value, ImageFile) and value.inline:
            key = DATA
        body[key] = _aspect(step, key, value, words, names)
    return body


def _aspect(step: Step, key: str, value: Any, words: Mapping[Any, str], names: Mapping[str, str]) -> Aspect:
    match value:
        case bool():
            return Aspect(value, words.get(value, str(value).lower()))
        case ImageFile():
            return Aspect(names.get(value.name, value.name), value.name)
        case Mapping():
            return Aspect(dict(value), ", ".join(f"{name}: {_field(step, name, item)}" for name, item in value.items()))
        case AddressRange():
            return Aspect(value, str(value))
        case tuple() if key == "pages":
            return Aspect(value, format_pages(value, "page"))
        case int() if key == "address":
            return Aspect(value, format_address(value))
        case _:
            return Aspect(value, str(value))


def _field(step: Step, name: str, value: Any) -> str:
    known = step.chip.option_bytes.fields.get(name) if isinstance(step, SetOptionBytes) else None
    return known.show(value) if known else str(value)


def title_of(step: Step) -> str:
    """Return a step for people, by its keyword and what it works on: `write application`."""
    body = body_of(step)
    for key in (IMAGE, DATA, "pages", "range", "boot0"):
        if key in body:
            shown = f"BOOT0 {'high' if body[key].value else 'low'}" if key == "boot0" else body[key].shown
            return f"`{step.keyword}` {shown}"
    if FIELDS in body:
        given = body[FIELDS].value
        return f"`{step.keyword}` {', '.join(given) if isinstance(given, Mapping) else ''}".rstrip()
    if isinstance(step, LeaveDfu):
        return f"`{step.keyword}` for {format_address(step.entry)}"
    return f"`{step.keyword}`"
