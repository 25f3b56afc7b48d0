"""`dfurun chips` and `dfurun schema`: what dfurun knows, and the contracts, on standard output."""

from __future__ import annotations

import json

import pytest
from command_line import Dfurun

from dfurun.chips import chip_names, load_chip
from dfurun.chips.database import read_facts
from dfurun.resources import schema_text


def test_the_list_names_every_chip_how_it_looks_and_its_known_trouble(dfurun: Dfurun) -> None:
    done = dfurun("chips")
    assert (done.exit, done.err) == (0, "")
    for name in chip_names():
        assert f"\n{name}" in f"\n{done.out}"
        assert load_chip(name).usb.alternates[0] in done.out
    assert "stm32f072xb          STM32F072xB, Cortex-M0: 128 KiB flash, 16 KiB RAM\n" in done.out
    assert "known trouble        missed-service: this bootloader misses packets" in done.out


@pytest.mark.parametrize("name", chip_names())
def test_one_chip_shows_everything_with_its_documents_and_how_sure_it_is(dfurun: Dfurun, name: str) -> None:
    chip, facts = load_chip(name), read_facts(name)
    done = dfurun("chips", name)
    assert done.exit == 0
    for field in chip.option_bytes.fields:
        assert f"\n{field} " in done.out
    for guard in chip.guards:
        assert f"\n{guard.name} " in done.out
        assert guard.means in done.out
    for alternate in chip.usb.alternates:
        assert alternate in done.out
    for key, document in facts["sources"].items():
        assert f"\n{key.ljust(21)}{document}\n" in done.out
    for block in ("usb", "memory", "identity", "rom", "timing", "supply", "option-bytes", "boot"):
        assert f"({', '.join(facts[block]['source'])}; {facts[block]['confidence']})\n" in done.out


def test_a_chip_shows_its_memories_boot_rules_and_timings(dfurun: Dfurun) -> None:
    shown = dfurun("chips", "STM32F072xB").out
    assert "flash                0x08000000..0x0801FFFF, 128 KiB; pages: 64 x 2 KiB\n" in shown
    assert "from the factory     AA55 FF00 FF00 FF00 FF00 FF00 FF00 FF00\n" in shown
    assert "BOOT_SEL 1, nBOOT1 1, BOOT0 high: the bootloader\n" in shown
    assert "VDD                  1.65 V to 3.6 V\n" in shown
    assert "erase 2 KiB          30 ms, at most 40 ms; the bootloader reports 40 ms\n" in shown
    assert "Needs --allow-irreversible as well. (RM0091; high)\n" in shown


def test_a_bootloader_that_reports_too_short_a_time_is_known_trouble(dfurun: Dfurun) -> None:
    words = "it reports 100 ms for a mass erase that takes 16.0 s; dfurun waits as long as it takes\n"
    assert words in dfurun("chips", "stm32f405xg").out
    assert "for a mass erase that takes" not in dfurun("chips", "stm32f072xb").out


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("stm32f72xb", "did you mean 'stm32f072xb'?"),
        ("STM32F072CBT6", "did you mean 'stm32f072xb'?"),
        ("stm32f072x8", "did you mean 'stm32f072xb'?"),
        ("STM32F072C8T6", "known: stm32f042x6, stm32f072xb, stm32f405xg"),
        ("f405", "did you mean 'stm32f405xg'?"),
        ("stm32f103c8", "known: stm32f042x6"),  # a chip of another line is not nearly this one
    ],
)
def test_an_unknown_chip_is_a_usage_error_with_a_way_on(dfurun: Dfurun, word: str, hint: str) -> None:
    done = dfurun("chips", word)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert hint in done.err


def test_tools_get_chips_as_json(dfurun: Dfurun) -> None:
    listed = dfurun("chips", "--json").lines
    assert [line["name"] for line in listed[1:-1]] == list(chip_names())
    assert "facts" not in listed[1]
    (chip,) = dfurun("chips", "stm32f072xb", "--json").lines[1:-1]
    assert (chip["flash_size_bytes"], chip["errata"]) == (128 * 1024, ["missed-service"])
    assert chip["facts"]["option-bytes"]["fields"]["BOOT_SEL"]["keep"] == 1


@pytest.mark.parametrize("name", ["recipe", "chip", "record"])
def test_a_schema_is_printed_as_it_is(dfurun: Dfurun, name: str) -> None:
    done = dfurun("schema", name)
    assert (done.exit, done.out) == (0, schema_text(f"{name}.schema.json"))
    assert dfurun("schema", name, "--json").lines[1]["schema"] == json.loads(done.out)


def test_the_schema_of_recipes_is_what_is_meant_where_none_is_named(dfurun: Dfurun) -> None:
    assert dfurun("schema").out == schema_text("recipe.schema.json")


def test_an_unknown_schema_is_a_usage_error_with_a_way_on(dfurun: Dfurun) -> None:
    done = dfurun("schema", "recipes")
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "did you mean 'recipe'?" in done.err
