"""Changes of what a recipe's variables take: a unit that is given a value, or none, may be refused or let pass by it."""

from __future__ import annotations

from collections.abc import Iterator

from dfurun.diff.change import Change, Kind, Rank, Subject
from dfurun.diff.side import Side
from dfurun.recipe import Declaration, Value

REFUSED_BEFORE = "values that were refused before are taken now"
FEWER = "fewer values are taken"


def variable_changes(old: Side, new: Side) -> Iterator[Change]:
    """Yield the changes of the declarations; what the values do is told where they come to stand."""
    before, after = old.recipe.declared, new.recipe.declared
    for name, declared in before.items():
        if name in after:
            yield from _changed(declared, after[name])
            continue
        why = "a run that is given it is refused"
        what = f"the variable `{name}` is gone"
        yield Change(Rank.ROUTINE, Subject.VARIABLE, Kind.REMOVED, what, why, before=declared.wanted)
    for name, declared in after.items():
        if name in before:
            continue
        why = "a run has to be given it" if declared.default is None else f"{_shown(declared.default)} if not given"
        yield Change(
            Rank.ROUTINE, Subject.VARIABLE, Kind.ADDED, f"the variable `{name}` is new", why, "", declared.wanted
        )


def _changed(before: Declaration, after: Declaration) -> Iterator[Change]:
    if _taken(before) != _taken(after):
        what = f"the variable `{after.name}` takes other values"
        rank, why = (Rank.ROUTINE, FEWER) if _is_stricter(before, after) else (Rank.WEAKENS, REFUSED_BEFORE)
        yield Change(rank, Subject.VARIABLE, Kind.CHANGED, what, why, before.wanted, after.wanted)
    if (type(before.default), before.default) != (type(after.default), after.default):
        yield _default(before, after)


def _default(before: Declaration, after: Declaration) -> Change:
    shown = tuple("" if value is None else _shown(value) for value in (before.default, after.default))
    if after.default is None:
        what, why = f"the variable `{after.name}` has no default any more", "a run that is not given it is refused"
        return Change(Rank.ROUTINE, Subject.VARIABLE, Kind.CHANGED, what, why, *shown)
    if before.default is None:
        what, why = f"the variable `{after.name}` has a default", "a run that is not given it was refused before"
        return Change(Rank.WEAKENS, Subject.VARIABLE, Kind.CHANGED, what, why, *shown)
    what, why = f"the variable `{after.name}` has another default", "what a run takes that is not given it"
    return Change(Rank.ROUTINE, Subject.VARIABLE, Kind.CHANGED, what, why, *shown)


def _taken(declared: Declaration) -> tuple[object, ...]:
    """Return what decides which values a variable takes."""
    match declared.kind:
        case "integer":
            return (declared.kind, declared.minimum, declared.maximum)
        case "choice":
            return (declared.kind, frozenset((type(choice), choice) for choice in declared.choices))
        case "text":
            return (declared.kind, declared.pattern, declared.maximum_length)
    return (declared.kind,)


def _is_stricter(before: Declaration, after: Declaration) -> bool:
    """Say whether every value that is taken now was taken before."""
    if after.kind == "choice":
        return all(before.takes(choice) for choice in after.choices)
    if before.kind != after.kind:
        return False
    if after.kind == "integer":
        return before.minimum <= after.minimum and after.maximum <= before.maximum
    return before.pattern in (None, after.pattern) and after.maximum_length <= before.maximum_length


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
