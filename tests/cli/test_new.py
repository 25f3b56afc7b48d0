"""`dfurun new`: a commented recipe for a chip and an image, or like an attached board, that passes `check` and `lint`."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from command_line import Dfurun, Finished
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import BootTarget, FieldValue, chip_names, load_chip
from dfurun.chips.part_number import stem_of
from dfurun.recipe import recipe_schema
from dfurun.recipe.document import read_document
from dfurun.recipe.first_fields import own_fields, starting_fields
from dfurun.recipe.scalars import resolve_plain
from dfurun.recipe.template import scalar

FIRMWARE = Path(__file__).parents[2] / "recipes" / "firmware"
VIRTUAL = ("--sim", "--sim-clock", "virtual")
# One of each line, in the first of its sizes.
CHIPS = list({stem_of(name): name for name in reversed(chip_names())}.values())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The firmware, in a folder of the project."""
    (tmp_path / "build").mkdir()
    return Path(shutil.copy(FIRMWARE / "f072-blinky.hex", tmp_path / "build" / "app.hex")).relative_to(tmp_path)


def written(path: str) -> dict[str, object]:
    values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def passes(dfurun: Dfurun, path: str) -> Finished:
    """Assert that a recipe has no finding at all, and flashes a new simulated board."""
    linted = dfurun("lint", path)
    assert (linted.exit, linted.out) == (0, f"{path}: ok\n")
    done = dfurun(path, *VIRTUAL)
    assert done.exit == 0, done.err
    return done


def test_a_new_recipe_says_all_that_a_reviewer_wants_to_see(dfurun: Dfurun, image: Path) -> None:
    done = dfurun("new", "--chip", "STM32F072CBT6", "--image", image, "-o", "board.yaml")
    assert (done.exit, done.err) == (0, "")
    assert done.out.startswith("board.yaml: a recipe for STM32F072xB; `dfurun board.yaml --sim` tries it\n")
    assert written("board.yaml") == {
        "dfurun": 1,
        "requires": ">=0.1",
        "name": "STM32F072xB app",
        "chip": "stm32f072xb",
        "expect": {"flash-size": "128K"},
        "images": {
            "application": {
                "file": "build/app.hex",
                "sha256": "4ef148ec303450ecf5019dc9c8cdaa9efa3fa05e3ae018d628f7fb7cbd8bf5f7",
            }
        },
        "steps": [
            {"connect": {"timeout": "10s"}},
            "mass-erase",
            {"write": {"image": "application"}},
            {"verify": {"image": "application"}},
            {"set-option-bytes": {"fields": {"nBOOT0": 1, "nBOOT1": 1, "BOOT_SEL": 1}}},
            "leave-dfu",
        ],
    }
    passes(dfurun, "board.yaml")


def test_its_comments_are_the_schemas_own_words(dfurun: Dfurun, image: Path) -> None:
    text = dfurun("new", "--chip", "f072cb", "--image", image).out
    assert text.startswith("# yaml-language-server: $schema=recipe.schema.json\n# How a product's board is flashed")
    words = " ".join(line.strip().removeprefix("#").strip() for line in text.splitlines() if "# " in line)
    keys = recipe_schema()["properties"]
    for described in (keys["chip"], keys["expect"], keys["steps"]["items"]["properties"]["verify"]):
        assert described["description"] in words
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("folder", ["recipes", "recipes/products"])
def test_the_image_and_the_schema_are_named_from_where_the_recipe_is(
    dfurun: Dfurun, image: Path, tmp_path: Path, folder: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "recipe.schema.json").write_text("{}")
    Path(folder).mkdir(parents=True)
    path = f"{folder}/board.yaml"
    done = dfurun("new", "--chip", "f072cb", "--image", image, "-o", path)
    assert (done.exit, "dfurun schema" in done.out) == (0, False)
    up = "../" * (folder.count("/") + 1)
    assert (
        Path(path)
        .read_text(encoding="utf-8")
        .startswith(f"# yaml-language-server: $schema={up}schemas/recipe.schema.json\n")
    )
    assert written(path)["images"]["application"]["file"] == f"{up}build/app.hex"  # type: ignore[index]


