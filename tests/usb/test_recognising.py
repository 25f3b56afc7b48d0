"""Which chip a board is taken for: by its layout, then a serial number that a kind shares, then the bootloader's id."""

from __future__ import annotations

import json

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.dfuse.link import AlternateSetting, DeviceDescription
from dfurun.dfuse.protocol import FunctionalDescriptor
from dfurun.usb.recognise import chips_like

VIRTUAL = ("--sim-clock", "virtual")


def names(alternates: tuple[str, ...], serial: str) -> set[str]:
    description = DeviceDescription(
        vendor_id=0x0483,
        product_id=0xDF11,
        release=0x2200,
        product="STM32  BOOTLOADER",
        serial=serial,
        functional=FunctionalDescriptor(0x0B, 255, 2048, 0x011A),
        alternates=tuple(AlternateSetting(number, name) for number, name in enumerate(alternates)),
    )
    return {chip.name for chip in chips_like(description)}


@pytest.mark.parametrize(
    ("name", "serial", "others"),
    [
        ("stm32f072xb", "206134642031", {"stm32f303xb", "stm32f373xb"}),
        ("stm32f446xe", "206134644253", {"stm32f401xe", "stm32f411xe"}),
    ],
)
def test_a_serial_number_that_a_kind_shares_tells_it_from_others_with_the_same_layout(
    name: str, serial: str, others: set[str]
) -> None:
    usb = load_chip(name).usb
    assert usb.serial is not None
    assert names(usb.alternates, usb.serial) == {name}
    with_its_own = names(usb.alternates, serial)
    assert name not in with_its_own
    assert others <= with_its_own
    assert names(usb.alternates, "") == {name} | with_its_own, "a number that could not be read tells nothing"


@pytest.mark.parametrize(
    "name",
    ["stm32f205xg", "stm32f405xg", "stm32f412xg", "stm32f373xc", "stm32f303xc", "stm32f401xc"],
)
def test_boards_with_one_layout_are_told_apart_by_their_bootloader_id(dfurun: Dfurun, name: str) -> None:
    assert len(names(load_chip(name).usb.alternates, "206134644253")) > 1
    told = json.loads(dfurun("info", "--sim", "--sim-chip", name, *VIRTUAL, "--json").out.splitlines()[1])
    assert told["chip"] == name


def test_what_the_bootloader_id_leaves_open_has_to_be_named(dfurun: Dfurun) -> None:
    """Both have a bootloader V13.0, at one address; the F205 and the F446 of this layout are ruled out."""
    done = dfurun("info", "--sim", "--sim-chip", "stm32f411xc", *VIRTUAL)
    assert "cannot be told from its memory layout" in done.err
    assert ": stm32f401xc, stm32f411xc fit" in done.err
    assert dfurun("info", "--sim", "--sim-chip", "stm32f411xc", *VIRTUAL, "--chip", "stm32f411xc").exit == 0


def test_a_board_that_lets_nothing_be_read_has_to_be_named(dfurun: Dfurun) -> None:
    dfurun("sim", "new", "board.json", "--chip", "stm32f405xg")
    dfurun("sim", "protect", "board.json", "1")
    done = dfurun("info", "--sim-state", "board.json", *VIRTUAL)
    assert "stm32f205xg, stm32f405xg, stm32f412xg, stm32f413xg fit" in done.err
    assert dfurun("info", "--sim-state", "board.json", *VIRTUAL, "--chip", "stm32f405xg").exit != 2
