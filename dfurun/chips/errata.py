"""The known faults of bootloaders in ROM: what a person may meet, and what to do. The texts are in errata.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dfurun.resources import yaml_data


@dataclass(frozen=True, slots=True)
class Erratum:
    """One fault: what it means, and what to do directly at the computer and behind a hub."""

    name: str
    means: str
    advice_direct: str
    advice_hub: str
    source: str


def _advice(facts: dict[str, str]) -> tuple[str, str]:
    """Return what to do directly at the computer, and behind a hub."""
    return facts.get("advice-direct") or facts["advice"], facts.get("advice-hub") or facts["advice"]


@cache
def known_errata() -> dict[str, Erratum]:
    """Return every erratum that has a text, by the name that the chips' data give it."""
    found = yaml_data("dfurun.chips", "errata.yaml")
    return {name: Erratum(name, facts["means"], *_advice(facts), facts["source"]) for name, facts in found.items()}
