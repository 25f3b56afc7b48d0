"""A clone on the bus: every command says what it is, and none sends it anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.chips.clones import known_clones
from dfurun.cli import bench
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard

CHIP = load_chip("stm32f072xb")
GD32 = known_clones()[0]
OTHERS = {
    "vendor_id": GD32.vendor_id, "product_id": GD32.product_id, "product": GD32.product, "alternates": GD32.alternates
}  # fmt: skip
Plug = Callable[..., list[SimulatedBoard]]
BY_IDS = "GD32VF103 (GigaDevice)"
CLASS_REQUEST = 0x20  # of bmRequestType: what the bootloader itself serves
BY_PRODUCT = "a GD32 (GigaDevice)"


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Put boards that tell these things of themselves on the bench's bus; returns them."""

    def put(*tellings: dict[str, object]) -> list[SimulatedBoard]:
        clock = VirtualClock()
        boards = [
            SimulatedBoard(replace(CHIP, usb=replace(CHIP.usb, **telling)), clock, port=(port,))
            for port, telling in enumerate(tellings, 1)
        ]
        monkeypatch.setattr(bench, "_boards", lambda *_: boards)
        return boards

    return put


@pytest.mark.parametrize(
    ("telling", "name"), [(OTHERS, BY_IDS), ({"product": GD32.product}, BY_PRODUCT)], ids=["by ids", "by product"]
)
@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("info", "--chip", "stm32f072xb"),
        ("info", "--port", "1-1"),
        ("read", "-o", "flash.bin"),
        ("run", "blinky.yaml"),
    ],
)
def test_a_clone_is_refused_by_name_and_nothing_is_sent_to_it(
    dfurun: Dfurun, tmp_path: Path, plugged_in: Plug, telling: dict[str, object], name: str, words: tuple[str, ...]
) -> None:
    (board,) = plugged_in(telling)
    (tmp_path / "blinky.yaml").write_text("dfurun: 1\nname: Example\nchip: stm32f072xb\nsteps: [connect]\n")
    done = dfurun(*words, "--sim", "--sim-clock", "virtual")
    assert (done.exit, done.codes & {"clone"}) == (6, {"clone"})
    assert f"the device at 1-1 is {name}, and no STM32: it only looks like one" in done.err
    assert "nothing was sent to it" in done.err
    assert "use its vendor's tool" in done.err
    assert not [entry for entry in board.trace if entry.setup.request_type & 0x60 == CLASS_REQUEST]


def test_what_is_known_of_a_clone_is_told(dfurun: Dfurun, plugged_in: Plug) -> None:
    plugged_in(OTHERS)
    assert "known of it: a RISC-V chip; its layout is wrong: pages are 1 KiB" in dfurun("info", "--sim").err


def test_a_board_is_meant_where_a_clone_is_beside_it(dfurun: Dfurun, plugged_in: Plug) -> None:
    plugged_in(OTHERS, {})
    assert dfurun("info", "--sim", "-q").out == "1-2: STM32F072xB, not protected\n"
    assert "clone" in dfurun("info", "--sim", "--port", "1-1").codes


def test_devices_lists_clones_marked_and_counts_none_as_a_board(dfurun: Dfurun, plugged_in: Plug) -> None:
    plugged_in(OTHERS)
    done = dfurun("devices", "--sim")
    assert done.exit == 4
    assert "1-1       28e9:0189  GD32VF103 (GigaDevice), a clone: no STM32, not touched\n" in done.out
    assert "no board in DFU mode is on the bus" in done.err
    plugged_in({}, OTHERS, {"product": GD32.product})
    done = dfurun("devices", "--sim")
    assert done.exit == 0
    assert done.out.count(", a clone: no STM32, not touched") == 2
    assert dfurun("devices", "--sim", "-q").out == "1-1\n"
    clones = {line["port"]: line["clone"] for line in dfurun("devices", "--sim", "--json").lines[1:-1]}
    assert clones == {"1-1": None, "1-2": BY_IDS, "1-3": BY_PRODUCT}


def test_doctor_says_what_it_is_and_that_it_prevents_nothing(dfurun: Dfurun, plugged_in: Plug) -> None:
    plugged_in(OTHERS)
    done = dfurun("doctor", "--sim")
    assert "28e9:0189: GD32VF103 (GigaDevice), a clone and no STM32" in done.out
    assert "dfurun does not touch it: use its vendor's tool" in done.out
    assert "has ids that the chip data does not know" not in done.out
    assert "no board in DFU mode is on it" in done.out
