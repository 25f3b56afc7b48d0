"""Descriptors and standard requests. # Ref: USB 2.0 sections 9.4 and 9.6; DFU 1.1 section 4.2; lsusb listings of ST's ROMs."""

from __future__ import annotations

import pytest
from simulated_bench import Bench

from dfurun.simulator.transfer import Setup, Stall


def get(bench: Bench, kind: int, index: int = 0, length: int = 255) -> bytes:
    return bench.board.control(Setup(0x80, 6, kind << 8 | index, 0, length))


def test_the_device_descriptor_is_the_roms(bench: Bench) -> None:
    assert get(bench, 1).hex(" ") == "12 01 00 01 00 00 00 40 83 04 11 df 00 22 01 02 03 01"


def test_the_configuration_has_one_interface_two_alternates_and_one_functional_descriptor_at_the_end(
    bench: Bench,
) -> None:
    assert get(bench, 2).hex(" ") == " ".join(
        [
            "09 02 24 00 01 01 00 c0 32",
            "09 04 00 00 00 fe 01 02 04",
            "09 04 00 01 00 fe 01 02 05",
            "09 21 0b ff 00 00 08 1a 01",
        ]
    )


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (1, "STMicroelectronics"),
        (2, "STM32  BOOTLOADER"),
        (3, "FFFFFFFEFFFF"),
        (4, "@Internal Flash  /0x08000000/064*0002Kg"),
        (5, "@Option Bytes  /0x1FFFF800/01*016 e"),
    ],
)
def test_the_strings_are_the_roms_blanks_and_all(bench: Bench, index: int, text: str) -> None:
    raw = get(bench, 3, index)
    assert raw[0] == len(raw) == 2 + 2 * len(text)
    assert raw[2:].decode("utf-16-le") == text


def test_string_zero_lists_us_english_and_string_six_does_not_exist(bench: Bench) -> None:
    assert get(bench, 3, 0).hex(" ") == "04 03 09 04"
    with pytest.raises(Stall):
        get(bench, 3, 6)


def test_a_descriptor_is_cut_to_what_was_asked_for(bench: Bench) -> None:
    """USB 2.0 section 9.4.3."""
    assert len(get(bench, 1, length=8)) == 8
    assert get(bench, 2, length=9)[2] == 36


def test_the_functional_descriptor_can_be_asked_for_alone(bench: Bench) -> None:
    assert get(bench, 0x21).hex(" ") == "09 21 0b ff 00 00 08 1a 01"


def test_the_device_is_configured_and_the_alternate_setting_can_be_chosen(bench: Bench) -> None:
    control = bench.board.control
    assert control(Setup(0x80, 8, 0, 0, 1)) == b"\x01"
    control(Setup(0x01, 11, 1, 0, 0))
    assert control(Setup(0x81, 10, 0, 0, 1)) == b"\x01"
    control(Setup(0x00, 9, 1, 0, 0))
    assert control(Setup(0x81, 10, 0, 0, 1)) == b"\x00"
    assert control(Setup(0x80, 0, 0, 0, 2)) == b"\x01\x00"
    assert control(Setup(0x82, 0, 0, 0, 2)) == b"\x00\x00"


@pytest.mark.parametrize(
    "setup",
    [
        Setup(0x01, 11, 2, 0, 0),
        Setup(0x01, 11, 0, 1, 0),
        Setup(0x00, 9, 2, 0, 0),
        Setup(0x80, 6, 0x0600, 0, 10),
        Setup(0x80, 6, 0x0201, 0, 9),
        Setup(0x00, 7, 0x0100, 0, 0),
        Setup(0x40, 1, 0, 0, 0),
        Setup(0x20, 1, 0, 0, 0),
    ],
    ids=str,
)
def test_what_the_device_does_not_know_stalls_and_leaves_the_bootloader_alone(bench: Bench, setup: Setup) -> None:
    with pytest.raises(Stall):
        bench.board.control(setup)
    assert bench.status().state.name == "IDLE"
