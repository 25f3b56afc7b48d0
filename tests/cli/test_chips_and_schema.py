"""`dfurun chips` and `dfurun schema`: what dfurun knows, and the contracts, on standard output."""

from __future__ import annotations

import json
import re

import pytest
from command_line import Dfurun

from dfurun.chips import chip_names, database, load_chip
from dfurun.chips.database import read_facts
from dfurun.chips.search import found_lines
from dfurun.resources import schema_text


def test_the_list_has_a_row_a_line_and_every_chip_is_in_one(dfurun: Dfurun) -> None:
    done = dfurun("chips")
    assert (done.exit, done.err) == (0, "")
    rows = [line.split(maxsplit=1) for line in done.out.splitlines() if line.startswith("0x")]
    assert [row[0] for row in rows] == [f"0x{line.first.device_id:03X}" for line in found_lines()]
    for line, (_, row) in zip(found_lines(), rows, strict=True):
        assert line.first.core in row
        assert set(line.parts) <= set(row.split())
    assert re.search(r"^0x448 +Cortex-M0 +64K 128K +in part +STM32F072 .* STM32F070xB$", done.out, re.MULTILINE)
    assert {name for line in found_lines() for name in line.names} == set(chip_names())


def test_the_list_and_a_search_open_no_family_s_file(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(name: str) -> None:
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(database, "read_family", opened)
    for words in ((), ("f072",), ("0x448",), ("-q",), ("--json",)):
        assert dfurun("chips", *words).exit == 0


def test_one_chip_takes_one_family_s_file(dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, read = [], database.read_family
    monkeypatch.setattr(database, "read_family", lambda name: opened.append(name) or read(name))
    assert dfurun("chips", "show", "stm32f042x4").exit == 0
    assert set(opened) == {"stm32f0"}


@pytest.mark.parametrize("name", ["stm32f205xg", "stm32f405xg", "stm32f767xi"])
def test_a_width_has_one_line_with_the_lowest_supply_that_allows_it(dfurun: Dfurun, name: str) -> None:
    """Two bytes of the device feature choose x16, for two ranges of the supply."""
    shown = dfurun("chips", "show", name).out
    found = re.findall(r"^from ([\d.]+) V +\d bytes? at once \((x\d+)\)", shown, re.MULTILINE)
    assert found[1:] == [("2.1", "x16"), ("2.7", "x32")]
    assert found[0][1] == "x8"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("f042",), {"stm32f042x4", "stm32f042x6"}),
        (("F072",), {"stm32f072x8", "stm32f072xb"}),
        (("STM32F07", "64k"), {"stm32f071x8", "stm32f072x8"}),
        (("0x448", "128K"), {"stm32f070xb", "stm32f071xb", "stm32f072xb", "stm32f078xb"}),
        (("0X413", "xE"), {"stm32f405xe", "stm32f407xe", "stm32f417xe"}),
        (("@Internal Flash /0x08000000/032*0001Kg",), {"stm32f042x6", "stm32f048x6", "stm32f070x6"}),
        (("064*0002Kg", "f07", "xb"), {"stm32f070xb", "stm32f071xb", "stm32f072xb", "stm32f078xb"}),
    ],
)
def test_words_find_chips_and_all_have_to_fit(dfurun: Dfurun, words: tuple[str, ...], names: set[str]) -> None:
    done = dfurun("chips", "-q", *words)
    assert (done.exit, set(done.out.split())) == (0, names)
    shown = dfurun("chips", *words).out
    assert names <= set(shown.split())
    assert {line["name"] for line in dfurun("chips", "--json", *words).lines[1:-1]} == names


def test_words_that_fit_nothing_together_are_a_usage_error(dfurun: Dfurun) -> None:
    done = dfurun("chips", "f072", "1M")
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "no chip fits `f072 1M`" in done.err
    assert "every word has to fit" in done.err


