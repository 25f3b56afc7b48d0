"""What the help of every command has in common: the same options in the same panels, in one order; README names all."""

from __future__ import annotations

import re

import pytest
from command_line import ROOT, Dfurun

from dfurun.cli.app import COMMANDS, PANELS

SHARED = ("Options", *(panel for panel in PANELS if panel))
OWN = {"--output", "--address", "--chip"}  # of one command what it is for, of another how it is told
OPTION = re.compile(r"^│ (?:\* +)?(--[a-z-]+)", re.MULTILINE)


def panels(help_text: str) -> dict[str, set[str]]:
    """Return the options of each panel, in the order of the panels."""
    parts = re.split(r"^╭─ (.+?) ─+╮$", help_text, flags=re.MULTILINE)
    return {title: set(OPTION.findall(body)) for title, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture
def helps(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, set[str]]]:
    monkeypatch.setenv("COLUMNS", "80")
    return {name: panels(dfurun(name, "--help").out) for name in COMMANDS if name != "sim"}


def test_panels_stand_in_one_order(helps: dict[str, dict[str, set[str]]]) -> None:
    for name, shown in helps.items():
        assert [panel for panel in shown if panel in SHARED] == [panel for panel in SHARED if panel in shown], name
    assert list(helps["run"]) == ["Arguments", *SHARED]


def test_an_option_stands_in_the_same_panel_of_every_command(helps: dict[str, dict[str, set[str]]]) -> None:
    places: dict[str, set[str]] = {}
    for shown in helps.values():
        for panel, options in shown.items():
            for option in options - OWN:
                places.setdefault(option, set()).add(panel)
    assert {option: where for option, where in places.items() if len(where) > 1} == {}
    assert len(places) > 30


def test_readme_names_every_command_in_the_order_of_help() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## The commands\n")[1].split("\n## ")[0]
    assert re.findall(r"`([a-z]+)`", section) == list(COMMANDS)
