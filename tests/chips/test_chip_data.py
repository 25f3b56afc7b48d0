"""Chip data: its schema, its sources, and that it agrees with itself. Every chip file is held to all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from dfurun import units
from dfurun.chips import BootTarget, Chip, EarlyPoll, Execution, FieldValue, Quirk, chip_names, load_chip
from dfurun.chips.database import chip_from_facts, family_names, read_facts, read_family
from dfurun.chips.errata import known_errata
from dfurun.chips.family import facts_of, variants
from dfurun.chips.index import INDEX_FILE, entries
from dfurun.chips.make_index import index_text
from dfurun.chips.option_bytes import FactoryBytes
from dfurun.chips.storage import Storage
from dfurun.chips.write_protection import ProtectionBits
from dfurun.dfuse.layout import parse_layout
from dfurun.dfuse.protocol import Command
from dfurun.simulator import FAULTS

ROOT = Path(__file__).parents[2]
SCHEMA: Any = json.loads((ROOT / "schemas" / "chip.schema.json").read_text(encoding="utf-8"))
BLOCKS = ("usb", "memory", "identity", "rom", "timing", "protection", "supply", "option-bytes", "boot")
PERHAPS = ("page-geometry", "programming-width")

DATA = ROOT / "dfurun" / "chips" / "data"

every_family = pytest.mark.parametrize("file", family_names())
every_chip = pytest.mark.parametrize("name", [entry.names[0] for entry in entries()])  # the others differ in name only


def as_json(value: Any) -> Any:
    """Return YAML's values as a JSON document has them: keys are text."""
    match value:
        case dict():
            return {str(key): as_json(part) for key, part in value.items()}
        case list():
            return [as_json(part) for part in value]
    return value


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every part of the schema that says something about a value."""
    yield path, schema
    for keyword in ("properties", "patternProperties", "definitions"):
        for name, part in schema.get(keyword, {}).items():
            yield from nodes(part, f"{path}/{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from nodes(schema[keyword], f"{path}/{keyword}")


# The schema ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["chip.schema.json", "plan.schema.json", "record.schema.json"])
def test_a_schema_is_strict_draft_07_and_describes_every_part(file: str) -> None:
    text = (ROOT / "schemas" / file).read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)
    assert re.findall(r'"(oneOf|anyOf|allOf|if|not|unevaluatedProperties)":', text) == []
    for path, node in nodes(schema):
        if "$ref" not in node:
            assert node["description"].endswith("."), path
            assert "object" not in node.get("type", "") or "additionalProperties" in node, path


@every_family
def test_a_family_s_file_is_as_the_schema_says(file: str) -> None:
    assert mistakes(family(file)) == []


def family(file: str) -> Any:
    return as_json(read_family(file))


def facts(name: str) -> Any:
    return as_json(read_facts(name))


def mistakes(read: Any, definition: str | None = None) -> list[str]:
    schema = {"$ref": f"#/definitions/{definition}", "definitions": SCHEMA["definitions"]} if definition else SCHEMA
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(read)]


@every_chip
def test_what_is_laid_out_for_a_chip_has_all_that_a_chip_needs(name: str) -> None:
    read = facts(name)
    assert mistakes(read, "chip") == []
    assert [found for block in BLOCKS for found in mistakes(read[block], block)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("family",), "F0"),
        (("colour",), "green"),
        (("shared", "usb", "vendor-id"), 0x1_0000),
        (("shared", "usb", "sources"), ["AN2606"]),
        (("shared", "memory", "source"), []),
        (("shared", "timing", "confidence"), "sure"),
        (("lines", 0, "sizes", "6", "flash"), "32 KB"),
        (("lines", 0, "sizes", "6", "pages"), 64),
        (("lines", 0, "sizes", "66"), {}),
        (("lines", 0, "parts", "F042"), ["6"]),
        (("shared", "timing", "page-erase", "maximum"), 40),
        (("shared", "rom", "early-poll"), "sometimes"),
        (("shared", "rom", "quirks"), ["doubl-clear-status-when-wedged"]),
        (("shared", "protection", "probes"), [0x0800_0000]),
        (("lines", 0, "supply", "minimum"), 2.0),
        (("shared", "option-bytes", "factory"), "AA5"),
        (("shared", "option-bytes", "fields", "RDP", "byte"), "0"),
        (("shared", "option-bytes", "fields", "RDP", "maens"), "a typo"),
        (("lines", 0, "boot", "rules", 0, "starts"), "the moon"),
        (("lines", 0, "boot", "rules", 0, "boot0"), 1),
        (("shared", "guards", "rdp-level-2", "irreversible"), "yes"),
        (("lines", 0, "identity", "bootloader-id", "versions", "161"), 10.1),
    ],
)
def test_the_schema_finds_a_mistake_where_it_is(path: tuple[str | int, ...], value: Any) -> None:
    broken = family("stm32f0")
    parent = broken
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    (error, *_) = Draft7Validator(SCHEMA).iter_errors(broken)
    where = list(error.absolute_path)
    assert where in (list(path), list(path[:-1]), [*path, 0])


def test_everything_that_a_chip_needs_is_required() -> None:
    whole = facts("stm32f072xb")
    for key in whole:
        broken = {other: value for other, value in whole.items() if other != key}
        assert mistakes(broken, "chip"), key
    for block in BLOCKS:
        for key in ("source", "confidence"):
            less = whole | {block: {other: value for other, value in whole[block].items() if other != key}}
            assert mistakes(less, "chip"), (block, key)


def test_the_schema_and_the_code_have_the_same_words_and_patterns() -> None:
    definitions = SCHEMA["definitions"]
    assert definitions["rom"]["properties"]["execution"]["enum"] == [str(kind) for kind in Execution]
    assert definitions["rom"]["properties"]["early-poll"]["enum"] == [str(kind) for kind in EarlyPoll]
    assert definitions["rom"]["properties"]["quirks"]["items"]["enum"] == [str(kind) for kind in Quirk]
    assert definitions["option-bytes"]["properties"]["storage"]["enum"] == [str(kind) for kind in Storage]
    assert definitions["option-bytes"]["properties"]["factory-is"]["enum"] == [str(kind) for kind in FactoryBytes]
    assert definitions["boot-rule"]["properties"]["starts"]["enum"] == [str(kind) for kind in BootTarget]
    assert definitions["size"]["pattern"] == units.SIZE_PATTERN
    assert definitions["duration"]["pattern"] == units.DURATION_PATTERN
    assert definitions["voltage"]["pattern"] == units.VOLTAGE_PATTERN


# Sources -------------------------------------------------------------------------------------------------------------


@every_chip
def test_every_block_names_its_documents_and_how_sure_it_is(name: str) -> None:
    read = facts(name)
    blocks = [*(read[block] for block in (*BLOCKS, *PERHAPS) if block in read), *read["guards"]]
    for block in blocks:
        assert block["confidence"] in ("high", "medium", "low")
        assert set(block["source"]) <= set(read["sources"])
    others = {"chip", "title", "family", "lines", "core", "device-id", "sources", "guards"}
    assert set(read) - {*BLOCKS, *PERHAPS} == others


@every_family
def test_every_document_that_is_listed_is_one_that_was_used(file: str) -> None:
    read = read_family(file)
    used = {key for variant in variants(read) for key in facts_of(read, variant.names[0])["sources"]}
    assert used == set(read["sources"])


@every_family
def test_a_family_s_file_has_no_key_twice(file: str) -> None:
    def check(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            for _, value in node.value:
                check(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                check(value)

    check(yaml.compose((DATA / f"{file}.yaml").read_text(encoding="utf-8")))


@every_family
def test_every_size_that_a_part_names_is_one_of_its_line_and_no_chip_is_there_twice(file: str) -> None:
    for line in read_family(file)["lines"]:
        letters = {letter for letters in line["parts"].values() for letter in letters}
        assert letters == set(line["sizes"])
    names = [name for variant in variants(read_family(file)) for name in variant.names]
    assert len(names) == len(set(names))


def test_the_index_is_that_of_the_files() -> None:
    assert (DATA / INDEX_FILE).read_text(encoding="utf-8") == index_text(), "`make docs` makes it anew"
    for entry in entries():
        for name in entry.names:
            assert load_chip(name).name == name
    assert sorted(name for entry in entries() for name in entry.names) == list(chip_names())


def test_a_chip_that_is_not_in_the_data_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="stm32f999"):
        load_chip("stm32f999")


# Agreement -----------------------------------------------------------------------------------------------------------


@every_chip
def test_option_byte_fields_do_not_overlap(name: str) -> None:
    layout, taken = load_chip(name).option_bytes, 0
    for field in layout.fields.values():
        assert not taken & field.mask, f"{field.name} shares a bit"
        taken |= field.mask
    assert taken < 1 << 8 * len(layout.data_offsets())


def test_every_bit_of_every_data_byte_of_an_f072_has_a_name() -> None:
    layout, named = load_chip("stm32f072xb").option_bytes, 0
    for field in layout.fields.values():
        named |= field.mask
    assert named == (1 << 8 * len(layout.data_offsets())) - 1


@every_chip
def test_factory_option_bytes_are_whole_valid_and_lock_nothing(name: str) -> None:
    chip = load_chip(name)
    layout = chip.option_bytes
    assert len(layout.factory) == layout.size_bytes
    assert layout.spoiled(layout.factory) == ()
    assert layout.cleared_reserved(layout.factory) == ()
    assert layout.write_protected(layout.factory, chip.flash) == ()
    fields = layout.decode(layout.factory)
    assert not any(guard.holds(fields) for guard in chip.guards)
    assert chip.starts(fields, boot0=0) is BootTarget.MAIN_FLASH
    pin_decides = fields.get("nBOOT_SEL", 0) == 0
    assert chip.starts(fields, boot0=1) is (BootTarget.SYSTEM_MEMORY if pin_decides else BootTarget.MAIN_FLASH)
    assert chip.starts(fields, boot0=1, flash_empty=True) is BootTarget.SYSTEM_MEMORY


@every_chip
def test_the_bootloader_can_be_reached_by_boot0_and_by_option_bytes_alone(name: str) -> None:
    chip = load_chip(name)
    layout = chip.option_bytes
    by_pin: dict[str, FieldValue] = {"nBOOT_SEL": 0} if "nBOOT_SEL" in layout.fields else {}
    fields = layout.decode(layout.encode(layout.factory, by_pin))
    assert chip.starts(fields, boot0=1) is BootTarget.SYSTEM_MEMORY
    assert chip.starts(fields, boot0=0) is BootTarget.MAIN_FLASH


@every_chip
def test_no_change_of_boot_bits_hides_what_starts_without_a_guard(name: str) -> None:
    """Every value of the fields of one bit that decide what starts, from the factory's on; also where the data has no guard."""
    with_data = load_chip(name)
    for chip in (with_data, replace(with_data, guards=())):
        hold_to_its_boot_table(chip)


