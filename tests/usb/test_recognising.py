"""Which chip a board is taken for: by its layout, then a serial number that a kind shares, then the bootloader's id."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Dfurun, Finished

from dfurun.chips import load_chip
from dfurun.cli import bench, info
from dfurun.dfuse.link import AlternateSetting, DeviceDescription
from dfurun.dfuse.protocol import FunctionalDescriptor
from dfurun.usb.recognise import chips_like

VIRTUAL = ("--sim-clock", "virtual")
SIMULATED = (
    "stm32f042x6", "stm32f072xb", "stm32f303xc", "stm32f405xg", "stm32f427xi", "stm32f722xe", "stm32l072xz", "stm32l476xg",
    "stm32g431xb", "stm32g0b1xb", "stm32h743xi", "stm32wb55xg", "stm32u575xi",
)  # fmt: skip


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


def info_of(dfurun: Dfurun, name: str, *words: str, level: int = 0) -> Finished:
    """Return what `info` says of a board in a file, of which it is told nothing but that."""
    dfurun("sim", "new", "board.json", "--chip", name)
    dfurun("sim", "protect", "board.json", str(level))
    return dfurun("info", "--sim-state", "board.json", *VIRTUAL, *words)


def test_what_the_bootloader_id_leaves_open_is_told_as_far_as_the_chips_agree(dfurun: Dfurun) -> None:
    """Both have a bootloader V13.0, at one address; the F205 and the F446 of this layout are ruled out."""
    done = info_of(dfurun, "stm32f411xc")
    assert done.exit == 0
    assert (
        "STM32F401xC or STM32F411xC, which it does not tell: its memory layout fits each; --chip says which" in done.out
    )
    assert "bootloader      V13.0 (id 0xD0)" in done.out
    assert "SPRMOD " in done.out, "both call their option bytes alike"
    assert "BOOT0 high      starts the bootloader" in done.out
    told = info_of(dfurun, "stm32f411xc", "--json").lines[1]
    assert (told["chip"], told["chips"]) == (None, ["stm32f401xc", "stm32f411xc"])
    assert dfurun("info", "--sim-state", "board.json", *VIRTUAL, "-q").out == (
        "1-1: STM32F401xC or STM32F411xC, not protected\n"
    )
    named = info_of(dfurun, "stm32f411xc", "--chip", "stm32f411xc", "--json").lines[1]
    assert (named["chip"], named["chips"]) == ("stm32f411xc", ["stm32f411xc"])


def test_option_bytes_that_the_chips_call_differently_are_shown_raw(dfurun: Dfurun) -> None:
    done = info_of(dfurun, "stm32l452xc")
    assert done.exit == 0
    assert "STM32L452xC or STM32L476xC" in done.out
    assert "option bytes    +0   AAF8 EFFF 5507 1000" in done.out
    assert "--chip shows them by name" in done.out
    assert "nSWBOOT0" not in done.out
    assert "BOOT0 low" not in done.out
    told = dfurun("info", "--sim-state", "board.json", *VIRTUAL, "--json").lines[1]
    assert told["option_bytes"]["raw"].startswith("aaf8efff")
    assert (told["option_bytes"]["fields"], told["boots"]) == (None, {})
    assert "nSWBOOT0" in info_of(dfurun, "stm32l452xc", "--chip", "stm32l452xc").out


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("stm32f303xc", "STM32F373xC or STM32F303xC"),
        ("stm32f405xg", "STM32F205xG, STM32F405xG, STM32F412xG or STM32F413xG"),
        ("stm32f427xi", "STM32F427xI or STM32F469xI"),
        ("stm32l476xg", "STM32L476xG or STM32L496xG"),
        ("stm32u575xi", "STM32U575xI, STM32U5A5xI or STM32U5F7xI"),
    ],
)
def test_a_protected_board_is_told_to_be_so_whichever_chip_it_is(dfurun: Dfurun, name: str, titles: str) -> None:
    """It lets nothing be read that would tell, and it is the board of which somebody has to know that it is protected."""
    done = info_of(dfurun, name, level=1)
    assert done.exit == 0, done.err
    assert f"chip            {titles}, which it does not tell" in done.out
    assert "protection      read-protected" in done.out
    assert "Get Commands: answered" in done.out


def test_what_needs_the_chip_needs_it_named(dfurun: Dfurun) -> None:
    for done in (
        info_of(dfurun, "stm32f411xc", "--token"),
        dfurun("read", "-o", "flash.bin", "--sim-state", "board.json", *VIRTUAL),
    ):
        assert (done.exit, done.codes) == (6, {"expectation"})
        assert "cannot be told from its memory layout" in done.err
        assert ": stm32f401xc, stm32f411xc fit" in done.err
        assert "name it with --chip" in done.err


@pytest.mark.parametrize("name", ["stm32f411xc", "stm32wb35xc", "stm32wb30xe", "stm32f048x6"])
def test_a_simulated_board_of_a_chip_that_was_named_is_of_that_chip(dfurun: Dfurun, name: str) -> None:
    board = ("--sim", *VIRTUAL)
    told = dfurun("info", *board, "--sim-chip", name)
    assert f"chip            {load_chip(name).title}, as --sim-chip names it; its memory layout fits\n" in told.out
    assert dfurun("read", "-o", "flash.bin", *board, "--sim-chip", name).exit == 0


@pytest.mark.parametrize("name", SIMULATED)
def test_info_takes_the_chip_of_a_simulated_board_as_a_word(dfurun: Dfurun, name: str) -> None:
    done = dfurun("info", "--sim", name, *VIRTUAL)
    assert done.exit == 0, done.err
    chip = load_chip(name)
    assert f"\nchip            {chip.title}, as the command names it; its memory layout fits\n" in done.out
    assert chip.usb.alternates[0] in done.out
    assert all(f"\n{field} " in done.out for field in chip.option_bytes.fields)
    assert "\nBOOT0 low       starts " in done.out
    assert (
        dfurun("info", "--sim", "--chip", name, *VIRTUAL, "-q").out == dfurun("info", "--sim", name, *VIRTUAL, "-q").out
    )


def test_a_chip_is_named_once(dfurun: Dfurun) -> None:
    done = dfurun("info", "--sim", "f042k6", "--chip", "f072cb", *VIRTUAL)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "`f042k6` and --chip f072cb both name the chip" in done.err
    done = dfurun("info", "--sim", "f042k6", "--sim-chip", "f072cb", *VIRTUAL)
    assert (done.exit, done.codes) == (6, {"expectation"})
    assert "the command names STM32F042x6 with 32 KiB, the board tells 128 KiB" in done.err


def test_an_empty_board_whose_pin_counts_for_nothing_is_told_what_flashing_it_means(dfurun: Dfurun) -> None:
    """A G0 leaves the factory with nBOOT_SEL at 1: BOOT0 is ignored, and only its empty flash starts the bootloader."""
    ignored = "once it is flashed, BOOT0 high does not start the bootloader with these option bytes"
    assert ignored in dfurun("info", "--sim", "g0b1cb", *VIRTUAL).out
    assert ignored not in dfurun("info", "--sim", "f042k6", *VIRTUAL).out


def test_a_predicted_layout_is_said_to_be_one_of_a_simulated_board_alone(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real board tells its own."""
    predicted = "(as dfurun predicts it: no log of such a board is known to it)"
    assert predicted in dfurun("info", "--sim", "l476rg", *VIRTUAL).out
    assert predicted not in dfurun("info", "--sim", "f072cb", *VIRTUAL).out
    monkeypatch.setattr(info, "set_up", lambda *given, **named: replace(bench.set_up(*given, **named), simulated=False))
    assert predicted not in dfurun("info", "--sim", "l476rg", *VIRTUAL).out


