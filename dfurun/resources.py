"""dfurun's own data files: the schemas, inside an installed wheel and beside the package in a checkout, and data in YAML."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


def schema_text(name: str) -> str:
    """Return the text of a file of schemas/; raise FileNotFoundError where there is none of this name."""
    return _schemas().joinpath(name).read_text(encoding="utf-8")


def yaml_data(package: str, *path: str) -> Any:
    """Return what a YAML file of a package holds, as plain values; where there is a libyaml, in a tenth of the time."""
    import yaml

    text = files(package).joinpath(*path).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _schemas() -> Traversable:
    package = files("dfurun")
    installed = package.joinpath("schemas")
    # An editable install and a plain checkout have no copy inside the package: the folder stands beside it.
    return installed if installed.is_dir() else package.joinpath("..", "schemas")
