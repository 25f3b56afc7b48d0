"""set-option-bytes with pages to protect and with an image: what is set, on which guards, and what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun
from intelhex import IntelHex

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBoard, StateFile

CHIPS = {name: load_chip(name) for name in ("stm32f072xb", "stm32f405xg")}
OPTIONS = CHIPS["stm32f072xb"].option_bytes


class Place:
    """A folder with a board in it."""

    def __init__(self, dfurun: Dfurun, folder: Path) -> None:
        self.dfurun, self.folder, self.board = dfurun, folder, folder / "board.json"

    def run(self, chip: str, step: str, *images: str, steps: tuple[str, ...] = ()) -> Any:
        lines = ["dfurun: 1", "name: t", f"chip: {chip}", *(["images:"] if images else []), *images, "steps:"]
        recipe = self.folder / "recipe.yaml"
        body = [f"  - {text}" for text in ("connect", *steps, step)]
        recipe.write_text("\n".join([*lines, *body]) + "\n", encoding="utf-8")
        StateFile(self.board).keep(SimulatedBoard(CHIPS[chip], VirtualClock()))
        return self.dfurun(recipe, "--sim-state", self.board, "--sim-clock", "virtual")

    @property
    def stored(self) -> bytes:
        return StateFile(self.board).load(VirtualClock()).option_bytes.stored

    def hex(self, *parts: tuple[int, bytes]) -> str:
        image = IntelHex()
        for address, data in parts:
            image.puts(address, data.decode("latin-1"))
        image.write_hex_file(str(self.folder / "app.hex"))
        return "  app: {file: app.hex}"


@pytest.fixture
def place(dfurun: Dfurun, tmp_path: Path) -> Place:
    return Place(dfurun, tmp_path)


@pytest.mark.parametrize(
    ("chip", "pages", "fields"),
    [
        ("stm32f072xb", "[{pages: 0-3}]", {"WRP0": 0xFC}),
        ("stm32f072xb", "[{pages: 62-63}, {pages: 14-17}]", {"WRP0": 0x7F, "WRP1": 0xFE, "WRP3": 0x7F}),
        ("stm32f405xg", "[{pages: 0}, {pages: 4-5}]", {"nWRP": 0xFCE}),
    ],
)
def test_pages_are_protected_by_their_numbers(place: Place, chip: str, pages: str, fields: dict[str, int]) -> None:
    done = place.run(chip, f"set-option-bytes: {{write-protect: {pages}}}")
    assert done.exit == 0
    layout = CHIPS[chip].option_bytes
    assert layout.decode(place.stored) == layout.decode(layout.factory) | fields
    shown = place.dfurun("info", "--sim-state", place.board)
    assert "write-protected" in shown.out


def test_what_is_shown_names_pages_as_a_recipe_does(place: Place) -> None:
    place.run("stm32f072xb", "set-option-bytes: {write-protect: [{pages: 62-63}, {pages: 0-3}]}")
    shown = place.dfurun("info", "--sim-state", place.board)
    assert "\nwrite-protected pages 0-3, 62-63\n" in shown.out
    told = next(
        line for line in place.dfurun("info", "--sim-state", place.board, "--json").lines if "option_bytes" in line
    )
    assert told["option_bytes"]["write_protected_pages"] == [0, 1, 2, 3, 62, 63]


def test_an_empty_list_protects_nothing(place: Place) -> None:
    place.run("stm32f072xb", "set-option-bytes: {write-protect: [{pages: 0-3}]}")
    recipe = place.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("[{pages: 0-3}]", "[]"), encoding="utf-8")
    assert place.dfurun(recipe, "--sim-state", place.board, "--sim-clock", "virtual").exit == 0
    assert place.stored == OPTIONS.factory


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("write-protect: [{pages: 0-2}]", "bad-value", "pages 2 to 3 are protected together, by bit 1 of WRP0"),
        ("write-protect: [{pages: 64}]", "outside-flash", "the flash has pages 0 to 63"),
        ("write-protect: [{pages: 3-0}]", "bad-value", "the first page is after the last"),
        ("write-protect: [{pages: 0-1}], fields: {WRP0: 0xFF}", "bad-value", "`write-protect` sets WRP0 as well"),
    ],
)
def test_what_cannot_be_protected_is_told_before_anything_is_sent(
    place: Place, body: str, code: str, words: str
) -> None:
    done = place.run("stm32f072xb", f"set-option-bytes: {{{body}}}")
    assert (done.exit, done.codes) == (3, {code})
    assert words in done.err


def test_the_option_bytes_in_an_image_are_set_and_what_it_does_not_hold_stays(place: Place) -> None:
    """Data bytes alone, as a build writes them: the hardware makes the complements."""
    image = place.hex((0x0800_0000, bytes(8)), (OPTIONS.address + 4, b"\x12"), (OPTIONS.address + 8, b"\xfe"))
    done = place.run("stm32f072xb", "set-option-bytes: {image: app}", image)
    assert done.exit == 0
    assert OPTIONS.decode(place.stored) == OPTIONS.decode(OPTIONS.factory) | {"DATA0": 0x12, "WRP0": 0xFE}
    assert "DATA0 0xFF -> 0x12" in done.err


def test_the_fields_of_a_step_override_an_image(place: Place) -> None:
    image = place.hex((OPTIONS.address + 4, b"\x12"))
    assert place.run("stm32f072xb", "set-option-bytes: {image: app, fields: {DATA0: 0x34}}", image).exit == 0
    assert OPTIONS.decode(place.stored)["DATA0"] == 0x34


def test_that_write_leaves_them_out_is_no_warning_where_a_step_sets_them(place: Place) -> None:
    table = CHIPS["stm32f072xb"].ram.end.to_bytes(4, "little") + (0x0800_0101).to_bytes(4, "little")
    image = place.hex((0x0800_0000, table), (OPTIONS.address + 4, b"\x12"))
    steps = ("mass-erase", "write: {image: app}", "verify: {image: app}")
    assert "option-bytes-in-image" in place.run("stm32f072xb", "connect", image, steps=steps).codes
    done = place.run("stm32f072xb", "set-option-bytes: {image: app}", image, steps=steps)
    assert (done.exit, "option-bytes-in-image" in done.codes) == (0, False)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("set-option-bytes: {image: app}", "RDP level 2 is for ever"),
        ("set-option-bytes: {image: app, fields: {RDP: level-0}}", ""),
    ],
)
def test_an_image_is_under_the_same_guards(place: Place, step: str, words: str) -> None:
    """fwupd#1222: option bytes come with an update, and nobody looked at them."""
    done = place.run("stm32f072xb", step, place.hex((OPTIONS.address, b"\xcc\x33")))
    assert (done.exit, done.codes - {"unpinned-image"}) == ((6, {"guard"}) if words else (0, set()))
    assert words in done.err
    assert place.stored == OPTIONS.factory


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ((0x0800_0000, bytes(8)), "app.hex holds no option bytes of STM32F072xB"),
        ((OPTIONS.address + 4, b"\x12\x12"), "option bytes whose complement does not fit, at +4"),
    ],
)
def test_an_image_without_sound_option_bytes_is_refused(place: Place, part: tuple[int, bytes], words: str) -> None:
    done = place.run("stm32f072xb", "set-option-bytes: {image: app}", place.hex(part))
    assert (done.exit, done.codes - {"unpinned-image"}) == (3, {"bad-value"})
    assert words in done.err
