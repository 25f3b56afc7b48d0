"""What is sent in a block, and in which order, where a ROM or a chip takes the other way for an accident: seen in the trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chip_bench import Place
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.chips.index import entries
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile

BLOCK = re.compile(r" DNLOAD +wValue=(\d+) wLength=(\d+)")
ADDRESS = re.compile(r" operation Set Address 0x([0-9A-F]{8})")
FIRST_DATA_BLOCK = 2  # AN3156: blocks 0 and 1 are commands and reserved
LONG_BYTES, WHOLE_BYTES = 256, 8
ODD_BLOCKS = [
    (name, version)
    for name in (entry.names[0] for entry in entries())
    for version in load_chip(name).identity.bootloader_versions
    if "odd-block-spoiled" in load_chip(name).rom_of(version).errata
]
TWO_BLOCKS = [entry.names[0] for entry in entries() if len(load_chip(entry.names[0]).option_bytes.blocks) > 1]


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    return Place(dfurun, tmp_path, load_chip(name))


def traced(place: Place, *steps: str, keys: tuple[str, ...] = ()) -> list[tuple[int, int]]:
    """Run these steps; return address and length of each block that was sent, blocks in a row at the address of the first."""
    place.write(*steps, keys=keys)
    log = place.folder / "trace.txt"
    log.unlink(missing_ok=True)
    done = place.dfurun(place.recipe, "--sim-state", place.board, "--sim-clock", "virtual", "--log", log)
    assert done.exit == 0, done.err
    blocks, address = [], 0
    for line in log.read_text(encoding="utf-8").splitlines():
        if found := ADDRESS.search(line):
            address = int(found[1], 16)
        elif (found := BLOCK.search(line)) and int(found[1]) >= FIRST_DATA_BLOCK and int(found[2]):
            blocks.append((address, int(found[2])))
    return blocks


@pytest.mark.parametrize(("name", "version"), ODD_BLOCKS)
def test_no_block_is_sent_that_the_bootloader_of_an_l43x_or_l47x_spoils(place: Place, version: int) -> None:
    """AN2606: a block that is longer than 256 bytes and no multiple of 8 is written wrong."""
    sent: list[int] = []
    for length in (257, 263, 1025, 2049, 2048 + 261, 4096 + 1023):
        (place.folder / "app.bin").write_bytes((place.image * 2)[:length])
        for start in (b"", bytes(range(1, 251)) * 40):
            board = SimulatedBoard(
                place.chip, VirtualClock(), flash=start, option_bytes=place.reachable(), bootloader_id=version
            )
            StateFile(place.board).keep(board)
            how = ("write: {image: app, mode: changed}",) if start else ("mass-erase", "write: {image: app}")
            sent += [size for _, size in traced(place, *how, "verify: {image: app}")]
    assert [size for size in sent if size > LONG_BYTES and size % WHOLE_BYTES] == []
    assert any(size > LONG_BYTES and size % 256 for size in sent), "there were long blocks of no round length"


def test_the_l43x_and_the_l47x_are_among_them() -> None:
    assert {name[:8] for name, _ in ODD_BLOCKS} >= {"stm32l43", "stm32l47"}


@pytest.mark.parametrize("name", [name for name in TWO_BLOCKS if "SPRMOD" in load_chip(name).option_bytes.fields])
def test_the_block_that_turns_write_protection_into_pcrop_is_sent_last(place: Place) -> None:
    """Sent first, it would turn the 1 bits of the other bank, which protect nothing, into PCROP, which only grows."""
    layout = place.chip.option_bytes
    place.make()
    step = "set-option-bytes: {fields: {SPRMOD: 1, nWRP: 0, nWRP_bank2: 1}}"
    sent = traced(place, step, keys=("allow: [pcrop]",))
    assert [address for address, _ in sent] == [layout.blocks[1].start, layout.blocks[0].start]
    fields = layout.decode(place.state.option_bytes.stored)
    assert (fields["SPRMOD"], fields["nWRP"], fields["nWRP_bank2"]) == (1, 0, 1)


@pytest.mark.parametrize("name", TWO_BLOCKS)
def test_what_turns_write_protection_round_is_in_the_block_with_rdp_which_is_the_last(name: str) -> None:
    layout = load_chip(name).option_bytes
    turns = getattr(layout.write_protection, "inverted_by", None)
    assert turns is None or layout.blocks_with_last(turns) == layout.blocks_with_last("RDP")
