"""A recipe compiled for a look at it: values stand in for the variables that only a run is given, such as a serial number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dfurun.errors import Finding, RecipePath, Severity
from dfurun.plan.compile import Compiled, compile_recipe
from dfurun.recipe import NO_SETTINGS, Settings, Source, StandIns, Value

NONE_PREFERRED: Mapping[str, Value] = {}


def compile_for_review(
    path: Path,
    *,
    allow_outside: bool = False,
    settings: Settings = NO_SETTINGS,
    preferred: Mapping[str, Value] = NONE_PREFERRED,
    extreme: int = 0,
    take_swapped: bool = False,
) -> Compiled:
    """Compile a recipe as `compile_recipe` does, with values that stand in for what it is not given; never to be run.

    A stand-in is the one that is `preferred`, else an `extreme` of what the variable takes, 0 or 1; the other one where that
    does not do. Where something is wrong at the very place to which both go, the variable has none: no image has the name that
    they make, say.
    """

    def compiled_with(stand_ins: StandIns) -> Compiled:
        given = replace(settings, stand_ins=stand_ins)
        return compile_recipe(path, allow_outside=allow_outside, settings=given, take_swapped=take_swapped)

    unfit: frozenset[str] = frozenset()
    for stand_ins in (StandIns(preferred, extreme), StandIns(number=1 - extreme)):
        compiled = compiled_with(stand_ins)
        found = _unfit(compiled)
        if not found:
            return compiled
        unfit = unfit or found
    return compiled_with(StandIns(preferred, extreme, without=unfit))


def _unfit(compiled: Compiled) -> frozenset[str]:
    """Return the variables whose stand-ins come to stand where an error is."""
    if not compiled.stand_ins or compiled.loaded is None:
        return frozenset()
    errors = [finding for finding in compiled.findings if finding.severity is Severity.ERROR]
    remarks = [_remarks_at(finding, compiled.loaded.source) for finding in errors]
    return frozenset(name for name in compiled.stand_ins for words in remarks if f"`${{{name}}}`" in words)


def _remarks_at(finding: Finding, source: Source) -> str:
    """Return what is remarked of the values at a finding, around it, or directly in it."""

    def is_there(path: RecipePath) -> bool:
        at = finding.path
        return bool(at) and (at[: len(path)] == path or path[:-1] == at)

    return " ".join(remark for path, remark in source.remarks.items() if is_there(path))
