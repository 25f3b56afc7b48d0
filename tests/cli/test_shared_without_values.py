"""A recipe whose variables only a run is given is checked, linted, planned and tried all the same, with what stands in."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Dfurun
from test_shared_recipes import BASE, BOARD, PRODUCT, product

__all__ = ["product"]
STANDS_IN = "serial 1 stands in for what a run is given"
LEAVES = "  - leave-dfu\n"


def put(text: str) -> None:
    Path("base.yaml").write_text(text, encoding="utf-8")


def test_check_needs_no_value_and_says_what_stood_in(dfurun: Dfurun, product: str) -> None:
    done = dfurun("check", product)
    assert (done.exit, done.out) == (0, f"{product}: ok, 4 steps for STM32F072xB; {STANDS_IN}\n")
    (checked,) = (line for line in dfurun("check", product, "--json").lines if line["event"] == "checked")
    assert checked["stand_ins"] == {"serial": 1}
    assert "stands in" not in dfurun("check", product, "--set", "serial=7").out


def test_what_is_wrong_with_any_value_is_found_without_one(dfurun: Dfurun, product: str) -> None:
    put(BASE.replace("verify: {data: unit}", "verify: {data: unti}"))
    done = dfurun("check", product)
    assert (done.exit, done.codes) == (3, {"unknown-data"})
    assert done.out.endswith(f"{product}: {STANDS_IN}\n")


def test_where_the_smallest_value_does_not_do_the_largest_is_tried(dfurun: Dfurun, product: str) -> None:
    put(BASE.replace("  serial:", "  volts: {type: integer, maximum: 3}\n  serial:") + 'supply: "${volts}V"\n')
    done = dfurun("check", product)
    assert (done.exit, "volts 3, serial 65535 stand in" in done.out) == (0, True)


def test_a_value_that_makes_the_name_of_an_image_has_to_be_given(dfurun: Dfurun, product: str, recipes: Path) -> None:
    image = (recipes / "firmware/f072-blinky.hex").read_bytes()
    Path("app-2.hex").write_bytes(image)
    text = BASE.replace("data:\n", 'images: {application: {file: "app-${build}.hex"}}\ndata:\n', 1)
    text = text.replace("  region:", "  build: {type: text}\n  region:")
    text = text.replace("id: write}", "id: write}\n  - erase: {image: application}\n  - write: {image: application}")
    put(text + "  - verify: {image: application}\n")
    done = dfurun("check", product)
    assert (done.exit, done.codes & {"variable-missing", "image-missing"}) == (3, {"variable-missing"})
    assert "variable `build` is given no value" in done.out
    assert f"{product}: {STANDS_IN}\n" in done.out
    assert dfurun("check", product, "--set", "build=2").exit == 0


def test_lint_needs_no_value_and_takes_a_base_for_what_it_is(dfurun: Dfurun, product: str) -> None:
    put(BASE + LEAVES)
    done = dfurun("lint", "base.yaml", product)
    assert (done.exit, done.out.splitlines()) == (
        0,
        ["base.yaml: a base, linted in full with each recipe that extends it", f"{product}: ok; {STANDS_IN}"],
    )
    assert [line["stand_ins"] for line in dfurun("lint", product, "--json").lines if line["event"] == "linted"] == [
        {"serial": 1}
    ]


def test_a_finding_of_lint_is_silenced_in_the_base_where_it_stands(dfurun: Dfurun, product: str) -> None:
    unverified = BASE.replace("  - verify: {data: unit}\n", "") + LEAVES
    put(unverified)
    found = dfurun("lint", product)
    assert (found.exit, found.codes) == (1, {"not-verified"})
    assert found.out.startswith("base.yaml:20:19: warning[not-verified]"), found.out
    ignore = '[{code: not-verified, reason: "the tester reads it"}]'
    put(unverified.replace("id: write}", f"id: write, x-lint-ignore: {ignore}}}"))
    done = dfurun("lint", product)
    assert (done.exit, done.codes - {"not-verified"}) == (0, set())
    assert done.out.splitlines()[1] == "base.yaml:20:19: silenced[not-verified]: the tester reads it"


def test_an_entry_of_a_base_that_silences_nothing_here_may_be_for_another_recipe(dfurun: Dfurun, product: str) -> None:
    ignore = 'x-lint-ignore: [{code: not-verified, reason: "the tester reads it"}]\n'
    put(BASE + LEAVES + ignore)
    assert dfurun("lint", product).exit == 0
    put(BASE + LEAVES)
    Path(product).write_text(PRODUCT + ignore, encoding="utf-8")
    done = dfurun("lint", product)
    assert (done.exit, done.codes) == (1, {"lint-ignore-unused"})


def test_a_plan_is_shown_without_a_value_but_no_run_is_held_to_it(dfurun: Dfurun, product: str) -> None:
    done = dfurun("plan", product)
    assert done.exit == 0
    assert "  serial: 1, in place of what a run is given\n" in done.out
    for options in (("-o", "plan.json"), BOARD[:2]):
        held = dfurun("plan", product, *options)
        assert (held.exit, held.codes) == (3, {"variable-missing"})
    assert not Path("plan.json").exists()
    assert not Path("board.json").exists()


def test_a_saved_plan_tells_its_variables_to_who_reviews_it(dfurun: Dfurun, product: str) -> None:
    (plan,) = (line for line in dfurun("plan", product, "--set", "serial=7", "--json").lines if line["event"] == "plan")
    assert plan["variables"]["serial"] == {"value": 7, "origin": "--set"}
    assert plan["variables"]["note"] == {"value": "none", "origin": "the default in base.yaml:8"}


@pytest.mark.parametrize("options", [(), ("--set", "serial=7")])
def test_the_fault_matrix_is_tried_with_what_stands_in(dfurun: Dfurun, product: str, options: tuple[str, ...]) -> None:
    few = ("--fault-sample", "8", "--fault-budget", "8", "--jobs", "1")
    done = dfurun("check", product, "--faults", *few, *options)
    assert done.exit == 0, done.out
    assert (STANDS_IN in done.out) is not bool(options)
