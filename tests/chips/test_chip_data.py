"""Chip data: its schema, its sources, and that it agrees with itself. Every chip file is held to all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from dfurun import units
from dfurun.chips import BootTarget, EarlyPoll, Execution, Quirk, chip_names, load_chip
from dfurun.chips.database import chip_from_facts, read_facts
from dfurun.chips.option_bytes import OptionField, OptionLayout, Storage
from dfurun.dfuse.layout import parse_layout
from dfurun.dfuse.protocol import Command
from dfurun.simulator import FAULTS

ROOT = Path(__file__).parents[2]
SCHEMA: Any = json.loads((ROOT / "schemas" / "chip.schema.json").read_text(encoding="utf-8"))
BLOCKS = ("usb", "memory", "identity", "rom", "timing", "protection", "supply", "option-bytes", "boot")

every_chip = pytest.mark.parametrize("name", chip_names())


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


@pytest.mark.parametrize("file", ["chip.schema.json", "record.schema.json"])
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


@every_chip
def test_a_chip_file_is_as_the_schema_says(name: str) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(facts(name))]
    assert errors == []


def facts(name: str) -> Any:
    return as_json(read_facts(name))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("chip",), "STM32F072"),
        (("colour",), "green"),
        (("usb", "vendor-id"), 0x1_0000),
        (("usb", "sources"), ["AN2606"]),
        (("usb", "source"), []),
        (("usb", "confidence"), "sure"),
        (("memory", "flash", "size"), "128 KB"),
        (("memory", "flash", "pages"), 64),
        (("timing", "page-erase", "maximum"), 40),
        (("rom", "early-poll"), "sometimes"),
        (("rom", "quirks"), ["doubl-clear-status-when-wedged"]),
        (("protection", "probes"), [0x0800_0000]),
        (("supply", "minimum"), 2.0),
        (("option-bytes", "factory"), "AA5"),
        (("option-bytes", "fields", "RDP", "byte"), "0"),
        (("option-bytes", "fields", "RDP", "maens"), "a typo"),
        (("boot", "rules", 0, "starts"), "the moon"),
        (("boot", "rules", 0, "boot0"), 1),
        (("guards", 0, "irreversible"), "yes"),
        (("identity", "bootloader-id", "versions", "161"), 10.1),
    ],
)
def test_the_schema_finds_a_mistake_where_it_is(path: tuple[str | int, ...], value: Any) -> None:
    broken = facts("stm32f072xb")
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
        assert not Draft7Validator(SCHEMA).is_valid(broken), key


def test_the_schema_and_the_code_have_the_same_words_and_patterns() -> None:
    properties, definitions = SCHEMA["properties"], SCHEMA["definitions"]
    assert properties["rom"]["properties"]["execution"]["enum"] == [str(kind) for kind in Execution]
    assert properties["rom"]["properties"]["early-poll"]["enum"] == [str(kind) for kind in EarlyPoll]
    assert properties["rom"]["properties"]["quirks"]["items"]["enum"] == [str(kind) for kind in Quirk]
    assert properties["option-bytes"]["properties"]["storage"]["enum"] == [str(kind) for kind in Storage]
    assert definitions["boot-rule"]["properties"]["starts"]["enum"] == [str(kind) for kind in BootTarget]
    assert definitions["size"]["pattern"] == units.SIZE_PATTERN
    assert definitions["duration"]["pattern"] == units.DURATION_PATTERN
    assert definitions["voltage"]["pattern"] == units.VOLTAGE_PATTERN


# Sources -------------------------------------------------------------------------------------------------------------


@every_chip
def test_every_block_names_its_documents_and_how_sure_it_is(name: str) -> None:
    read = facts(name)
    blocks = [read[block] for block in BLOCKS] + read["guards"]
    for block in blocks:
        assert block["confidence"] in ("high", "medium", "low")
        assert set(block["source"]) <= set(read["sources"])
    assert set(read) - set(BLOCKS) == {"chip", "title", "lines", "core", "device-id", "sources", "guards"}


@every_chip
def test_every_document_that_is_listed_is_one_that_was_used(name: str) -> None:
    read = facts(name)
    used = {key for block in [*(read[block] for block in BLOCKS), *read["guards"]] for key in block["source"]}
    assert used == set(read["sources"])


@every_chip
def test_a_file_has_the_name_of_its_chip_and_no_key_twice(name: str) -> None:
    path = ROOT / "dfurun" / "chips" / "data" / f"{name}.yaml"
    assert read_facts(name)["chip"] == load_chip(name).name == name

    def check(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            for _, value in node.value:
                check(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                check(value)

    check(yaml.compose(path.read_text(encoding="utf-8")))


def test_a_chip_that_is_not_in_the_data_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="stm32f999"):
        load_chip("stm32f999")


# Agreement -----------------------------------------------------------------------------------------------------------


def bits_of(layout: OptionLayout, field: OptionField) -> dict[int, int]:
    """The bits of a field in each of its bytes."""
    raw = bytearray(layout.size_bytes)
    field.put(raw, (1 << field.width) - 1)
    return {offset: value for offset, value in enumerate(raw) if value}


@every_chip
def test_option_byte_fields_stay_inside_their_bytes_and_do_not_overlap(name: str) -> None:
    layout = load_chip(name).option_bytes
    taken = dict.fromkeys(layout.data_offsets(), 0)
    for field in layout.fields.values():
        for offset, bits in bits_of(layout, field).items():
            assert offset in taken, f"{field.name} is not in a data byte"
            assert not taken[offset] & bits, f"{field.name} shares a bit"
            taken[offset] |= bits


@every_chip
def test_every_bit_of_every_data_byte_has_a_name(name: str) -> None:
    layout = load_chip(name).option_bytes
    named = dict.fromkeys(layout.data_offsets(), 0)
    for field in layout.fields.values():
        for offset, bits in bits_of(layout, field).items():
            named[offset] |= bits
    # A chip with bits that are deliberately not named lists them here, by offset.
    not_named: dict[str, dict[int, int]] = {
        "stm32f042x6": {10: 0xFF, 12: 0xFF, 14: 0xFF},  # WRP1 to WRP3 of larger chips
        "stm32f072xb": {},
        "stm32f405xg": {0: 0x13, 9: 0xF0},  # OPTLOCK and OPTSTRT, and BFB2, SPRMOD and DB1M of other F4
    }
    assert {offset: mask ^ 0xFF for offset, mask in named.items() if mask != 0xFF} == not_named[name]


@every_chip
def test_factory_option_bytes_are_whole_valid_and_lock_nothing(name: str) -> None:
    chip = load_chip(name)
    layout = chip.option_bytes
    assert len(layout.factory) == layout.size_bytes
    assert layout.spoiled(layout.factory) == ()
    assert layout.cleared_reserved(layout.factory) == ()
    assert layout.write_protected(layout.factory, chip.flash) == ()
    fields = layout.decode(layout.factory)
    assert not any(guard.entered({}, fields) for guard in chip.guards)
    assert (chip.starts(fields, boot0=0), chip.starts(fields, boot0=1)) == (
        BootTarget.MAIN_FLASH,
        BootTarget.SYSTEM_MEMORY,
    )


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
    conditions = [rule.when for rule in chip.boot_rules] + [guard.when for guard in chip.guards]
    for condition in conditions:
        for field, value in condition.items():
            chip.option_bytes.fields[field].number(value)
    assert len({guard.name for guard in chip.guards}) == len(chip.guards)


@every_chip
def test_the_alternate_settings_tell_the_memories_of_the_data(name: str) -> None:
    chip = load_chip(name)
    flash, option_bytes = parse_layout(chip.usb.alternates[0]), parse_layout(chip.usb.alternates[1])
    assert flash.segments[0].start == chip.flash.extent.start
    assert flash.size_bytes == chip.flash.extent.size_bytes
    told = [(segment.count, segment.sector_size_bytes) for segment in flash.segments]
    assert told == [(run.count, run.page_size_bytes) for run in chip.flash.runs]
    assert (option_bytes.segments[0].start, option_bytes.size_bytes) == (
        chip.option_bytes.address,
        chip.option_bytes.size_bytes,
    )
    assert parse_layout(chip.usb.alternates[chip.option_bytes.alternate]).is_option_bytes


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
    assert flash.write_alignment_bytes % flash.program_unit_bytes == 0
    rule = chip.option_bytes.write_protection
    bits = sum(chip.option_bytes.fields[name].width for name in rule.fields) if rule else 0
    assert rule is None or bits * rule.pages_a_bit == flash.page_count


@every_chip
def test_pages_are_found_by_address_and_by_range(name: str) -> None:
    flash = load_chip(name).flash
    for index in range(flash.page_count):
        page = flash.page(index)
        assert flash.page_index(page.start) == flash.page_index(page.end - 1) == index
        assert flash.pages_of(page) == range(index, index + 1)
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
    for address in (
        chip.identity.bootloader_id_address,
        chip.identity.unique_id.start,
        chip.identity.unique_id.end - 1,
        chip.identity.flash_size_address,
    ):
        assert any(read.start <= address < read.end for read in chip.identity.reads)
    for read in chip.identity.reads:
        behind_otp = chip.otp is not None and chip.otp.extent.start <= read.start < chip.otp.extent.end
        assert chip.system_memory.contains(read) or (behind_otp and read.end <= chip.otp.readable_end)
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
    assert set(rom.errata) <= set(FAULTS)


def test_a_quirk_is_in_the_data_of_the_roms_that_need_it_and_in_no_others() -> None:
    assert load_chip("stm32f072xb").rom.quirks == ()
    read = dict(read_facts("stm32f072xb"))
    read["rom"] = read["rom"] | {"quirks": ["double-clear-status-when-wedged"]}
    assert Draft7Validator(SCHEMA).is_valid(as_json(read))
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
    assert chip.identity.bootloader_versions == {0xA1: "V10.1"}
    assert chip.timing.program_block.maximum_s == pytest.approx(0.06144)
    assert chip.timing.shortest_erase.maximum_s == 0.040


def test_a_chip_without_a_ram_window_or_write_protection_is_taken() -> None:
    facts = dict(read_facts("stm32f072xb"))
    facts["memory"] = {key: value for key, value in facts["memory"].items() if key != "ram-window"}
    facts["option-bytes"] = {key: value for key, value in facts["option-bytes"].items() if key != "write-protection"}
    chip = chip_from_facts(facts)
    assert Draft7Validator(SCHEMA).is_valid(as_json(facts))
    assert chip.ram_window is None
    assert chip.option_bytes.write_protected(chip.option_bytes.factory, chip.flash) == ()
