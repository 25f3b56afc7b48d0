"""What of a revision is put aside to compile a recipe: all that it names, and nothing else of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from scratch_repository import NOBODY, Scratch

from dfurun.diff.git import Repository, Tree
from dfurun.diff.mirror import mirror


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    scratch = Scratch(tmp_path / "product")
    recipe = "dfurun: 1\nname: A\nextends: ../bases/base.yaml\nimages: {loader: {file: loader.hex}}\n"
    base = 'dfurun: 1\nextends: base.yaml\nimages: {application: {file: "../build/app-${region}.hex"}}\n'
    scratch.commit(
        "All",
        {
            "recipes/a.yaml": recipe,
            "recipes/loader.hex": "",
            "recipes/other.hex": "",
            "bases/base.yaml": base,
            "build/app-eu.hex": "",
            "build/app-us.hex": "",
            "build/app.log": "",
        },
    )
    repository = Repository.around(scratch.root)
    return Tree(repository, repository.commit("HEAD"), "HEAD")


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_bases_and_images_are_there_whatever_a_variable_is_and_a_circle_ends(tree: Tree, tmp_path: Path) -> None:
    folder = tmp_path / "aside"
    folder.mkdir()
    mirror(tree, "recipes/a.yaml", folder)
    assert files_in(folder) == [
        ".git",
        "bases/base.yaml",
        "build/app-eu.hex",
        "build/app-us.hex",
        "recipes/a.yaml",
        "recipes/loader.hex",
    ]


@pytest.mark.parametrize("file", ["../../outside.hex", "/etc/hostname", "../.git/config", "missing.hex"])
def test_nothing_from_outside_the_revision_is_read(tree: Tree, tmp_path: Path, file: str) -> None:
    root = tree.repository.root
    (root / "recipes/a.yaml").write_text(f"dfurun: 1\nname: A\nimages: {{a: {{file: {file}}}}}\n", encoding="utf-8")
    folder = tmp_path / "aside"
    folder.mkdir()
    index = Tree(tree.repository, "", "index")
    tree.repository.run("add", "--all")
    mirror(index, "recipes/a.yaml", folder)
    assert files_in(folder) == [".git", "recipes/a.yaml"]
