"""The chip data on disk: one YAML file a family, of which a run reads one, and one index of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from dfurun.chips.boot import BootAddress, BootRule, BootTable, BootTarget
from dfurun.chips.chip import (
    Chip,
    EarlyPoll,
    Execution,
    FirstState,
    Identity,
    MassErase,
    Otp,
    Quirk,
    Rom,
    Supply,
    UsbIdentity,
)
from dfurun.chips.family import Facts, facts_of
from dfurun.chips.flash import Flash, PageRun
from dfurun.chips.guards import Guard
from dfurun.chips.index import by_name
from dfurun.chips.option_bytes import Copy, FactoryBytes, InForce, OptionField, OptionLayout, data_offsets
from dfurun.chips.page_geometry import PageField
from dfurun.chips.programming_width import ProgrammingWidths, Width
from dfurun.chips.storage import Storage
from dfurun.chips.timing import Duration, Timing
from dfurun.chips.write_protection import Area, ProtectionBits, ProtectionRanges, WriteProtection
from dfurun.resources import yaml_data
from dfurun.units import AddressRange, parse_duration, parse_size, parse_voltage

_WORD_BYTES = 4


def chip_names() -> tuple[str, ...]:
    """Return the names of all chips in the data, sorted."""
    return tuple(sorted(by_name()))


@cache
def load_chip(name: str) -> Chip:
    """Return the chip of this name; raise KeyError where the data has none."""
    return chip_from_facts(read_facts(name))


def read_facts(name: str) -> Facts:
    """Return all that the data says of one chip as plain values; raise KeyError where it has none of that name.

    The shape is the definition `chip` of schemas/chip.schema.json.
    """
    return facts_of(read_family(by_name()[name].file), name)


def family_names() -> tuple[str, ...]:
    """Return the names of all families' files, sorted."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _data().iterdir() if f.name.endswith(".yaml")))


@cache
def read_family(name: str) -> Facts:
    """Return a family's file as plain values; its shape is schemas/chip.schema.json."""
    facts: Facts = yaml_data("dfurun.chips", "data", f"{name}.yaml")
    return facts


