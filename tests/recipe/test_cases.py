"""Every recipe in tests/cases/recipes gives the findings in the .txt beside it.

DFURUN_UPDATE_GOLDEN=1 writes the .txt files anew; the diff is for a review.
"""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dfurun.errors import Code, Severity
from dfurun.recipe import Loaded, load_recipe, shape_findings
from dfurun.recipe.document import read_document
from dfurun.report.diagnostics import print_findings

CASES = Path(__file__).parents[1] / "cases" / "recipes"
SCHEMA = Path(__file__).parents[2] / "schemas" / "recipe.schema.json"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))

# What this room can say; the rest of the table belongs to the steps, the run and the command line.
CODES_OF_LOADING = {
    code
    for code in Code
    if code.exit_status in (3, 6)
    and list(Code).index(code) <= list(Code).index(Code.PIN_MISMATCH)
    and code not in (Code.RECIPE_TOO_LARGE,)  # a quarter of a mebibyte is made in test_load.py
}


@pytest.fixture(autouse=True)
def _in_the_cases_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)


def rendered(loaded: Loaded) -> str:
    output = io.StringIO()
    print_findings(loaded.findings, Console(file=output, width=80, color_system=None))
    return output.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_gives_the_findings_of_its_golden_file(name: str) -> None:
    loaded = load_recipe(Path(f"{name}.yaml"))
    found, golden = rendered(loaded), CASES / f"{name}.txt"
    if os.environ.get("DFURUN_UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8", newline="\n")
    assert found == golden.read_text(encoding="utf-8")
    assert (loaded.recipe is None) == any(f.severity is Severity.ERROR for f in loaded.findings)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ok-")])
def test_a_good_recipe_gives_no_finding(name: str) -> None:
    assert load_recipe(Path(f"{name}.yaml")).findings == ()


def test_the_cases_reach_every_code_of_loading() -> None:
    reached = {finding.code for name in NAMES for finding in load_recipe(Path(f"{name}.yaml")).findings}
    assert CODES_OF_LOADING - reached == set()


def test_no_golden_file_is_without_its_recipe() -> None:
    assert {path.stem for path in CASES.glob("*.txt")} == set(NAMES)


def test_check_jsonschema_gives_the_same_verdict_on_every_shape() -> None:
    """What editors and CI hooks say of a recipe's shape is what dfurun says."""
    verdicts = {}
    for name in NAMES:
        try:
            document = read_document((CASES / f"{name}.yaml").read_text(encoding="utf-8-sig"), name)
        except UnicodeDecodeError:
            continue
        if document.whole and not document.findings:  # readable YAML: the schema's business
            verdicts[f"{name}.yaml"] = not shape_findings(document.value)
    assert {True, False} == set(verdicts.values())

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
    rejected = {Path(error["filename"]).name for error in outcome["errors"]}
    assert {name: name not in rejected for name in verdicts} == verdicts
