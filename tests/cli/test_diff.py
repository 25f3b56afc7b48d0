"""`dfurun diff`: two files, two revisions, in text, JSON and Markdown, and every way in which there is nothing to compare."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from command_line import Dfurun
from firmware_files import FLASH, HEX_END, hex_data
from firmware_files import text as hex_file
from recipe_pairs import FIRMWARE, PAGE
from scratch_repository import NOBODY, Scratch

RECIPE = """\
dfurun: 1
name: Rig
chip: stm32f072xb
images:
  application: {file: ../build/app.bin, address: "0x08000000"}
steps:
  - connect
  - mass-erase
  - write: {image: application}
  - verify: {image: application}
  - set-option-bytes: {fields: {nBOOT0: 1, nBOOT1: 1, BOOT_SEL: 1}}
  - leave-dfu
"""
WITHOUT_VERIFY = RECIPE.replace("  - verify: {image: application}\n", "")
BOOT_SEL_CLEARED = RECIPE.replace("BOOT_SEL: 1", "BOOT_SEL: 0")
OTHER_FIRMWARE = FIRMWARE[:-1] + b"\0"
UNNOTICED = "nothing reads it back: a write that did not take ships unnoticed"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 4968\n".format("0" * 64)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A repository with one recipe and its firmware, committed; the command line runs in it."""
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    repository = Scratch(tmp_path / "product")
    repository.commit("The product", {"recipes/rig.yaml": RECIPE, "build/app.bin": FIRMWARE})
    return repository


