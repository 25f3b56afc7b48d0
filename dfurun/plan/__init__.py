"""The same steps over an abstract board: what a recipe does before any board is there."""

from dfurun.plan.compile import Compiled, compile_loaded, compile_recipe
from dfurun.plan.interpret import Interpretation, interpret

__all__ = ["Compiled", "Interpretation", "compile_loaded", "compile_recipe", "interpret"]
