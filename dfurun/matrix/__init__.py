"""The fault matrix: a recipe run on the simulated board with each fault at each transfer, and then again, and judged.

kinds.py     which faults are tried, where, and how much a run must survive of each
starts.py    the boards that a recipe is tried on
trial.py     one case: the run with the fault, the power cycle, the second run
witness.py   what was sent and executed meanwhile, step by step
intended.py  what the recipe makes of a board, worked out from the recipe alone
judge.py     the invariants
matrix.py    all cases, on every core
"""

from dfurun.matrix.judge import Breach, Invariant
from dfurun.matrix.kinds import KINDS, Kind, Survived
from dfurun.matrix.matrix import Case, CleanRunFailed, Matrix, Trial, fault_matrix

__all__ = [
    "KINDS",
    "Breach",
    "Case",
    "CleanRunFailed",
    "Invariant",
    "Kind",
    "Matrix",
    "Survived",
    "Trial",
    "fault_matrix",
]