@pytest.fixture
def here(dfurun: Dfurun, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> Dfurun:
    monkeypatch.chdir(scratch.root)
    return dfurun


# Two files -----------------------------------------------------------------------------------------------------------


def two(folder: Path, old: str, new: str) -> tuple[Path, Path]:
    (folder / "build").mkdir(exist_ok=True)
    (folder / "build/app.bin").write_bytes(FIRMWARE)
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / ".git").mkdir(exist_ok=True)  # where the recipe's repository ends
    for name, text in (("old", old), ("new", new)):
        (folder / f"recipes/{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "recipes/old.yaml", folder / "recipes/new.yaml"


def test_two_recipes_that_do_the_same(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, "# a comment\n" + RECIPE.replace("steps:\n", "\nsteps:\n"))
    done = dfurun("diff", "--exit-code", old, new)
    assert (done.exit, done.out, done.err) == (0, f"{old} -> {new}: no change in what happens\n", "")


def test_a_check_that_goes_is_shown_with_why_it_matters(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, WITHOUT_VERIFY)
    done = dfurun("diff", old, new)
    assert done.exit == 0
    assert done.out.splitlines()[1:] == [
        "1 change: weakens a safety net",
        "",
        "weakens a safety net",
        "  `verify` application is gone (step 4)",
        f"      {UNNOTICED}",
    ]


def test_changes_have_a_status_of_their_own_where_that_is_asked(dfurun: Dfurun, tmp_path: Path) -> None:
    assert dfurun("diff", "--exit-code", *two(tmp_path, RECIPE, WITHOUT_VERIFY)).exit == 10


def test_a_recipe_that_dfurun_would_refuse_is_compared_all_the_same(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, BOOT_SEL_CLEARED)
    done = dfurun("diff", "--exit-code", old, new)
    assert done.exit == 6
    assert "what starts with BOOT0 high: the bootloader -> the application in main flash" in done.out
    assert f"{new}:11:65: error[guard]" in done.err
    back = dfurun("diff", "--exit-code", new, old)
    assert (back.exit, back.err) == (10, "")  # the side that is left behind refuses nothing


def test_a_side_that_does_not_compile_is_named_with_its_findings(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, RECIPE.replace("mass-erase", "mass-eraze"))
    for sides in ((old, new), (new, old)):
        done = dfurun("diff", *sides)
        assert done.exit == 3
        assert done.out == f"{sides[0]} -> {sides[1]}: not compared, {new} does not compile\n"
        assert f"{new}:8:5: error[unknown-step]" in done.err
    as_json = dfurun("diff", "--json", old, new)
    (line,) = [line for line in as_json.lines if line["event"] == "diff"]
    assert (line["broken"], line["changes"], line["rank"]) == ([str(new)], None, None)
    assert "unknown-step" in as_json.codes
    as_markdown = dfurun("diff", "--format", "markdown", old, new)
    assert as_markdown.exit == 3
    assert "not compared" in as_markdown.out
    assert "- **error** `unknown-step`" in as_markdown.out


def test_a_variable_of_a_script_that_is_not_set_is_no_folder(here: Dfurun) -> None:
    for words in (["--git", "", "recipes/rig.yaml"], ["--git", "HEAD", ""], ["", "recipes/rig.yaml"]):
        done = here("diff", *words)
        assert (done.exit, done.out, done.codes) == (2, "", {"usage"})


def test_a_folder_with_the_name_of_a_branch_is_not_taken_for_either(here: Dfurun, scratch: Scratch) -> None:
    scratch.git("branch", "recipes")
    scratch.commit("Another", {"recipes/rig.yaml": WITHOUT_VERIFY})
    done = here("diff", "--git", "recipes", "recipes/rig.yaml")
    assert (done.exit, done.out, done.codes) == (2, "", {"usage"})
    assert "`./recipes` is the folder, `recipes..` the revision" in done.err
    assert "1 change: weakens a safety net" in here("diff", "--git", "recipes..", "recipes/rig.yaml").out
    assert "no change" in here("diff", "--git", "./recipes", "recipes/rig.yaml").out
    assert "no change" in here("diff", "--git", "recipes").out


def test_diff_takes_two_recipes(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, RECIPE)
    for words in ([old], [old, new, old], ["--git", "main"], ["--git-driver", old, new]):
        done = dfurun("diff", *words)
        assert done.exit == 2
        assert done.codes == {"usage"}


def test_the_lines_fit_on_a_terminal(dfurun: Dfurun, tmp_path: Path) -> None:
    for change in (BOOT_SEL_CLEARED, WITHOUT_VERIFY, RECIPE.replace("mass-erase", "erase: {pages: 0-9}")):
        tables = dfurun("diff", *two(tmp_path, RECIPE, change)).out.split("\n\n")[2:]
        assert all(len(line) <= 80 for table in tables for line in table.splitlines() if not line.startswith("  "))


# JSON and Markdown ---------------------------------------------------------------------------------------------------


def test_json_has_one_object_a_recipe(dfurun: Dfurun, tmp_path: Path) -> None:
    old, new = two(tmp_path, RECIPE, BOOT_SEL_CLEARED)
    done = dfurun("diff", "--json", old, new)
    found = next(line for line in done.lines if line["event"] == "diff")
    assert (found["rank"], found["before"], found["after"]) == ("cannot-be-undone", str(old), str(new))
    assert [(change["rank"], change["subject"]) for change in found["changes"]] == [
        ("cannot-be-undone", "boot"),
        ("weakens-a-safety-net", "option bytes"),
    ]
    assert found["option_bytes"]["fields"] == [
        {
            "field": "BOOT_SEL", "offset": 2, "bit": 7, "width": 1,
            "before": "1", "after": "0", "bits_before": "1", "bits_after": "0",
        }
    ]  # fmt: skip
    assert found["option_bytes"]["boot"][1] == {
        "boot0": 1,
        "before": {"starts": ["system-memory"], "decided_by": []},
        "after": {"starts": ["main-flash"], "decided_by": []},
    }
    assert done.lines[-1]["exit"] == done.exit == 6
    json.dumps(found)


def test_markdown_is_a_headline_a_table_and_what_is_folded_away(here: Dfurun, scratch: Scratch) -> None:
    scratch.put({"build/app.bin": OTHER_FIRMWARE, "recipes/rig.yaml": WITHOUT_VERIFY})
    lines = here("diff", "--git", "--format", "markdown", "recipes/rig.yaml").out.splitlines()
    assert lines[:5] == [
        "### `recipes/rig.yaml`: weakens a safety net (1), routine (1)",
        "",
        "|  | change | before | after | why |",
        "| --- | --- | --- | --- | --- |",
        f"| **weakens a safety net** | `verify` application is gone | step 4 |  | {UNNOTICED} |",
    ]
    assert lines[5].startswith("| **routine** | application is another firmware | sha256 ")
    assert lines[7] == "<details><summary>firmware application</summary>"
    assert lines[-1] == "</details>"
    assert "| changed | page 2 | 1 byte that both hold |" in lines


# Revisions -----------------------------------------------------------------------------------------------------------


def test_firmware_that_was_swapped_shows_where_the_recipe_has_not_changed(here: Dfurun, scratch: Scratch) -> None:
    scratch.put({"build/app.bin": FIRMWARE + bytes(PAGE)})
    done = here("diff", "--git", "recipes/rig.yaml")
    assert done.out.startswith("recipes/rig.yaml (HEAD -> working tree)\n1 change: routine\n")
    assert "page 3 written for the first time" in done.out
    assert "page 2 changed" in done.out


def test_firmware_that_was_swapped_and_not_pinned_anew_is_refused_and_shown(here: Dfurun, scratch: Scratch) -> None:
    pins = f'app.bin, sha256: "{sha256(FIRMWARE).hexdigest()}", size: {len(FIRMWARE)}'
    scratch.commit("Pinned", {"recipes/rig.yaml": RECIPE.replace("app.bin", pins)})
    scratch.put({"build/app.bin": OTHER_FIRMWARE})
    done = here("diff", "--git", "--exit-code", "recipes/rig.yaml")
    assert done.exit == 6
    assert "recipes/rig.yaml:5:" in done.err
    assert done.codes == {"pin-mismatch"}
    assert done.out.startswith("recipes/rig.yaml (HEAD -> working tree)\n1 change: routine\n")
    assert "page 2 changed; the recipe pins another file, so no board gets this one" in done.out
    assert ["pinned", "yes", "to", "another", "file"] in [line.split() for line in done.out.splitlines()]
    markdown = here("diff", "--git", "--format", "markdown", "recipes/rig.yaml").out
    assert "- **error** `pin-mismatch` recipes/rig.yaml:5:" in markdown
    assert "| changed | page 2 | 1 byte that both hold |" in markdown
    scratch.commit("Swapped", {})
    scratch.put({"build/app.bin": FIRMWARE})
    back = here("diff", "--git", "--json", "--exit-code", "recipes/rig.yaml")
    assert back.exit == 10  # what was wrong before refuses nothing now
    (firmware,) = next(line for line in back.lines if line["event"] == "diff")["firmware"]
    assert (firmware["before"]["pinned"], firmware["before"]["swapped"]) == (False, True)
    assert (firmware["after"]["pinned"], firmware["after"]["swapped"]) == (True, False)


def test_a_swapped_file_of_which_nothing_can_be_made_is_not_compared(here: Dfurun, scratch: Scratch) -> None:
    pinned = RECIPE.replace("app.bin", f'app.bin, sha256: "{sha256(FIRMWARE).hexdigest()}"')
    scratch.commit("Pinned", {"recipes/rig.yaml": pinned})
    scratch.put({"build/app.bin": POINTER})
    done = here("diff", "--git", "recipes/rig.yaml")
    assert (done.exit, done.codes) == (6, {"pin-mismatch"})
    assert "not compared, working tree does not compile" in done.out


def test_two_revisions_are_compared_with_their_own_images(here: Dfurun, scratch: Scratch) -> None:
    scratch.git("tag", "v1")
    scratch.commit("Firmware 2", {"build/app.bin": OTHER_FIRMWARE})
    scratch.git("tag", "v2")
    scratch.put({"build/app.bin": b"not looked at", "recipes/rig.yaml": "nor this"})
    done = here("diff", "--git", "--exit-code", "v1..v2", "recipes/rig.yaml")
    assert done.exit == 10
    assert done.out.startswith("recipes/rig.yaml (v1 -> v2)\n")
    assert "1 byte that both hold" in done.out
    assert here("diff", "--git", "--exit-code", "v2..v2", "recipes/rig.yaml").exit == 0


def test_a_branch_is_compared_since_it_parted(here: Dfurun, scratch: Scratch) -> None:
    base = scratch.git("rev-parse", "HEAD").strip()
    scratch.git("switch", "--quiet", "--create", "work")
    scratch.commit("On the branch", {"recipes/rig.yaml": WITHOUT_VERIFY})
    scratch.git("switch", "--quiet", "main")
    scratch.commit("Meanwhile on main", {"build/app.bin": OTHER_FIRMWARE})
    done = here("diff", "--git", "main...work", "recipes/rig.yaml")
    assert done.out.startswith(f"recipes/rig.yaml (main ({base[:12]}) -> work)\n1 change: weakens a safety net\n")
    assert "2 changes" in here("diff", "--git", "main..work", "recipes/rig.yaml").out


def test_a_folder_stands_for_its_recipes_and_those_that_came_went_or_have_another_name(
    here: Dfurun, scratch: Scratch
) -> None:
    look = "dfurun: 1\nname: Look\nchip: stm32f072xb\nsteps: [connect, leave-dfu]\n"
    no_recipes = {"recipes/note.yaml": "a: note\n", "recipes/base.yaml": "dfurun: 1\nabstract: true\n"}
    scratch.commit("More", {"recipes/look.yaml": look, "recipes/old.yaml": look, **no_recipes})
    scratch.git("mv", "recipes/rig.yaml", "recipes/rig-2.yaml")
    (scratch.root / "recipes/old.yaml").unlink()
    scratch.put({"recipes/new.yaml": RECIPE})
    found = {
        line["recipe"]: line
        for line in here("diff", "--git", "--json", "HEAD", "recipes").lines
        if line["event"] == "diff"
    }
    assert sorted(found) == ["recipes/look.yaml", "recipes/new.yaml", "recipes/old.yaml", "recipes/rig-2.yaml"]
    assert found["recipes/look.yaml"]["changes"] == []
    assert (found["recipes/new.yaml"]["rank"], found["recipes/new.yaml"]["changes"][0]["kind"]) == (
        "loses-data",
        "added",
    )
    assert found["recipes/old.yaml"]["changes"][0]["kind"] == "removed"
    assert (found["recipes/rig-2.yaml"]["was"], found["recipes/rig-2.yaml"]["changes"]) == ("recipes/rig.yaml", [])
    markdown = here("diff", "--git", "--format=markdown", "recipes").out
    assert markdown.startswith("## 2 of 4 recipes with changes, at worst one that loses data\n\n### `recipes/new.yaml`")


def test_findings_in_a_revision_name_it(here: Dfurun, scratch: Scratch) -> None:
    scratch.commit("Broken", {"recipes/rig.yaml": RECIPE.replace("mass-erase", "mass-eraze")})
    scratch.git("tag", "broken")
    scratch.put({"recipes/rig.yaml": RECIPE})
    done = here("diff", "--git", "broken", "recipes/rig.yaml")
    assert done.exit == 3
    assert "broken:recipes/rig.yaml:8:5: error[unknown-step]" in done.err
    assert "not compared, broken does not compile" in done.out
    scratch.commit("No firmware", {"recipes/rig.yaml": RECIPE.replace("app.bin", "lost.bin")})
    lost = here("diff", "--git", "HEAD..broken", "recipes/rig.yaml")
    assert "HEAD:recipes/rig.yaml:5:23: error[image-missing]: no file HEAD:build/lost.bin" in lost.err


def test_a_revision_is_read_as_a_checkout_has_it(here: Dfurun, scratch: Scratch) -> None:
    """Line ends and filters are git's: a pinned HEX file must not differ for a checkout's CR LF."""
    smudge = "tr a-z A-Z"
    scratch.git("config", "filter.loud.smudge", smudge)
    scratch.git("config", "filter.loud.clean", "tr A-Z a-z")
    text = hex_file(*hex_data(FLASH, FIRMWARE), HEX_END).decode().lower()
    recipe = RECIPE.replace('app.bin, address: "0x08000000"', "app.hex")
    scratch.commit("HEX", {".gitattributes": "*.hex filter=loud\n", "build/app.hex": text, "recipes/rig.yaml": recipe})
    scratch.put({"build/app.hex": text.upper()})
    assert here("diff", "--git", "--exit-code", "recipes/rig.yaml").out == (
        "recipes/rig.yaml (HEAD -> working tree): no change in what happens\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a link needs a right there")
def test_a_link_in_a_revision_is_followed(here: Dfurun, scratch: Scratch) -> None:
    (scratch.root / "build/latest.bin").symlink_to("app.bin")
    scratch.commit("A link", {"recipes/rig.yaml": RECIPE.replace("app.bin", "latest.bin")})
    assert "no change" in here("diff", "--git", "HEAD..HEAD", "recipes/rig.yaml").out


def test_firmware_in_a_submodule_is_read_at_its_commit(here: Dfurun, scratch: Scratch, tmp_path: Path) -> None:
    team = Scratch(tmp_path / "firmware")
    team.commit("Firmware", {"out/app.bin": FIRMWARE})
    scratch.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(team.root), "fw")
    scratch.commit(
        "Firmware of the other team", {"recipes/rig.yaml": RECIPE.replace("build/app.bin", "fw/out/app.bin")}
    )
    team.commit("More firmware", {"out/app.bin": OTHER_FIRMWARE})
    scratch.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--remote")
    in_tree = here("diff", "--git", "--exit-code", "recipes/rig.yaml")
    assert (in_tree.exit, in_tree.err) == (10, "")
    assert "page 2 changed" in in_tree.out
    scratch.commit("Take it", {})
    done = here("diff", "--git", "--exit-code", "HEAD~1..HEAD", "recipes/rig.yaml")
    assert (done.exit, done.err) == (10, "")
    assert "page 2 changed" in done.out
    scratch.git("submodule", "--quiet", "deinit", "--all", "--force")
    away = here("diff", "--git", "HEAD~1", "recipes/rig.yaml")
    assert away.exit == 3
    assert "no file HEAD~1:fw/out/app.bin" in away.err
    words = "is an empty folder, as a git submodule's is before `git submodule update --init`"
    assert f"HEAD~1:fw {words}" in away.err
    assert f"= hint: fw {words}" in away.err


