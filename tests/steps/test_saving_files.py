"""A file is saved whole or not at all, and over nothing else: not over what comes meanwhile, nor where links are missing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from unittest.mock import patch

import pytest

from dfurun.errors import Code, Refused, StepFailed
from dfurun.steps.files import reserve, save


@pytest.fixture(params=["hard-links", "no-hard-links"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where to save, on a file system with hard links and on one without."""
    if request.param == "hard-links":
        yield tmp_path / "backup.bin"
        return
    with patch("os.link", side_effect=PermissionError(errno.EPERM, "Operation not permitted")):
        yield tmp_path / "backup.bin"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_new_file_is_saved_and_nothing_else_is_left(path: Path) -> None:
    assert save(path, b"flash", overwrite=False)
    assert path.read_bytes() == b"flash"
    assert names(path.parent) == ["backup.bin"]


def test_what_is_there_stays(path: Path) -> None:
    path.write_bytes(b"another")
    with pytest.raises(Refused, match="holds something else") as caught:
        save(path, b"flash", overwrite=False)
    assert caught.value.code is Code.FILE_EXISTS
    assert path.read_bytes() == b"another"
    assert names(path.parent) == ["backup.bin"]


def test_a_link_to_nowhere_stays(path: Path) -> None:
    path.symlink_to("gone.bin")
    with pytest.raises(Refused, match="holds something else"):
        save(path, b"flash", overwrite=False)
    assert path.is_symlink()
    assert names(path.parent) == ["backup.bin"]


@pytest.mark.parametrize("last_moment", ["fsync", "link"])
def test_what_comes_while_the_file_is_written_stays(path: Path, last_moment: str) -> None:
    real = getattr(os, last_moment)

    def comes_first(*arguments: object) -> object:
        path.write_bytes(b"another")
        return real(*arguments)

    with patch(f"os.{last_moment}", comes_first), pytest.raises(Refused, match="holds something else"):
        save(path, b"flash", overwrite=False)
    assert path.read_bytes() == b"another"
    assert names(path.parent) == ["backup.bin"]


def without_links(path: Path) -> None:
    with patch("os.link", side_effect=PermissionError(errno.EPERM, "Operation not permitted")):
        save(path, b"flash", overwrite=False)


def test_what_comes_after_a_link_was_refused_stays(tmp_path: Path) -> None:
    path, real = tmp_path / "backup.bin", Path.open

    def comes_first(self: Path, mode: str) -> IO[bytes]:
        with real(self, "wb") as file:
            file.write(b"another")
        return real(self, mode)

    with patch.object(Path, "open", comes_first), pytest.raises(Refused, match="holds something else"):
        without_links(path)
    assert path.read_bytes() == b"another"


def test_no_empty_file_is_left_where_the_whole_one_cannot_take_its_place(tmp_path: Path) -> None:
    failure = OSError(errno.EIO, "Input/output error")
    with patch.object(Path, "replace", side_effect=failure), pytest.raises(StepFailed, match="Input/output error"):
        without_links(tmp_path / "backup.bin")
    assert names(tmp_path) == []


def test_with_force_the_file_is_replaced(path: Path) -> None:
    path.write_bytes(b"another")
    assert save(path, b"flash", overwrite=True)
    assert path.read_bytes() == b"flash"
    assert names(path.parent) == ["backup.bin"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_name_that_no_file_can_have_is_a_file_that_cannot_be_written(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(StepFailed, match="cannot be written: embedded null byte") as caught:
        save(tmp_path / "a\0b", b"flash", overwrite=overwrite)
    assert caught.value.code is Code.FILE_UNWRITABLE
    with pytest.raises(StepFailed, match="cannot be written: embedded null byte"):
        reserve(tmp_path / "a\0b" / "c", 5, overwrite=overwrite)
