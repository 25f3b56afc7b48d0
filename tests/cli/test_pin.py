"""`dfurun pin`: pins follow the files, in place; `--check` looks and writes nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.files import Changed, replace_text
from dfurun.plan.pinning import pin_recipe

BLINKY = Path(__file__).parents[2] / "recipes" / "firmware" / "f072-blinky.hex"
OLD = "0" * 64
RECIPE = f"""\
# The product. Größe: klein
dfurun: 1
name: Board
chip: stm32f072xb
expect: {{flash-size: 128K}}
images:
  application:   # the firmware
    file: app.hex
    sha256: "{OLD}"   # release 7
    size: 1
steps:
  - connect
  - mass-erase
  - write: {{image: application}}
  - verify: {{image: application}}
  - leave-dfu
"""
SHA256 = hashlib.sha256(BLINKY.read_bytes()).hexdigest()
PINNED = RECIPE.replace(OLD, SHA256).replace("size: 1\n", "size: 13400\n")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose image was built anew since it was pinned."""
    shutil.copy(BLINKY, tmp_path / "app.hex")
    path = tmp_path / "board.yaml"
    path.write_bytes(RECIPE.encode())
    return path


def test_pins_follow_the_file_and_old_and_new_are_told(dfurun: Dfurun, recipe: Path) -> None:
    assert dfurun("check", "board.yaml").exit == 6
    done = dfurun("pin", "board.yaml")
    assert (done.exit, done.err) == (0, "")
    assert done.out == (
        "board.yaml: application, app.hex\n"
        f'  sha256  was "{OLD}"\n'
        f'          is  "{SHA256}"\n'
        "  size    was 1\n"
        "          is  13400\n"
    )
    assert recipe.read_bytes() == PINNED.encode()
    assert dfurun("check", "board.yaml").exit == 0
    again = dfurun("pin", "board.yaml")
    assert (again.exit, again.out) == (0, "board.yaml: ok, 1 image pinned\n")
    assert dfurun("pin", "board.yaml", "-q").out == ""


def test_an_image_without_a_pin_gets_one(dfurun: Dfurun, recipe: Path) -> None:
    recipe.write_text(RECIPE.replace(f'    sha256: "{OLD}"   # release 7\n    size: 1\n', ""), encoding="utf-8")
    done = dfurun("pin", "board.yaml")
    assert (done.exit, "was not there" in done.out) == (0, True)
    assert f'    file: app.hex\n    sha256: "{SHA256}"\nsteps:' in recipe.read_text(encoding="utf-8")


def test_check_says_what_is_outdated_and_writes_nothing(dfurun: Dfurun, recipe: Path) -> None:
    done = dfurun("pin", "--check", "board.yaml")
    assert (done.exit, done.codes) == (1, {"pin-outdated"})
    assert done.out.startswith(
        "board.yaml:9:13: error[pin-outdated]: image `application` has another sha256 than its file\n"
    )
    assert f'pinned: "{OLD}"' in done.out
    assert recipe.read_bytes() == RECIPE.encode()

    recipe.write_bytes(PINNED.encode())
    assert dfurun("pin", "--check", "board.yaml").exit == 0


def test_check_annotates_a_pull_request(dfurun: Dfurun, recipe: Path) -> None:
    done = dfurun("pin", "--check", "board.yaml", "--format", "github")
    assert done.out.startswith("::error file=board.yaml,line=9,col=13,endColumn=78,title=pin-outdated::")


def test_tools_get_each_change_and_what_came_of_each_recipe(dfurun: Dfurun, recipe: Path) -> None:
    lines = dfurun("pin", "board.yaml", "--json").lines
    assert [line["event"] for line in lines] == ["hello", "pin", "pin", "pinned", "result"]
    assert lines[2] == {
        "event": "pin", "recipe": "board.yaml", "image": "application", "file": "app.hex", "key": "size",
        "old": "1", "new": "13400",
    }  # fmt: skip
    assert lines[3] == {"event": "pinned", "recipe": "board.yaml", "written": True, "exit": 0}


