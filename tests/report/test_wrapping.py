"""Where lines are broken on a terminal, and where they never are."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dfurun.chips import load_chip
from dfurun.chips.database import read_facts
from dfurun.errors import Code, Finding, Place, Related
from dfurun.report.chips import print_chip
from dfurun.report.diagnostics import print_findings
from dfurun.report.wrapping import fold

HASH = "4ef148ec303450ecf5019dc9c8cdaa9efa3fa8d83ba5b48fe4d4a2d1c29ef8c1"
F405_LAYOUT = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"


def shown(*findings: Finding, width: int, terminal: bool = True) -> list[str]:
    output = io.StringIO()
    print_findings(findings, Console(file=output, width=width, force_terminal=terminal, color_system=None))
    return output.getvalue().splitlines()


def finding(message: str, **more: object) -> Finding:
    return Finding(Code.BAD_VALUE, message, place=Place("my recipe.yaml", 3, 7, 10, "chip: f72"), **more)


def test_on_a_terminal_a_finding_hangs_and_on_a_pipe_each_part_is_a_line() -> None:
    long = finding(
        "the board on the left is the one that is meant here, and no other board",
        notes=(f"pinned: {HASH}", "the second one of two notes, which is longer than a line"),
        hint="take the one on the left, and the one on the right for another day",
        related=(Related((), "a place that has no line of its own, told in words alone"),),
    )
    assert shown(long, width=50) == [
        "my recipe.yaml:3:7: error[bad-value]: the",
        "    board on the left is the one that is meant",
        "    here, and no other board",
        " 3 | chip: f72",
        "   |       ^^^",
        "     a place that has no line of its own, told in",
        "     words alone",
        "   = pinned:",
        f"     {HASH}",
        "   = the second one of two notes, which is longer",
        "     than a line",
        "   = hint: take the one on the left, and the one",
        "     on the right for another day",
        "1 error",
    ]
    assert len(shown(long, width=50, terminal=False)) == 8


@pytest.mark.parametrize(
    "literal",
    [
        "`set-option-bytes: {from: factory}`",
        "'STM32  BOOTLOADER of a board'",
        '"a name with blanks in it, double"',
        F405_LAYOUT,
        "@OTP Memory /0x1FFF7800/01*512 e,01*016 e",
        HASH,
        "some/folder/with-hyphens/and-a-name.hex",
    ],
)
def test_a_literal_is_never_broken(literal: str) -> None:
    for before in range(40):
        lines = fold(f"{'x' * before} the board's own {literal} and what follows it, the user's", 40)
        assert any(literal in line for line in lines), lines
        assert all(len(line) <= 40 or line == literal for line in lines), lines


def test_a_file_with_blanks_in_its_name_stays_whole_before_what_is_wrong_with_it() -> None:
    text = "some folder/and a recipe with a long name.yaml: No such file or directory"
    assert fold(text, 30) == ["some folder/and a recipe with a long name.yaml:", "No such file or directory"]


def test_an_apostrophe_begins_no_literal() -> None:
    assert fold("the board's flash and the users' hands", 20) == ["the board's flash", "and the users' hands"]


@given(st.text(alphabet="ab `'\"@/:.-", max_size=60), st.integers(5, 40))
def test_nothing_is_lost_but_blanks_at_a_break(text: str, width: int) -> None:
    assert "".join(fold(text, width)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_layout_of_a_chip_stays_whole(width: int) -> None:
    chip = load_chip("stm32f405xg")
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    print_chip(console, chip, read_facts(chip.name))
    assert f"'{F405_LAYOUT}'" in output.getvalue()
    for layout in chip.usb.alternates:
        assert f" {layout}\n" in output.getvalue()
