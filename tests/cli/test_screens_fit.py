"""Every screen fits 80 columns on a terminal, with colour and without; on a pipe a line is whole."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from dfurun.chips import load_chip
from dfurun.chips.database import read_facts
from dfurun.chips.index import entries
from dfurun.chips.search import found_lines
from dfurun.dfuse.layout import parse_layout
from dfurun.errors import Code
from dfurun.report.chips import print_chip
from dfurun.report.chips_list import print_lines
from dfurun.report.explain import explanations, print_codes, print_explanation
from dfurun.report.faults import print_fault, print_faults
from dfurun.report.text import TextReporter
from dfurun.simulator.catalogue import catalogue

WIDTH = 80
LONG = (
    "write 0x08000000..0x080007FF: 2 KiB in one transfer, then GETSTATUS until the bootloader is no longer busy with it"
)


def consoles() -> list[Console]:
    options = {"width": WIDTH, "height": 24, "highlight": False, "markup": False, "emoji": False}
    return [
        Console(file=io.StringIO(), force_terminal=True, no_color=no_color, **options)  # type: ignore[arg-type]
        for no_color in (False, True)
    ]


def lines(console: Console) -> list[str]:
    from terminal import screen

    assert isinstance(console.file, io.StringIO)
    return screen(console.file.getvalue())


def assert_fits(console: Console) -> None:
    assert [line for line in lines(console) if len(line) > WIDTH and not is_layout_string(line)] == []


def is_layout_string(line: str) -> bool:
    """Say whether a line is a layout string and nothing else: that is for comparing and stays whole, the F42x's has 84."""
    found = re.fullmatch(r"\s*(?:alternate \d +)?'?(@[^']+)'?", line)
    return found is not None and bool(parse_layout(found[1]).segments)


@pytest.mark.parametrize("console", consoles(), ids=["colour", "no colour"])
def test_chips_faults_and_codes_fit(console: Console) -> None:
    print_lines(console, found_lines(), asked=False)
    for line in found_lines():
        print_lines(console, [line], asked=True)
    for entry in entries():
        print_chip(console, load_chip(entry.names[0]), read_facts(entry.names[0]))
    print_faults(console, catalogue())
    for fault in catalogue():
        print_fault(console, fault)
    print_codes(console)
    for explanation in explanations().values():
        if explanation.code is not Code.NO_PERMISSION:  # has commands to copy
            print_explanation(console, explanation)
    assert_fits(console)


@pytest.mark.parametrize("console", consoles(), ids=["colour", "no colour"])
def test_an_operation_of_minus_v_goes_on_further_in(console: Console) -> None:
    TextReporter(console).detail(f"    {LONG}")
    assert_fits(console)
    first, second, *_ = lines(console)
    assert (first[:9], second[:6].strip()) == ("    write", "")


def test_on_a_pipe_lines_are_whole() -> None:
    console = Console(file=io.StringIO(), width=WIDTH)
    TextReporter(console).detail(f"    {LONG}")
    print_explanation(console, explanations()[Code.FILE_UNWRITABLE.label])
    print_chip(console, load_chip("stm32f072xb"), read_facts("stm32f072xb"))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"    {LONG}\n" in written
    assert "cannot be written, or `lint` or `pin --check` has a finding\n" in written
    assert "level-0, level-1 or level-2  read protection; every value but 0xAA and 0xCC is level 1\n" in written
