"""`-q`: what each command leaves when less is asked for, and says of it in its help."""

from __future__ import annotations

import re

import pytest
from command_line import Dfurun

from dfurun.chips import chip_names

VIRTUAL = ("--sim-clock", "virtual")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run", "Only failures, what to do by hand, the verdict."),
        ("check", "Only findings: nothing of a recipe that is sound."),
        ("info", "One line: the port, the chip, its protection. And what needs mending."),
        ("devices", "Only the ports, one a line."),
        ("read", "Only failures: nothing where the file is saved."),
        ("doctor", "Only problems: nothing where there is none."),
        ("chips", "Only the names, one a line."),
    ],
)
def test_the_help_says_what_quiet_is_for_this_command(dfurun: Dfurun, command: str, words: str) -> None:
    shown = re.sub(r"[\s│]+", " ", dfurun(command, "--help").out)
    assert re.search(rf"--quiet -q {re.escape(words)} ", shown)


def test_quiet_devices_are_ports_for_a_script(dfurun: Dfurun) -> None:
    for number in ("1", "2"):
        dfurun("sim", "new", f"{number}.json")
    done = dfurun("devices", "-q", "--sim-state", "1.json", "--sim-state", "2.json")
    assert (done.exit, done.out, done.err) == (0, "1-1\n1-2\n", "")


def test_quiet_chips_are_names(dfurun: Dfurun) -> None:
    assert dfurun("chips", "-q").out.splitlines() == list(chip_names())
    assert dfurun("chips", "STM32F072xB", "-q").out == "stm32f072xb\n"


def test_quiet_info_is_a_line_and_what_needs_mending(dfurun: Dfurun) -> None:
    assert dfurun("info", "-q", "--sim", *VIRTUAL).out == "1-1: STM32F072xB, not protected\n"
    dfurun("sim", "new", "board.json")
    dfurun("sim", "set-option-bytes", "board.json", "nBOOT0=0", "BOOT_SEL=0")
    done = dfurun("info", "-q", "--sim-state", "board.json", *VIRTUAL)
    assert done.out.splitlines() == [
        "1-1: STM32F072xB, not protected",
        "! this board always boots into the bootloader, whatever BOOT0 says",
        "  a recipe with `set-option-bytes: {from: factory}` puts the boot option bytes right",
    ]
    dfurun("sim", "protect", "board.json", "1")
    done = dfurun("info", "-q", "--sim-state", "board.json", *VIRTUAL)
    assert done.out.startswith("1-1: STM32F072xB, read-protected")


def test_quiet_and_json_tell_the_same_as_json_alone(dfurun: Dfurun) -> None:
    for words in (("devices", "--sim"), ("chips",), ("info", "--sim", *VIRTUAL)):
        assert dfurun(*words, "-q", "--json").out == dfurun(*words, "--json").out
