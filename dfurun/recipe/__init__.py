"""Recipes: text -> positions -> shape -> typed steps. Only this room turns paths in a recipe into places in its text."""

from dfurun.recipe.load import load_recipe, load_text, repository_of
from dfurun.recipe.positions import Source
from dfurun.recipe.recipe import Loaded, Recipe
from dfurun.recipe.schema import recipe_schema, shape_findings, step_keywords

__all__ = [
    "Loaded",
    "Recipe",
    "Source",
    "load_recipe",
    "load_text",
    "recipe_schema",
    "repository_of",
    "shape_findings",
    "step_keywords",
]
