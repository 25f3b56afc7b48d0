"""Devices that look like an STM32 in its bootloader and are none. What is known of them is in clones.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from dfurun.resources import yaml_data

_READING = Lock()  # the boards of a batch ask all at once, each in a thread of its own


@dataclass(frozen=True, slots=True)
class Clone:
    """One kind of device: its name, who makes it, and what its bootloader tells; `known` is empty where nothing else is."""

    name: str
    vendor: str
    vendor_id: int
    product_id: int
    product: str = ""
    release: int = 0
    serial: str = ""
    alternates: tuple[str, ...] = ()
    known: str = ""
    source: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.vendor})"


def clone_like(ids: tuple[int, int], product: str = "", alternates: Sequence[str] = ()) -> Clone | None:
    """Return the clone that tells these ids, this product string, these alternate settings; None where it is no known one.

    Ids alone are enough, and so is the vendor's word in the product string: some come under other ids than their own.
    """
    vendors, clones = _read()
    mine = [
        name for name, facts in vendors.items() if tuple(facts["ids"]) == ids or facts["product"] in product.upper()
    ]
    if not mine:
        return None
    told = {_bare(name) for name in alternates}
    like = [clone for clone in clones if clone.vendor == mine[0] and told & {_bare(name) for name in clone.alternates}]
    whole = max(like, key=lambda clone: len(told & {_bare(name) for name in clone.alternates}), default=None)
    return whole or Clone(vendors[mine[0]]["devices"], mine[0], *vendors[mine[0]]["ids"])


def known_clones() -> tuple[Clone, ...]:
    """Return every clone of the data, in its order."""
    return _read()[1]


def _read() -> tuple[Mapping[str, Any], tuple[Clone, ...]]:
    with _READING:
        return _read_once()


@cache
def _read_once() -> tuple[Mapping[str, Any], tuple[Clone, ...]]:
    read = yaml_data("dfurun.chips", "clones.yaml")
    vendors = read["vendors"]
    return vendors, tuple(
        _clone(name, facts, vendors[facts["vendor"]]["ids"]) for name, facts in read["clones"].items()
    )


def _clone(name: str, facts: Mapping[str, Any], ids: Sequence[int]) -> Clone:
    return Clone(
        name=name,
        vendor=facts["vendor"],
        vendor_id=ids[0],
        product_id=ids[1],
        product=facts.get("product", ""),
        release=facts.get("release", 0),
        serial=facts.get("serial", ""),
        alternates=tuple(facts["alternates"]),
        known=facts["known"],
        source=facts["source"],
    )


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()
