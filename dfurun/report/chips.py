"""The chip data as people and tools read it: what is known of a chip, from which document, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dfurun.chips import BootTarget, Chip, Duration, MassErase
from dfurun.chips.boot import BootAddress
from dfurun.chips.errata import known_errata
from dfurun.chips.family import WIDTH
from dfurun.chips.guards import HIDING, Guard
from dfurun.chips.option_bytes import NOT_ESTABLISHED, FactoryBytes
from dfurun.chips.write_protection import ProtectionBits, ProtectionRanges
from dfurun.report.sheet import print_row
from dfurun.report.words import raw_rows, wrapped
from dfurun.report.wrapping import LEAST_WIDTH
from dfurun.units import AddressRange, format_address, format_duration, format_hex, format_size

if TYPE_CHECKING:
    from rich.console import Console

NAME_WIDTH = 21
_MASS_ERASE = {
    MassErase.WORKS: "yes",
    MassErase.MISSING: "no, page by page",
    MassErase.SILENT: "acknowledged and not done: page by page",
}
FACTORY_OF = {
    FactoryBytes.DOCUMENTED: "from the factory",
    FactoryBytes.MEASURED: "those of one board",
    FactoryBytes.MODELLED: "a model of them",
}
FURTHER_IN = 4
Facts = Mapping[str, Any]
Row = tuple[str, str]


def print_chip(console: Console, chip: Chip, facts: Facts) -> None:
    """Print all that is known of a chip, a block a subject, with its documents and how sure it is."""
    name = f"{chip.title}, {chip.core}, device id 0x{facts['device-id']:03X}"
    _print(console, [(chip.name, name), *_looks(chip, facts)])
    blocks = (
        ("usb", "On the bus", _usb(chip, facts["usb"])),
        ("memory", "Memory", _memory(chip)),
        ("identity", "Identity", _identity(chip)),
        ("rom", "Bootloader", [*_rom(chip), *_trouble(chip)]),
        ("timing", "Timing", _timing(chip)),
        (WIDTH, "Programming width, by what the recipe says of the supply", _widths(chip)),
        ("supply", "Supply", [("VDD", str(chip.supply))]),
    )
    for key, title, rows in blocks:
        if key not in facts:
            continue
        _heading(console, title, facts[key])
        _print(console, rows)
    _heading(console, "Option bytes", facts["option-bytes"])
    _print(console, _option_bytes(chip))
    _print_fields(console, chip)
    if chip.page_fields:
        _heading(console, f"What the {chip.flash.unit}s depend on", facts["page-geometry"])
        _print(console, [(f"{field.name} {field.value}", f"else {field.otherwise}") for field in chip.page_fields])
    _heading(console, "What starts at a power-on", facts["boot"])
    _print(console, _boot(chip))
    console.print("\n[bold]Guards[/bold], by the names for `allow`", markup=True)
    for guard, source in zip(chip.guards, facts["guards"], strict=True):
        when = ", ".join(_conditions(chip, guard))
        needs = " Needs --allow-irreversible as well." if guard.irreversible else ""
        _print(console, [(guard.name, f"{when}: {guard.means}.{needs} {_origin(source)}")])
    for name in chip.guard_names[len(chip.guards) :]:
        means = HIDING[name][1]
        _print(
            console, [(name, f"whatever leads there, and no guard above says: {means}. (worked out of the boot table)")]
        )
    if not chip.guard_names:
        _print(console, [("", "none")])
    console.print("\n[bold]Sources[/bold]", markup=True)
    _print(console, list(facts["sources"].items()))


def _conditions(chip: Chip, guard: Guard) -> Iterator[str]:
    for name, value in guard.when.items():
        yield f"{name} {chip.option_bytes.fields[name].show(value)}"
    for name, harmless in guard.when_not.items():
        yield f"{name} other than {' or '.join(map(chip.option_bytes.fields[name].show, harmless))}"
    if guard.changes:
        yield f"any change of {', '.join(guard.changes)}"


def _looks(chip: Chip, facts: Facts) -> Iterator[Row]:
    if facts["lines"] != [chip.title]:
        yield "lines", ", ".join(facts["lines"])
    usb = chip.usb
    yield "looks like", f"{usb.product!r} ({usb.vendor_id:04x}:{usb.product_id:04x}), {usb.alternates[0]!r}"


def _trouble(chip: Chip) -> Iterator[Row]:
    for name in chip.rom.errata:
        yield "known trouble", _told(name)
    for number, rom in chip.rom_versions.items():
        version = chip.identity.bootloader_versions[number]
        for name in rom.errata:
            if name not in chip.rom.errata:
                yield "known trouble", f"{version} alone: {_told(name)}"
    if chip.regression:
        yield "RDP level 1 to 0", chip.regression
    mass_erase = chip.timing.mass_erase
    if mass_erase.reported_s < mass_erase.typical_s:
        reported, typical = format_duration(mass_erase.reported_s), format_duration(mass_erase.typical_s)
        yield (
            "known trouble",
            f"it reports {reported} for a mass erase that takes {typical}; dfurun waits as long as it takes",
        )


def _told(name: str) -> str:
    known = known_errata()[name]
    return f"{name}: {known.means}; {known.advice_direct} ({known.source})"


def _usb(chip: Chip, facts: Facts) -> Iterator[Row]:
    usb = chip.usb
    if usb.predicted:
        yield "layout", "predicted: no log of such a board is known, the names follow from those of others"
    else:
        yield "layout", f"seen in a log of a real board ({facts['seen']})"
    yield "serial number", f"{usb.serial}, on every board" if usb.serial else "made of the unique id"
    for number, alternate in enumerate(usb.alternates):
        yield f"alternate {number}", alternate
    yield "transfer size", format_size(usb.transfer_size_bytes)
    yield "back after a reset", f"{format_duration(usb.connect_minimum_s)} at least"


def _memory(chip: Chip) -> Iterator[Row]:
    flash = chip.flash
    pages = ", ".join(f"{run.count} x {format_size(run.page_size_bytes)}" for run in flash.runs)
    yield "flash", f"{flash.extent}, {format_size(flash.extent.size_bytes)}; {flash.unit}s: {pages}"
    unit, alignment = format_size(flash.program_unit_bytes), flash.write_alignment_bytes
    yield "", f"programmed {unit} at a time, written from multiples of {alignment}"
    memories = (("RAM", chip.ram), ("CCM RAM", chip.ccm), ("RAM that can be read", chip.ram_window))
    otp = chip.otp.extent if chip.otp else None
    for name, memory in (*memories, ("system memory", chip.system_memory), ("OTP", otp), ("signature", chip.signature)):
        if memory is not None:
            yield name, f"{memory}, {format_size(memory.size_bytes)}"


def _identity(chip: Chip) -> Iterator[Row]:
    identity = chip.identity
    if identity.bootloader_id_address is not None:
        versions = ", ".join(f"0x{number:02X} is {name}" for number, name in identity.bootloader_versions.items())
        yield "bootloader id", f"at {format_address(identity.bootloader_id_address)}: {versions}"
    yield "unique id", _unique_id(identity.unique_id)
    if identity.flash_size_address is not None:
        yield "flash size", f"at {format_address(identity.flash_size_address)}, in KiB"


def _unique_id(words: Sequence[AddressRange]) -> str:
    """Return where the unique id is: a range, or each word where they are apart."""
    size_bytes = sum(word.size_bytes for word in words)
    whole = AddressRange.between(words[0].start, words[-1].end)
    return str(whole) if whole.size_bytes == size_bytes else "words at " + ", ".join(str(word) for word in words)


def _rom(chip: Chip) -> Iterator[Row]:
    rom = chip.rom
    yield "commands", format_hex(bytes(rom.commands))
    yield "mass erase", _MASS_ERASE[rom.mass_erase]
    yield "execution", rom.execution.value
    yield "a poll too early", rom.early_poll.value
    if rom.quirks:
        yield "quirks", ", ".join(rom.quirks)


def _timing(chip: Chip) -> Iterator[Row]:
    timing = chip.timing
    for size, duration in timing.page_erase.items():
        yield f"erase {format_size(size)}", _duration(duration)
    yield "mass erase", _duration(timing.mass_erase)
    yield "program a block", _duration(timing.program_block)
    yield "option bytes", _duration(timing.option_bytes)
    yield "read unprotect", _duration(timing.read_unprotect)


def _widths(chip: Chip) -> Iterator[Row]:
    """Yield a row a width, from the lowest supply that allows it on: a higher one may choose it by another byte."""
    widths = chip.widths.widths if chip.widths else ()
    least = [next(same) for _, same in groupby(widths, lambda width: width.unit_bytes)]
    for number, width in enumerate(least):
        block, erase = (format_duration(t.typical_s) for t in (width.timing.program_block, width.timing.mass_erase))
        unsaid = "" if number else ", and where the recipe says nothing"
        words = f"{format_size(width.unit_bytes)} at once ({width.parallelism}){unsaid}: a block {block}, mass erase {erase}"
        yield f"from {width.minimum_v:g} V", words


def _duration(duration: Duration) -> str:
    typical, maximum, reported = (
        format_duration(seconds) for seconds in (duration.typical_s, duration.maximum_s, duration.reported_s)
    )
    return f"{typical}, at most {maximum}; the bootloader reports {reported}"


def _option_bytes(chip: Chip) -> Iterator[Row]:
    layout = chip.option_bytes
    if not layout.established:
        yield "", NOT_ESTABLISHED
        return
    blocks = " and ".join(str(block) for block in layout.blocks)
    yield "where", f"{blocks}, {format_size(layout.size_bytes)}, alternate {layout.alternate}"
    for index, row in enumerate(raw_rows(layout.factory)):
        yield "" if index else FACTORY_OF[layout.factory_is], row
    yield "stored as", layout.storage.value
    yield "in force at", layout.in_force_at.value
    yield "write protection", _write_protection(chip)


def _write_protection(chip: Chip) -> str:
    match chip.option_bytes.write_protection:
        case ProtectionBits() as bits:
            pages, names = chip.flash.count(bits.pages_a_bit), ", ".join(bits.fields)
            return f"a bit of {names} for every {pages}, the last for all that are left; {bits.protected} protects"
        case ProtectionRanges() as ranges:
            areas = ", ".join(f"{area.start} to {area.end}" for area in ranges.areas)
            return f"{chip.flash.unit}s from {areas}, both included; a start behind its end protects nothing"
        case _:
            return "none that the bootloader reaches"


def _print_fields(console: Console, chip: Chip) -> None:
    layout = chip.option_bytes
    if not layout.established:
        return
    factory = layout.decode(layout.factory)
    rows = [("field", "factory" if layout.factory_known else "perhaps", "takes", "what it does")]
    rows += [(name, field.show(factory[name]), field.allowed(), field.means) for name, field in layout.fields.items()]
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(3)]
    beside = not console.is_terminal or console.width - sum(widths) >= LEAST_WIDTH
    for row in rows:
        name = "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        if beside:
            print_row(console, name, row[3], width=sum(widths))
            continue
        print_row(console, name.rstrip(), "", width=0)
        print_row(console, "", row[3], width=widths[0])


def _boot(chip: Chip) -> Iterator[Row]:
    for rule in chip.boot.rules:
        when = [f"{name} {value}" for name, value in rule.when.items()]
        if rule.boot0 is not None:
            when.append(f"BOOT0 {'high' if rule.boot0 else 'low'}")
        if rule.flash_empty is not None:
            when.append("flash empty" if rule.flash_empty else "flash not empty")
        yield "", f"{', '.join(when)}: {_started(rule.starts)}"


def _started(starts: BootTarget | BootAddress) -> str:
    if isinstance(starts, BootTarget):
        return starts.words
    return f"what is at {starts.field} << {starts.shift}"


def _heading(console: Console, title: str, facts: Facts) -> None:
    from rich.text import Text

    first, *rest = wrapped(console, f"{title} {_origin(facts)}", beside=FURTHER_IN)
    console.print(Text.assemble("\n", (title, "bold"), first[len(title) :]), soft_wrap=True)
    for line in rest:
        console.print(" " * FURTHER_IN + line, soft_wrap=True)


def _origin(facts: Facts) -> str:
    return f"({', '.join(facts['source'])}; {facts['confidence']})"


def _print(console: Console, rows: Iterable[Row]) -> None:
    for name, text in rows:
        print_row(console, name, text, width=max(NAME_WIDTH, len(name) + 1))