def test_long_option_bytes_are_shown_in_rows_with_their_offsets(dfurun: Dfurun, tmp_path: Path) -> None:
    """The field BOOT_ADD0 is at +36: it is found in the row of +32. A change shows the rows that differ, short ones whole."""
    shown = dfurun("info", "--sim", "h743zi", *VIRTUAL).out
    assert "\noption bytes    +0   F0AA C61B F0AA C61B 0000 0000 FF00 0000\n" in shown
    assert "\n                +32  FF00 0000 0008 F01F 0008 F01F 0000 0000\n" in shown
    assert "\n                +112 " in shown
    assert "\noption bytes    AA55 FF00 FF00 FF00" in dfurun("info", "--sim", "f072cb", *VIRTUAL).out
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "dfurun: 1\nname: t\nchip: stm32g431xb\nsteps: [connect, {set-option-bytes: {fields: {nRST_STDBY: 0}}}]\n"
    )
    told = dfurun(recipe, "--sim", *VIRTUAL)
    assert "    before +0   AAF8 EFFF 5507 1000 FFFF FFFF 0000 0000\n    after  +0   AAD8 EFFF 5527 1000" in told.err
    assert "+16" not in told.err
    (planned,) = [line for line in dfurun(recipe, "--sim", *VIRTUAL, "--json").lines if "boots_after" in line]
    assert len(bytes.fromhex(planned["after"])) == 40, "a tool gets all of them"