def test_a_git_lfs_pointer_is_told_as_that(here: Dfurun, scratch: Scratch) -> None:
    scratch.commit("LFS without the object", {"build/app.bin": POINTER})
    done = here("diff", "--git", "HEAD~1..HEAD", "recipes/rig.yaml")
    assert done.exit == 3
    assert "HEAD:recipes/rig.yaml:5:23: error[image-invalid]: app.bin: a Git LFS pointer" in done.err


# Where there is nothing to compare -----------------------------------------------------------------------------------


def test_a_recipe_that_neither_side_has(here: Dfurun) -> None:
    done = here("diff", "--git", "recipes/lost.yaml")
    assert (done.exit, done.codes) == (3, {"not-in-revision"})
    assert "neither HEAD nor the working tree has recipes/lost.yaml" in done.err


@pytest.mark.parametrize("revision", ["nowhere", "nowhere..HEAD", "HEAD...nowhere", "--all", "HEAD:recipes"])
def test_a_revision_that_the_repository_does_not_have(here: Dfurun, revision: str) -> None:
    done = here("diff", "--git", "--", revision, "recipes/rig.yaml")
    assert (done.exit, done.codes) == (2, {"unknown-revision"})
    assert "nothing was compared" in done.err


def test_two_branches_without_a_common_ancestor(here: Dfurun, scratch: Scratch) -> None:
    scratch.git("switch", "--quiet", "--orphan", "other")
    scratch.commit("Another beginning")
    done = here("diff", "--git", "main...other", "recipes/rig.yaml")
    assert (done.exit, done.codes) == (2, {"unknown-revision"})


def test_a_folder_that_is_in_no_repository(dfurun: Dfurun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "rig.yaml").write_text(RECIPE, encoding="utf-8")
    done = dfurun("diff", "--git", "rig.yaml")
    assert (done.exit, done.codes) == (2, {"no-repository"})
    assert "not a git repository" in done.err


def test_a_recipe_of_another_repository(here: Dfurun, tmp_path: Path) -> None:
    done = here("diff", "--git", "recipes/rig.yaml", tmp_path / "elsewhere.yaml")
    assert (done.exit, done.codes) == (2, {"no-repository"})


def test_a_computer_without_git(here: Dfurun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = here("diff", "--git", "recipes/rig.yaml")
    assert (done.exit, done.codes) == (2, {"no-git"})
    assert "compare two files" in done.err
