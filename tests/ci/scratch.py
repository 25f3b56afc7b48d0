"""A repository of a team with recipes, as a test needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import ROOT

SOUND = ROOT / "recipes/f072-release.yaml"


@dataclass(frozen=True)
class Repository:
    """A git repository in a folder, whose hooks and commands take nothing from the computer it is on."""

    folder: Path
    environment: dict[str, str]

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run git there; what it prints is on its standard output, both streams."""
        return self.run("git", *words)

    def run(self, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )

    def commit(self, message: str) -> str:
        """Commit all there is, past any hook; return the commit."""
        assert self.git("add", "--all").returncode == 0
        done = self.git("commit", "--quiet", "--no-verify", "--allow-empty", "-m", message)
        assert done.returncode == 0, done.stdout
        return self.git("rev-parse", "HEAD").stdout.strip()

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def recipe(self) -> Path:
        """The recipe that is there from the beginning, a sound one."""
        return self.folder / "recipes" / SOUND.name


def new_repository(folder: Path) -> Repository:
    """Return a repository with one commit: a sound recipe and its image. Skip the test where there is no git."""
    if shutil.which("git") is None:
        pytest.skip("no git on this computer")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "DFURUN_"))}
    environment = kept | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",  # a checkout that another user owns, as in a container, is cloned as well
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_AUTHOR_NAME": "scratch",
        "GIT_AUTHOR_EMAIL": "scratch@example.invalid",
        "GIT_COMMITTER_NAME": "scratch",
        "GIT_COMMITTER_EMAIL": "scratch@example.invalid",
        "DFURUN_STATE_DIR": str(folder / "state"),
    }
    repository = Repository(folder / "team", environment)
    (repository.folder / "recipes").mkdir(parents=True)
    shutil.copy(SOUND, repository.recipe)
    shutil.copytree(ROOT / "recipes/firmware", repository.folder / "recipes/firmware")
    assert repository.git("init", "--quiet", "--initial-branch", "main").returncode == 0
    repository.commit("The first recipe")
    return repository
