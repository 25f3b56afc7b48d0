"""`dfurun plan`: what people and programs read of it, and a run that is held to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from command_line import ROOT, Dfurun
from jsonschema import Draft7Validator

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.simulator import SimulatedBackend, SimulatedBoard, StateFile

SCHEMA: Any = json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))
OPTIONS = ("--sim-state", "board.json")
CHANGED = """\
dfurun: 1
name: bench
chip: stm32f072xb
images:
  application: {file: firmware/f072-blinky.hex}
steps:
  - connect
  - write: {image: application, mode: changed}
  - verify: {image: application}
"""


@pytest.fixture
def bench(dfurun: Dfurun, tmp_path: Path, recipes: Path) -> Dfurun:
    """The shipped recipes beside a board with old firmware and cleared boot bits; the command line runs there."""
    shutil.copytree(recipes, tmp_path / "recipes")
    Path("old.bin").write_bytes(b"old firmware" * 700)
    Path("recipes/bench.yaml").write_text(CHANGED, encoding="utf-8")
    assert dfurun("sim", "new", "board.json").exit == 0
    assert dfurun("sim", "load", "board.json", "old.bin").exit == 0
    assert dfurun("sim", "set-option-bytes", "board.json", "nBOOT0=0", "BOOT_SEL=0").exit == 0
    return dfurun


def plan_of(done: Any) -> dict[str, Any]:
    return next(line for line in done.lines if line["event"] == "plan")


def test_a_plan_of_no_board_says_what_it_cannot_know(bench: Dfurun) -> None:
    done = bench("plan", "recipes/f072-release.yaml")
    assert done.exit == 0
    assert "no board was looked at" in done.out
    assert "BOOT_SEL ? -> 1" in done.out
    assert "lost: whatever is in the flash" in " ".join(done.out.split())
    assert "0x08000000  WWw---" in done.out


def test_a_plan_over_a_board_tells_what_it_holds_and_loses_and_changes_nothing(bench: Dfurun) -> None:
    before = Path("board.json").read_text(encoding="utf-8")
    done = bench("plan", "recipes/f072-release.yaml", "--live", *OPTIONS)
    assert done.exit == 0
    assert "what 5 pages hold (10 KiB)" in done.out
    assert "BOOT0 low       starts the bootloader -> the application in main flash" in done.out
    assert "AA55 7788" in done.out
    held = [json.loads(text) for text in (before, Path("board.json").read_text(encoding="utf-8"))]
    assert held[0]["flash"] == held[1]["flash"]
    assert held[0]["option_bytes"] == held[1]["option_bytes"]


@pytest.mark.parametrize("options", [("--live",), ("--live", "--port", "1-1"), ("--port", "1-1")])
def test_a_plan_is_made_over_the_board_on_the_computers_own_bus(
    bench: Dfurun, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    board = SimulatedBoard(load_chip("stm32f072xb"), VirtualClock())
    monkeypatch.setattr("dfurun.usb.libusb.find_backend", lambda: SimulatedBackend([board]))
    done = bench("plan", "recipes/bench.yaml", *options)
    assert done.exit == 0, done.err
    assert "the board at port 1-1, unique id" in done.out


@pytest.mark.parametrize("options", [(), OPTIONS], ids=["no board", "a board"])
@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "recipes").glob("f072-*.yaml")))
def test_a_plan_in_json_has_the_shape_of_its_schema(bench: Dfurun, name: str, options: tuple[str, ...]) -> None:
    done = bench("plan", f"recipes/{name}", "--json", "-o", "plan.json", *options)
    assert done.exit in (0, 1)
    saved = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    assert not list(Draft7Validator(SCHEMA).iter_errors(saved))
    assert {"event": "plan", **saved} == plan_of(done)


def test_the_status_says_whether_there_is_anything_to_do(bench: Dfurun) -> None:
    recipe = "recipes/bench.yaml"
    assert bench("plan", recipe, *OPTIONS).exit == 0
    assert bench("plan", recipe, *OPTIONS, "--exit-code").exit == 10
    assert bench(recipe, *OPTIONS, "--sim-clock", "virtual").exit == 0
    done = bench("plan", recipe, *OPTIONS, "--exit-code")
    assert done.exit == 0
    assert "nothing to do: the board holds all of it already" in done.out


def test_what_the_board_refuses_is_refused_in_the_plan(bench: Dfurun) -> None:
    bench("sim", "set-option-bytes", "board.json", "WRP0=0xFE")
    done = bench("plan", "recipes/f072-release.yaml", *OPTIONS)
    assert done.exit == 6
    assert "REFUSED" in done.out
    assert "is write-protected" in " ".join(done.out.split())
    assert "this run would not succeed" in done.out
    run = bench("recipes/f072-release.yaml", *OPTIONS, "--sim-clock", "virtual")
    assert run.exit == 6


def test_what_would_fail_fails_in_the_plan(bench: Dfurun) -> None:
    writing = "  - write: {image: application, mode: changed}\n"
    Path("recipes/look.yaml").write_text(CHANGED.replace(writing, ""), encoding="utf-8")
    done = bench("plan", "recipes/look.yaml", *OPTIONS)
    assert done.exit == 1
    assert "the flash holds something else than application" in " ".join(done.out.split())
    assert bench("recipes/look.yaml", *OPTIONS, "--sim-clock", "virtual").exit == 1


def test_another_board_than_the_recipe_expects_has_no_plan(bench: Dfurun) -> None:
    text = Path("recipes/bench.yaml").read_text(encoding="utf-8")
    Path("recipes/other.yaml").write_text(f"{text}expect: {{flash-size: 64K}}\n", encoding="utf-8")
    done = bench("plan", "recipes/other.yaml", *OPTIONS)
    assert done.exit == 6
    assert "expectation" in done.codes


class TestARunThatIsHeldToItsPlan:
    @pytest.fixture
    def planned(self, bench: Dfurun) -> Dfurun:
        assert bench("plan", "recipes/bench.yaml", *OPTIONS, "-o", "plan.json").exit == 0
        return bench

    def run(self, dfurun: Dfurun) -> Any:
        return dfurun("recipes/bench.yaml", *OPTIONS, "--sim-clock", "virtual", "--plan", "plan.json")

    def test_passes_where_all_is_as_it_was_reviewed(self, planned: Dfurun) -> None:
        assert self.run(planned).exit == 0

    def test_is_refused_another_recipe(self, planned: Dfurun) -> None:
        Path("recipes/bench.yaml").write_text(CHANGED.replace("bench", "desk"), encoding="utf-8")
        done = self.run(planned)
        assert (done.exit, done.codes & {"plan-differs"}) == (6, {"plan-differs"})
        assert "is not the recipe that was planned" in done.err

    def test_is_refused_another_image(self, planned: Dfurun) -> None:
        image = Path("recipes/firmware/f072-blinky.hex")
        image.write_bytes(image.read_bytes().replace(b"\r\n", b"\n"))
        done = self.run(planned)
        assert done.exit == 6
        assert "image `application` is not the one that was planned" in done.err

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (("load", "board.json", "recipes/firmware/f072-blinky.hex"), "flash holds something else"),
            (("set-option-bytes", "board.json", "nRST_STOP=0"), "its option bytes: "),
            (
                ("protect", "board.json", "1"),
                "its read protection: not protected when the plan was made, read-protected now",
            ),
        ],
    )
    def test_is_refused_a_board_that_holds_something_else(
        self, planned: Dfurun, change: tuple[str, ...], words: str
    ) -> None:
        assert planned("sim", *change).exit == 0
        flash = json.loads(Path("board.json").read_text(encoding="utf-8"))["flash"]
        done = self.run(planned)
        assert done.exit == 6
        assert words in " ".join(done.err.split())
        assert json.loads(Path("board.json").read_text(encoding="utf-8"))["flash"] == flash

    def test_is_refused_another_board(self, planned: Dfurun) -> None:
        other = SimulatedBoard(load_chip("stm32f072xb"), VirtualClock(), unique_id=bytes(range(12)))
        StateFile(Path("board.json")).keep(other)
        done = self.run(planned)
        assert done.exit == 6
        assert "its unique id: " in " ".join(done.err.split())

    def test_passes_in_spite_of_an_upload_that_lies_once(self, planned: Dfurun) -> None:
        done = planned("recipes/bench.yaml", *OPTIONS, "--sim-clock", "virtual", "--plan", "plan.json",
                       "--sim-fault", "corrupt-upload:skip=5,count=1")  # fmt: skip
        assert done.exit == 0, done.err

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": 2}', '{"plan": 1}', "[" * 5000])
    def test_is_refused_a_file_that_is_no_plan(self, planned: Dfurun, text: str) -> None:
        Path("plan.json").write_text(text, encoding="utf-8")
        done = self.run(planned)
        assert (done.exit, done.codes & {"plan-unreadable"}) == (3, {"plan-unreadable"})

    def test_of_no_board_takes_any(self, planned: Dfurun) -> None:
        assert planned("plan", "recipes/bench.yaml", "-o", "plan.json").exit == 0
        planned("sim", "load", "board.json", "recipes/firmware/f072-blinky.hex")
        assert self.run(planned).exit == 0


def test_no_other_file_is_overwritten(bench: Dfurun) -> None:
    for option in ("-o", "--svg"):
        before = Path("recipes/bench.yaml").read_bytes()
        done = bench("plan", "recipes/bench.yaml", option, "recipes/bench.yaml")
        assert (done.exit, done.codes & {"file-exists"}) == (6, {"file-exists"})
        assert Path("recipes/bench.yaml").read_bytes() == before
        assert bench("plan", "recipes/bench.yaml", option, "made").exit == 0
        assert bench("plan", "recipes/bench.yaml", option, "made").exit == 0
        Path("made").unlink()


@pytest.mark.parametrize(
    ("option", "text"),
    [("-o", '{"plan": "of the house"}'), ("--svg", '<svg xmlns="http://www.w3.org/2000/svg"/>')],
)
def test_a_file_that_only_looks_like_an_older_one_is_not_overwritten(bench: Dfurun, option: str, text: str) -> None:
    Path("mine").write_text(text, encoding="utf-8")
    done = bench("plan", "recipes/bench.yaml", option, "mine")
    assert (done.exit, done.codes & {"file-exists"}) == (6, {"file-exists"})
    assert Path("mine").read_text(encoding="utf-8") == text


def test_the_map_as_a_picture_has_a_mark_a_page(bench: Dfurun) -> None:
    assert bench("plan", "recipes/f072-release.yaml", "--svg", "map.svg").exit == 0
    root = ElementTree.parse("map.svg").getroot()
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 64
    assert titles[0] == "page 0, 0x08000000: written"
    assert titles[63] == "page 63, 0x0801F800: erased, blank at the end"


def test_the_picture_in_the_documents_is_what_the_command_makes(bench: Dfurun) -> None:
    assert bench("plan", "recipes/f072-release.yaml", "--svg", "map.svg").exit == 0
    assert Path("map.svg").read_text(encoding="utf-8") == (ROOT / "docs/pictures/f072-release.svg").read_text(
        encoding="utf-8"
    )


def test_large_sectors_have_as_many_marks_as_they_are_long(bench: Dfurun) -> None:
    done = bench("plan", "recipes/f405-release.yaml")
    assert "flash, a mark is 16 KiB" in done.out
    assert f"0x08000000  w{'.' * 63}\n" in done.out
