"""Every recipe in tests/cases has a shape that dfurun and check-jsonschema judge alike.

What `dfurun check` says of each is held by tests/cli/test_check.py.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dfurun.recipe import shape_findings
from dfurun.recipe.document import read_document

CASES = Path(__file__).parents[1] / "cases"
SCHEMA = Path(__file__).parents[2] / "schemas" / "recipe.schema.json"
RECIPES = sorted((CASES / "recipes").glob("*.yaml")) + sorted((CASES / "rules").glob("*.yaml"))
RECIPES += sorted((CASES / "recipes" / "bases").glob("*.yaml"))


def test_check_jsonschema_gives_the_same_verdict_on_every_shape() -> None:
    """What editors and CI hooks say of a recipe's shape is what dfurun says."""
    verdicts = {}
    for path in RECIPES:
        try:
            document = read_document(path.read_text(encoding="utf-8-sig"), path.name)
        except UnicodeDecodeError:
            continue
        if document.whole and not document.findings:  # readable YAML: the schema's business
            verdicts[path] = not shape_findings(document.value)
    assert {True, False} == set(verdicts.values())
    assert len(verdicts) > 60

    tool = shutil.which(
        "check-jsonschema", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    assert tool, "the development dependencies include check-jsonschema"
    report = subprocess.run(
        [tool, "--output-format", "json", "--schemafile", str(SCHEMA), *verdicts],
        capture_output=True, check=False, text=True, encoding="utf-8",
    )  # fmt: skip
    outcome = json.loads(report.stdout)
    assert outcome["parse_errors"] == []
    rejected = {Path(error["filename"]) for error in outcome["errors"]}
    assert {path: path not in rejected for path in verdicts} == verdicts
