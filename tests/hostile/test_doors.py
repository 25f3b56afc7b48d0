"""What a recipe may reach: it reads inside its repository, writes below the working directory, and starts nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import ROOT, Dfurun, in_a_process

from dfurun import files
from dfurun.recipe import load, load_recipe

SECRET = b"\x00\x40\x00\x20\x09\x01\x00\x08secret"
VIRTUAL = ("--sim-clock", "virtual")
HEAD = "dfurun: 1\nname: Doors\nchip: stm32f072xb\n"
has_links = pytest.mark.skipif(os.name == "nt", reason="links are a privilege there")
has_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a recipe folder, and a secret beside it."""
    folder = tmp_path / "product"
    (folder / ".git").mkdir(parents=True)
    (folder / "recipes").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "app.bin").write_bytes(SECRET)
    (folder / "app.bin").write_bytes(SECRET)
    return folder


def with_image(repository: Path, file: str) -> Path:
    recipe = repository / "recipes" / "recipe.yaml"
    image = json.dumps(file)
    steps = "steps: [connect, mass-erase, {write: {image: a}}, {verify: {image: a}}]\n"
    recipe.write_text(f"{HEAD}images: {{a: {{file: {image}, address: 0x08000000}}}}\n{steps}", encoding="utf-8")
    return recipe


def codes(recipe: Path, *, allow_outside: bool = False) -> set[str]:
    return {finding.code.label for finding in load_recipe(recipe, allow_outside=allow_outside).findings}


# Reading -------------------------------------------------------------------------------------------------------------


@has_links
@pytest.mark.parametrize("extends", ["base.yaml", "../../secret/base.yaml", "up/secret/base.yaml"])
def test_a_base_is_read_from_the_repository_and_from_nowhere_else(repository: Path, extends: str) -> None:
    (repository.parent / "secret" / "base.yaml").write_text(HEAD.replace("name", "nmae"), encoding="utf-8")
    (repository / "recipes" / "base.yaml").symlink_to("../../secret/base.yaml")
    (repository / "recipes" / "up").symlink_to("../..")
    recipe = repository / "recipes" / "recipe.yaml"
    recipe.write_text(f"dfurun: 1\nextends: {extends}\nname: Example\nsteps: [connect]\n", encoding="utf-8")
    assert codes(recipe) == {"base-outside"}
    assert codes(recipe, allow_outside=True) == {"unknown-key"}


@has_links
@pytest.mark.parametrize(
    ("link", "leads_to", "file"),
    [
        ("recipes/app.bin", "../../secret/app.bin", "app.bin"),
        ("recipes/folder", "../../secret", "folder/app.bin"),
        ("a", "../secret", "../a/app.bin"),
        ("recipes/one", "two", "one/app.bin"),
        ("recipes/root", "/", "root{secret}/app.bin"),
        ("recipes/up", "../..", "up/secret/app.bin"),
        (None, None, "../../secret/app.bin"),
        (None, None, "{secret}/app.bin"),
        (None, None, "./../recipes/../../secret/app.bin"),
        (None, None, "/proc/self/cwd/../secret/app.bin"),
    ],
)
def test_no_path_and_no_link_in_any_part_of_it_leads_out_of_the_repository(
    repository: Path, link: str | None, leads_to: str | None, file: str
) -> None:
    if link is not None and leads_to is not None:
        (repository / link).symlink_to(leads_to)
    (repository / "recipes" / "two").symlink_to(repository.parent / "secret")
    recipe = with_image(repository, file.replace("{secret}", str(repository.parent / "secret")))
    assert codes(recipe) == {"image-outside"}


@has_links
def test_a_link_that_stays_inside_is_followed(repository: Path) -> None:
    (repository / "recipes" / "link.bin").symlink_to("../app.bin")
    assert codes(with_image(repository, "link.bin")) == {"unpinned-image"}


@has_links
@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_link_that_is_put_there_after_the_look_and_before_the_opening_is_not_followed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    folder = repository / "recipes" / "build"
    folder.mkdir()
    (folder / "app.bin").write_bytes(SECRET)
    recipe = with_image(repository, "build/app.bin")
    looked = load.may_be_inside

    def swap(file: Path, inside: Path) -> bool:
        answer = looked(file, inside)
        (folder / "app.bin").unlink()
        if part == "file":
            (folder / "app.bin").symlink_to(repository.parent / "secret" / "app.bin")
        else:
            folder.rmdir()
            folder.symlink_to(repository.parent / "secret")
        return answer

    monkeypatch.setattr(load, "may_be_inside", swap)
    assert codes(recipe) == {"image-outside"}


