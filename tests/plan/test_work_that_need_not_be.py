"""Of what is blank already, or there already, nothing is done; and the plan knows it to the transfer."""

from __future__ import annotations

from pathlib import Path

import pytest
from chip_bench import every_kind
from command_line import Dfurun
from intelhex import IntelHex
from test_plan_and_run_agree import Agreeing, compare

from dfurun.chips import load_chip
from dfurun.plan.cost import Meter
from dfurun.steps.blank import read_acts
from dfurun.units import AddressRange

SET_ADDRESS, ABORT = 3, 1  # transfers


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path, name: str) -> Agreeing:
    return Agreeing(dfurun, tmp_path, load_chip(name))


def spotted(place: Agreeing) -> tuple[bytes, list[int]]:
    """Return contents that are blank but for two pages of the image, marked in the last and in the second block; and those."""
    flash, size = place.chip.flash, place.chip.usb.transfer_size_bytes
    last = max(flash.pages_of(type(flash.extent)(flash.extent.start, len(place.image))))
    contents = bytearray([flash.erased]) * flash.extent.size_bytes
    first_mark = flash.page(0).size_bytes - 1
    second_mark = flash.page(last).start - flash.extent.start + min(size, flash.page(last).size_bytes - 1)
    for mark in (first_mark, second_mark):
        contents[mark] ^= 0x81
    return bytes(contents), sorted({0, last})


@every_kind
def test_only_pages_that_are_not_blank_are_erased(place: Agreeing) -> None:
    contents, marked = spotted(place)
    place.make(flash=contents)
    both = compare(place, "erase: {image: app, mode: needed}", "write: {image: app}", "verify: {image: app}")
    assert both["plan"]["transfers"] == both["unit"]["transfers"]
    erased = [page for page, times in enumerate(place.state.flash.erase_counts) if times]
    assert erased == marked
    assert place.state.flash.contents.startswith(place.image)


@every_kind
@pytest.mark.parametrize("held", ["nothing", "two marks"])
def test_what_changes_is_erased_also_where_it_reads_blank(place: Agreeing, held: str) -> None:
    place.make(flash=spotted(place)[0] if held == "two marks" else bytes([place.chip.flash.erased]))
    both = compare(place, "write: {image: app, mode: changed}", "verify: {image: app}")
    assert both["plan"]["transfers"] == both["unit"]["transfers"]
    pages = list(place.chip.flash.pages_of(AddressRange(place.chip.flash.extent.start, len(place.image))))
    assert [page for page, times in enumerate(place.state.flash.erase_counts) if times] == pages


class Sparse(Agreeing):
    """A place whose image has a piece in the first page, in one in the middle and in the last."""

    def write(self, *steps: str, keys: tuple[str, ...] = ()) -> None:
        super().write(*steps, keys=keys)
        flash, hex_file = self.chip.flash, IntelHex()
        self.pages = sorted({0, flash.page_count // 2, flash.page_count - 1})
        for page in self.pages:
            hex_file.puts(flash.page(page).start, self.image[:64])
        hex_file.write_hex_file(str(self.folder / "app.hex"))
        text = self.recipe.read_text(encoding="utf-8")
        text = text.replace(f"app.bin, address: 0x{flash.extent.start:08X}", "app.hex")
        self.recipe.write_text(text, encoding="utf-8")


@every_kind
@pytest.mark.parametrize("mode", ["all", "needed"])
def test_pages_that_lie_apart_are_looked_at_under_one_address(
    dfurun: Dfurun, tmp_path: Path, name: str, mode: str
) -> None:
    place = Sparse(dfurun, tmp_path, load_chip(name))
    flash, whole = place.chip.flash, place.chip.usb.transfer_size_bytes
    place.make(flash=bytes([flash.erased]) * (flash.extent.size_bytes - 1) + b"\x5a")
    both = compare(place, f"erase: {{image: app, mode: {mode}}}", "write: {image: app}", "verify: {image: app}")
    assert both["plan"]["transfers"] == both["unit"]["transfers"]
    erased = [page for page, times in enumerate(place.state.flash.erase_counts) if times]
    assert erased == (place.pages if mode == "all" else place.pages[-1:])
    blocks = sum(-(-flash.page(page).size_bytes // whole) for page in place.pages)
    if all((flash.page(page).start - flash.extent.start) % whole == 0 for page in place.pages):
        transfers = Meter(place.chip).cost_of(read_acts(place.chip, place.pages)).transfers
        assert transfers == SET_ADDRESS + ABORT + blocks


@every_kind
@pytest.mark.parametrize("held", ["nothing", "old firmware", "one mark"])
@pytest.mark.parametrize(
    "steps",
    [
        ("erase: {image: app, mode: needed}", "write: {image: app}"),
        ("write: {image: app, mode: changed}",),
    ],
    ids=["needed", "changed"],
)
def test_of_no_board_a_plan_tells_the_most(place: Agreeing, held: str, steps: tuple[str, ...]) -> None:
    flash = place.chip.flash
    contents = {
        "nothing": bytes([flash.erased]),
        "old firmware": (bytes(range(1, 250)) * (flash.extent.size_bytes // 249 + 1))[: flash.extent.size_bytes],
        "one mark": spotted(place)[0],
    }[held]
    place.make(flash=contents)
    place.write(*steps, "verify: {image: app}")
    plan, unit = place.planned("--json"), place.ran()
    assert unit["exit_status"] == 0, unit
    assert unit["transfers"] <= plan["transfers"], "the plan of no board tells less than what may be"