def hold_to_its_boot_table(chip: Chip) -> None:
    layout = chip.option_bytes
    before = layout.decode(layout.factory) if layout.established else {}
    bits = [field for field in sorted(chip.boot.fields) if layout.fields[field].width == 1]
    reachable = {chip.starts(before, boot0=level) for level in (0, 1)}
    for values in product((0, 1), repeat=len(bits)):
        after = before | dict(zip(bits, values, strict=True))
        lost = reachable - {chip.starts(after, boot0=level) for level in (0, 1)}
        assert not lost or chip.guards_entered(before, after), (lost, after)
        assert not chip.guards_entered(before, before)


@every_chip
def test_values_of_fields_fit_and_are_told_apart(name: str) -> None:
    for field in load_chip(name).option_bytes.fields.values():
        assert len(set(field.values.values())) == len(field.values)
        assert all(0 <= number < 1 << field.width for number in field.values.values())
        assert field.otherwise is None or field.otherwise in field.values
        assert field.keep is None or 0 <= field.keep < 1 << field.width


@every_chip
def test_rules_and_guards_name_fields_and_values_that_the_chip_has(name: str) -> None:
    chip = load_chip(name)
    conditions = [rule.when for rule in chip.boot.rules] + [guard.when for guard in chip.guards]
    named = [(field, value) for condition in conditions for field, value in condition.items()]
    named += [(field, value) for guard in chip.guards for field, values in guard.when_not.items() for value in values]
    for field, value in named:
        chip.option_bytes.fields[field].number(value)
    for known in chip.page_fields:
        chip.option_bytes.fields[known.name].number(known.value)
    assert {field for guard in chip.guards for field in guard.changes} <= set(chip.option_bytes.fields)
    assert all(guard.fields for guard in chip.guards), "a guard without a condition would guard everything"
    levels = chip.option_bytes.fields["RDP"].values if "RDP" in chip.option_bytes.fields else {}
    for_ever = [guard for guard in chip.guards if guard.when == {"RDP": "level-2"} and guard.irreversible]
    assert bool(for_ever) is ("level-2" in levels)
    assert len({guard.name for guard in chip.guards}) == len(chip.guards)


