"""The variables in a file's name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dfurun.chips import load_chip
from dfurun.steps.file_names import VARIABLES, fill_in, objection, values, wrong_variable

KNOWN = values(
    port="1-2.3", chip=load_chip("stm32f072xb"), unique_id=None, when=datetime(2026, 11, 24, 3, 5, 7, tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("name", "filled"),
    [
        ("backup.bin", "backup.bin"),
        ("${port}/${date}-${time}.bin", "1-2.3/2026-11-24-030507.bin"),
        ("${chip}-${unique-id}", "stm32f072xb-unknown"),
        ("$port $ {port} $$", "$port $ {port} $$"),
        ("${port}${port}", "1-2.31-2.3"),
    ],
)
def test_a_name_is_filled_in(name: str, filled: str) -> None:
    assert wrong_variable(name) is None
    assert fill_in(name, KNOWN) == filled


@pytest.mark.parametrize(("name", "wrong"), [("${prot}", "prot"), ("${}", ""), ("a-${PORT}", "PORT")])
def test_a_wrong_variable_is_found(name: str, wrong: str) -> None:
    assert wrong_variable(name) == wrong


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("${port}-${date", "the `}` of `${date` is missing"),
        ("a\0b", "characters that can be seen"),
        ("a\nb", "characters that can be seen"),
        ("\x1b[31mred", "characters that can be seen"),
        (".", "a file's name is needed"),
        ("..", "a file's name is needed"),
        ("backups/..", "a file's name is needed"),
        ("./", "a file's name is needed"),
        ("backups/", "a file's name is needed"),
        ("", "a file's name is needed"),
        ("b" * 250, "at most 200 bytes"),
        ("~/backup.bin", "`~` is not the home folder here"),
        ("~me/backup.bin", "`~me` is not the home folder here"),
    ],
)
def test_what_no_file_can_be_called_is_objected_to(name: str, words: str) -> None:
    found = objection(name)
    assert found is not None
    assert words in found


def test_an_ordinary_name_is_not_objected_to() -> None:
    assert objection("backups/${port}-${date}.bin") is None
    assert objection("~backup.bin") is None


def test_every_variable_stands_for_something_that_a_files_name_may_hold_on_every_system() -> None:
    assert set(KNOWN) == set(VARIABLES)
    assert not set("".join(KNOWN.values())) & set('<>:"/\\|?* ')