def test_a_folder_that_is_not_there_is_not_made(dfurun: Dfurun, image: Path) -> None:
    done = dfurun("new", "--chip", "f072cb", "--image", image, "-o", "recipies/board.yaml")
    assert (done.exit, done.codes, Path("recipies").exists()) == (2, {"usage"}, False)


def test_the_commands_that_it_names_can_be_typed_as_they_stand(dfurun: Dfurun, image: Path) -> None:
    Path(".git").mkdir()  # where the recipe's repository ends
    Path("my boards").mkdir()
    done = dfurun("new", "--chip", "stm32f072cb", "--image", image, "-o", "my boards/a b.yaml")
    assert done.exit == 0
    command = done.out.partition("`dfurun ")[2].partition("`")[0]
    assert dfurun(*shlex.split(command), "--sim-clock", "virtual").exit == 0
    assert shlex.split(done.out.splitlines()[1].partition("`")[2].partition("`")[0]) == [
        "dfurun", "schema", ">", "my boards/recipe.schema.json",
    ]  # fmt: skip


def test_nothing_is_written_over_without_force(dfurun: Dfurun, image: Path) -> None:
    Path("board.yaml").write_text("mine", encoding="utf-8")
    words = ("new", "--chip", "f072cb", "--image", image, "-o", "board.yaml")
    done = dfurun(*words)
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert "another name for --output, or --force" in done.err
    assert Path("board.yaml").read_text(encoding="utf-8") == "mine"
    assert dfurun(*words, "--force").exit == 0
    passes(dfurun, "board.yaml")


def test_a_raw_binary_goes_to_the_start_of_the_flash_and_that_is_said(dfurun: Dfurun, image: Path) -> None:
    raw = shutil.copy(FIRMWARE / "f072-blinky.bin", image.with_suffix(".bin"))
    done = dfurun("new", "--chip", "f072cb", "--image", raw, "-o", "board.yaml")
    assert done.err == (
        "note: app.bin brings no addresses: it goes to 0x08000000, the start of the flash (--address names another)\n"
    )
    assert "    address: 0x08000000\n" in Path("board.yaml").read_text(encoding="utf-8")
    passes(dfurun, "board.yaml")
    done = dfurun("new", "--chip", "f072cb", "--image", raw, "--address", "0x08004000")
    assert ("    address: 0x08004000\n" in done.out, "note" in done.err) == (True, False)


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (("--chip", "f072cb"), 2, "--image FILE"),
        (("--image", "build/app.hex"), 2, "--chip NAME, or --from-device"),
        (("--chip", "f072cb", "--image", "build/absent.hex"), 3, "no file build/absent.hex"),
        (("--chip", "f072cb", "--image", "build/app.hex", "--address", "0x08000000"), 3, "leave --address out"),
        (("--chip", "f072cb", "--image", "build/app.hex", "--address", "08000000"), 2, "--address: "),
        (("--chip", "f072cb", "--image", "build/app.hex", "--sim"), 2, "--from-device looks at it"),
        (("--chip", "f072cb", "--image", "../app.hex"), 3, "is outside the recipe's folder"),
    ],
)
def test_what_makes_no_recipe_is_said_and_nothing_is_written(
    dfurun: Dfurun, image: Path, tmp_path: Path, words: tuple[str, ...], exit_status: int, said: str
) -> None:
    shutil.copy(image, tmp_path.parent / "app.hex")
    before = sorted(tmp_path.rglob("*"))
    done = dfurun("new", *words, "-o", "board.yaml")
    assert (done.exit, said in done.err) == (exit_status, True), done.err
    assert sorted(path for path in tmp_path.rglob("*") if "state" not in path.parts) == before


def test_an_image_for_another_chip_is_told_with_the_recipe(dfurun: Dfurun, image: Path) -> None:
    elf = shutil.copy(FIRMWARE / "f405-blinky.elf", image.with_suffix(".elf"))
    done = dfurun("new", "--chip", "f072cb", "--image", elf, "-o", "board.yaml")
    assert (done.exit, done.codes) == (0, {"vector-table"})
    assert "board.yaml:" in done.err


