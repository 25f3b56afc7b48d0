"""Which recipes a base concerns: those that extend it, over other bases too, wherever they are in its repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.recipe.extending import with_those_that_extend

BASE = "dfurun: 1\nabstract: true\nchip: stm32f072xb\nsteps: [connect]\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "bases/all.yaml": BASE,
        "bases/line.yaml": "dfurun: 1\nabstract: true\nextends: all.yaml\n",
        "recipes/direct.yaml": "dfurun: 1\nextends: ../bases/all.yaml\nname: direct\n",
        "recipes/over-two.yml": "dfurun: 1\nextends: ../bases/line.yaml\nname: over two\n",
        "recipes/broken.yaml": "dfurun: 1\nextends: ../bases/line.yaml\nname: [\n",
        "recipes/alone.yaml": BASE.replace("abstract: true", "name: alone"),
        "recipes/no-base.yaml": "dfurun: 1\nextends: nowhere.yaml\nname: no base\n",
        ".hidden/copy.yaml": "dfurun: 1\nextends: ../bases/all.yaml\nname: hidden\n",
        "notes.yaml": "extends: nothing\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "more"),
    [
        (["bases/all.yaml"], ["recipes/direct.yaml", "recipes/over-two.yml"]),
        (["bases/line.yaml"], ["recipes/over-two.yml"]),
        (["bases/all.yaml", "recipes/direct.yaml"], ["recipes/over-two.yml"]),
        (["recipes/alone.yaml"], []),
        (["recipes/not-there.yaml"], []),
    ],
)
@pytest.mark.usefixtures("repository")
def test_those_that_extend_it_follow_what_is_given_by_their_paths_from_here(given: list[str], more: list[str]) -> None:
    found = with_those_that_extend([Path(name) for name in given])
    assert [path.as_posix() for path in found if path.name != "broken.yaml"] == [*given, *more]


def test_from_another_folder_they_are_named_from_there(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "bases")
    assert with_those_that_extend([Path("line.yaml")])[-1].as_posix() == "../recipes/over-two.yml"


@pytest.mark.parametrize("command", [["check"], ["lint"], ["pin", "--check"]])
@pytest.mark.usefixtures("repository")
def test_a_base_s_mistake_is_found_in_what_extends_it(dfurun: Dfurun, command: list[str]) -> None:
    Path("recipes/broken.yaml").unlink()
    Path("bases/line.yaml").write_text("dfurun: 1\nabstract: true\nextends: all.yaml\nchip: stm32f072xz\n")
    assert "unknown-chip" not in dfurun(*command, "recipes/alone.yaml", "--extending").codes
    done = dfurun(*command, "bases/line.yaml", "--extending", "--json")
    assert done.exit == 3
    assert [line["recipe"] for line in done.lines if "recipe" in line] == ["bases/line.yaml", "recipes/over-two.yml"]
    assert "unknown-chip" in done.codes