def test_a_recipe_that_is_wrong_otherwise_is_left_as_it_is_and_others_are_pinned(dfurun: Dfurun, recipe: Path) -> None:
    broken = recipe.with_name("broken.yaml")
    broken.write_text(RECIPE.replace("- mass-erase", "- mass-erased"), encoding="utf-8")
    before = broken.read_bytes()
    done = dfurun("pin", "broken.yaml", "board.yaml")
    assert (done.exit, done.codes) == (3, {"unknown-step"})
    assert "broken.yaml: nothing was pinned\n" in done.out
    assert (broken.read_bytes(), recipe.read_bytes()) == (before, PINNED.encode())


def test_a_file_that_would_make_no_good_recipe_is_not_pinned_and_its_place_is_the_one_that_people_see(
    dfurun: Dfurun, recipe: Path
) -> None:
    """The new file holds nothing: only with the pin in place does anybody read it."""
    text = RECIPE.replace("  application:   #", "  spare:\n    file: spare.hex\n  application:   #")
    shutil.copy(BLINKY, recipe.with_name("spare.hex"))
    recipe.with_name("app.hex").write_bytes(b":00000001FF\n")
    recipe.write_text(text, encoding="utf-8")
    done = dfurun("pin", "board.yaml")
    assert (done.exit, done.codes) == (3, {"image-empty"})
    assert "board.yaml:10:11: error[image-empty]" in done.out, "the line before `sha256` was put into `spare`"
    assert recipe.read_text(encoding="utf-8") == text


def test_a_missing_image_and_a_missing_recipe_are_told(dfurun: Dfurun, recipe: Path) -> None:
    recipe.with_name("app.hex").unlink()
    assert (dfurun("pin", "board.yaml").exit, dfurun("pin", "absent.yaml").exit) == (3, 3)
    assert recipe.read_bytes() == RECIPE.encode()


def test_a_pin_that_cannot_be_put_in_place_is_told_with_its_place(dfurun: Dfurun, recipe: Path) -> None:
    text = RECIPE.replace(f'"{OLD}"   # release 7', f">-\n      {OLD}")
    recipe.write_text(text, encoding="utf-8")
    done = dfurun("pin", "board.yaml")
    assert (done.exit, done.codes) == (3, {"bad-value"})
    assert "board.yaml:9:13: error[bad-value]: `sha256` of image `application` is written so" in done.out
    assert recipe.read_text(encoding="utf-8") == text


def test_a_byte_order_mark_and_dos_line_ends_stay(dfurun: Dfurun, recipe: Path) -> None:
    recipe.write_bytes(b"\xef\xbb\xbf" + RECIPE.replace("\n", "\r\n").encode())
    assert dfurun("pin", "board.yaml").exit == 0
    assert recipe.read_bytes() == b"\xef\xbb\xbf" + PINNED.replace("\n", "\r\n").encode()


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are those of POSIX")
def test_a_link_is_followed_and_the_mode_of_its_file_kept(dfurun: Dfurun, recipe: Path) -> None:
    real = recipe.with_name("real.yaml")
    recipe.rename(real)
    real.chmod(0o640)
    recipe.symlink_to("real.yaml")
    assert dfurun("pin", "board.yaml").exit == 0
    assert recipe.is_symlink()
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (PINNED.encode(), 0o640)
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["app.hex", "board.yaml", "real.yaml"]


def test_a_recipe_that_may_not_be_written_is_said_to_be_so(
    dfurun: Dfurun, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode, **__: mode != os.W_OK)
    done = dfurun("pin", "board.yaml")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert "board.yaml cannot be written: Permission denied" in done.err
    assert recipe.read_bytes() == RECIPE.encode()


def test_what_an_editor_saved_meanwhile_is_not_lost(recipe: Path) -> None:
    (edit,) = pin_recipe(recipe).edits
    recipe.write_bytes(b"# saved\n" + RECIPE.encode())
    with pytest.raises(Changed):
        replace_text(recipe, edit.before, edit.after)
    assert recipe.read_bytes().startswith(b"# saved\n")
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["app.hex", "board.yaml"]


def test_the_shipped_recipes_are_pinned(dfurun: Dfurun, recipes: Path) -> None:
    assert dfurun("pin", "--check", *sorted(recipes.glob("*.yaml"))).exit == 0
