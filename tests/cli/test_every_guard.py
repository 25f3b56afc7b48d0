"""Every guard of the chip data, each from a recipe on a chip that has it: refused with exit 6 until `allow` names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import Chip, FieldValue, Guard, load_chip
from dfurun.chips.index import entries

# Chips of a family share guards: each guard once, on the first chip that has it so.
GUARDS = {repr(guard): (entry.names[0], guard) for entry in entries() for guard in load_chip(entry.names[0]).guards}
every_guard = pytest.mark.parametrize(
    ("name", "guard"), GUARDS.values(), ids=[f"{name}-{guard.name}" for name, guard in GUARDS.values()]
)


def fields_into(chip: Chip, guard: Guard) -> dict[str, FieldValue]:
    """Return fields that lead from the factory's option bytes into the guard's condition."""
    layout = chip.option_bytes
    before = layout.decode(layout.factory)
    fields = dict(guard.when)
    for name, others in guard.when_not.items():
        fields[name] = next(value for value in (0, 1, 2) if value not in others)
    if guard.changes:
        field = layout.fields[guard.changes[0]]
        fields[field.name] = int(before[field.name]) ^ 1
    return fields


@every_guard
def test_a_guard_is_met_by_a_recipe_and_let_pass_by_name(
    dfurun: Dfurun, tmp_path: Path, name: str, guard: Guard
) -> None:
    chip = load_chip(name)
    fields = ", ".join(f"{field}: {value}" for field, value in fields_into(chip, guard).items())

    def run(*allowed: str) -> tuple[int, str]:
        recipe = tmp_path / "recipe.yaml"
        step = f"set-option-bytes: {{fields: {{{fields}}}}}"
        recipe.write_text(
            f"dfurun: 1\nname: t\nchip: {name}\nallow: [{', '.join(allowed)}]\nsteps: [connect, {{{step}}}]\n",
            encoding="utf-8",
        )
        done = dfurun(recipe, "--sim", "--sim-clock", "virtual")
        return done.exit, " ".join(done.err.split())

    status, told = run(*(other for other in chip.guard_names if other != guard.name))
    assert status == 6, told
    assert guard.means in told
    assert f"write `allow: [{guard.name}]`" in told
    assert ("--allow-irreversible" in told) is guard.irreversible
    status, told = run(*chip.guard_names)
    assert f"allow: [{guard.name}]" not in told
    assert (status, "run with --allow-irreversible" in told) == (6, True) if guard.irreversible else status in (0, 7), (
        told
    )
