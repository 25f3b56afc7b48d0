"""`dfurun check --faults`: the fault matrix of recipes that are sound, on simulated boards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from dfurun.cli.output import Output
from dfurun.errors import Code, StepFailed
from dfurun.matrix import CleanRunFailed, Matrix, fault_matrix
from dfurun.recipe import Settings

_HINTS = {
    Code.IRREVERSIBLE: "what nothing undoes is not tried: try the recipe without that step",
    Code.EXPECTATION: "the simulated boards are what the chip's data says: try the recipe without what only another board has",
}


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How much is tried: `budget` runs of the faults that are sampled, `most` cases of all; `seed` chooses, `jobs` share it."""

    budget: int
    most: int | None
    seed: int
    jobs: int | None
    allow_outside: bool
    markdown: bool
    quiet: bool


def try_faults(output: Output, path: Path, options: FaultOptions, settings: Settings) -> Matrix:
    """Try a recipe, with its variables by `settings`, and show its survival table.

    Raises StepFailed where it does not pass even without a fault.
    """
    began = time.monotonic()
    try:
        matrix = fault_matrix(
            path,
            allow_outside=options.allow_outside,
            settings=settings,
            budget=options.budget,
            most=options.most,
            seed=options.seed,
            jobs=options.jobs,
            on_progress=lambda done, total: output.progress("try faults", done, total),
        )
    except CleanRunFailed as failed:
        raise StepFailed(
            Code.NO_CLEAN_RUN,
            f"{path}: {failed}",
            consequence="no fault was tried, and no board was touched",
            hint=_HINTS.get(failed.code or Code.NO_CLEAN_RUN, f"`dfurun {path} --sim` shows the run"),
        ) from None
    finally:
        output.end_progress()
    _show(output, matrix, options, time.monotonic() - began)
    return matrix


def _show(output: Output, matrix: Matrix, options: FaultOptions, duration_s: float) -> None:
    from dfurun.report.survival import print_survival, survival_markdown, survival_object

    if output.as_json:
        output.write(survival_object(matrix, duration_s=duration_s))
    elif options.markdown:
        print(survival_markdown(matrix, duration_s=duration_s))
    elif not options.quiet or matrix.broken:
        print_survival(output.product, matrix, duration_s=duration_s)


def require_survival(matrices: list[Matrix]) -> None:
    """Raise StepFailed where a fault broke a promise."""
    broken = sum(len(matrix.broken) for matrix in matrices)
    if broken:
        cases = sum(len(matrix.trials) for matrix in matrices)
        raise StepFailed(
            Code.FAULTS_NOT_SURVIVED,
            f"{broken} of {cases} cases are not survived as they should be",
            consequence="no board was touched; a real one could end like that",
            hint="each case above says which promise is broken, and how to try it; without `verify` no lost write is seen",
        )