@every_chip
def test_the_alternate_settings_tell_the_memories_of_the_data(name: str) -> None:
    chip = load_chip(name)
    flash = parse_layout(chip.usb.alternates[0])
    assert flash.segments[0].start == chip.flash.extent.start
    assert flash.size_bytes == chip.flash.extent.size_bytes
    told = [(segment.count, segment.sector_size_bytes) for segment in flash.segments]
    assert told == [(run.count, run.page_size_bytes) for run in chip.flash.runs]
    alternate, blocks = chip.option_bytes.alternate, chip.option_bytes.blocks
    assert (alternate is None) is not chip.option_bytes.established
    for number, text in enumerate(chip.usb.alternates):
        assert not parse_layout(text).is_option_bytes or number == alternate
    if alternate is None or chip.usb.alternates[alternate] == chip.usb.alternates[0]:
        return  # there are none, or a ROM's names tell nothing of them
    told_blocks = parse_layout(chip.usb.alternates[alternate])
    assert told_blocks.is_option_bytes
    assert [segment.start for segment in told_blocks.segments] == [block.start for block in blocks]
    assert all(s.extent.size_bytes >= b.size_bytes for s, b in zip(told_blocks.segments, blocks, strict=True))
    assert all(block.size_bytes % 4 == 0 for block in blocks)  # AN2606: a write is a multiple of 4 bytes


