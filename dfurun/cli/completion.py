"""What a shell's TAB offers: recipes, chips, ports, codes. It is quick, and silent where it cannot know.

A shell falls back to the names of files where nothing is offered: bash and zsh by what they were given at installation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from dfurun.cli.recipe_first import RECIPE_SUFFIXES

DEEPEST_FOLDER = 2  # recipes are offered as whole names, so that the shell's blank after a name is right
BEGINNING_BYTES = 4096  # of a recipe, where its first keys are
MOST_ENTRIES = 2000  # looked at in one folder


def recipes(incomplete: str) -> list[str]:
    """Return the recipes whose path begins so, in this folder and a little below it."""
    folder, _, start = incomplete.rpartition("/")
    prefix = f"{folder}/" if folder or incomplete.startswith("/") else ""
    found: list[str] = []
    with suppress(OSError):
        found = [f"{prefix}{path}" for path in _recipes_below(Path(prefix or "."), start, DEEPEST_FOLDER)]
    return sorted(found)


def _recipes_below(folder: Path, start: str, depth: int) -> Iterator[str]:
    """Yield paths relative to `folder`; hidden ones where the name that was begun is."""
    with suppress(OSError):
        for _, entry in zip(range(MOST_ENTRIES), folder.iterdir(), strict=False):
            if not entry.name.startswith(start) or (entry.name.startswith(".") and not start.startswith(".")):
                continue
            if entry.is_dir():
                yield from (f"{entry.name}/{path}" for path in _recipes_below(entry, "", depth - 1) if depth)
            elif entry.suffix in RECIPE_SUFFIXES and _is_recipe(entry):
                yield entry.name


def _is_recipe(path: Path) -> bool:
    """Say whether a YAML file has the key that every recipe begins with, so that a project's other YAML is not offered."""
    with suppress(OSError):
        if path.is_file():  # a pipe would wait for a writer
            with path.open("rb") as file:
                return any(line.startswith(b"dfurun:") for line in file.read(BEGINNING_BYTES).splitlines())
    return False


def chips(incomplete: str) -> list[str]:
    """Return the chips whose name begins so, with the vendor's prefix or without, in small letters or as ST writes them.

    A whole part number stands for itself.
    """
    from dfurun.chips import chip_names
    from dfurun.chips.part_number import VENDOR_PREFIX, meant_by, title_of

    small, known = incomplete.casefold(), chip_names()
    names = [name if incomplete == small else title_of(name) for name in known]
    if small[:1] and not VENDOR_PREFIX.startswith(small[: len(VENDOR_PREFIX)]):
        names = [name[len(VENDOR_PREFIX) :] for name in names]
    found = [name for name in names if name.casefold().startswith(small)]
    return found or ([incomplete] if len(meant_by(incomplete, known).names) == 1 else [])


def listed_chips(incomplete: str) -> list[str]:
    """Return what `dfurun chips` takes first: `show`, and the chips."""
    return [*(["show"] if "show".startswith(incomplete) else []), *chips(incomplete)]


def codes(incomplete: str) -> list[tuple[str, str]]:
    """Return the codes of everything that can go wrong, with their cause."""
    from dfurun.errors import Code

    return [(str(code), code.summary) for code in Code if str(code).startswith(incomplete)]


def faults(incomplete: str) -> list[str]:
    """Return the names of the simulated board's faults."""
    from dfurun.simulator.faults import FAULTS

    return sorted(name for name in FAULTS if name.startswith(incomplete))


def ports(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ports at which there is a board; nothing where the bus cannot be listed.

    Boards in files are not asked: to open one may change its file.
    """
    from dfurun.cli.bench import set_up
    from dfurun.cli.board_options import BoardOptions, SimClock

    if context.params.get("sim_state"):
        return []
    simulated = bool(context.params.get("sim"))
    try:
        bench = set_up(BoardOptions(sim=simulated, sim_clock=SimClock.VIRTUAL if simulated else SimClock.REAL))
        found = [(str(c.port), f"{c.vendor_id:04x}:{c.product_id:04x}") for c in bench.bus.candidates()]
    except Exception:  # no libusb, no permission: TAB is not the place to tell
        return []
    return [offer for offer in found if offer[0].startswith(incomplete)]


def files(incomplete: str) -> list[str]:
    """Return nothing: the shell completes the names of files itself."""
    return []
