"""Variables: what a recipe declares under `vars`, what a run is given for them, and the values that come of both."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfurun.errors import Code, Finding, Place, RecipePath
from dfurun.recipe.alike import texts_like
from dfurun.recipe.tree import Node
from dfurun.steps.file_names import VARIABLES as NAMES_OF_THE_RUN
from dfurun.steps.step import did_you_mean
from dfurun.units import in_both_bases

Value = int | str | bool
ENVIRONMENT_PREFIX = "DFURUN_VAR_"
LARGEST = 2**53  # JavaScript, and with it most readers of a record, holds whole numbers exactly up to here
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})|0x[0-9a-fA-F]{1,14}")
_KEYS_OF_TYPE = {
    "integer": ("minimum", "maximum"),
    "text": ("pattern", "maximum-length"),
    "boolean": (),
    "choice": ("choices",),
}
_KEYS_OF_ALL = ("type", "description", "default")
# A class or an escaped character is one character to a pattern; what is left are its quantifiers and groups.
_CHARACTER = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_QUANTIFIER = re.compile(r"[*+?]|\{[0-9]*,[0-9]*\}")
_MOST_QUANTIFIERS = 3
_MAXIMUM_LENGTH = 64


@dataclass(frozen=True, slots=True)
class StandIns:
    """Values for variables that are given none, for a look at a recipe that nothing is flashed by.

    It is the one that is `preferred`, where the variable takes that; else the `number`th that its declaration makes out. Those
    in `without` have none.
    """

    preferred: Mapping[str, Value] = field(default_factory=dict)
    number: int = 0
    without: frozenset[str] = frozenset()

    def value_for(self, declaration: Declaration) -> Value | None:
        """Return what stands in for a variable's value; None where nothing does."""
        if declaration.name in self.without:
            return None
        wanted = self.preferred.get(declaration.name)
        if wanted is not None and declaration.takes(wanted):
            return wanted
        known = declaration.examples
        return known[min(self.number, len(known) - 1)] if known else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is given for variables: by --set, in the file of --vars, and in the environment, by their full names there.

    A run has no `stand_ins`. `elsewhere` are variables that another recipe declares, for which a value may be given here too.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stand_ins: StandIns | None = None
    elsewhere: frozenset[str] = frozenset()


NO_SETTINGS = Settings()
STANDS_IN = "nothing: it stands in for what a run is given"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's value and where it comes from: `--set`, `DFURUN_VAR_SERIAL`, a line of a file."""

    value: Value
    origin: str

    @property
    def is_stand_in(self) -> bool:
        """Whether nobody gave the value."""
        return self.origin == STANDS_IN

    def __str__(self) -> str:
        if self.is_stand_in:
            return f"{shown(self.value)} here, which stands in for what a run is given"
        return f"{shown(self.value)}, from {self.origin}"