def test_tools_get_the_recipe_as_text(dfurun: Dfurun, image: Path) -> None:
    lines = dfurun("new", "--chip", "f072cb", "--image", image, "--json").lines
    assert [line["event"] for line in lines] == ["hello", "recipe", "result"]
    assert (lines[1]["file"], lines[1]["chip"]) == (None, "stm32f072xb")
    assert yaml.safe_load(lines[1]["text"])["dfurun"] == 1


def raw_image(chip_name: str) -> Path:
    """The least that is an application for a chip, at the start of its flash."""
    chip = load_chip(chip_name)
    vectors = (chip.ram.end, chip.flash.extent.start + 0x101)
    path = Path("least.bin")
    path.write_bytes(b"".join(vector.to_bytes(4, "little") for vector in vectors) + bytes(512))
    return path


@pytest.mark.parametrize("chip_name", CHIPS)
def test_the_recipe_of_every_line_passes_lint_and_flashes_a_board(dfurun: Dfurun, chip_name: str) -> None:
    path = raw_image(chip_name)
    assert dfurun("new", "--chip", chip_name, "--image", path, "-o", "board.yaml").exit == 0
    passes(dfurun, "board.yaml")


# Like a board ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def board(dfurun: Dfurun) -> str:
    """A simulated board in a file: with data bytes of its own, and option bytes that start the bootloader for ever."""
    assert dfurun("sim", "new", "board.json").exit == 0
    assert dfurun("sim", "set-option-bytes", "board.json", "DATA0=0x5A", "BOOT_SEL=0", "nBOOT0=0").exit == 0
    return "board.json"


def test_a_recipe_like_a_board_expects_its_like_and_has_its_option_bytes(
    dfurun: Dfurun, image: Path, board: str
) -> None:
    done = dfurun("new", "--from-device", "--sim-state", board, "--image", image, "-o", "board.yaml")
    assert (done.exit, done.err) == (0, "")
    values = written("board.yaml")
    assert values["chip"] == "stm32f072xb"
    assert values["expect"] == {"flash-size": "128K", "bootloader-id": 0xA1}
    assert {"set-option-bytes": {"fields": {"nBOOT0": 1, "nBOOT1": 1, "BOOT_SEL": 1, "DATA0": 0x5A}}} in values["steps"]  # type: ignore[operator]
    text = Path("board.yaml").read_text(encoding="utf-8")
    assert "# Made from the board at 1-1: STM32F072xB, unique id 2D0030000D50534237343120." in text
    assert (
        "# It had nBOOT0 0, BOOT_SEL 0, with which BOOT0 low starts no application: the steps set that right." in text
    )
    passes(dfurun, "board.yaml")
    assert dfurun("board.yaml", "--sim-state", board, "--sim-clock", "virtual").exit == 0


def test_write_protection_is_set_again_and_proven(dfurun: Dfurun, image: Path) -> None:
    dfurun("sim", "new", "board.json")
    dfurun("sim", "set-option-bytes", "board.json", "WRP0=0xFE")
    assert dfurun("new", "--from-device", "--sim-state", "board.json", "--image", image, "-o", "board.yaml").exit == 0
    steps = written("board.yaml")["steps"]
    assert isinstance(steps, list)
    assert steps[-4]["set-option-bytes"]["fields"]["WRP0"] == 0xFE
    assert steps[-3:] == [
        {"wait-for-power-cycle": {"boot0": 1}}, {"check-option-bytes": {"fields": {"WRP0": 0xFE}}}, "leave-dfu",
    ]  # fmt: skip
    passes(dfurun, "board.yaml")


