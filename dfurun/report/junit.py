"""Records of units as JUnit XML, which CI services and test databases read: a testsuite a unit, a testcase a step.

What fails the unit is a `failure`: a step, a verification, a board that is not the one expected. What keeps the station from
judging the unit is an `error`: no board, no permission, a lost link, a refused option, an interruption.

# Ref: the schemas of Apache Ant's JUnit task (windyroad/JUnit-Schema, JUnit.xsd) and of Jenkins (xunit-plugin, junit-10.xsd):
# what is written is valid by both, so times have three digits, a timestamp no zone, and a testcase at most one element
"""

from __future__ import annotations

import platform
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dfurun.errors import Code, DfurunError, ExitStatus, StepFailed
from dfurun.report.words import printable
from dfurun.run.journal_lines import Entry
from dfurun.run.record import record_of
from dfurun.steps.files import replace_file

Record = Mapping[str, Any]

RUN = "the run"  # the testcase for what is wrong with no step
NOT_BEGUN = "the run did not begin, or was killed before it had a board"
NOT_ENDED = "the run did not end: it goes on, or it was killed"
JUDGEMENTS = (ExitStatus.FAILED, ExitStatus.REFUSED)
# Of those that end with such a status, what is no judgement of the unit.
OF_THE_STATION = frozenset({Code.FILE_UNWRITABLE, Code.FILE_EXISTS, Code.FILE_OUTSIDE, Code.IRREVERSIBLE})
_CODES = {code.label: code for code in Code}
_ONE_LINE = re.compile(r"\s+")


class JUnitFile:
    """Where `--junit` puts the report of a run: always a whole one, and never that of an earlier run."""

    def __init__(self, target: Path, recipe: Path) -> None:
        self._target = target
        self._recipe = recipe
        self._suites: list[str | None] = []
        self._writing = threading.Lock()

    def begin(self) -> None:
        """Say that nothing has been judged yet. Raise StepFailed where the file cannot be written."""
        self._write(self._nothing("interrupted-run", NOT_BEGUN))

    def unit(self, number: int | None = None) -> Callable[[Sequence[Entry]], None]:
        """Return who hears of one more unit's entries, all so far each time, in any thread, and has the report tell of them.

        `number` is the unit's, where it has one: the suites of one port are told apart by it. It raises StepFailed where the
        file cannot be written.
        """
        index = len(self._suites)
        self._suites.append(None)

        def save(entries: Sequence[Entry]) -> None:
            text = _text_of(_suite(index, record_of(entries), number))
            with self._writing:
                self._suites[index] = text
                self._write([suite for suite in self._suites if suite is not None])

        return save

    def fail(self, failure: DfurunError) -> None:
        """Replace the report by a failure that came before any unit. Raise StepFailed where that fails."""
        if not any(self._suites):
            self._write(self._nothing(str(failure.code), failure.message, failure.consequence, failure.hint))

    def _nothing(self, code: str, message: str, *more: str) -> list[str]:
        case = _case(self._recipe.stem, RUN, 0.0)
        _told(case, "error", code, message, more)
        attributes = {"package": "unknown", "timestamp": datetime.now(UTC).isoformat()[:19], "time": _seconds(0)}
        suite = _suite_of(0, self._recipe.name, attributes, [case], {"recipe": self._recipe.as_posix()})
        return [_text_of(_with_output(suite, (), ()))]

    def _write(self, suites: Sequence[str]) -> None:
        try:
            replace_file(self._target, _document(suites))
        except OSError as error:
            raise StepFailed(
                Code.FILE_UNWRITABLE,
                f"the report {self._target} cannot be written: {error.strerror or error}",
                consequence="nothing was sent that would have been reported",
                hint="another --junit",
            ) from None


def junit_xml(records: Sequence[Record]) -> bytes:
    """Return the records of units as one document."""
    return _document([_text_of(_suite(index, record)) for index, record in enumerate(records)])


def is_junit(text: bytes) -> bool:
    """Say whether the beginning of a file is that of such a report."""
    return re.match(rb"\s*(<\?xml[^>]*\?>)?\s*<testsuites?[\s>]", text) is not None


