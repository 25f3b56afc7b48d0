"""The same steps over an abstract board: what a recipe does before any board is there."""

from dfurun.plan.compile import Compiled, compile_loaded, compile_recipe
from dfurun.plan.interpret import Interpretation, interpret
from dfurun.plan.review import compile_for_review

__all__ = ["Compiled", "Interpretation", "compile_for_review", "compile_loaded", "compile_recipe", "interpret"]