@pytest.mark.parametrize("words", [("show",), ("show", "f072", "f042")])
def test_show_takes_one_chip(dfurun: Dfurun, words: tuple[str, ...]) -> None:
    done = dfurun("chips", *words)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert "`chips show` takes one chip" in done.err


@pytest.mark.parametrize("words", [("stm32f072xb",), ("show", "stm32f072xb"), ("STM32F072CBT6",), ("show", "f072cb")])
def test_a_chip_is_shown_by_its_name_or_its_part_number(dfurun: Dfurun, words: tuple[str, ...]) -> None:
    assert dfurun("chips", *words).out == dfurun("chips", "stm32f072xb").out
    assert dfurun("chips", "-q", *words).out == "stm32f072xb\n"


def test_a_chip_says_whether_a_log_shows_its_layout(dfurun: Dfurun) -> None:
    assert "\nlayout               seen in a log of a real board (dfu-util)\n" in dfurun("chips", "stm32f072xb").out
    assert "\nlayout               predicted: no log of such a board is known" in dfurun("chips", "stm32f072x8").out


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


@pytest.mark.parametrize("command", [("chips", "show"), ("info", "--sim", "--chip"), ("info", "--sim", "--sim-chip")])
@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("stm32f72xb", "no chip is called `stm32f72xb`", "did you mean 'stm32f072xb'?"),
        (
            "STM32F072CZT6",
            "no chip is called `STM32F072CZT6`",
            "STM32F072 is stm32f072x8 (64 KiB) or stm32f072xb (128 KiB)",
        ),
        ("f072", "`f072` can mean 2 chips", "name the flash size: stm32f072x8 (64 KiB) or stm32f072xb (128 KiB)"),
        (
            "f07",
            "`f07` can mean",
            "name one: stm32f070x6/xb, stm32f071x8/xb, stm32f072x8/xb, stm32f078xb; `dfurun",
        ),
        ("stm32f103c8", "STM32F103x8 has no USB DFU bootloader in its ROM", "dfurun cannot (AN2606"),
        ("f103", "STM32F103 has no USB DFU bootloader in its ROM", "a debugger or its serial bootloader flashes it"),
        ("STM32F072CBT6-ND", "no chip is called `STM32F072CBT6-ND`", "did you mean 'stm32f072xb'?"),
        ("STM32F072CBT6 TR", "no chip is called `STM32F072CBT6 TR`", "did you mean 'stm32f072xb'?"),
        (
            "f072-something",
            "no chip is called `f072-something`",
            "name the flash size: stm32f072x8 (64 KiB) or stm32f072xb",
        ),
        (
            "STM32H743VGT6",
            "STM32H743xG: not in the chip data, its flash is two banks with a gap",
            "(zephyr#30709, modm#1345",
        ),
        ("g474rc", "STM32G474xC: not in the chip data", "`dfurun devices` with such a board shows it"),
        ("L053R8", "STM32L053x8 has no USB DFU bootloader in its ROM", "AN2606"),
        ("nonsense", "no chip is called `nonsense`", "`dfurun chips` lists the chips"),
    ],
)
def test_a_name_of_no_one_chip_is_a_usage_error_with_a_way_on(
    dfurun: Dfurun, command: tuple[str, ...], word: str, message: str, hint: str
) -> None:
    done = dfurun(*command, word)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert message in done.err
    assert hint in done.err


def test_tools_get_chips_as_json(dfurun: Dfurun) -> None:
    listed = dfurun("chips", "--json").lines
    assert [line["name"] for line in listed[1:-1]] == list(chip_names())
    assert "facts" not in listed[1]
    (chip,) = dfurun("chips", "stm32f072xb", "--json").lines[1:-1]
    assert (chip["device_id"], chip["predicted"]) == (0x448, False)
    assert (chip["flash_size_bytes"], chip["errata"]) == (128 * 1024, ["missed-service"])
    assert chip["facts"]["option-bytes"]["fields"]["BOOT_SEL"]["keep"] == 1


@pytest.mark.parametrize("name", ["recipe", "chip", "plan", "record"])
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
