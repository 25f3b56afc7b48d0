"""`--junit FILE`: what CI is told of a run, whatever became of it, by the schemas that services check such files against."""

from __future__ import annotations

import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import ROOT, Dfurun, in_a_process
from hypothesis import given
from hypothesis import strategies as st

from dfurun import __version__
from dfurun.cli.junit_report import junit_report
from dfurun.errors import Code
from dfurun.report.junit import JUnitFile, is_junit, junit_xml

SIMULATED = ("--sim", "--sim-clock", "virtual")


def judge() -> object:
    """Return the judge of such files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xmlschema

    return xmlschema.XMLSchema(ROOT / "tests/report/junit.xsd")


JUDGE = judge()


def read(source: Path | bytes) -> ElementTree.Element:
    """Return the only testsuite of a valid report, whose counts are those of its testcases."""
    text = source.read_bytes() if isinstance(source, Path) else source
    root = ElementTree.fromstring(text)
    JUDGE.validate(text.decode())  # type: ignore[attr-defined]
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases)
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(suite.attrib[count]) == sum(case.find(tag) is not None for case in cases)
    return suite


def outcomes(suite: ElementTree.Element) -> dict[str, str]:
    """Return what became of each testcase: the name of the element in it, `passed` where there is none."""
    return {case.attrib["name"]: case[0].tag if len(case) else "passed" for case in suite.findall("testcase")}


def properties(suite: ElementTree.Element) -> dict[str, str]:
    return {each.attrib["name"]: each.attrib["value"] for each in suite.iterfind("properties/property")}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "unit.xml"


# Runs ----------------------------------------------------------------------------------------------------------------


def test_a_run_that_passed_is_a_testcase_a_step(dfurun: Dfurun, recipes: Path, report: Path) -> None:
    assert dfurun(recipes / "f072-release.yaml", *SIMULATED, "--junit", report).exit == 0
    suite = read(report)
    assert suite.attrib["name"] == "F072 release at 1-1"
    assert outcomes(suite) == dict.fromkeys(
        ["1 connect", "2 unprotect", "3 mass-erase", "4 write", "5 verify", "6 set-option-bytes", "7 leave-dfu"],
        "passed",
    )
    times = [float(case.attrib["time"]) for case in suite.findall("testcase")]
    assert 0.1 < sum(times) <= float(suite.attrib["time"]) + 0.01
    assert "4 write: changed, application: 4744 bytes" in str(suite.findtext("system-out"))


def test_the_properties_say_which_unit_and_what_was_put_on_it(dfurun: Dfurun, recipes: Path, report: Path) -> None:
    from hashlib import sha256

    dfurun(recipes / "f072-release.yaml", *SIMULATED, "--junit", report)
    told = properties(read(report))
    assert (told["chip"], told["port"], told["unique_id"]) == ("stm32f072xb", "1-1", "2D0030000D50534237343120")
    assert told["recipe.sha256"] == sha256((recipes / "f072-release.yaml").read_bytes()).hexdigest()
    image = (recipes / "firmware/f072-blinky.hex").read_bytes()
    assert told["image.application.sha256"] == sha256(image).hexdigest()
    assert (told["outcome"], told["exit"], told["verified"], told["simulated"]) == ("passed", "0", "true", "true")
    assert told["dfurun"] == __version__


def test_option_bytes_are_told_before_and_after(dfurun: Dfurun, recipes: Path, report: Path) -> None:
    assert dfurun(recipes / "f072-protect.yaml", *SIMULATED, "--junit", report).exit == 0
    before, after = properties(read(report))["option_bytes.1"].split(" -> ")
    assert (before[:4], after[:4]) == ("aa55", "bb44")


def test_what_fails_the_unit_is_a_failure_and_what_follows_is_skipped(
    dfurun: Dfurun, recipes: Path, report: Path
) -> None:
    done = dfurun(
        recipes / "f072-release.yaml", *SIMULATED, "--sim-fault", "lost-program:skip=0,count=9", "--junit", report
    )
    assert (done.exit, done.codes & {"verify-mismatch"}) == (1, {"verify-mismatch"})
    suite = read(report)
    assert outcomes(suite)["5 verify"] == "failure"
    assert outcomes(suite)["6 set-option-bytes"] == "skipped"
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["type"] == "verify-mismatch"
    assert suite.find("testcase/skipped[@message='verify did not succeed']") is not None


def test_a_board_that_is_not_the_expected_one_is_a_failure(dfurun: Dfurun, report: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "expect.yaml"
    recipe.write_text("dfurun: 1\nname: x\nchip: stm32f072xb\nexpect: {flash-size: 64K}\nsteps: [connect]\n")
    assert dfurun(recipe, *SIMULATED, "--junit", report).exit == 6
    assert outcomes(read(report)) == {"1 connect": "failure"}


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("--sim-fault", "vanish:at=72"), 7, "device-lost"),
        (("--port", "9-9"), 4, "no-device"),
        (("--sim-fault", "no-permission"), 5, "no-permission"),
    ],
)
def test_what_the_station_cannot_do_is_an_error_and_no_failure(
    dfurun: Dfurun, recipes: Path, report: Path, words: tuple[str, ...], status: int, code: str
) -> None:
    done = dfurun(recipes / "f072-release.yaml", *SIMULATED, *words, "--junit", report)
    assert (done.exit, done.codes & {code}) == (status, {code})
    suite = read(report)
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")
    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib["type"] == code
    assert properties(suite)["exit"] == str(status)


def test_what_is_refused_before_the_first_transfer_is_an_error_of_the_run(
    dfurun: Dfurun, report: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "lock.yaml"
    recipe.write_text(
        "dfurun: 1\nname: lock\nchip: stm32f072xb\nallow: [rdp-level-2]\n"
        "steps: [connect, {set-option-bytes: {fields: {RDP: level-2}}}]\n"
    )
    assert dfurun(recipe, *SIMULATED, "--junit", report).exit == 6
    assert outcomes(read(report)) == {"1 connect": "skipped", "2 set-option-bytes": "skipped", "the run": "error"}


# Runs that never had a board, or no end -------------------------------------------------------------------------------


def test_a_recipe_that_cannot_be_run_replaces_the_report_of_a_run_that_passed(
    dfurun: Dfurun, recipes: Path, report: Path, tmp_path: Path
) -> None:
    dfurun(recipes / "f072-release.yaml", *SIMULATED, "--junit", report)
    broken = tmp_path / "broken.yaml"
    broken.write_text("dfurun: 1\nname: x\nchip: stm32f072xb\nsteps: [conect]\n")
    assert dfurun(broken, *SIMULATED, "--junit", report).exit == 3
    suite = read(report)
    assert (suite.attrib["name"], outcomes(suite)) == ("broken.yaml", {"the run": "error"})
    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib == {"type": "unknown-step", "message": "no step is called `conect`"}


def test_a_killed_run_leaves_a_report_that_says_so(dfurun: Dfurun, recipes: Path, report: Path, tmp_path: Path) -> None:
    script = (
        "import os\nfrom dfurun.steps.write import Write\n"
        "Write.execute = lambda *_: os._exit(99)"
    )  # fmt: skip
    done = in_a_process(
        "run", recipes / "f072-release.yaml", *SIMULATED, "--junit", report, folder=tmp_path, script=script
    )
    assert done.exit == 99
    suite = read(report)
    assert outcomes(suite) == {
        "1 connect": "passed",
        "2 unprotect": "passed",
        "3 mass-erase": "passed",
        "the run": "error",
    }
    assert properties(suite)["outcome"] == "interrupted"


def test_a_run_that_is_killed_before_it_has_a_board_leaves_no_older_verdict(recipes: Path, report: Path) -> None:
    JUnitFile(report, recipes / "f072-release.yaml").begin()
    error = read(report).find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "the run did not begin, or was killed before it had a board"


def test_without_the_option_nothing_is_written(tmp_path: Path) -> None:
    with junit_report(None, Path("a.yaml")) as reports:
        assert reports(None) is None
    assert list(tmp_path.iterdir()) == []


# The file ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_report_is_left_alone(dfurun: Dfurun, recipes: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.xml"
    file.write_text("<?xml version='1.0'?>\n<notes/>\n")
    done = dfurun(recipes / "f072-release.yaml", *SIMULATED, "--junit", file)
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert file.read_text().endswith("<notes/>\n")


def test_a_report_that_cannot_be_written_stops_the_run_before_anything_is_sent(
    dfurun: Dfurun, recipes: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = dfurun(recipes / "f072-release.yaml", *SIMULATED, "--junit", tmp_path / "file" / "unit.xml")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert "nothing was sent" in done.err


def test_a_report_is_told_from_other_files_by_how_it_begins() -> None:
    assert is_junit(b"<testsuite name='x'/>")
    assert is_junit(b"<?xml version='1.0'?>\n<testsuites>")
    assert not is_junit(b"")
    assert not is_junit(b"<testsuitesx>")
    assert not is_junit(b"dfurun: 1\n# <testsuites>")


@given(st.text(), st.sampled_from([str(code) for code in Code] + ["of-a-newer-dfurun"]), st.floats(0, 1e9))
def test_whatever_a_device_calls_itself_the_report_is_valid(text: str, code: str, seconds: float) -> None:
    step = {"index": 0, "step": "connect", "outcome": "failed", "detail": text, "duration_s": seconds, "code": code}
    board = {"port": "1-1", "serial": text, "unique_id": None}
    record = {
        "run": "0123456789ab",
        "started": "2026-11-30T22:33:44.555+00:00",
        "tool": {"name": "dfurun", "version": "1"},
        "recipe": {"path": f"{text}/a.yaml", "name": text, "sha256": "00"},
        "chip": "stm32f072xb",
        "images": {},
        "simulated": False,
        "ended": None,
        "outcome": "failed",
        "exit": 1,
        "board": board,
        "steps": [step],
        "option_bytes": [],
        "anomalies": {text: 1},
        "error": {"code": code, "message": text, "consequence": text, "hint": "", "evidence": [text]},
    }
    read(junit_xml([record]))
