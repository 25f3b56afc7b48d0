"""A sample of the fault matrix of the shipped recipes; `.ci/run` tries all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfurun.matrix import KINDS, Matrix, Survived, fault_matrix
from dfurun.matrix.kinds import Occasion

SAMPLE = 160
RECIPES = ("f042-release", "f072-protect", "f072-release", "f072-repair-boot", "f072-unprotect", "f405-release")


def complaints(matrix: Matrix) -> list[str]:
    return [
        f"{trial.case.fault} on a board with {trial.case.start.name}: {breach.invariant}: {breach.words}"
        for trial in matrix.broken
        for breach in trial.breaches
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_tried_of_a_recipe_holds(recipes: Path, name: str) -> None:
    matrix = fault_matrix(recipes / f"{name}.yaml", most=SAMPLE, seed=len(name), jobs=1)
    assert complaints(matrix) == []
    assert len(matrix.trials) == SAMPLE
    assert matrix.runs >= 2 * SAMPLE


def test_the_same_seed_tries_the_same_and_another_something_else(recipes: Path) -> None:
    def tried(seed: int) -> list[tuple[str, str]]:
        matrix = fault_matrix(recipes / "f072-unprotect.yaml", most=40, seed=seed, jobs=1)
        return [(trial.case.fault, trial.case.start.name) for trial in matrix.trials]

    assert tried(1) == tried(1) != tried(2)


def test_several_processes_come_to_the_same(recipes: Path) -> None:
    one, two = (fault_matrix(recipes / "f072-unprotect.yaml", most=60, jobs=jobs) for jobs in (1, 2))
    assert [(t.case, t.survived, t.finished) for t in one.trials] == [
        (t.case, t.survived, t.finished) for t in two.trials
    ]


def test_what_is_exhaustive_is_tried_at_every_transfer(recipes: Path) -> None:
    """Also without any budget: a disconnect at each of the clean run's transfers, none twice."""
    kinds = [kind for kind in KINDS if kind.name == "disconnect"]
    matrix = fault_matrix(recipes / "f072-unprotect.yaml", kinds=kinds, budget=0, jobs=1)
    first = [trial for trial in matrix.trials if trial.case.start.name == "other firmware"]
    assert [trial.case.fault for trial in first] == [f"vanish:at={n}" for n in range(len(first))]
    assert len(first) > 25
    assert matrix.left_out == 0
    assert {trial.survived for trial in first} == {Survived.BY_SECOND_RUN}


def test_a_budget_is_kept_and_shared_between_the_kinds(recipes: Path) -> None:
    kinds = [kind for kind in KINDS if not kind.exhaustive]
    matrix = fault_matrix(recipes / "f072-release.yaml", kinds=kinds, budget=200, jobs=1)
    assert len(matrix.trials) == 100
    tried = {trial.case.kind.name for trial in matrix.trials}
    assert tried >= {kind.name for kind in kinds if kind.occasion is Occasion.TRANSFER}
    assert matrix.left_out > 0