@every_chip
def test_pages_blocks_and_sectors_divide_the_flash(name: str) -> None:
    chip = load_chip(name)
    flash = chip.flash
    pages = [flash.page(index) for index in range(flash.page_count)]
    assert pages[0].start == flash.extent.start
    assert [page.end for page in pages] == [*(page.start for page in pages[1:]), flash.extent.end]
    assert not any(page.size_bytes % flash.write_alignment_bytes for page in pages)
    assert set(chip.timing.page_erase) == {page.size_bytes for page in pages}
    assert chip.usb.transfer_size_bytes % flash.write_alignment_bytes == 0
    smaller, larger = sorted((flash.program_unit_bytes, flash.write_alignment_bytes))
    assert flash.granule_bytes == larger
    assert larger % smaller == 0
    assert chip.usb.transfer_size_bytes % larger == 0
    assert not any(page.size_bytes % larger for page in pages)


@every_chip
def test_bits_that_protect_reach_every_page_and_are_all_of_use_together(name: str) -> None:
    chip = load_chip(name)
    rule = chip.option_bytes.write_protection
    if isinstance(rule, ProtectionBits):
        all_set = {
            field: rule.protected * (1 << width) - rule.protected
            for field, width in zip(rule.fields, rule.widths, strict=True)
        }
        groups = rule.pages(dict.fromkeys(rule.decided_by, 0) | all_set, chip.flash)
        reached = chip.flash.page_count
        if not rule.last_has_rest:
            reached = min(reached, sum(rule.widths) * rule.pages_a_bit)
        assert [page for group in groups for page in group] == list(range(reached))
        *even, last = groups
        assert {len(group) for group in even} <= {rule.pages_a_bit}
        assert len(last) == rule.pages_a_bit or len(groups) == sum(rule.widths), "only the last bit of all has the rest"
        assert rule.inverted_by is None or chip.option_bytes.fields[rule.inverted_by].width == 1


@every_chip
def test_pages_are_found_by_address_and_by_range(name: str) -> None:
    flash = load_chip(name).flash
    for index in range(flash.page_count):
        page = flash.page(index)
        assert flash.page_index(page.start) == flash.page_index(page.end - 1) == index
        assert flash.pages_of(page) == range(index, index + 1)
    if flash.page_count > 1:
        assert flash.pages_of(units.AddressRange(flash.extent.start + 1, flash.page(0).size_bytes)) == range(2)
    for outside in (flash.extent.start - 1, flash.extent.end):
        with pytest.raises(IndexError, match="outside the flash"):
            flash.page_index(outside)
    with pytest.raises(IndexError, match=f"0 to {flash.page_count - 1}"):
        flash.page(flash.page_count)
    assert flash.pages_of(flash.extent) == range(flash.page_count)


