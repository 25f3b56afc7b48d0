"""The chip data on disk, one YAML file a chip, read one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from dfurun.chips.chip import (
    BootRule,
    BootTarget,
    Chip,
    Duration,
    EarlyPoll,
    Execution,
    FirstState,
    Guard,
    Identity,
    Otp,
    Quirk,
    Rom,
    Supply,
    Timing,
    UsbIdentity,
)
from dfurun.chips.flash import Flash, PageRun
from dfurun.chips.option_bytes import InForce, OptionField, OptionLayout, Storage, WriteProtection
from dfurun.units import AddressRange, parse_duration, parse_size, parse_voltage

Facts = Mapping[str, Any]


@cache
def chip_names() -> tuple[str, ...]:
    """Return the names of all chips in the data, sorted."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _data().iterdir() if f.name.endswith(".yaml")))


@cache
def load_chip(name: str) -> Chip:
    """Return the chip of this name; raise KeyError where the data has none."""
    if name not in chip_names():
        raise KeyError(name)
    return chip_from_facts(read_facts(name))


def read_facts(name: str) -> Facts:
    """Return the chip's file as plain values, for tools that show sources and confidence."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    facts: Facts = yaml.load((_data() / f"{name}.yaml").read_text(encoding="utf-8"), Loader=loader)
    return facts


def chip_from_facts(facts: Facts) -> Chip:
    """Return the typed chip for one file's plain values; the file's shape is schemas/chip.schema.json."""
    usb, memory, flash = facts["usb"], facts["memory"], facts["memory"]["flash"]
    identity, rom = facts["identity"], facts["rom"]
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
        device_feature=_optional_range(memory, "device-feature"),
        identity=Identity(
            reads=tuple(_range(read) for read in identity["reads"]),
            bootloader_id_address=identity["bootloader-id"]["address"],
            bootloader_versions=dict(identity["bootloader-id"]["versions"]),
            unique_id=_range(identity["unique-id"]),
            flash_size_address=identity["flash-size"]["address"],
        ),
        rom=Rom(
            commands=tuple(rom["commands"]),
            mass_erase=rom["mass-erase"],
            execution=Execution(rom["execution"]),
            early_poll=EarlyPoll(rom["early-poll"]),
            first_state=FirstState(rom["first-state"]),
            errata=tuple(rom["errata"]),
            quirks=tuple(Quirk(name) for name in rom.get("quirks", ())),
        ),
        timing=_timing(facts["timing"], units_a_block=usb["transfer-size"] // flash["program-unit"]),
        protection_probes=tuple(facts["protection"]["probes"]),
        supply=Supply(*(parse_voltage(facts["supply"][end]) for end in ("minimum", "maximum"))),
        option_bytes=_option_layout(facts["option-bytes"]),
        boot_rules=tuple(_boot_rule(rule) for rule in facts["boot"]["rules"]),
        guards=tuple(Guard(g["name"], dict(g["when"]), g["irreversible"], g["means"]) for g in facts["guards"]),
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


def _duration(facts: Facts) -> Duration:
    return Duration(*(parse_duration(facts[key]) for key in ("typical", "maximum", "reported")))


def _option_layout(facts: Facts) -> OptionLayout:
    protection = facts.get("write-protection")
    return OptionLayout(
        address=facts["address"],
        size_bytes=facts["size"],
        alternate=facts["alternate"],
        storage=Storage(facts["storage"]),
        factory=bytes.fromhex(facts["factory"]),
        in_force_at=InForce(facts["in-force"]),
        fields={name: _field(name, field) for name, field in facts["fields"].items()},
        write_protection=WriteProtection(
            tuple(protection["fields"]), protection["pages-a-bit"], protection["protected"]
        )
        if protection
        else None,
    )


def _field(name: str, facts: Facts) -> OptionField:
    return OptionField(
        name=name,
        byte=facts["byte"],
        bit=facts.get("bit", 0),
        width=facts.get("width", 1 if "bit" in facts else 8),
        means=facts["means"],
        values=dict(facts.get("values", {})),
        otherwise=facts.get("otherwise"),
        keep=facts.get("keep"),
    )


def _boot_rule(facts: Facts) -> BootRule:
    fields = {name: value for name, value in facts.items() if name not in ("pin", "flash-empty", "starts")}
    return BootRule(fields, facts.get("pin"), facts.get("flash-empty"), BootTarget(facts["starts"]))
