"""Where dfurun's own data files are: the schemas, inside an installed wheel and beside the package in a checkout."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def schema_text(name: str) -> str:
    """Return the text of a file of schemas/; raise FileNotFoundError where there is none of this name."""
    return _schemas().joinpath(name).read_text(encoding="utf-8")


def _schemas() -> Traversable:
    package = files("dfurun")
    installed = package.joinpath("schemas")
    # An editable install and a plain checkout have no copy inside the package: the folder stands beside it.
    return installed if installed.is_dir() else package.joinpath("..", "schemas")
