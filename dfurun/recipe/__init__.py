"""Recipes: text -> positions -> bases, variables -> shape -> steps. Only this room turns paths in a recipe into places."""

from dfurun.recipe.load import load_recipe, load_text
from dfurun.recipe.opened import repository_of
from dfurun.recipe.positions import Source
from dfurun.recipe.recipe import Loaded, Recipe, RecipeFile
from dfurun.recipe.schema import recipe_schema, shape_findings, step_keywords
from dfurun.recipe.variables import NO_SETTINGS, Declaration, Settings, StandIns, Value, Variable

__all__ = [
    "NO_SETTINGS",
    "Declaration",
    "Loaded",
    "Recipe",
    "RecipeFile",
    "Settings",
    "Source",
    "StandIns",
    "Value",
    "Variable",
    "load_recipe",
    "load_text",
    "recipe_schema",
    "repository_of",
    "shape_findings",
    "step_keywords",
]