@every_chip
def test_identity_and_probes_lie_in_memory_that_the_rom_reads(name: str) -> None:
    chip = load_chip(name)
    told = (chip.identity.bootloader_id_address, chip.identity.flash_size_address)  # not every ROM tells its version
    assert chip.identity.bootloader_versions or chip.identity.bootloader_id_address is None
    for address in (
        *(address for address in told if address is not None),
        *(word.start for word in chip.identity.unique_id),
        *(word.end - 1 for word in chip.identity.unique_id),
    ):
        assert any(read.start <= address < read.end for read in chip.identity.reads)
    readable = [chip.system_memory, *([chip.signature] if chip.signature else [])]
    if chip.otp is not None:
        readable.append(units.AddressRange.between(chip.otp.extent.start, chip.otp.readable_end))
    if chip.option_bytes.established:
        readable.append(units.AddressRange.between(chip.option_bytes.address, chip.option_bytes.readable_end))
    for read in chip.identity.reads:
        assert any(memory.contains(read) for memory in readable), read
        assert read.size_bytes <= chip.usb.transfer_size_bytes
    assert chip.flash.extent.start in chip.protection_probes
    assert len(set(chip.protection_probes)) >= 2
    assert chip.ram_window is None or chip.ram.contains(chip.ram_window)


@every_chip
def test_no_operation_takes_longer_than_the_data_sheet_allows(name: str) -> None:
    timing = load_chip(name).timing
    kinds = [getattr(timing, field) for field in timing.__slots__ if field != "page_erase"]
    for operation in (*kinds, *timing.page_erase.values()):
        assert 0 <= operation.typical_s <= operation.maximum_s
        assert operation.maximum_s > 0


@every_chip
def test_the_rom_has_the_commands_that_dfurun_sends_and_faults_that_can_be_simulated(name: str) -> None:
    rom = load_chip(name).rom
    assert {Command.GET_COMMANDS, Command.SET_ADDRESS, Command.ERASE} <= set(rom.commands)
    versions = load_chip(name).rom_versions
    assert set(versions) <= set(load_chip(name).identity.bootloader_versions)
    for known in (rom, *versions.values()):
        assert set(known.errata) <= set(known_errata())
    assert {"missed-service"} <= set(FAULTS) & set(known_errata())


def test_a_quirk_is_in_the_data_of_the_roms_that_need_it_and_in_no_others() -> None:
    assert load_chip("stm32f072xb").rom.quirks == ()
    read = dict(read_facts("stm32f072xb"))
    read["rom"] = read["rom"] | {"quirks": ["double-clear-status-when-wedged"]}
    assert mistakes(as_json(read)["rom"], "rom") == []
    assert chip_from_facts(read).rom.quirks == (Quirk.DOUBLE_CLEAR_STATUS_WHEN_WEDGED,)
    read["rom"] = read["rom"] | {"quirks": ["no-such-quirk"]}
    with pytest.raises(ValueError, match="no-such-quirk"):
        chip_from_facts(read)


def test_the_f072_is_what_its_documents_say() -> None:
    chip = load_chip("stm32f072xb")
    assert (chip.flash.extent.size_bytes, chip.flash.page(0).size_bytes, chip.flash.page_count) == (131072, 2048, 64)
    assert chip.system_memory.end == 0x1FFF_F800
    assert (chip.usb.vendor_id, chip.usb.product_id, chip.usb.release) == (0x0483, 0xDF11, 0x2200)
    assert chip.usb.serial == "FFFFFFFEFFFF"
    assert not chip.usb.serial_unique
    assert chip.identity.bootloader_versions == {0xA1: "V10.1", 0xA2: "V10.2", 0xA3: "V10.3"}
    assert chip.timing.program_block.maximum_s == pytest.approx(0.06144)
    assert chip.timing.shortest_erase.maximum_s == 0.040


def test_a_chip_without_a_ram_window_or_write_protection_is_taken() -> None:
    facts = dict(read_facts("stm32f072xb"))
    facts["memory"] = {key: value for key, value in facts["memory"].items() if key != "ram-window"}
    facts["option-bytes"] = {key: value for key, value in facts["option-bytes"].items() if key != "write-protection"}
    chip = chip_from_facts(facts)
    assert mistakes(as_json(facts), "chip") == []
    assert chip.ram_window is None
    assert chip.option_bytes.write_protected(chip.option_bytes.factory, chip.flash) == ()
