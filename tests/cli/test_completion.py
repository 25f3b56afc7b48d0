"""TAB in a shell: the protocol of each, in a process as the shell starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT

from dfurun.cli import completion
from dfurun.errors import Code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with recipes, other YAML, and more of it deeper than anybody wants to be offered."""
    recipe = "# a comment\ndfurun: 1\n"
    for name, text in {
        "recipes/release.yaml": recipe,
        "recipes/repair.yml": recipe,
        "recipes/blinky.hex": "",
        "recipes/.hidden.yaml": recipe,
        "top.yaml": recipe,
        "mkdocs.yaml": "site_name: x\n",
        "a/b/c/d/deep.yaml": recipe,
        "old name/run me.yaml": recipe,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def in_shell(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from dfurun.cli.main import main; main()"],
        capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DFURUN_STATE_DIR": str(folder / "state")} | environment,
    )  # fmt: skip


def tab(folder: Path, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    done = in_shell(
        folder,
        _DFURUN_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(["dfurun", *words]),
        COMP_CWORD=str(len(words)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


RECIPES = ["recipes/release.yaml", "recipes/repair.yml"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rec",), RECIPES),
        (("re",), ["read", *RECIPES]),
        (("recipes/rel",), RECIPES[:1]),
        (("check", "rec"), RECIPES),
        (("run", "--force", "t"), ["top.yaml"]),
        (("de",), ["devices"]),
        (("sim", "sh"), ["show"]),
        (("recipes/release.yaml", "--allow-i"), ["--allow-irreversible"]),
        (("--allow-o",), ["--allow-outside"]),
        (("recipes/release.yaml", "--sim", "--port", ""), ["1-1"]),
        (("info", "--sim", "--port", "1-2"), []),
        (("info", "--sim", "--sim-state", "board.json", "--port", ""), []),
        (("info", "--sim", "--chip", "stm32f072"), ["stm32f072x8", "stm32f072xb"]),
        (("info", "--sim", "--chip", "STM32F072"), ["STM32F072x8", "STM32F072xB"]),
        (("info", "--sim", "--chip", "f072"), ["f072x8", "f072xb"]),
        (("info", "--sim", "--chip", "f072cb"), ["f072cb"]),
        (("chips", "sh"), ["show"]),
        (("chips", "show", "f072xb"), ["f072xb"]),
        (("info", "--sim-fault", "missed"), ["missed-service"]),
        (("info", "--log", "to"), []),
        (("recipes/release.yaml", "--sim-clock", "v"), ["virtual"]),
        (("nonsense", "x"), []),
    ],
)
def test_bash_is_offered(folder: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert tab(folder, *words) == offered


def test_completing_makes_no_board(folder: Path) -> None:
    assert tab(folder, "info", "--sim-state", "absent.json", "--port", "") == []
    assert not (folder / "absent.json").exists()


def test_a_port_without_a_bus_is_silent(folder: Path) -> None:
    assert tab(folder, "info", "--port", "9-9") == []


def test_zsh_and_fish_are_offered_the_same(folder: Path) -> None:
    done = in_shell(folder, _DFURUN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="dfurun rec")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f'"{recipe}"' in done.stdout for recipe in RECIPES)
    fish = {"_DFURUN_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "dfurun rec"}
    done = in_shell(folder, _TYPER_COMPLETE_FISH_ACTION="get-args", **fish)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", RECIPES)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_shown(folder: Path, shell: str) -> None:
    done = in_shell(folder, _DFURUN_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert "_DFURUN_COMPLETE" in done.stdout
    assert "dfurun" in done.stdout


def test_the_first_word_may_be_a_command_or_a_recipe_and_no_other_yaml(folder: Path) -> None:
    offered = tab(folder, "")
    assert offered[:5] == ["run", "check", "plan", "diff", "show"]
    assert offered[-4:] == ["old name/run me.yaml", *RECIPES, "top.yaml"]


def test_a_recipe_is_offered_by_its_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert completion.recipes("mk") == []
    assert completion.recipes("recipes/.h") == ["recipes/.hidden.yaml"]
    assert completion.recipes("a/b/") == ["a/b/c/d/deep.yaml"]
    assert completion.recipes("absent/") == []
    assert completion.recipes(f"{folder}/to") == [f"{folder}/top.yaml"]


def test_codes_are_offered_with_their_cause() -> None:
    assert completion.codes("no-lib") == [("no-libusb", Code.NO_LIBUSB.summary)]
    assert len(completion.codes("")) == len(Code)
