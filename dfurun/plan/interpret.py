"""Interprets a recipe's steps over the abstract board, and judges their rules."""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.errors import Code, Finding
from dfurun.recipe.recipe import Recipe
from dfurun.steps.board import AbstractBoard


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
        boards.append(board)
        findings += wrong
    found = Interpretation(tuple(boards), tuple(findings))
    unverified = [written for written in board.written if written.image.name in found.unverified_images]
    warnings = [
        Finding(
            Code.NOT_VERIFIED,
            f"{written.image.name} is written and never verified",
            (*written.path, "image"),
            hint="writes to write-protected sectors are acknowledged and ignored: only `verify` shows it",
        )
        for written in unverified
    ]
    return Interpretation(found.boards, (*findings, *warnings))
