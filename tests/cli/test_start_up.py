"""What a command imports before it does anything: the start-up that people wait for, without a clock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Dfurun, in_a_process

from dfurun.cli.app import COMMANDS

# Prints every module that the process imported, after its own output.
WITNESS = "import atexit, sys\natexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))"

# What no command needs that neither talks to a board nor draws.
FOR_A_BOARD = {"usb", "libusb_package", "platformdirs", "dfurun.usb", "dfurun.dfuse.session", "dfurun.run"}
FOR_A_SIMULATED_BOARD = {"dfurun.simulator"}
FOR_STYLE = {"rich", "pygments", "markdown_it"}
FOR_OTHER_FILES = {"elftools"}
FOR_RECIPES = {"yaml", "jsonschema", "intelhex", "dfurun.recipe", "dfurun.steps", "dfurun.chips", "dfurun.plan"}


def imported(*words: object, folder: Path) -> set[str]:
    finished = in_a_process(*words, folder=folder, script=WITNESS)
    assert finished.exit == 0, finished.err
    return set(finished.err.split())


def other_commands(name: str) -> set[str]:
    return {module for module, _, _ in (entry.partition(":") for entry in COMMANDS.values())} - {f"dfurun.cli.{name}"}


def test_the_version_imports_no_library_at_all(tmp_path: Path) -> None:
    everything = FOR_A_BOARD | FOR_A_SIMULATED_BOARD | FOR_STYLE | FOR_OTHER_FILES | FOR_RECIPES
    assert imported("--version", folder=tmp_path).isdisjoint(everything | {"typer", "dfurun.cli.app"})


def test_checking_a_good_recipe_imports_nothing_that_talks_to_a_board_and_nothing_that_draws(
    tmp_path: Path, recipes: Path
) -> None:
    modules = imported("check", recipes / "f072-release.yaml", folder=tmp_path)
    assert modules.isdisjoint(FOR_A_BOARD | FOR_A_SIMULATED_BOARD | FOR_STYLE | FOR_OTHER_FILES)
    assert modules.isdisjoint(other_commands("check"))
    assert "intelhex" not in modules, "records that are plain and sound are read without it"
    assert {"jsonschema", "dfurun.plan"} <= modules  # the witness sees what is imported


def test_running_a_recipe_imports_no_other_command(tmp_path: Path, recipes: Path) -> None:
    modules = imported(recipes / "f072-release.yaml", "--sim", "--sim-clock=virtual", folder=tmp_path)
    assert modules.isdisjoint(other_commands("run") | FOR_OTHER_FILES | {"intelhex"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_is_found_by_its_name(dfurun: Dfurun, name: str) -> None:
    finished = dfurun(name, "--help")
    assert finished.exit == 0
    assert f"Usage: dfurun {name}" in finished.out


def test_the_help_lists_every_command_in_order(dfurun: Dfurun) -> None:
    assert re.findall(r"^│ ([a-z]+) ", dfurun("--help").out, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize(("mistyped", "meant"), [("chekc", "check"), ("device", "devices"), ("inof", "info")])
def test_a_mistyped_command_is_told_the_command_that_was_meant(dfurun: Dfurun, mistyped: str, meant: str) -> None:
    finished = dfurun(mistyped)
    assert finished.exit == 2
    assert f"did you mean '{meant}'? `dfurun --help`" in finished.err


# Prints each data file of dfurun's own that the process opened, as often as it did, and how many validators it made.
OPENED = """
import atexit, os, sys, time
opened = []
def look(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        path = os.fspath(arguments[0]).replace(os.sep, "/")
        if "dfurun/" in path and path.endswith((".yaml", ".json")) and ("/schemas/" in path or "/chips/" in path):
            opened.append(path.rpartition("/")[2])
            time.sleep(0.1)  # so that who else wants it comes meanwhile
sys.addaudithook(look)
def made():
    validators = sys.modules.get("jsonschema.validators")
    return 0 if validators is None else len(validators_made)
validators_made = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "dfurun.recipe.schema":
            sys.meta_path.remove(self)
            import jsonschema.validators as validators
            extend = validators.extend
            validators.extend = lambda *words, **more: validators_made.append(1) or extend(*words, **more)
sys.meta_path.insert(0, Watch())
atexit.register(lambda: print("opened:", *sorted(opened), "validators:", made(), file=sys.stderr))
"""
INDEX, SCHEMA = "index.json", "recipe.schema.json"


def loaded(*words: object, folder: Path, exits: int = 0) -> tuple[list[str], int]:
    """Return the data files that a command opened, with each as often as it did, and how many validators it made."""
    finished = in_a_process(*words, folder=folder, script=OPENED)
    assert finished.exit == exits, finished.err
    files, _, validators = finished.err.splitlines()[-1].removeprefix("opened:").partition("validators:")
    return files.split(), int(validators)


def families_opened(*words: object, folder: Path) -> list[str]:
    files, _ = loaded(*words, folder=folder)
    return [file.removesuffix(".yaml") for file in files if file.startswith("stm32")]


VIRTUAL = ("--sim", "--sim-clock=virtual")
ONE_FAMILY = [INDEX, SCHEMA, "stm32f0.yaml"]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("check", "f072-release.yaml"), ONE_FAMILY),
        (("check", "f072-release.yaml", "f072-protect.yaml", "f072-unprotect.yaml"), ONE_FAMILY),
        (("check", "f072-release.yaml", "f405-release.yaml"), [*ONE_FAMILY, "stm32f4.yaml"]),
        (("lint", "f072-release.yaml", "f072-protect.yaml"), ONE_FAMILY),
        (("plan", "f072-release.yaml"), ONE_FAMILY),
        (("plan", "f072-release.yaml", "--live", "--sim"), ["clones.yaml", *ONE_FAMILY]),
        (("diff", "f072-release.yaml", "f072-protect.yaml"), ONE_FAMILY),
        (("f072-release.yaml", *VIRTUAL), ["clones.yaml", *ONE_FAMILY]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "files",
)
def test_a_command_opens_each_file_that_it_needs_once_and_makes_one_validator(
    tmp_path: Path, recipes: Path, words: tuple[str, ...], files: list[str]
) -> None:
    whole = [recipes / word if word.endswith(".yaml") else word for word in words]
    assert loaded(*whole, folder=tmp_path) == (files, 1)


def test_many_boards_are_no_reason_to_read_anything_twice(tmp_path: Path, recipes: Path) -> None:
    boards: list[str] = []
    for name in ("a", "b", "c"):
        assert in_a_process("sim", "new", f"{name}.json", folder=tmp_path).exit == 0
        boards += ["--sim-state", f"{name}.json"]
    words = (recipes / "f072-release.yaml", "--all", *boards, "--sim-clock=virtual")
    assert loaded(*words, folder=tmp_path) == (["clones.yaml", *ONE_FAMILY], 1)


@pytest.mark.parametrize(
    ("chip", "family"), [("STM32F427VIT6", "stm32f4"), ("stm32g0b1xb", "stm32g0"), ("u575zi", "stm32u5")]
)
def test_a_run_and_a_look_open_the_file_of_one_family(tmp_path: Path, chip: str, family: str) -> None:
    recipe = tmp_path / "one.yaml"
    recipe.write_text(
        f"dfurun: 1\nname: t\nchip: {chip}\nsteps:\n  - connect\n  - check-option-bytes: {{fields: {{RDP: level-0}}}}\n",
        encoding="utf-8",
    )
    board = ("--sim", "--sim-clock=virtual")
    for words in (("check", recipe), (recipe, *board), ("info", *board, chip), ("chips", "show", chip)):
        assert families_opened(*words, folder=tmp_path) == [family], words
    assert families_opened("chips", folder=tmp_path) == [], "a list needs the index alone"