def _document(suites: Sequence[str]) -> bytes:
    lines = [
        "<?xml version='1.0' encoding='utf-8'?>",
        "<testsuites>",
        *(f"  {suite}" for suite in suites),
        "</testsuites>",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _text_of(suite: ElementTree.Element) -> str:
    """Return a suite as it stands in a document: a unit that has ended is written once, however many follow it."""
    ElementTree.indent(suite, level=1)
    return ElementTree.tostring(suite, encoding="unicode").strip()


def _suite(index: int, record: Record, number: int | None = None) -> ElementTree.Element:
    board = record["board"]
    name = record["recipe"]["name"] if number is None else f"{record['recipe']['name']}, unit {number}"
    name += f" at {board['port']}" if board else ""
    seconds = record.get("duration_s", sum(step["duration_s"] for step in record["steps"]))
    attributes = {"package": record["chip"], "timestamp": record["started"][:19], "time": _seconds(seconds)}
    suite = _suite_of(index, name, attributes, list(_cases(record)), dict(_properties(record)))
    lines = [f"{step['index'] + 1} {step['step']}: {step['outcome']}, {step['detail']}" for step in record["steps"]]
    evidence = record.get("error", {}).get("evidence", ())
    return _with_output(suite, lines, evidence)


def _suite_of(
    index: int,
    name: str,
    attributes: Mapping[str, str],
    cases: Sequence[ElementTree.Element],
    properties: Mapping[str, str],
) -> ElementTree.Element:
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    suite = ElementTree.Element("testsuite", name=_line(name), id=str(index))
    suite.attrib |= {"hostname": platform.node() or "localhost", **attributes}
    suite.attrib |= {"tests": str(len(cases)), "failures": str(counts["failure"]), "errors": str(counts["error"])}
    suite.attrib["skipped"] = str(counts["skipped"])
    listed = ElementTree.SubElement(suite, "properties")
    for key, value in properties.items():
        ElementTree.SubElement(listed, "property", name=key, value=_safe(value))
    suite.extend(cases)
    return suite


def _with_output(suite: ElementTree.Element, out: Sequence[str], err: Sequence[str]) -> ElementTree.Element:
    for tag, lines in (("system-out", out), ("system-err", err)):
        ElementTree.SubElement(suite, tag).text = _safe("\n".join(lines))
    return suite


def _cases(record: Record) -> Iterator[ElementTree.Element]:
    """Yield a testcase a step, and one for the whole where it did not pass and no step says so."""
    class_name, error = Path(record["recipe"]["path"]).stem, record.get("error")
    told = False
    for step in record["steps"]:
        case = _case(class_name, f"{step['index'] + 1} {step['step']}", step["duration_s"])
        match step["outcome"]:
            case "skipped":
                ElementTree.SubElement(case, "skipped", message=_safe(step["detail"]))
            case "failed":
                of_this = error if error and error["code"] == step.get("code") else None
                words = [of_this[key] for key in ("consequence", "hint")] if of_this else []
                words += of_this["evidence"] if of_this else []
                code = step.get("code") or str(Code.STEP_FAILED)
                _told(case, _kind(code), code, of_this["message"] if of_this else step["detail"], words)
                told = True
        yield case
    if record["outcome"] == "passed" or told:
        return
    case = _case(class_name, RUN, 0.0)
    if error:
        words = [error["consequence"], error["hint"], *error["evidence"]]
        _told(case, _kind(error["code"]), error["code"], error["message"], words)
    else:
        _told(case, "error", str(Code.INTERRUPTED_RUN), NOT_ENDED, ())
    yield case


def _kind(label: str) -> str:
    """Return whether a code fails the unit or is an error of the station."""
    code = _CODES.get(label)
    is_judgement = code is not None and code.exit_status in JUDGEMENTS and code not in OF_THE_STATION
    return "failure" if is_judgement else "error"


def _case(class_name: str, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_line(class_name), name=name, time=_seconds(seconds))


def _told(case: ElementTree.Element, tag: str, code: str, message: str, words: Sequence[str]) -> None:
    ElementTree.SubElement(case, tag, type=code, message=_safe(message)).text = _safe("\n".join(filter(None, words)))


def _properties(record: Record) -> Iterator[tuple[str, str]]:
    board = record["board"] or {}
    yield "chip", record["chip"]
    for key in ("unique_id", "port", "serial", "bootloader", "flash_size_bytes", "protection"):
        if board.get(key) is not None:
            yield key, str(board[key])
    yield "recipe", record["recipe"]["path"]
    yield "recipe.sha256", record["recipe"]["sha256"]
    for name, digest in record["images"].items():
        yield f"image.{name}.sha256", digest
    for number, write in enumerate(record["option_bytes"], 1):
        yield f"option_bytes.{number}", f"{write['before']} -> {write['after']}"
    yield "simulated", str(record["simulated"]).lower()
    yield "outcome", record["outcome"]
    for key in ("exit", "verified", "power_cycle_needed", "transfers", "pages_redone"):
        if record.get(key) is not None:
            yield key, str(record[key]).lower()
    for kind, number in record.get("anomalies", {}).items():
        yield f"anomalies.{_line(kind)}", str(number)
    yield "run", record["run"]
    yield "dfurun", record["tool"]["version"]


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _line(text: str) -> str:
    return _ONE_LINE.sub(" ", _safe(text)).strip() or "unnamed"


def _safe(text: str) -> str:
    """Return a text of characters that XML has: what a device sent may hold others."""
    return "\n".join(map(printable, text.split("\n")))
