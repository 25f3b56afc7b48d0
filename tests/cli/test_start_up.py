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
    assert {"jsonschema", "dfurun.plan"} <= modules  # the witness sees what is imported


def test_running_a_recipe_imports_no_other_command(tmp_path: Path, recipes: Path) -> None:
    modules = imported(recipes / "f072-release.yaml", "--sim", "--sim-clock=virtual", folder=tmp_path)
    assert modules.isdisjoint(other_commands("run") | FOR_OTHER_FILES)


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


# Prints the file of every family that the process opened, after its own output.
OPENED = """
import atexit, pathlib, sys
opened = set()
def look(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, pathlib.Path)) and str(arguments[0]).endswith(".yaml"):
        path = pathlib.Path(arguments[0])
        opened.update({path.stem} if path.parent.parts[-2:] == ("chips", "data") else set())
sys.addaudithook(look)
atexit.register(lambda: print("families:", *sorted(opened), file=sys.stderr))
"""


def families_opened(*words: object, folder: Path) -> list[str]:
    finished = in_a_process(*words, folder=folder, script=OPENED)
    assert finished.exit == 0, finished.err
    return finished.err.splitlines()[-1].split()[1:]


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
