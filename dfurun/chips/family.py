"""A family's file: what its chips have in common, what its lines and flash sizes differ in, merged into one chip's facts.

`shared` holds for all, a line's own blocks are laid over it, and what belongs to a flash size over those: mappings are merged,
everything else is replaced. A chip is a part number's stem with an `x` for the pins and the letter of its flash size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dfurun.units import parse_size

Facts = Mapping[str, Any]

BLOCKS = ("usb", "memory", "identity", "rom", "timing", "protection", "supply", "option-bytes", "boot")
GEOMETRY = "page-geometry"
WIDTH = "programming-width"


@dataclass(frozen=True, slots=True)
class Variant:
    """The chips of one line that have the same flash size: all that is known of them is the same but their names."""

    line: Facts
    letter: str

    @property
    def titles(self) -> tuple[str, ...]:
        """The chips as their vendor writes them, in the order of the file."""
        return tuple(f"{part}x{self.letter}" for part, letters in self.line["parts"].items() if self.letter in letters)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that recipes give."""
        return tuple(title.lower() for title in self.titles)


def variants(family: Facts) -> Iterator[Variant]:
    """Yield every line of a family in every flash size that it has."""
    for line in family["lines"]:
        for letter in line["sizes"]:
            yield Variant(line, letter)


def facts_of(family: Facts, name: str) -> Facts:
    """Return all that a family's file says of one of its chips; raise KeyError where it has none of that name."""
    for variant in variants(family):
        if name in variant.names:
            return _facts(family, variant, variant.titles[variant.names.index(name)])
    raise KeyError(name)


def _facts(family: Facts, variant: Variant, title: str) -> Facts:
    line, size = variant.line, variant.line["sizes"][variant.letter]
    facts: dict[str, Any] = {
        "chip": title.lower(),
        "title": title,
        "family": family["family"],
        "lines": list(variant.titles),
        "core": line["core"] if "core" in line else family["core"],
        "device-id": line["device-id"],
    }
    for block in (*BLOCKS, WIDTH, "guards"):
        parts = [part[block] for part in (family["shared"], line, size) if block in part]
        if parts or block != WIDTH:
            facts[block] = _laid_over(parts)
    facts["guards"] = [{"name": name, **guard} for name, guard in facts["guards"].items()]
    _put_size(facts, size)
    _put_page_geometry(facts, [part[GEOMETRY] for part in (family["shared"], line) if GEOMETRY in part], size)
    blocks = [facts[name] for name in (*BLOCKS, GEOMETRY, WIDTH) if name in facts]
    used = {key for block in (*blocks, *facts["guards"]) for key in block["source"]}
    used |= {size["seen"]} if "seen" in size else set()
    facts["sources"] = {key: words for key, words in family["sources"].items() if key in used}
    return facts


def _put_size(facts: dict[str, Any], size: Facts) -> None:
    """Fill in what follows from the flash size: the pages, how the ROM tells them, which erases there are."""
    usb, flash, timing = facts["usb"], facts["memory"]["flash"], facts["timing"]
    facts["usb"] = usb | {"alternates": [name.replace("{layout}", size["layout"]) for name in usb["alternates"]]}
    if "seen" in size:
        facts["usb"]["seen"] = size["seen"]
    facts["memory"] = facts["memory"] | {"flash": flash | {"size": size["flash"], "pages": size["pages"]}}
    kinds = {parse_size(run["size"]) for run in size["pages"]}
    facts["timing"] = timing | {"page-erase": _of_sizes(timing["page-erase"], kinds)}
    if WIDTH in facts:
        own, *others = facts[WIDTH]["widths"]
        fitted = [width | {"page-erase": _of_sizes(width["page-erase"], kinds)} for width in others]
        facts[WIDTH] = facts[WIDTH] | {"widths": [own, *fitted]}


def _of_sizes(erases: Facts, kinds: Collection[int]) -> Facts:
    return {size: erase for size, erase in erases.items() if parse_size(size) in kinds}


def _put_page_geometry(facts: dict[str, Any], parts: list[Any], size: Facts) -> None:
    """Fill in the fields that move the pages of this flash size; no such block where there is none."""
    geometry = _laid_over(parts) or {"assumes": {}}
    wanted = parse_size(size["flash"])
    assumes = {
        name: {key: value for key, value in field.items() if key != "sizes"}
        for name, field in geometry["assumes"].items()
        if "sizes" not in field or wanted in map(parse_size, field["sizes"])
    }
    if assumes:
        facts[GEOMETRY] = geometry | {"assumes": assumes}


def _laid_over(parts: list[Any]) -> Any:
    """Return the parts laid one over the other; a mapping is merged into the one under it, a null takes its key away."""
    merged: Any = {}
    for part in parts:
        merged = _merge(merged, part)
    return merged


def _merge(under: Any, over: Any) -> Any:
    if not (isinstance(under, Mapping) and isinstance(over, Mapping)):
        return over
    kept = {key: value for key, value in under.items() if key not in over}
    laid = {
        key: _merge(under[key], value) if key in under else value for key, value in over.items() if value is not None
    }
    order = [*under, *(key for key in over if key not in under)]
    return {key: laid.get(key, kept.get(key)) for key in order if key in laid or key in kept}
