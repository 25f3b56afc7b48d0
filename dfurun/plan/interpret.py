"""Interprets a recipe's steps over the abstract board, and judges their rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dfurun.errors import Code, Finding, Related
from dfurun.recipe.recipe import Recipe
from dfurun.steps.board import AbstractBoard, Presence
from dfurun.steps.step import Step
from dfurun.steps.unread import Unread
from dfurun.steps.verify import Verify
from dfurun.steps.write import Write


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The abstract board after each step, and what is wrong with the recipe. Findings have paths, not places."""

    boards: tuple[AbstractBoard, ...]
    findings: tuple[Finding, ...]

    @property
    def unverified_images(self) -> tuple[str, ...]:
        """The images that are written at the end and that nothing has verified."""
        final = self.boards[-1]
        return tuple(w.image.name for w in final.written if w.image.name not in final.verified)


def interpret(recipe: Recipe) -> Interpretation:
    """Run the steps over the abstract board."""
    board = AbstractBoard(recipe.chip, allow=recipe.allow)
    boards, findings = [board], []
    for step in recipe.steps:
        board, wrong = step.effect(board)
        if any(finding.code is Code.STEP_ORDER and not finding.related for finding in wrong):
            board = replace(board, presence=Presence.UNKNOWN)  # said once, not again of every step that follows
        boards.append(board)
        findings += [_beside_its_other_place(finding, step, recipe.steps) for finding in wrong]
    found = Interpretation(tuple(boards), tuple(findings))
    unverified = [written for written in board.written if written.image.name in found.unverified_images]
    warnings = [
        Finding(
            Code.NOT_VERIFIED,
            f"{written.image.name} is written and never verified",
            written.named_at,
            hint="writes to write-protected sectors are acknowledged and ignored: only `verify` shows it",
        )
        for written in unverified
        if not board.perhaps_verified
    ]
    return Interpretation(found.boards, (*findings, *warnings))


def _beside_its_other_place(finding: Finding, step: Step, steps: Sequence[Step]) -> Finding:
    """Return a finding about the order of steps with its second caret: the step that comes too late or came too soon."""
    earlier, later = steps[: step.head.index], steps[step.head.index + 1 :]
    other: Related | None = None
    match finding.code:
        case Code.NOT_ERASED:
            other = _first(later, ("erase", "mass-erase"), "erased only here")
        case Code.STEP_ORDER if finding.related:
            pass
        case Code.STEP_ORDER if step.keyword == "connect":
            other = _first(earlier, ("connect",), "connected here already")
        case Code.STEP_ORDER:
            left = ("leave-dfu", "wait-for-power-cycle")
            other = _first(reversed(earlier), left, "left here") or _first(later, ("connect",), "connected only here")
        case Code.VERIFY_UNWRITTEN if isinstance(step, Verify):
            writes = [other for other in earlier if isinstance(other, Write) and other.image.name == step.image.name]
            other = _first(writes, ("write",), "written here, and erased since")
        case _:
            pass
    return replace(finding, related=(other,)) if other else finding


def _first(steps: Iterable[Step], keywords: Sequence[str], words: str) -> Related | None:
    return next((Related(step.path, words) for step in steps if _meant(step) in keywords), None)


def _meant(step: Step) -> str | None:
    return step.meant if isinstance(step, Unread) else step.keyword
