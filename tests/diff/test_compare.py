"""What each change of a recipe is told as: its rank, its words, and that nothing is told of what is only written otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from recipe_pairs import CALIBRATION, FIRMWARE, PAGE, RICH, compiled, rich, written

from dfurun.chips import chip_names, load_chip
from dfurun.diff import Change, Difference, Kind, Rank, Subject, added, compare, removed
from dfurun.diff.body import NOT_OF_THE_BODY, body_of
from dfurun.plan import Compiled, compile_for_review, compile_recipe
from dfurun.recipe import Declaration
from dfurun.steps.registry import STEPS

Recipe = dict[str, Any]
FOREVER, LOSES, WEAKENS, ROUTINE = Rank
ROOT = Path(__file__).parents[2]


@pytest.fixture
def difference(tmp_path: Path) -> Callable[..., Difference]:
    """Compare the recipe with one of everything with what `change` makes of it."""

    def of(
        change: Callable[[Recipe], object], *, start: Callable[[Recipe], object] | None = None, **images: Any
    ) -> Difference:
        old = rich()
        if start is not None:
            start(old)
        new = rich()
        if start is not None:
            start(new)
        change(new)
        sides = compiled(tmp_path / "old", old), compiled(tmp_path / "new", new, images.get("images"))
        assert [side.recipe is not None for side in sides] == [True, True], [side.findings for side in sides]
        return compare(*sides)

    return of


def told(difference: Difference) -> list[tuple[Rank, str]]:
    return [(change.rank, change.what) for change in difference.changes]


def only(difference: Difference) -> Change:
    assert len(difference.changes) == 1, told(difference)
    return difference.changes[0]


def body(recipe: Recipe, at: int) -> dict[str, Any]:
    return next(iter(recipe["steps"][at].values()))


def names(recipe: Recipe) -> list[str]:
    return [next(iter(step)) for step in recipe["steps"]]


def fields(recipe: Recipe) -> dict[str, Any]:
    return body(recipe, names(recipe).index("set-option-bytes"))["fields"]


# Nothing happens otherwise -------------------------------------------------------------------------------------------


def test_a_recipe_does_not_differ_from_itself(difference: Callable[..., Difference]) -> None:
    assert difference(lambda recipe: None) == Difference(())


def test_a_default_that_is_written_out_is_no_change(tmp_path: Path) -> None:
    text = "dfurun: 1\nname: Look\nchip: stm32f072xb\nsteps: [{steps}]\n"
    short = compiled(tmp_path / "a", text.replace("{steps}", "connect, leave-dfu"))
    long = '{connect: {timeout: 10s}}, {leave-dfu: {address: "0x08000000"}}'
    assert compare(short, compiled(tmp_path / "b", text.replace("{steps}", long))) == Difference(())


def test_an_id_and_a_key_of_ones_own_change_nothing(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        recipe["x-owner"] = "hardware"
        body(recipe, 5)["id"] = "proof"

    assert difference(change) == Difference(())


def test_pages_that_an_address_range_names_are_the_same_pages(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        recipe["steps"][3] = {"erase": {"range": "0x08000000+20K"}}

    assert difference(change) == Difference(())


# Firmware ------------------------------------------------------------------------------------------------------------


def test_firmware_that_is_swapped_under_the_same_name_shows_with_its_pages(
    difference: Callable[..., Difference],
) -> None:
    swapped = bytearray(FIRMWARE[: 2 * PAGE])
    swapped[4] += 2
    swapped[100] ^= 0xFF
    found = difference(lambda recipe: None, images={"app.bin": bytes(swapped)})
    change = only(found)
    assert (change.rank, change.what) == (ROUTINE, "application is another firmware")
    assert change.why == (
        "page 0 changed; page 2 no longer written; no sha256 in the recipe says that this is the one that was meant"
    )
    assert hashlib.sha256(FIRMWARE).hexdigest()[:12] in change.before
    (firmware,) = found.firmware
    assert firmware.before is not None
    assert firmware.after is not None
    assert (firmware.before.reset, firmware.after.reset) == (0x0800_0009, 0x0800_000B)
    assert (firmware.changed_pages, firmware.added_pages, firmware.gone_pages) == ({0}, set(), {2})
    assert firmware.changed_bytes == 2


def test_firmware_that_grows_over_pages_that_were_kept_loses_data(difference: Callable[..., Difference]) -> None:
    def to_image(recipe: Recipe) -> None:
        recipe["steps"][3] = {"erase": {"image": "application"}}

    grown = FIRMWARE + bytes([1]) * PAGE
    change = only(difference(lambda recipe: None, start=to_image, images={"app.bin": grown}))
    assert (change.rank, change.subject) == (LOSES, Subject.FIRMWARE)
    assert change.why == "what the board kept in page 3 is erased or written for it"


def test_firmware_that_no_core_can_start_is_no_routine(difference: Callable[..., Difference]) -> None:
    broken = bytes(4) + FIRMWARE[4:]
    change = only(difference(lambda recipe: None, images={"app.bin": broken}))
    assert change.rank is WEAKENS
    assert "the initial stack pointer 0x00000000 is outside the RAM" in change.why


def test_the_same_bytes_in_another_file_are_told_as_that(difference: Callable[..., Difference]) -> None:
    change = only(
        difference(lambda recipe: recipe["images"]["application"].update(file="v2.bin"), images={"v2.bin": FIRMWARE})
    )
    assert (change.rank, change.before, change.after) == (ROUTINE, "app.bin", "v2.bin")
    assert change.why == "what is flashed is the same, byte for byte"


def test_a_renamed_image_is_no_other_firmware_and_no_other_step(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        recipe["images"]["firmware"] = recipe["images"].pop("application")
        body(recipe, 4)["image"] = body(recipe, 5)["image"] = "firmware"

    assert told(difference(change)) == [(ROUTINE, "image application is called firmware")]


def test_a_pin_that_goes_weakens_and_one_that_comes_does_not(difference: Callable[..., Difference]) -> None:
    def pin(recipe: Recipe) -> None:
        recipe["images"]["application"]["sha256"] = hashlib.sha256(FIRMWARE).hexdigest()

    assert only(difference(pin)).rank is ROUTINE

    def unpin(recipe: Recipe) -> None:
        recipe["images"]["application"].pop("sha256")

    change = only(difference(unpin, start=pin))
    assert (change.rank, change.subject, change.kind) == (WEAKENS, Subject.PIN, Kind.REMOVED)


def test_a_size_is_a_pin_where_it_is_the_only_one(difference: Callable[..., Difference]) -> None:
    def pin(recipe: Recipe) -> None:
        recipe["images"]["application"]["size"] = len(FIRMWARE)

    assert only(difference(lambda recipe: recipe["images"]["application"].pop("size"), start=pin)).rank is WEAKENS


# Steps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "rank", "why"),
    [
        ("check-option-bytes", WEAKENS, "a board with other values of RDP, nBOOT1 passes unnoticed"),
        ("read", LOSES, "what a board holds in 0x0801F000..0x0801F7FF is not saved any more"),
        ("verify", WEAKENS, "nothing reads it back: a write that did not take ships unnoticed"),
        ("wait-for-power-cycle", WEAKENS, "no power cycle shows any more what the board starts"),
        ("leave-dfu", ROUTINE, "the board stays in its bootloader"),
    ],
)
def test_a_step_that_goes_is_ranked_by_what_it_was_for(
    difference: Callable[..., Difference], keyword: str, rank: Rank, why: str
) -> None:
    change = only(difference(lambda recipe: recipe["steps"].pop(names(recipe).index(keyword))))
    assert (change.rank, change.subject, change.kind) == (rank, Subject.STEP, Kind.REMOVED)
    assert why in change.why


def test_a_write_that_goes_while_its_pages_are_still_erased_loses_data(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        recipe["steps"] = [s for s in recipe["steps"] if next(iter(s.values())).get("image") != "application"]
        recipe["images"].pop("application")

    ranks = {c.what: (c.rank, c.why) for c in difference(change).changes}
    assert ranks["`write` application is gone"] == (LOSES, "still erased, with nothing written there: pages 0-2")
    assert ranks["`verify` application is gone"] == (ROUTINE, "the image is gone as well")


def test_more_pages_that_are_erased_lose_data_and_fewer_do_not(difference: Callable[..., Difference]) -> None:
    more = only(difference(lambda recipe: body(recipe, 3).update(pages="0-20")))
    assert (more.rank, more.before, more.after) == (LOSES, "pages 0-9", "pages 0-20")
    assert more.why == "pages 10-20 kept what was on the board before"
    assert only(difference(lambda recipe: body(recipe, 3).update(pages="0-5"))).rank is ROUTINE


def test_a_mass_erase_that_comes_loses_all_that_was_kept(difference: Callable[..., Difference]) -> None:
    change = only(difference(lambda recipe: recipe["steps"].insert(3, "mass-erase")))
    assert (change.rank, change.what, change.kind) == (LOSES, "`mass-erase` is new", Kind.ADDED)
    assert change.why == "pages 10-62 kept what was on the board before"


def test_unprotect_that_comes_loses_what_a_protected_board_holds(difference: Callable[..., Difference]) -> None:
    change = only(difference(lambda recipe: recipe["steps"].insert(1, "unprotect")))
    assert (change.rank, change.why) == (LOSES, "a board that is proven read-protected loses all of its flash")


def swap(at: int, other: int) -> Callable[[Recipe], None]:
    def change(recipe: Recipe) -> None:
        steps = recipe["steps"]
        steps.insert(other, steps.pop(at))

    return change


def test_a_step_that_moves_is_not_one_that_goes_and_one_that_comes(difference: Callable[..., Difference]) -> None:
    change = only(difference(swap(7, 8)))
    assert (change.rank, change.kind) == (WEAKENS, Kind.MOVED)
    assert (change.before, change.after) == ("step 8", "step 9")
    assert change.what == "`verify` calibration has moved behind `set-option-bytes` BOOT_SEL, nBOOT0, DATA0"
    assert "a board can end with the new bytes and a bad image" in change.why


def test_a_backup_that_moves_behind_what_it_saves_from_loses_data(difference: Callable[..., Difference]) -> None:
    change = only(difference(swap(2, 3), start=lambda recipe: body(recipe, 3).update(pages="0-62")))
    assert (change.rank, change.why) == (
        LOSES,
        "0x0801F000..0x0801F7FF is saved only after `erase` has changed it",
    )


def test_a_check_that_moves_behind_what_destroys_weakens(difference: Callable[..., Difference]) -> None:
    change = only(difference(swap(1, 3)))
    assert (change.rank, change.kind) == (WEAKENS, Kind.MOVED)
    assert change.why == "`erase` is done before the board's option bytes have been looked at"


def test_steps_of_one_id_are_the_same_however_much_they_changed(difference: Callable[..., Difference]) -> None:
    def identified(recipe: Recipe) -> None:
        body(recipe, 4)["id"] = "one"
        body(recipe, 6)["id"] = "two"

    def change(recipe: Recipe) -> None:
        body(recipe, 4)["timeout"] = "2min"
        swap(4, 6)(recipe)
        swap(4, 6)(recipe)  # the verify that stood between: back before both writes but one

    kinds = {c.kind for c in difference(change, start=identified).changes if "`write`" in c.what}
    assert kinds <= {Kind.MOVED, Kind.CHANGED}


def test_a_timeout_is_routine_with_both_values(difference: Callable[..., Difference]) -> None:
    change = only(difference(lambda recipe: body(recipe, 0).update(timeout="5s")))
    assert (change.rank, change.what) == (ROUTINE, "`connect`: another timeout")
    assert (change.before, change.after) == ("20.0 s", "5.0 s")


def test_a_backup_of_less_loses_data(difference: Callable[..., Difference]) -> None:
    assert only(difference(lambda recipe: body(recipe, 2).update(range="0x0801F000+1K"))).rank is LOSES
    assert only(difference(lambda recipe: body(recipe, 2).update(range="0x0801F000+4K"))).rank is ROUTINE


def test_a_check_follows_what_the_recipe_sets_or_lets_other_boards_pass(difference: Callable[..., Difference]) -> None:
    assert only(difference(lambda recipe: body(recipe, 1)["fields"].pop("nBOOT1"))).rank is WEAKENS
    assert only(difference(lambda recipe: body(recipe, 1)["fields"].update(DATA0=0x5A))).rank is ROUTINE
    other = only(difference(lambda recipe: body(recipe, 1)["fields"].update(nBOOT1=0)))
    assert (other.rank, other.why) == (WEAKENS, "boards with another nBOOT1 pass that were refused before")


# Option bytes --------------------------------------------------------------------------------------------------------


def test_a_boot_bit_is_told_with_what_starts_then(difference: Callable[..., Difference]) -> None:
    def all_set(recipe: Recipe) -> None:
        fields(recipe)["nBOOT1"] = 1

    found = difference(lambda recipe: fields(recipe).update(BOOT_SEL=0), start=all_set)
    assert told(found) == [(FOREVER, "what starts with BOOT0 high"), (WEAKENS, "option byte BOOT_SEL")]
    assert (found.changes[0].before, found.changes[0].after) == ("the bootloader", "the application in main flash")
    assert "the board starts its bootloader for ever, or never again" in found.changes[1].why
    assert found.options
    (field,) = found.options.fields
    assert (field.before_bits, field.after_bits, field.offset, field.field.bit) == ("1", "0", 2, 7)


def test_what_the_board_itself_decides_is_told_as_that(difference: Callable[..., Difference]) -> None:
    def all_set(recipe: Recipe) -> None:
        fields(recipe)["nBOOT1"] = 1

    found = difference(lambda recipe: fields(recipe).pop("BOOT_SEL"), start=all_set)
    assert told(found) == [(WEAKENS, "what starts with BOOT0 high"), (ROUTINE, "option byte BOOT_SEL")]
    assert found.changes[0].after == "the application in main flash or the bootloader: BOOT_SEL on the board decides"
    back = difference(
        lambda recipe: fields(recipe).update(BOOT_SEL=1), start=lambda r: (all_set(r), fields(r).pop("BOOT_SEL"))
    )
    assert {change.rank for change in back.changes} == {ROUTINE}


@pytest.mark.parametrize(
    ("level", "allow", "rank", "why"),
    [
        ("level-1", [], LOSES, "opening it again erases all of its flash"),
        ("level-2", ["rdp-level-2"], FOREVER, "RDP level 2 is for ever"),
    ],
)
def test_read_protection_that_is_raised(
    difference: Callable[..., Difference], level: str, allow: list[str], rank: Rank, why: str
) -> None:
    def change(recipe: Recipe) -> None:
        fields(recipe)["RDP"] = level
        recipe["allow"] = [*recipe["allow"], *allow]

    found = next(c for c in difference(change).changes if c.what == "option byte RDP")
    assert (found.rank, found.subject) == (rank, Subject.OPTION_BYTES)
    assert why in found.why


def test_read_protection_that_is_not_set_any_more_weakens(difference: Callable[..., Difference]) -> None:
    def protected(recipe: Recipe) -> None:
        fields(recipe)["RDP"] = "level-1"

    change = only(difference(lambda recipe: fields(recipe).pop("RDP"), start=protected))
    assert (change.rank, change.after) == (WEAKENS, "as it is on the board")


def test_write_protection_is_told_by_pages(difference: Callable[..., Difference]) -> None:
    def protect(pages: str) -> Callable[[Recipe], object]:
        return lambda recipe: body(recipe, 8).update({"write-protect": [{"pages": pages}]})

    less = only(difference(protect("0-1"), start=protect("0-3")))
    assert (less.rank, less.subject, less.before, less.after) == (WEAKENS, Subject.PROTECTION, "pages 0-3", "pages 0-1")
    assert less.why == "pages 2-3: a bug of the application can overwrite them"
    assert only(difference(protect("0-3"), start=protect("0-1"))).rank is ROUTINE


def test_factory_values_for_all_that_is_not_named_lose_what_a_board_has(difference: Callable[..., Difference]) -> None:
    found = difference(lambda recipe: body(recipe, 8).update({"from": "factory"}))
    change = next(c for c in found.changes if c.subject is Subject.OPTION_BYTES)
    assert change.rank is LOSES
    assert "DATA1" in change.why
    assert "DATA0" not in change.why


def test_a_value_on_the_way_is_told_of_its_step(difference: Callable[..., Difference]) -> None:
    def twice(recipe: Recipe) -> None:
        recipe["steps"].insert(1, {"set-option-bytes": {"fields": {"DATA0": 1}}})

    change = only(difference(lambda recipe: body(recipe, 1)["fields"].update(DATA0=2), start=twice))
    assert (change.rank, change.subject, change.before, change.after) == (
        ROUTINE,
        Subject.STEP,
        "DATA0: 0x01",
        "DATA0: 0x02",
    )


# Beside the steps ----------------------------------------------------------------------------------------------------


def test_another_chip_lets_other_boards_pass(difference: Callable[..., Difference]) -> None:
    found = difference(lambda recipe: recipe.update(chip="stm32f078xb"))
    assert told(found)[0] == (WEAKENS, "the recipe is for another chip")


@pytest.mark.parametrize("key", ["flash-size", "bootloader-id", "unique-id"])
def test_an_expectation_that_goes_weakens_and_one_that_comes_does_not(
    difference: Callable[..., Difference], key: str
) -> None:
    gone = only(difference(lambda recipe: recipe["expect"].pop(key)))
    assert (gone.rank, gone.what) == (WEAKENS, f"`{key}` is not looked at any more")
    value = RICH["expect"][key]

    def without(recipe: Recipe) -> None:
        recipe["expect"].pop(key)

    assert only(difference(lambda recipe: recipe["expect"].update({key: value}), start=without)).rank is ROUTINE


def test_units_that_are_added_weaken_and_units_that_are_taken_out_do_not(difference: Callable[..., Difference]) -> None:
    unit = "AA112233445566778899AABB"

    def two(recipe: Recipe) -> None:
        recipe["expect"]["unique-id"].append(unit)

    assert only(difference(two)).rank is WEAKENS
    assert only(difference(lambda recipe: recipe["expect"]["unique-id"].remove(unit), start=two)).rank is ROUTINE


def test_consent_that_is_given_weakens_and_says_to_what(difference: Callable[..., Difference]) -> None:
    change = only(difference(lambda recipe: recipe["allow"].append("boot-sel-cleared")))
    assert (change.rank, change.subject) == (WEAKENS, Subject.ALLOW)
    assert "with BOOT_SEL at 0 the BOOT0 pin no longer decides" in change.why
    assert only(difference(lambda recipe: recipe["allow"].clear())).rank is ROUTINE


def test_supply_and_names_are_routine(difference: Callable[..., Difference]) -> None:
    supply = only(difference(lambda recipe: recipe.update(supply="3.0V")))
    assert (supply.rank, supply.before, supply.after) == (ROUTINE, "3.3 V", "3 V")
    assert only(difference(lambda recipe: recipe.update(name="Bench"))).rank is ROUTINE
    assert only(difference(lambda recipe: body(recipe, 9).update(name="BOOT0 high now"))).subject is Subject.NAME


# Whole recipes -------------------------------------------------------------------------------------------------------


def test_the_worst_comes_first(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        recipe["name"] = "Bench"
        recipe["steps"].pop(5)
        recipe["steps"].insert(3, "mass-erase")
        fields(recipe)["RDP"] = "level-2"
        recipe["allow"].append("rdp-level-2")

    ranks = [change.rank for change in difference(change).changes]
    assert ranks == sorted(ranks, key=lambda rank: rank.weight)
    assert set(ranks) == set(Rank)


def test_a_new_recipe_is_ranked_by_the_worst_that_it_does() -> None:
    release = compile_recipe(ROOT / "recipes/f072-release.yaml")
    look = compile_recipe(ROOT / "recipes/hardware-kit/f072-look.yaml")
    assert only(added(release)).rank is LOSES
    assert only(added(look)).rank is ROUTINE
    assert only(removed(release)).kind is Kind.REMOVED


def test_a_recipe_that_does_not_compile_is_not_compared() -> None:
    broken = Compiled(None, None, ())
    with pytest.raises(ValueError, match="does not compile"):
        compare(broken, broken)


def test_the_images_of_the_tests_are_what_they_seem() -> None:
    assert len(FIRMWARE) > 2 * PAGE
    assert len(CALIBRATION) % 8 == 0


# Variables, data -----------------------------------------------------------------------------------------------------

NUMBER: Recipe = {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}
WORD: Recipe = {"type": "text", "pattern": "[a-z]+", "maximum-length": 9, "default": "a"}
REGION: Recipe = {"type": "choice", "choices": ["eu", "us"], "default": "eu"}
TRIAL: Recipe = {"type": "boolean", "default": True}
TAKES, DEFAULT = "the variable `v` takes other values", "the variable `v` has another default"
FREE = {**WORD, "pattern": None}
# By the field of a declaration that differs
DECLARED: list[tuple[str, Recipe, Recipe, list[tuple[Rank, str]]]] = [
    ("minimum", NUMBER, {"minimum": 2}, [(ROUTINE, TAKES)]),
    ("minimum", NUMBER, {"minimum": 0}, [(WEAKENS, TAKES)]),
    ("maximum", NUMBER, {"maximum": 8}, [(ROUTINE, TAKES)]),
    ("maximum", NUMBER, {"maximum": 10}, [(WEAKENS, TAKES)]),
    ("pattern", WORD, {"pattern": "[a-f]+"}, [(WEAKENS, TAKES)]),
    ("pattern", WORD, {"pattern": None}, [(WEAKENS, TAKES)]),
    ("pattern", FREE, {"pattern": "[a-z]+"}, [(ROUTINE, TAKES)]),
    ("maximum_length", WORD, {"maximum-length": 8}, [(ROUTINE, TAKES)]),
    ("maximum_length", WORD, {"maximum-length": 10}, [(WEAKENS, TAKES)]),
    ("choices", REGION, {"choices": ["eu"]}, [(ROUTINE, TAKES)]),
    ("choices", REGION, {"choices": ["us", "eu"]}, []),
    ("choices", REGION, {"choices": ["eu", "us", "jp"]}, [(WEAKENS, TAKES)]),
    ("kind", REGION, {"type": "text", "choices": None}, [(WEAKENS, TAKES)]),
    ("kind", FREE, {"type": "choice", "maximum-length": None, "choices": ["a"]}, [(ROUTINE, TAKES)]),
    ("kind", REGION, {"type": "boolean", "choices": None, "default": None}, [
        (WEAKENS, TAKES), (ROUTINE, "the variable `v` has no default any more")]),
    ("default", NUMBER, {"default": 6}, [(ROUTINE, DEFAULT)]),
    ("default", TRIAL, {"default": False}, [(ROUTINE, DEFAULT)]),
    ("default", NUMBER, {"default": None}, [(ROUTINE, "the variable `v` has no default any more")]),
    ("default", {**NUMBER, "default": None}, {"default": 5}, [(WEAKENS, "the variable `v` has a default")]),
]  # fmt: skip


def declaring(recipe: Recipe, declared: Recipe) -> None:
    recipe["vars"] = {"v": {key: value for key, value in declared.items() if value is not None}}
    recipe["x-note"] = "${v}"


@pytest.mark.parametrize(("field", "before", "change", "expected"), DECLARED)
def test_what_a_variable_takes_is_ranked_by_who_passes_now(
    tmp_path: Path, field: str, before: Recipe, change: Recipe, expected: list[tuple[Rank, str]]
) -> None:
    sides = []
    for name, declared in (("old", before), ("new", {**before, **change})):
        recipe = rich()
        declaring(recipe, declared)
        sides.append(compile_for_review(written(tmp_path / name, recipe)))
    assert [side.recipe is not None for side in sides] == [True, True], [side.findings for side in sides]
    assert told(compare(*sides)) == expected


def test_every_field_of_a_declaration_has_its_cases() -> None:
    assert {field for field, *_ in DECLARED} == {field.name for field in dataclass_fields(Declaration)} - {"name"}


def test_a_variable_that_comes_or_goes_is_told(difference: Callable[..., Difference]) -> None:
    def change(recipe: Recipe) -> None:
        declaring(recipe, NUMBER)

    assert told(difference(change)) == [(ROUTINE, "the variable `v` is new")]
    gone = only(difference(lambda recipe: (recipe.pop("vars"), recipe.pop("x-note")), start=change))
    assert (gone.rank, gone.kind, gone.subject) == (ROUTINE, Kind.REMOVED, Subject.VARIABLE)


def with_data(recipe: Recipe) -> None:
    recipe["data"] = {"unit": {"address": "0x0801F000", "bytes": [{"ascii": "serial 1"}]}}
    recipe["steps"][3] = "mass-erase"
    recipe["steps"][8:8] = [{"write": {"data": "unit"}}, {"verify": {"data": "unit"}}]


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("bytes", [{"ascii": "serial 2"}], "data unit has other bytes"),
        ("address", "0x0801E800", "data unit lies at 0x0801E800"),
    ],
)
def test_data_is_told_as_data_and_not_as_firmware(
    difference: Callable[..., Difference], key: str, value: object, what: str
) -> None:
    found = difference(lambda recipe: recipe["data"]["unit"].update({key: value}), start=with_data)
    change = only(found)
    assert (change.rank, change.subject, change.what) == (ROUTINE, Subject.DATA, what)
    assert change.before == b"serial 1".hex(" ")


def test_data_that_comes_or_has_another_name_is_called_data(difference: Callable[..., Difference]) -> None:
    def rename(recipe: Recipe) -> None:
        recipe["data"]["number"] = recipe["data"].pop("unit")
        body(recipe, 8)["data"] = body(recipe, 9)["data"] = "number"

    found = told(difference(with_data))
    assert (ROUTINE, "data unit is new") in found
    assert "`write` unit is new" in [what for _, what in found]
    assert told(difference(rename, start=with_data)) == [(ROUTINE, "data unit is called number")]


def test_data_in_the_place_of_a_file_with_the_same_bytes_flashes_the_same(
    difference: Callable[..., Difference],
) -> None:
    def inline(recipe: Recipe) -> None:
        del recipe["images"]["calibration"]
        recipe["data"] = {"calibration": {"address": "0x0801F800", "bytes": [{"u8": byte} for byte in CALIBRATION]}}
        for at in (6, 7):
            body(recipe, at)["data"] = body(recipe, at).pop("image")

    found = difference(inline)
    assert found.rank is ROUTINE
    assert (ROUTINE, "calibration is the recipe itself with the same contents") in told(found)


# Every kind of chip --------------------------------------------------------------------------------------------------


def chips_of_each_boot_table() -> list[str]:
    """The first chip of each boot table and layout of option bytes."""
    first: dict[object, str] = {}
    for name in chip_names():
        chip = load_chip(name)
        first.setdefault((str(chip.boot.rules), *chip.option_bytes.fields), name)
    return sorted(first.values())


@pytest.mark.parametrize("name", chips_of_each_boot_table())
def test_option_bytes_of_every_kind_of_chip_are_compared(tmp_path: Path, name: str) -> None:
    chip = load_chip(name)
    head: Recipe = {"dfurun": 1, "name": "Any", "chip": name, "allow": [*chip.guard_names, "protects-what-follows"]}
    bare = compiled(tmp_path / "bare", {**head, "steps": ["connect", "mass-erase", "leave-dfu"]})
    assert compare(bare, bare) == Difference(())
    for field in chip.option_bytes.fields.values():
        values = list(field.values) if field.values else [0, (1 << field.width) - 1]
        sides = [bare]
        for value in values[:2]:
            step = {"set-option-bytes": {"fields": {field.name: value}}}
            sides.append(compiled(tmp_path / "set", {**head, "steps": ["connect", "mass-erase", step, "leave-dfu"]}))
            assert sides[-1].recipe is not None, sides[-1].findings
        for old, new in pairwise([*sides, bare]):
            found = compare(old, new)
            assert found.options is not None
            assert [other.field.name for other in found.options.fields] == [field.name] or len(values) == 1
            assert found.changes


def test_every_field_of_a_typed_step_is_compared_or_is_said_to_say_nothing_of_its_own() -> None:
    recipe = rich()
    recipe["steps"].insert(1, "unprotect")
    recipe["steps"].insert(2, "mass-erase")
    with TemporaryDirectory() as folder:
        steps = compiled(Path(folder), recipe).recipe
    assert steps is not None
    by_keyword = {step.keyword: step for step in steps.steps}
    assert by_keyword.keys() == STEPS.keys()
    for step in by_keyword.values():
        own = {field.name for field in dataclass_fields(step)} - NOT_OF_THE_BODY
        own -= {name for name in own if getattr(step, name) is None}
        assert len(body_of(step)) == len(own) + len(("name", "timeout"))