def chip_from_facts(facts: Facts) -> Chip:
    """Return the typed chip for its facts as plain values."""
    usb, memory, flash = facts["usb"], facts["memory"], facts["memory"]["flash"]
    rom = facts["rom"]
    return Chip(
        name=facts["chip"],
        title=facts["title"],
        core=facts["core"],
        usb=UsbIdentity(
            vendor_id=usb["vendor-id"],
            product_id=usb["product-id"],
            release=usb["release"],
            manufacturer=usb["manufacturer"],
            product=usb["product"],
            serial=usb.get("serial"),
            transfer_size_bytes=usb["transfer-size"],
            attributes=usb["attributes"],
            detach_timeout_s=parse_duration(usb["detach-timeout"]),
            dfu_version=usb["dfu-version"],
            alternates=tuple(usb["alternates"]),
            predicted="seen" not in usb,
            serial_word=usb.get("serial-word", 1),
            connect_minimum_s=parse_duration(usb["connect-minimum"]),
            reconnect_timeout_s=parse_duration(usb["reconnect-timeout"]),
        ),
        flash=Flash(
            extent=_range(flash),
            runs=tuple(PageRun(run["count"], parse_size(run["size"])) for run in flash["pages"]),
            unit=flash["unit"],
            erased=flash["erased"],
            program_unit_bytes=flash["program-unit"],
            write_alignment_bytes=flash["write-alignment"],
        ),
        ram=_range(memory["ram"]),
        ccm=_optional_range(memory, "ccm"),
        ram_window=_optional_range(memory, "ram-window"),
        system_memory=_range(memory["system-memory"]),
        otp=_otp(memory["otp"]) if "otp" in memory else None,
        signature=_optional_range(memory, "signature"),
        device_feature=_optional_range(memory, "device-feature"),
        identity=_identity(facts["identity"]),
        rom=_rom(rom),
        rom_versions={number: _rom({**rom, **other}) for number, other in rom.get("versions", {}).items()},
        timing=_timing(facts["timing"], units_a_block=usb["transfer-size"] // flash["program-unit"]),
        widths=_widths(facts),
        protection_probes=tuple(facts["protection"]["probes"]),
        regression=facts["protection"].get("regression", ""),
        supply=Supply(*(parse_voltage(facts["supply"][end]) for end in ("minimum", "maximum"))),
        option_bytes=_option_layout(facts["option-bytes"]),
        boot=_boot_table(facts["boot"], memory),
        guards=tuple(_guard(guard) for guard in facts["guards"]),
        page_fields=tuple(
            PageField(name, field["value"], field["otherwise"])
            for name, field in facts.get("page-geometry", {}).get("assumes", {}).items()
        ),
    )


def _data() -> Any:
    return files("dfurun.chips") / "data"


def _range(facts: Facts) -> AddressRange:
    return AddressRange(facts["address"], parse_size(facts["size"]))


def _optional_range(facts: Facts, key: str) -> AddressRange | None:
    return _range(facts[key]) if key in facts else None


def _otp(facts: Facts) -> Otp:
    extent = _range(facts)
    return Otp(extent, extent.start + parse_size(facts["readable"]))


def _rom(facts: Facts) -> Rom:
    return Rom(
        commands=tuple(facts["commands"]),
        mass_erase=MassErase(facts["mass-erase"]),
        execution=Execution(facts["execution"]),
        early_poll=EarlyPoll(facts["early-poll"]),
        first_state=FirstState(facts["first-state"]),
        errata=tuple(facts["errata"]),
        quirks=tuple(Quirk(name) for name in facts.get("quirks", ())),
    )


def _identity(facts: Facts) -> Identity:
    bootloader = facts.get("bootloader-id", {})
    versions = dict(bootloader.get("versions", {}))
    return Identity(
        reads=tuple(_range(read) for read in facts["reads"]),
        bootloader_id_address=bootloader.get("address"),
        bootloader_versions=versions,
        simulated_bootloader=list(versions)[-1] if versions else None,
        unique_id=_unique_id(facts["unique-id"]),
        flash_size_address=facts.get("flash-size", {}).get("address"),
    )


def _unique_id(facts: Facts) -> tuple[AddressRange, ...]:
    """Return the words of the unique id; `words` are their offsets, in a row where it is left out."""
    size_bytes = parse_size(facts["size"])
    offsets = facts.get("words", range(0, size_bytes, _WORD_BYTES))
    return tuple(AddressRange(facts["address"] + offset, _WORD_BYTES) for offset in offsets)


def _timing(facts: Facts, *, units_a_block: int) -> Timing:
    unit = _duration({**facts["program-unit"], "reported": "0ms"})
    return Timing(
        set_address=_duration(facts["set-address"]),
        page_erase={parse_size(size): _duration(erase) for size, erase in facts["page-erase"].items()},
        mass_erase=_duration(facts["mass-erase"]),
        program_unit=unit,
        program_block=Duration(
            typical_s=unit.typical_s * units_a_block,
            maximum_s=unit.maximum_s * units_a_block,
            reported_s=parse_duration(facts["program-block"]["reported"]),
        ),
        option_bytes=_duration(facts["option-bytes"]),
        read_unprotect=_duration(facts["read-unprotect"]),
    )


def _widths(facts: Facts) -> ProgrammingWidths | None:
    """Return the widths that the ROM can be told, the first one its own. What it reports does not depend on them (model)."""
    if "programming-width" not in facts:
        return None
    own, block_bytes = facts["timing"], facts["usb"]["transfer-size"]
    return ProgrammingWidths(
        tuple(
            Width(
                code=width["code"],
                unit_bytes=width["bytes"],
                minimum_v=parse_voltage(width["from"]),
                timing=_timing_at(width, own, units_a_block=block_bytes // width["bytes"]),
            )
            for width in facts["programming-width"]["widths"]
        )
    )


def _timing_at(width: Facts, own: Facts, *, units_a_block: int) -> Timing:
    """Return the times at a width: the erase of a page, and the part that a mass erase takes; none for the ROM's own."""
    timing = _timing(own, units_a_block=units_a_block)
    if "page-erase" not in width:
        return timing
    erase, part = timing.mass_erase, width["mass-erase-part"]
    return replace(
        timing,
        page_erase={
            parse_size(size): _duration({**own["page-erase"][size], **times})
            for size, times in width["page-erase"].items()
        },
        mass_erase=replace(erase, typical_s=erase.typical_s * part, maximum_s=erase.maximum_s * part),
    )


def _duration(facts: Facts) -> Duration:
    return Duration(*(parse_duration(facts[key]) for key in ("typical", "maximum", "reported")))


def _option_layout(facts: Facts) -> OptionLayout:
    storage, blocks = Storage(facts["storage"]), tuple(_range(block) for block in facts["blocks"])
    size_bytes = sum(block.size_bytes for block in blocks)
    offsets = data_offsets(storage, size_bytes)
    fields = [_field(name, field, offsets) for name, field in facts["fields"].items()]
    fields.sort(key=lambda field: field.position)
    named = {field.name: field for field in fields}
    return OptionLayout(
        blocks=blocks,
        alternate=facts.get("alternate"),
        storage=storage,
        factory=bytes.fromhex(facts["factory"]),
        factory_is=FactoryBytes(facts.get("factory-is", FactoryBytes.DOCUMENTED)),
        readable_end=blocks[0].start + facts.get("readable", blocks[0].size_bytes) if blocks else 0,
        in_force_at=InForce(facts["in-force"]),
        fields=named,
        copies=tuple(Copy(copy["from"], copy["to"], copy["size"]) for copy in facts.get("copies", ())),
        write_protection=_write_protection(facts.get("write-protection"), named),
    )


def _field(name: str, facts: Facts, offsets: tuple[int, ...]) -> OptionField:
    bit = facts.get("bit", 0)
    return OptionField(
        name=name,
        byte=facts["byte"],
        bit=bit,
        width=facts.get("width", 1 if "bit" in facts else 8),
        position=8 * offsets.index(facts["byte"]) + bit,
        means=facts["means"],
        values=dict(facts.get("values", {})),
        otherwise=facts.get("otherwise"),
        keep=facts.get("keep"),
    )


def _write_protection(facts: Facts | None, fields: Mapping[str, OptionField]) -> WriteProtection | None:
    if facts is None:
        return None
    if "areas" in facts:
        areas = (
            Area(area["start"], area["end"], area.get("bank", 1), (1 << fields[area["start"]].width) - 1)
            for area in facts["areas"]
        )
        return ProtectionRanges(tuple(areas), facts.get("banks", 1))
    names = tuple(facts["fields"])
    widths = tuple(fields[name].width for name in names)
    rest, inverted_by = facts.get("last", "rest") == "rest", facts.get("inverted-by")
    return ProtectionBits(names, facts["pages-a-bit"], facts["protected"], widths, inverted_by, last_has_rest=rest)


def _guard(facts: Facts) -> Guard:
    when_not = {name: tuple(values) for name, values in facts.get("when-not", {}).items()}
    changes = tuple(facts.get("changes", ()))
    return Guard(facts["name"], dict(facts.get("when", {})), facts["irreversible"], facts["means"], when_not, changes)


def _boot_table(facts: Facts, memory: Facts) -> BootTable:
    own = {target: memory[key] for key, target in _BOOTABLE.items()}
    also = [(BootTarget(mirror["is"]), mirror) for mirror in facts.get("mirrors", ())]
    mirrors = [(target, {"size": own[target]["size"], **mirror}) for target, mirror in also]
    return BootTable(
        tuple(_boot_rule(rule) for rule in facts["rules"]),
        tuple((_range(place), target) for target, place in (*own.items(), *mirrors)),
    )


_BOOTABLE = {
    "flash": BootTarget.MAIN_FLASH,
    "system-memory": BootTarget.SYSTEM_MEMORY,
    "ram": BootTarget.SRAM,
}


def _boot_rule(facts: Facts) -> BootRule:
    fields = {
        name: value for name, value in facts.items() if name not in ("pin", "flash-empty", "starts", "at", "shift")
    }
    starts = BootTarget(facts["starts"]) if "starts" in facts else BootAddress(facts["at"], facts["shift"])
    return BootRule(fields, facts.get("pin"), facts.get("flash-empty"), starts)
