"""Advice on a recipe that is sound: what a reviewer would ask about it, beyond what `check` says is wrong."""

from dfurun.lint.lint import Linted, Silenced, lint

__all__ = ["Linted", "Silenced", "lint"]
