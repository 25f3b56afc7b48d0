"""Which step of the new recipe is which of the old: by id first, then by what they do, then by what comes near; what moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfurun.diff.body import WORDS_ONLY, Aspect, body_of
from dfurun.steps.step import Step


@dataclass(frozen=True, slots=True)
class Match:
    """Indices of steps: `pairs` of old and new in the old order, `moved` those that stand elsewhere among the others."""

    pairs: tuple[tuple[int, int], ...]
    moved: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]


def match_steps(old: Sequence[Step], new: Sequence[Step], image_names: Mapping[str, str]) -> Match:
    """Match the steps of two recipes; `image_names` are the new names of old images.

    A step that has the same id is the same, and so is one that does the same; of the others, the one of its keyword that has
    most in common.
    """
    bodies = [body_of(step, image_names) for step in old], [body_of(step) for step in new]
    pairs: dict[int, int] = {}
    free_old, free_new = list(range(len(old))), list(range(len(new)))

    def take(index: int, other: int) -> None:
        pairs[index] = other
        free_old.remove(index)
        free_new.remove(other)

    by_id: dict[str | None, int] = {step.head.id: at for at, step in enumerate(new) if step.head.id is not None}
    for index in tuple(free_old):
        same = by_id.get(old[index].head.id)
        if same is not None and old[index].keyword == new[same].keyword:
            take(index, same)
    for exactly in (frozenset[str](), WORDS_ONLY):
        for index in tuple(free_old):
            wanted = (old[index].keyword, _values(bodies[0][index], exactly))
            found = [n for n in free_new if (new[n].keyword, _values(bodies[1][n], exactly)) == wanted]
            if found:
                take(index, found[0])
    near = sorted(
        (-_in_common(bodies[0][index], bodies[1][n]), abs(index - n), index, n)
        for index in free_old
        for n in free_new
        if old[index].keyword == new[n].keyword and not _ids_differ(old[index], new[n])
    )
    for _, _, index, n in near:
        if index in free_old and n in free_new:
            take(index, n)
    ordered = tuple(sorted(pairs.items()))
    kept = _longest_in_order([n for _, n in ordered], [old[index].destructive for index, _ in ordered])
    moved = tuple(pair for at, pair in enumerate(ordered) if at not in kept)
    return Match(ordered, moved, tuple(free_old), tuple(free_new))


def _ids_differ(old: Step, new: Step) -> bool:
    return None not in (old.head.id, new.head.id) and old.head.id != new.head.id


def _values(body: Mapping[str, Aspect], without: frozenset[str]) -> list[tuple[str, object]]:
    return [(key, aspect.value) for key, aspect in sorted(body.items()) if key not in without]


def _in_common(old: Mapping[str, Aspect], new: Mapping[str, Aspect]) -> int:
    keys = (old.keys() & new.keys()) - WORDS_ONLY
    return sum(old[key].value == new[key].value for key in keys)


def _longest_in_order(places: Sequence[int], heavy: Sequence[bool]) -> set[int]:
    """Return which of the places rise, as many as possible; of two such choices, the one with more that are heavy."""
    best: list[tuple[int, int, tuple[int, ...]]] = []
    for at, place in enumerate(places):
        before = max((best[i] for i in range(at) if places[i] < place), default=(0, 0, ()), key=lambda b: b[:2])
        best.append((before[0] + 1, before[1] + heavy[at], (*before[2], at)))
    return set(max(best, default=(0, 0, ()), key=lambda b: b[:2])[2])
