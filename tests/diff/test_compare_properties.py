"""Properties of the comparison: what is only written otherwise is never told, and what happens otherwise always is."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from recipe_pairs import CALIBRATION, FIRMWARE, compiled, rich

from dfurun.diff import Difference, Rank, compare

Recipe = dict[str, Any]
FIELD_VALUES = {"DATA1": [0, 0xA5], "WDG_SW": [0, 1], "nRST_STOP": [0, 1], "BOOT_SEL": [1], "DATA0": [0, 0x5A, 0xFF]}


# Writing the same otherwise ------------------------------------------------------------------------------------------


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    """Return the same value with the keys of its mappings in another order."""
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@st.composite
def rewritten(draw: st.DrawFn, recipe: Recipe) -> str:
    """Return a recipe's text in some format, with comments, keys of one's own and another order of keys."""
    value = shuffled(copy.deepcopy(recipe), draw)
    if draw(st.booleans()):
        value["x-note"] = draw(st.text("abc ", max_size=9))
    text = yaml.safe_dump(
        value,
        sort_keys=False,
        default_flow_style=draw(st.sampled_from([None, True, False])),
        indent=draw(st.integers(2, 6)),
        width=draw(st.integers(40, 200)),
    )
    lines = text.splitlines()
    comment = draw(st.text("abc: {}[]#-", max_size=20))
    lines[0:0] = draw(st.lists(st.sampled_from([f"# {comment}", ""]), max_size=3))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n# the end\n"]))


@given(st.data())
def test_comments_formatting_and_the_order_of_keys_change_nothing(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        old = compiled(Path(folder, "old"), rich())
        new = compiled(Path(folder, "new"), data.draw(rewritten(rich())))
        assert new.recipe is not None, new.findings
        assert compare(old, new) == Difference(())
        assert compare(new, old) == Difference(())


# One thing that happens otherwise ------------------------------------------------------------------------------------


def bodies(recipe: Recipe) -> Iterator[dict[str, Any]]:
    for step in recipe["steps"]:
        if isinstance(step, dict):
            yield from (body for body in step.values() if body is not None)


def drop_a_step(recipe: Recipe, draw: st.DrawFn) -> None:
    recipe["steps"].pop(draw(st.integers(1, len(recipe["steps"]) - 1)))


def add_a_step(recipe: Recipe, draw: st.DrawFn) -> None:
    steps = ["unprotect", "mass-erase", {"erase": {"pages": "20-21"}}, {"verify": {"image": "application"}}]
    recipe["steps"].insert(draw(st.integers(1, len(recipe["steps"]))), draw(st.sampled_from(steps)))


def move_a_step(recipe: Recipe, draw: st.DrawFn) -> None:
    steps = recipe["steps"]
    at = draw(st.integers(1, len(steps) - 1))
    steps.insert(draw(st.integers(1, len(steps) - 1)), steps.pop(at))


def change_a_timeout(recipe: Recipe, draw: st.DrawFn) -> None:
    body = draw(st.sampled_from(list(bodies(recipe))))
    body["timeout"] = draw(st.sampled_from(["7s", "3min"]))


def change_a_field(recipe: Recipe, draw: st.DrawFn) -> None:
    body = draw(st.sampled_from([body for body in bodies(recipe) if "fields" in body]))
    name = draw(st.sampled_from(sorted(FIELD_VALUES)))
    body["fields"][name] = draw(st.sampled_from(FIELD_VALUES[name]))


def drop_a_field(recipe: Recipe, draw: st.DrawFn) -> None:
    body = draw(st.sampled_from([body for body in bodies(recipe) if "fields" in body]))
    body["fields"].pop(draw(st.sampled_from(sorted(body["fields"]))))


def change_a_mode(recipe: Recipe, draw: st.DrawFn) -> None:
    index, mode = draw(st.sampled_from([(3, "needed"), (4, "changed"), (6, "all")]))
    next(iter(recipe["steps"][index].values()))["mode"] = mode


def change_the_pages(recipe: Recipe, draw: st.DrawFn) -> None:
    recipe["steps"][3]["erase"]["pages"] = f"0-{draw(st.integers(3, 63))}"


def change_what_stands_beside(recipe: Recipe, draw: st.DrawFn) -> None:
    key = draw(st.sampled_from(["supply", "expect", "allow", "name"]))
    if draw(st.booleans()):
        recipe.pop(key)
    else:
        recipe[key] = {
            "supply": "3.0V",
            "expect": {"flash-size": "64K"},
            "allow": ["protects-what-follows", "bootloader-hidden"],
            "name": "Another",
        }[key]


MUTATIONS: list[Callable[[Recipe, st.DrawFn], None]] = [
    drop_a_step,
    add_a_step,
    move_a_step,
    change_a_timeout,
    change_a_field,
    drop_a_field,
    change_a_mode,
    change_the_pages,
    change_what_stands_beside,
]


@given(st.data(), st.sampled_from(MUTATIONS))
def test_whatever_one_thing_happens_otherwise_is_told(
    data: st.DataObject, mutate: Callable[[Recipe, st.DrawFn], None]
) -> None:
    recipe = rich()
    mutate(recipe, data.draw)
    assume(recipe != rich())
    with tempfile.TemporaryDirectory() as folder:
        old, new = compiled(Path(folder, "old"), rich()), compiled(Path(folder, "new"), recipe)
        assume(new.recipe is not None)
        for found in (compare(old, new), compare(new, old)):
            assert found.changes, (mutate, recipe)
            weights = [list(Rank).index(change.rank) for change in found.changes]
            assert weights == sorted(weights)
            assert all(change.what and change.why for change in found.changes)


@given(st.integers(0, len(FIRMWARE) + len(CALIBRATION) - 1), st.integers(1, 255))
def test_a_flipped_bit_of_any_byte_of_the_firmware_is_told(at: int, flip: int) -> None:
    both = bytearray(FIRMWARE + CALIBRATION)
    both[at] ^= flip
    images = {"app.bin": bytes(both[: len(FIRMWARE)]), "calibration.bin": bytes(both[len(FIRMWARE) :])}
    with tempfile.TemporaryDirectory() as folder:
        old, new = compiled(Path(folder, "old"), rich()), compiled(Path(folder, "new"), rich(), images)
        assert new.recipe is not None
        (change,) = compare(old, new).changes
        (firmware,) = compare(old, new).firmware
    name = "application" if at < len(FIRMWARE) else "calibration"
    assert change.what == f"{name} is another firmware"
    assert firmware.changed_bytes == 1
    assert len(firmware.changed_pages) == 1
