"""What a run took out of the flash and could not put back, the next run at the same port puts back."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun, Finished

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile

CHIP = load_chip("stm32f072xb")
FLASH = CHIP.flash.extent.start
OWN = bytes(range(1, 251)) * 40  # what the board holds: no byte is erased
AT = 0x3C0  # the image lies in the middle of a page, and ends in the middle of the next
IMAGE = bytes(range(250, 0, -1)) * 8
MEANT = OWN[:AT] + IMAGE + OWN[AT + len(IMAGE) :]
RECIPE = f"""\
dfurun: 1
name: config beside the application
chip: stm32f072xb
images: {{app: {{file: app.bin, address: 0x{FLASH + AT:08X}}}}}
steps:
  - connect
  - write: {{image: app, mode: changed}}
  - verify: {{image: app}}
"""


class Place:
    """A folder with a recipe, and a board that holds data of its own beside the image."""

    def __init__(self, dfurun: Dfurun, folder: Path) -> None:
        self.dfurun, self.folder = dfurun, folder
        self.file, self.recipe = folder / "board.json", folder / "recipe.yaml"
        (folder / "app.bin").write_bytes(IMAGE)
        self.recipe.write_text(RECIPE, encoding="utf-8")
        self.put_in(bytes(12))

    def put_in(self, unique_id: bytes, contents: bytes = OWN) -> None:
        """Put another board at the port."""
        StateFile(self.file).keep(SimulatedBoard(CHIP, VirtualClock(), unique_id=unique_id, flash=contents))

    def run(self, *faults: str) -> Finished:
        given = [word for fault in faults for word in ("--sim-fault", fault)]
        return self.dfurun(self.recipe, "--sim-state", self.file, "--sim-clock", "virtual", *given)

    def power_cycle(self) -> None:
        assert self.dfurun("sim", "power-cycle", self.file, "--boot0", "1").exit == 0

    @property
    def contents(self) -> bytes:
        return StateFile(self.file).load(VirtualClock()).flash.contents[: len(OWN)]

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / "state").rglob("*.bin"))


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("DFURUN_STATE_DIR", str(tmp_path / "state"))
    return Place(dfurun, tmp_path)


def lost_at(place: Place, transfer: int) -> bool:
    """Lose the board for good at this transfer; say whether something of it is in a file now, and in no flash."""
    place.put_in(bytes(12))
    return place.run(f"vanish:at={transfer}").exit == 7 and bool(place.kept)


def first_loss(place: Place) -> int:
    return next(transfer for transfer in range(20, 200) if lost_at(place, transfer))


def test_wherever_the_board_is_lost_the_next_run_puts_all_of_it_right(place: Place) -> None:
    losses = 0
    for transfer in range(200):
        losses += lost_at(place, transfer)
        if place.contents == MEANT:
            break
        place.power_cycle()
        done = place.run()
        assert done.exit == 0, f"lost at {transfer}: {done.err}"
        assert place.contents == MEANT, f"lost at {transfer}"
        assert place.kept == [], f"lost at {transfer}: nothing is left to be put back"
    assert losses > 20


def test_what_was_kept_is_told_and_a_third_run_has_nothing_more_to_do(place: Place) -> None:
    first_loss(place)
    (kept,) = place.kept
    place.power_cycle()
    second = place.run()
    assert "an earlier run took 0x08000000..0x080007FF out of the flash and did not put it back" in second.err
    assert str(kept) in second.err
    third = place.run()
    assert "an earlier run took" not in third.err
    assert "all 2000 bytes are there already" in third.err


def test_a_second_run_that_is_lost_too_loses_nothing(place: Place) -> None:
    loss = first_loss(place)
    for again in range(loss, loss + 40, 3):
        place.power_cycle()
        place.run(f"vanish:at={again}")
    place.power_cycle()
    assert place.run().exit == 0
    assert place.contents == MEANT
    assert place.kept == []


def test_a_page_that_somebody_has_written_since_is_not_touched(place: Place) -> None:
    first_loss(place)
    (kept,) = place.kept
    board = StateFile(place.file).load(VirtualClock())
    since = b"written by another program".ljust(0x3C0, b"\x42")
    StateFile(place.file).keep(
        SimulatedBoard(CHIP, VirtualClock(), unique_id=bytes(12), flash=since + board.flash.contents[0x3C0:])
    )
    done = place.run()
    assert (done.exit, "kept-page" in done.codes) == (6, True)
    assert str(kept) in done.err
    assert "address: 0x08000000" in done.err
    assert place.contents[:0x3C0] == since
    kept.unlink()  # given up, as the hint says
    assert place.run().exit == 0
    assert place.contents == since + MEANT[0x3C0:0x800] + place.contents[0x800:]


def test_what_was_kept_is_put_back_by_hand_as_the_hint_says(place: Place) -> None:
    """The power went within the page's erase: what it holds cannot be told from what somebody wrote."""
    refused = next(done for skip in range(4) if (done := cut_in_erase(place, skip)).exit == 6)
    (kept,) = place.kept
    (place.folder / "kept.bin").write_bytes(kept.read_bytes())
    hand = RECIPE.replace("app.bin, address: 0x080003C0", f"kept.bin, address: 0x{int(kept.stem[-8:], 16):08X}")
    (place.folder / "hand.yaml").write_text(hand, encoding="utf-8")
    done = place.dfurun(place.folder / "hand.yaml", "--sim-state", place.file, "--sim-clock", "virtual")
    assert done.exit == 0, (refused.err, done.err)
    assert place.run().exit == 0
    assert place.contents == MEANT
    assert place.kept == []


def cut_in_erase(place: Place, skip: int) -> Finished:
    place.put_in(bytes(12))
    for file in place.kept:
        file.unlink()
    assert place.run(f"power-cut:for=erase,skip={skip}").exit in (0, 7)
    place.power_cycle()
    return place.run()


def test_what_was_kept_of_one_board_goes_into_no_other(place: Place) -> None:
    first_loss(place)
    kept = place.kept
    place.put_in(bytes(range(12)))
    done = place.run()
    assert done.exit == 0, done.err
    assert "an earlier run took" not in done.err
    assert place.contents == MEANT
    assert place.kept == kept, "it waits for its own board"


def test_a_recipe_that_erases_the_page_gives_it_up(place: Place) -> None:
    first_loss(place)
    place.power_cycle()
    place.recipe.write_text(RECIPE.replace("  - write", "  - mass-erase\n  - write"), encoding="utf-8")
    assert place.run().exit == 0
    assert place.contents == b"\xff" * AT + IMAGE + b"\xff" * (len(OWN) - AT - len(IMAGE))
    assert place.kept == []