def test_a_file_that_was_another_one_while_it_was_opened_is_not_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link led out when the file was opened, and was gone again when it was looked at."""
    recipe = with_image(repository, "../app.bin")
    honest = os.open

    def swapped(path: Path, flags: int) -> int:
        outside = repository.parent / "secret" / "app.bin"
        return honest(outside if Path(path).name == "app.bin" else path, flags)

    monkeypatch.setattr(files.os, "open", swapped)
    assert codes(recipe) == {"image-outside"}


@has_links
def test_a_recipe_that_is_a_link_out_of_its_repository_is_not_read_and_not_quoted(
    dfurun: Dfurun, repository: Path
) -> None:
    secret = repository.parent / "secret" / "token.yaml"
    secret.write_text("token: hunter2\n", encoding="utf-8")
    recipe = repository / "recipes" / "recipe.yaml"
    recipe.symlink_to(secret)
    done = dfurun("check", recipe)
    assert (done.exit, done.codes) == (3, {"image-outside"})
    assert "hunter2" not in done.out + done.err
    assert "hunter2" in dfurun("check", recipe, "--allow-outside").out, "who asks for it gets it"
    recipe.unlink()
    with_image(repository, "../app.bin").rename(repository / "real.yaml")
    recipe.symlink_to("../real.yaml")
    assert codes(recipe) == {"unpinned-image"}, "inside, a link is a file like others"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


@has_pipes
@pytest.mark.parametrize(
    "make", [pipe, listening, Path.mkdir, lambda path: path.symlink_to(path)], ids=["pipe", "socket", "folder", "loop"]
)
def test_what_is_no_file_is_said_at_once_and_not_waited_for(
    repository: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    recipe = with_image(repository, "image.bin")
    make(repository / "recipes" / "image.bin")
    assert codes(recipe) == {"image-missing"}
    assert codes(recipe, allow_outside=True) == {"image-missing"}
    make(repository / "recipes" / "other.yaml")
    assert codes(repository / "recipes" / "other.yaml") == {"recipe-unreadable"}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/tty", "/dev/stdin"])
def test_a_device_is_no_image_even_where_files_may_lie_outside(repository: Path, device: str) -> None:
    recipe = with_image(repository, device)
    assert codes(recipe) == {"image-outside"}
    assert codes(recipe, allow_outside=True) & {"image-missing", "image-empty"}


def test_a_file_that_grows_while_it_is_read_ends_at_the_limit(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.os, "read", lambda descriptor, size: b"x" * size)
    with pytest.raises(files.TooLarge):
        files.read_file(repository / "app.bin", 1000)


def test_a_small_file_takes_no_buffer_of_the_largest_size(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    honest = os.read
    monkeypatch.setattr(files.os, "read", lambda fd, size: asked.append(size) or honest(fd, size))
    assert files.read_file(repository / "app.bin", 1 << 40) == SECRET
    assert max(asked) <= 1 << 20


# Writing -------------------------------------------------------------------------------------------------------------


def reading(folder: Path, file: str, *before: str) -> Path:
    recipe = folder / "backup.yaml"
    steps = ["connect", *before, f"read: {{range: 0x08000000+2K, file: {json.dumps(file)}}}"]
    recipe.write_text(HEAD + "steps:\n" + "".join(f"  - {step}\n" for step in steps), encoding="utf-8")
    return recipe


@pytest.mark.parametrize(
    "file",
    ["../x.bin", "a/../../x.bin", "/x/x.bin", "..\\x.bin", "C:\\x.bin", "\\\\server\\x", "${port}/../../x", "x:stream",
     ".git/hooks/post-checkout", "sub/.GIT/config", "${date}/.git/config"],
)  # fmt: skip
def test_a_backup_is_never_named_out_of_the_working_directory_or_into_git(
    dfurun: Dfurun, tmp_path: Path, file: str
) -> None:
    done = dfurun("check", reading(tmp_path, file))
    assert (done.exit, done.codes) == (3, {"bad-value"})


@has_links
@pytest.mark.parametrize("file", ["out/x.bin", "deep/er/out/x.bin", "out/${port}/x.bin", "out/new/x.bin"])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_link_leads_no_backup_out_of_the_working_directory_and_nothing_is_erased_for_it(
    dfurun: Dfurun, tmp_path: Path, file: str, force: tuple[str, ...]
) -> None:
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    (work / "deep" / "er").mkdir(parents=True)
    elsewhere.mkdir()
    (work / "out").symlink_to(elsewhere)
    (work / "deep" / "er" / "out").symlink_to("../../../elsewhere")
    os.chdir(work)  # the fixture brings the folder back
    dfurun("sim", "new", "board.json")
    dfurun("sim", "load", "board.json", ROOT / "recipes/firmware/f072-blinky.hex")
    flash = json.loads((work / "board.json").read_text())["flash"]
    done = dfurun(reading(work, file, "mass-erase"), "--sim-state", "board.json", *VIRTUAL, *force)
    assert (done.exit, done.codes) == (6, {"file-outside"}), done.err
    assert list(elsewhere.iterdir()) == []
    assert json.loads((work / "board.json").read_text())["flash"] == flash
    alone = dfurun(reading(work, file), "--sim-state", "board.json", *VIRTUAL, *force)
    assert (alone.exit, alone.codes) == (6, {"file-outside"})


@has_links
def test_a_file_that_is_itself_a_link_is_kept_and_with_force_replaced_not_followed(
    dfurun: Dfurun, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    work = tmp_path / "work"
    work.mkdir()
    (work / "x.bin").symlink_to(victim)
    os.chdir(work)
    done = dfurun(reading(work, "x.bin"), "--sim", *VIRTUAL)
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert dfurun(reading(work, "x.bin"), "--sim", *VIRTUAL, "--force").exit == 0
    assert victim.read_bytes() == b"precious"
    assert (work / "x.bin").read_bytes() == b"\xff" * 2048


@has_links
def test_a_record_and_a_log_overwrite_nothing_through_a_link(dfurun: Dfurun, tmp_path: Path, recipes: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "record.json").symlink_to(victim)
    for words in (("--record", "record.json"), ("--log", "record.json")):
        done = dfurun(recipes / "f072-release.yaml", "--sim", *VIRTUAL, *words)
        assert (done.exit, done.codes) == (6, {"file-exists"})
        assert victim.read_bytes() == b"precious"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices here")
def test_nothing_takes_the_place_of_a_device(dfurun: Dfurun, tmp_path: Path) -> None:
    for words in (
        ("read", "--sim", *VIRTUAL, "-o", "/dev/null", "--force"),
        ("sim", "dump", "board.json", "/dev/null"),
    ):
        dfurun("sim", "new", "board.json")
        dfurun(*words)
        assert Path("/dev/null").is_char_device()


# Starting ------------------------------------------------------------------------------------------------------------

WATCH = """
import os, sys
FOLDERS = tuple(os.path.realpath(name) for name in os.environ["MAY_WRITE"].split(":"))
def watch(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "exec.eval"):
        os.write(2, f"STARTED {event} {arguments}\\n".encode())
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)) and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR) and not os.path.realpath(arguments[0]).startswith(FOLDERS):
            os.write(2, f"WROTE {arguments[0]}\\n".encode())
