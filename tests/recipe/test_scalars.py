"""What plain scalars mean, and which are refused because readers of YAML differ on them."""

import io
import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dfurun.recipe.scalars import AmbiguousScalar, resolve_plain

ACCEPTED = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "FALSE": False,
    "0": 0,
    "-12": -12,
    "0x08000000": 0x0800_0000,
    "1.5": 1.5,
    "-1.5e+3": -1500,
    "2.0": 2,
    "text": "text",
    "level-0": "level-0",
    "128K": "128K",
    "0-3": "0-3",
    "3.3V": "3.3V",
    "0x08000000+2K": "0x08000000+2K",
    "nan": "nan",
    "0xZZ": "0xZZ",
}
AMBIGUOUS = [
    *("on", "Off", "YES", "no", "y", "N", "oN"),
    *("010", "-07", "08", "0o17", "0b1", "1_000", "0x_1", "+0x10", "00"),
    *("1e10", "12e4567", "1.5e3", "-.5", "1_0.5"),
    *("12:34:56", "1:30", "190:20:30.15"),
    *("2024-01-31", "2024-01-31T10:00:00Z", "2024-1-1 1:02:03"),
    *("=", "<<", ".inf", "-.INF", ".nan"),
    *("9007199254740993", "1" * 5000, "0x" + "F" * 40, "1.0e+999"),
]
SCALAR_TEXT = st.text("0123456789abcdefxXoOeE+-._:~<=ntTrRuUsSyYlLF", max_size=14)


@pytest.mark.parametrize(("text", "value"), ACCEPTED.items())
def test_a_plain_scalar_has_the_value_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve_plain(text) == value
    assert type(resolve_plain(text)) is type(value)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_scalar_that_readers_differ_on_is_refused(text: str) -> None:
    with pytest.raises(AmbiguousScalar):
        resolve_plain(text)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("on", "`on` is true in YAML 1.1 and text in YAML 1.2"),
        ("010", "`010` is the number 8 in YAML 1.1 and the number 10 in YAML 1.2"),
        ("1e10", "`1e10` is text in YAML 1.1 and the number 1e+10 in YAML 1.2"),
        ("12:34:56", "`12:34:56` is the number 45296 in YAML 1.1 and text in YAML 1.2"),
        ("2024-01-31", "`2024-01-31` is a date in YAML 1.1 and text in YAML 1.2"),
        ("12e4567", "`12e4567` is text in YAML 1.1 and infinity in YAML 1.2"),
    ],
)
def test_the_refusal_says_how_each_reads_it(text: str, readings: str) -> None:
    with pytest.raises(AmbiguousScalar) as refusal:
        resolve_plain(text)
    assert str(refusal.value) == readings


def by_others(text: str) -> list[object]:
    """Return what PyYAML (YAML 1.1) and ruamel.yaml (1.2) make of a plain scalar."""
    document = f"- {text}\n"
    readings: list[object] = [yaml.safe_load(document)]
    ruamel = YAML(typ="safe", pure=True)
    readings.append(ruamel.load(io.StringIO(document)))
    return readings


@given(SCALAR_TEXT)
@example("01.5")
@example("0x0")
@example("+.5")
@example("1.")
def test_whatever_is_accepted_is_the_same_to_every_reader(text: str) -> None:
    try:
        value = resolve_plain(text)
    except AmbiguousScalar:
        return
    try:
        readings = by_others(text)
    except (yaml.YAMLError, YAMLError, ValueError):
        return  # not a plain scalar at all: the reader of events says so
    for reading in readings:
        if isinstance(reading, list) and (not text or isinstance(reading[0], (str, int, float, bool, type(None)))):
            assert reading == [value]
            assert isinstance(reading[0], bool) == isinstance(value, bool)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_numbers_are_read_exactly_or_refused(number: float, whole: int) -> None:
    for text, expected in ((f"{number:.17e}", number), (str(whole), whole)):
        try:
            value = resolve_plain(text)
        except AmbiguousScalar:
            continue
        assert isinstance(value, (int, float))
        assert math.isclose(value, expected, rel_tol=1e-15, abs_tol=0)
