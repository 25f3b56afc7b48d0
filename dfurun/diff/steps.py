"""Changes of the steps: added, removed, moved, changed; each ranked by what a board, or whoever looks after it, loses by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dfurun.diff.body import DATA, FIELDS, IMAGE, NAME, TIMEOUT, Aspect, body_of, title_of
from dfurun.diff.change import Change, Kind, Rank, Subject
from dfurun.diff.matching import Match, match_steps
from dfurun.diff.side import Side, newly_lost, pages_of
from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.erase import Erase
from dfurun.steps.leave_dfu import LeaveDfu
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.read import Read
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.verify import Verify
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle
from dfurun.steps.write import Write
from dfurun.units import format_pages

Judged = tuple[Rank, str]
OF_NAMES = "only what people and records read"


@dataclass(frozen=True, slots=True)
class Both:
    """The two recipes, and how their steps match. `told` are the option-byte fields that are told of by themselves."""

    old: Side
    new: Side
    match: Match
    image_names: Mapping[str, str]
    told: frozenset[str]

    @property
    def lost(self) -> frozenset[int]:
        """The pages that only the new recipe erases or writes."""
        return newly_lost(self.old, self.new)

    def lost_by(self, step: Step) -> frozenset[int]:
        """Return which of these the step erases or writes."""
        return self.lost & pages_touched(step, self.new)

    def in_words(self, pages: frozenset[int]) -> str:
        """Return pages for people."""
        return format_pages(pages, self.new.chip.flash.unit)


def pages_touched(step: Step, side: Side) -> frozenset[int]:
    """Return the pages that a step erases or writes."""
    match step:
        case MassErase():
            return frozenset(range(side.chip.flash.page_count))
        case Erase():
            return frozenset(step.pages)
        case Write():
            return pages_of(side.chip, (piece.extent for piece in step.image.memory.pieces))
        case _:
            return frozenset()


def step_changes(old: Side, new: Side, image_names: Mapping[str, str], told: frozenset[str]) -> Iterator[Change]:
    """Yield the changes of the steps."""
    match = match_steps(old.recipe.steps, new.recipe.steps, image_names)
    both = Both(old, new, match, image_names, told)
    for index in match.removed:
        step = old.recipe.steps[index]
        rank, why = _removed(step, both)
        yield Change(rank, Subject.STEP, Kind.REMOVED, f"{title_of(step)} is gone", why, _place(index), "")
    for index in match.added:
        step = new.recipe.steps[index]
        rank, why = _added(step, both)
        yield Change(rank, Subject.STEP, Kind.ADDED, f"{title_of(step)} is new", why, "", _place(index))
    for pair in match.moved:
        rank, why = _moved(pair, both)
        what = f"{title_of(old.recipe.steps[pair[0]])} has moved {_past(pair, both)}"
        yield Change(rank, Subject.STEP, Kind.MOVED, what, why, _place(pair[0]), _place(pair[1]))
    for index, other in match.pairs:
        yield from _changed(old.recipe.steps[index], new.recipe.steps[other], both)


def _place(index: int) -> str:
    return f"step {index + 1}"


# Removed and added ---------------------------------------------------------------------------------------------------


def _removed(step: Step, both: Both) -> Judged:
    match step:
        case Verify():
            name = both.image_names.get(step.image.name, step.image.name)
            if any(isinstance(other, Verify) and other.image.name == name for other in both.new.recipe.steps):
                return Rank.ROUTINE, "another step still verifies it"
            if name not in both.new.recipe.images:
                return Rank.ROUTINE, "the image is gone as well"
            return Rank.WEAKENS, "nothing reads it back: a write that did not take ships unnoticed"
        case CheckOptionBytes():
            return Rank.WEAKENS, f"a board with other values of {', '.join(step.fields)} passes unnoticed"
        case Read():
            return Rank.LOSES_DATA, f"what a board holds in {step.extent} is not saved any more"
        case WaitForPowerCycle():
            return Rank.WEAKENS, "no power cycle shows any more what the board starts, or loads its option bytes"
        case Write():
            empty = pages_touched(step, both.old) & both.new.final.erased_pages - both.new.written_pages
            if empty:
                return Rank.LOSES_DATA, f"still erased, with nothing written there: {both.in_words(empty)}"
            return Rank.ROUTINE, "the board keeps what it holds there"
        case Erase() | MassErase():
            return Rank.ROUTINE, "less is erased"
        case Unprotect():
            return Rank.ROUTINE, "a read-protected board is refused, and keeps what it holds"
        case SetOptionBytes():
            return Rank.ROUTINE, f"{', '.join(step.fields) or 'they'} stay as they are on the board"
        case LeaveDfu():
            return Rank.ROUTINE, "the board stays in its bootloader"
        case _:
            return Rank.ROUTINE, "it is not done any more"


def _added(step: Step, both: Both) -> Judged:
    lost = both.lost_by(step)
    if step.irreversible is not None:
        return Rank.CANNOT_BE_UNDONE, step.irreversible
    if lost:
        return Rank.LOSES_DATA, f"{both.in_words(lost)} kept what was on the board before"
    match step:
        case Unprotect():
            return Rank.LOSES_DATA, "a board that is proven read-protected loses all of its flash"
        case Erase() | MassErase() | Write():
            return Rank.ROUTINE, "nothing is lost that was kept before"
        case Verify() | CheckOptionBytes():
            return Rank.ROUTINE, "one more check"
        case Read():
            return Rank.ROUTINE, "one more copy of what the board holds"
        case LeaveDfu():
            return Rank.ROUTINE, "the application is started"
        case _:
            return Rank.ROUTINE, "one more step"


# Moved ---------------------------------------------------------------------------------------------------------------


def _overtaken(pair: tuple[int, int], both: Both) -> tuple[list[Step], list[Step]]:
    """Return the steps that stood before this one and stand after it now, and those that stood after it and stand before it."""
    index, other = pair
    steps = both.old.recipe.steps
    later = [steps[i] for i, n in both.match.pairs if i < index and n > other]
    earlier = [steps[i] for i, n in both.match.pairs if i > index and n < other]
    return later, earlier


def _past(pair: tuple[int, int], both: Both) -> str:
    later, earlier = _overtaken(pair, both)
    passed = [f"before {title_of(later[0])}"] if later else []
    passed += [f"behind {title_of(earlier[-1])}"] if earlier else []
    return " and ".join(passed)


def _moved(pair: tuple[int, int], both: Both) -> Judged:
    """Judge each two steps that have changed places; the worst of it counts."""
    step = both.old.recipe.steps[pair[0]]
    later, earlier = _overtaken(pair, both)
    swapped = [(step, other) for other in later] + [(other, step) for other in earlier]  # now first, now second
    found = [judged for first, second in swapped if (judged := _swapped(first, second, both)) is not None]
    return min(found, key=lambda judged: judged[0].weight, default=(Rank.ROUTINE, "the same is done in another order"))


def _swapped(first: Step, second: Step, both: Both) -> Judged | None:
    """Judge that `second`, which came before `first`, comes after it now; None where nothing hangs on it."""
    covered = pages_touched(first, both.old)
    match second:
        case Read() if isinstance(first, Unprotect) or covered & pages_of(both.old.chip, (second.extent,)):
            return Rank.LOSES_DATA, f"{second.extent} is saved only after `{first.keyword}` has changed it"
        case CheckOptionBytes() if first.destructive:
            return Rank.WEAKENS, f"`{first.keyword}` is done before the board's option bytes have been looked at"
        case Verify() if isinstance(first, SetOptionBytes):
            why = "option bytes change before the firmware is verified: a board can end with the new bytes and a bad image"
            return Rank.WEAKENS, why
        case Write() if isinstance(first, SetOptionBytes):
            why = (
                "option bytes change before the firmware is there: a run that stops between them leaves them without it"
            )
            return Rank.WEAKENS, why
        case Write() if isinstance(first, Verify) and first.image.name == second.image.name:
            return Rank.WEAKENS, "it is verified before it is written: nothing reads back what was written"
        case Verify() if isinstance(first, LeaveDfu | WaitForPowerCycle):
            return Rank.WEAKENS, "the application starts before it is verified"
        case _:
            return None


# Changed -------------------------------------------------------------------------------------------------------------


def _changed(old: Step, new: Step, both: Both) -> Iterator[Change]:
    before, after = body_of(old, both.image_names), body_of(new)
    for key in dict.fromkeys((*before, *after)):
        one, other = before.get(key), after.get(key)
        if (one.value if one else None) == (other.value if other else None):
            continue
        if key == FIELDS and isinstance(new, SetOptionBytes) and _differing(one, other) <= both.told:
            continue  # told with the option bytes
        if key == "from" and both.told:
            continue  # so are the fields that are not named
        rank, why = _judge(key, old, new, both)
        subject = Subject.NAME if key == NAME else Subject.STEP
        shown = (one.shown if one else "", other.shown if other else "")
        yield Change(rank, subject, Kind.CHANGED, f"{title_of(new)}: another {key}", why, *shown)


def _differing(one: Aspect | None, other: Aspect | None) -> set[str]:
    values = [aspect.value if aspect and isinstance(aspect.value, Mapping) else {} for aspect in (one, other)]
    return {str(name) for name in {*values[0], *values[1]} if values[0].get(name) != values[1].get(name)}


def _judge(key: str, old: Step, new: Step, both: Both) -> Judged:
    lost = both.lost_by(new)
    match new:
        case _ if key == NAME:
            return Rank.ROUTINE, OF_NAMES
        case _ if key == TIMEOUT:
            return Rank.ROUTINE, "only how long it may take before it counts as failed"
        case Erase() | Write() if lost:
            return Rank.LOSES_DATA, f"{both.in_words(lost)} kept what was on the board before"
        case Read() if isinstance(old, Read) and key == "range":
            if new.extent.contains(old.extent):
                return Rank.ROUTINE, "more is saved"
            return Rank.LOSES_DATA, f"not all of {old.extent} is saved any more"
        case CheckOptionBytes() if isinstance(old, CheckOptionBytes):
            return _judge_check(old, new, both)
        case SetOptionBytes() if key == "from":
            if new.from_factory:
                return Rank.LOSES_DATA, "what a board has in fields that are not named is overwritten"
            return Rank.ROUTINE, "fields that are not named stay as they are on the board"
        case SetOptionBytes():
            return Rank.ROUTINE, "a value on the way: what is there at the end, the option bytes say"
        case Verify() if key in (IMAGE, DATA):
            return Rank.WEAKENS if _unverified(both) else Rank.ROUTINE, _of_another_image(_unverified(both))
        case Write() if key == "mode":
            words = "only pages that differ are erased and written" if new.only_changed else "all of it is written"
            return Rank.ROUTINE, words
        case LeaveDfu():
            return Rank.ROUTINE, "what is at another address is started"
        case _:
            return Rank.ROUTINE, "the same step, done in another way"


def _unverified(both: Both) -> Sequence[str]:
    """Return the images that only the new recipe writes without verifying."""
    before = both.old.interpretation.unverified_images
    return [name for name in both.new.interpretation.unverified_images if name not in before]


def _of_another_image(unverified: Sequence[str]) -> str:
    return f"nothing reads back {', '.join(unverified)} any more" if unverified else "another image is compared"


def _judge_check(old: CheckOptionBytes, new: CheckOptionBytes, both: Both) -> Judged:
    gone = [name for name in old.fields if name not in new.fields]
    if gone:
        return Rank.WEAKENS, f"a board with other values of {', '.join(gone)} passes unnoticed"
    other = [name for name, value in old.fields.items() if new.fields[name] != value]
    known = both.new.known_fields
    if any(known.get(name) != new.fields[name] for name in other):
        return Rank.WEAKENS, f"boards with another {', '.join(other)} pass that were refused before"
    return Rank.ROUTINE, "it follows what the recipe sets" if other else "more is looked at"