@dataclass(frozen=True, slots=True)
class Given:
    """One value that is on offer: as text, or typed already where a file has it."""

    value: Any
    origin: str
    is_text: bool
    place: Place | None = None
    name_place: Place | None = None

    def __str__(self) -> str:
        return self.value if self.is_text and _INTEGER.fullmatch(self.value) else shown(self.value)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a variable takes.

    `choices` are empty where it is not a choice, `default` is None where a run has to give a value.
    """

    name: str
    kind: str
    minimum: int
    maximum: int
    pattern: str | None
    maximum_length: int
    choices: tuple[Value, ...]
    default: Value | None = None

    @property
    def path(self) -> RecipePath:
        """Where it is declared."""
        return ("vars", self.name)

    def read(self, text: str) -> Value:
        """Return the value that a text means; raise ValueError where it means none of this type."""
        match self.kind:
            case "integer":
                if not _INTEGER.fullmatch(text):
                    raise ValueError(in_both_bases(text) or self.wanted)
                return self.judge(int(text, 0))
            case "boolean":
                if text not in ("true", "false"):
                    raise ValueError(self.wanted)
                return text == "true"
            case "choice":
                return self.judge(next((choice for choice in self.choices if str(choice) == text), text))
        return self.judge(text)

    def judge(self, value: Any) -> Value:
        """Return a value that the variable takes; raise ValueError, saying what it does take, for any other."""
        match self.kind:
            case "integer":
                is_right = type(value) is int and self.minimum <= value <= self.maximum
            case "boolean":
                is_right = isinstance(value, bool)
            case "choice":
                is_right = any(type(value) is type(choice) and value == choice for choice in self.choices)
            case _:
                is_right = isinstance(value, str) and value.isprintable() and len(value) <= self.maximum_length
                is_right = is_right and (self.pattern is None or re.fullmatch(self.pattern, value) is not None)
        if not is_right:
            raise ValueError(self.wanted)
        taken: Value = value
        return taken

    def takes(self, value: Value) -> bool:
        """Say whether the variable takes a value."""
        try:
            self.judge(value)
        except ValueError:
            return False
        return True

    @property
    def examples(self) -> tuple[Value, ...]:
        """Values that it takes, the extremes: the smallest and the largest, all choices, the shortest and the longest text.

        There are none of a text whose pattern nothing can be made of.
        """
        match self.kind:
            case "integer":
                return (self.minimum, self.maximum)
            case "boolean":
                return (False, True)
            case "choice":
                return self.choices
        if self.pattern is not None:
            return texts_like(self.pattern, self.maximum_length)
        name = self.name[: self.maximum_length]
        return (name, name.upper())

    @property
    def wanted(self) -> str:
        """Say what it takes."""
        match self.kind:
            case "integer":
                return f"a whole number from {self.minimum} to {self.maximum}"
            case "boolean":
                return "true or false"
            case "choice":
                return " or ".join(map(shown, self.choices))
        like = f" like {self.pattern}" if self.pattern is not None else ""
        return f"one line of text{like}, of at most {self.maximum_length} characters"


def shown(value: Any) -> str:
    """Return a value for a message: text in quotes."""
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)


def environment_name(name: str) -> str:
    """Return the environment variable for a variable: DFURUN_VAR_SERIAL_NUMBER for `serial-number`."""
    return ENVIRONMENT_PREFIX + name.upper().replace("-", "_")


# What a recipe declares ------------------------------------------------------------------------------------------------


def declarations(variables: Node, unsound: Collection[str]) -> tuple[list[Declaration], list[Finding]]:
    """Return the declarations that can be used, and what is wrong with the others; `unsound` have their findings already."""
    found, findings = [], list[Finding]()
    entries = variables.value if isinstance(variables.value, dict) else {}
    for name, node in entries.items():
        if name in unsound or not isinstance(node.value, dict):
            continue
        body = {key: _plain(entry) for key, entry in node.value.items()}
        wrong = list(_wrong_with(name, body))
        findings += wrong
        if not wrong:
            found.append(_declaration(name, body))
    return found, findings


def _plain(node: Node) -> Any:
    return [item.value for item in node.value] if isinstance(node.value, list) else node.value


def _declaration(name: str, body: Mapping[str, Any]) -> Declaration:
    return Declaration(
        name,
        body["type"],
        body.get("minimum", 0),
        body.get("maximum", 0xFFFFFFFF),
        body.get("pattern"),
        body.get("maximum-length", _MAXIMUM_LENGTH),
        tuple(body.get("choices", ())),
        body.get("default"),
    )


def _wrong_with(name: str, body: Mapping[str, Any]) -> list[Finding]:
    path: RecipePath = ("vars", name)
    if name in NAMES_OF_THE_RUN:
        hint = f"`${{{name}}}` is {NAMES_OF_THE_RUN[name]}, which the run fills in where it saves a file"
        return [Finding(Code.BAD_VALUE, f"a variable cannot be called `{name}`", path, hint, on_key=True)]
    if "type" not in body:
        return [
            Finding(
                Code.MISSING_KEY, f"variable `{name}` needs `type`", path, "for example `type: integer`", on_key=True
            )
        ]
    kind = body["type"]
    for key in body:
        if key not in (*_KEYS_OF_ALL, *_KEYS_OF_TYPE[kind]):
            takes = ", ".join(f"`{known}`" for known in _KEYS_OF_TYPE[kind]) or "no further keys"
            message = f"`{key}` is not for a variable of the type `{kind}`"
            return [Finding(Code.BAD_VALUE, message, (*path, key), f"that takes {takes}", on_key=True)]
    if kind == "choice" and "choices" not in body:
        return [
            Finding(
                Code.MISSING_KEY,
                f"variable `{name}` needs `choices`",
                path,
                "for example `choices: [eu, us]`",
                on_key=True,
            )
        ]
    if kind == "integer" and body.get("minimum", 0) > body.get("maximum", 0xFFFFFFFF):
        message, hint = (
            "the minimum is more than the maximum",
            "the default maximum is 4294967295, the default minimum 0",
        )
        return [Finding(Code.BAD_VALUE, message, (*path, "minimum" if "minimum" in body else "maximum"), hint)]
    if "pattern" in body and (objection := _objection(body["pattern"])):
        return [Finding(Code.BAD_VALUE, objection, (*path, "pattern"), "for example [A-Z]{2}[0-9]{6}")]
    if "default" not in body:
        return []
    declared = _declaration(name, body)
    try:
        declared.judge(body["default"])
    except ValueError as error:
        message = f"`{name}` takes {error}, not {shown(body['default'])}"
        return [Finding(Code.VARIABLE_VALUE, message, (*path, "default"), _quoting(declared, body["default"]))]
    return []


def _objection(pattern: str) -> str:
    """Return why a pattern is not taken; empty where it is. What is taken cannot keep the matching busy for long."""
    rest = _CHARACTER.sub("x", pattern)
    if re.search(r"[()|]", rest) or re.search(r"\\[0-9AbBZ]", pattern):
        return "a pattern has no groups, alternatives or references"
    if len(_QUANTIFIER.findall(rest)) > _MOST_QUANTIFIERS:
        return f"a pattern has at most {_MOST_QUANTIFIERS} of `*`, `+`, `?` and `{{n,m}}`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what a later Python reads differently
            re.compile(pattern)
    except (re.error, OverflowError, Warning) as error:
        return f"this is no regular expression: {error}"
    return ""


def _quoting(declared: Declaration, value: Any) -> str:
    if declared.kind == "text" and not isinstance(value, str):
        return "quote it"
    if declared.kind == "integer" and isinstance(value, str) and _INTEGER.fullmatch(value):
        return "without quotes"
    return ""


# What a run is given ---------------------------------------------------------------------------------------------------


def values(
    declared: Collection[Declaration],
    defaults: Callable[[str], Given | None],
    settings: Settings,
    in_file: Mapping[str, Given],
) -> tuple[dict[str, Variable], list[Finding]]:
    """Return the variables' values: --set before the file before the environment before the default; and what is wrong.

    Where a look at the recipe has stand-ins, those come last.
    """
    found, findings = dict[str, Variable](), list[Finding]()
    for declaration in declared:
        name = declaration.name
        given = _given(declaration, settings, in_file) or defaults(name)
        stand_in = settings.stand_ins.value_for(declaration) if given is None and settings.stand_ins else None
        if stand_in is not None:
            found[name] = Variable(stand_in, STANDS_IN)
            continue
        if given is None:
            hint = f"`--set {name}=VALUE`, `{environment_name(name)}`, a file for `--vars`, or a `default`"
            message = f"variable `{name}` is given no value: it is {declaration.wanted}"
            findings.append(Finding(Code.VARIABLE_MISSING, message, declaration.path, hint, on_key=True))
            continue
        try:
            value = declaration.read(given.value) if given.is_text else declaration.judge(given.value)
        except ValueError as error:
            message = f"`{name}` takes {declaration.wanted}, not {given} from {given.origin}"
            hint = "" if str(error) == declaration.wanted else str(error)
            hint = hint or ("" if given.is_text else _quoting(declaration, given.value))
            findings.append(
                Finding(Code.VARIABLE_VALUE, message, declaration.path, hint, on_key=True, place=given.place)
            )
            continue
        found[name] = Variable(value, given.origin)
    return found, findings


def _given(declaration: Declaration, settings: Settings, in_file: Mapping[str, Given]) -> Given | None:
    name = declaration.name
    if name in settings.given:
        return Given(settings.given[name], "--set", is_text=True)
    if name in in_file:
        return in_file[name]
    if (text := settings.environment.get(environment_name(name))) is not None:
        return Given(text, environment_name(name), is_text=True)
    return None


def not_declared(known: Collection[str], settings: Settings, in_file: Mapping[str, Given]) -> list[Finding]:
    """Return findings on what is given for variables that the recipe does not declare: a name may be misspelt."""
    offered: list[tuple[str, str, Place | None]] = [(name, f"--set {name}", None) for name in settings.given]
    offered += [(name, given.origin, given.name_place) for name, given in in_file.items()]
    found = [
        Finding(
            Code.UNKNOWN_VARIABLE,
            f"the recipe has no variable `{name}`, which {origin} sets",
            ("vars",),
            did_you_mean(name, known) or "the recipe declares none: `vars`",
            on_key=True,
            place=place,
        )
        for name, origin, place in offered
        if name not in known and name not in settings.elsewhere
    ]
    names = {environment_name(name) for name in (*known, *settings.elsewhere)}
    return found + [
        Finding(
            Code.UNUSED_VARIABLE,
            f"the recipe has no variable for {name} of the environment",
            ("vars",),
            did_you_mean(name, names),
            on_key=True,
        )
        for name in sorted(settings.environment)
        if name not in names
    ]