sys.dont_write_bytecode = True
import platform; platform.platform()  # which asks the system once, by programs of its own on some
sys.addaudithook(watch)
"""


def test_a_run_starts_no_program_connects_nowhere_and_writes_in_the_working_directory_alone(tmp_path: Path) -> None:
    may_write = os.pathsep.join(map(str, (tmp_path, "/dev/null")))
    (tmp_path / "work").mkdir()
    for words in (
        (ROOT / "recipes/f072-release.yaml", "--sim", *VIRTUAL, "--record", "record.json", "--log", "log.txt", "-v"),
        (reading(tmp_path, "backups/${port}-${unique-id}.bin"), "--sim", *VIRTUAL),
        ("check", ROOT / "tests/cases/recipes/ok-everything.yaml"),
    ):
        done = in_a_process(*words, folder=tmp_path / "work", script=WATCH, MAY_WRITE=may_write)
        assert done.exit == 0, done.err
        assert "STARTED" not in done.err
        assert "WROTE" not in done.err
    assert len(list((tmp_path / "work" / "backups").iterdir())) == 1
    loud = in_a_process("--version", folder=tmp_path, script=WATCH + "os.system('true'); open(os.environ['HOME_FILE'], 'w')",
                        MAY_WRITE=str(tmp_path / "work"), HOME_FILE=str(tmp_path / "x"))  # fmt: skip
    assert "STARTED os.system" in loud.err
    assert "WROTE" in loud.err