def test_a_protected_board_is_said_to_be_one(dfurun: Dfurun, image: Path, board: str) -> None:
    dfurun("sim", "protect", board, 1)
    done = dfurun("new", "--from-device", "--sim-state", board, "--image", image)
    assert done.exit == 0
    assert "It is read-protected and told no option bytes" in done.out
    assert "take the `#` before it away" in " ".join(done.out.replace("\n#", "").split())
    assert "DATA0" not in done.out
    Path("board.yaml").write_text(done.out.replace("  # - unprotect\n", "  - unprotect\n"), encoding="utf-8")
    assert dfurun("board.yaml", "--sim-state", board, "--sim-clock", "virtual").exit == 0


def test_of_several_boards_one_has_to_be_named(dfurun: Dfurun, image: Path, board: str) -> None:
    two = ("--sim-state", board, "--sim-state", "other.json", "--image", image)
    done = dfurun("new", "--from-device", *two)
    assert (done.exit, done.codes) == (4, {"ambiguous-device"})
    done = dfurun("new", "--from-device", *two, "--port", "1-2")
    assert done.exit == 0
    assert "Made from the board at 1-2: STM32F072xB" in done.out


@pytest.mark.skipif(sys.platform != "linux", reason="file names are any bytes on Linux")
def test_a_file_name_that_no_recipe_can_hold_is_told(dfurun: Dfurun, image: Path) -> None:
    odd = image.with_name(os.fsdecode(b"app-\xe9.hex"))
    shutil.copy(image, odd)
    done = dfurun("new", "--chip", "f072cb", "--image", odd, "-o", "board.yaml")
    assert (done.exit, done.codes, Path("board.yaml").exists()) == (3, {"yaml-syntax"}, False)


def test_of_several_chips_that_a_board_can_be_one_has_to_be_named(dfurun: Dfurun) -> None:
    board = ("--from-device", "--sim-state", "board.json", "--image", raw_image("stm32f413xg"), "-o", "board.yaml")
    assert dfurun("sim", "new", "board.json", "--chip", "stm32f413xg").exit == 0
    done = dfurun("new", *board)
    assert (done.exit, done.codes, Path("board.yaml").exists()) == (6, {"expectation"}, False)
    assert "name it with --chip" in done.err
    assert dfurun("new", *board, "--chip", "f413xg").exit == 0
    assert written("board.yaml")["chip"] == "stm32f413xg"


# The parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip_name", CHIPS)
def test_the_fields_of_a_new_recipe_start_the_application_and_need_no_consent(chip_name: str) -> None:
    chip = load_chip(chip_name)
    fields = starting_fields(chip)
    if not fields:
        return
    assert fields.keys() == chip.boot.fields
    assert chip.starts(fields, boot0=0) is BootTarget.MAIN_FLASH
    assert chip.guards_of(fields) == []


@pytest.mark.parametrize(
    ("chip_name", "held", "own", "left"),
    [
        ("stm32f072xb", {"DATA1": 0x12, "RDP": "level-1", "BOOT_SEL": 0}, {"DATA1": 0x12}, ("RDP level-1",)),
        ("stm32f302x6", {"Reserved3": 0}, {}, ("Reserved3 0",)),
    ],
)
def test_what_a_board_has_of_its_own_leaves_out_protection_and_reserved_bits(
    chip_name: str, held: dict[str, FieldValue], own: dict[str, FieldValue], left: tuple[str, ...]
) -> None:
    chip = load_chip(chip_name)
    assert own_fields(chip, chip.option_bytes.encode(chip.option_bytes.factory, held)) == (own, left)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "F072 release",
        "on",
        "1e10",
        "0x10",
        "a: b",
        "#no",
        " x",
        "ü.hex",
        "12",
        "~",
        "-",
        'q"uote',
        "a\u2028b",
        "null",
    ],
)
def test_a_scalar_is_read_back_as_the_text_that_it_was(text: str) -> None:
    shown = scalar(text)
    assert "\n" not in shown
    assert "\u2028" not in shown
    assert yaml.safe_load(f"a: {shown}")["a"] == text
    assert shown.startswith('"') or resolve_plain(shown) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_back_by_the_recipes_own_reader(text: str) -> None:
    document = read_document(f"a: {scalar(text)}\n", "")
    assert (document.findings, document.value) == ([], {"a": text})
