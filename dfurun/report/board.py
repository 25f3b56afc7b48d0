"""One board as people read it: who it is, its option bytes by name beside the raw ones, what boots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from dfurun.chips import BootTarget, Chip
from dfurun.chips.option_bytes import NOT_ESTABLISHED, FactoryBytes
from dfurun.dfuse.identity import BoardIdentity
from dfurun.dfuse.link import DeviceDescription
from dfurun.dfuse.protection import Protection
from dfurun.report.words import raw_rows, titles_of, wrapped
from dfurun.units import format_hex, format_pages, format_size

if TYPE_CHECKING:
    from rich.console import Console

LABEL_WIDTH = 16
USUAL_OF = {
    FactoryBytes.DOCUMENTED: "factory",
    FactoryBytes.MEASURED: "another board's",
    FactoryBytes.MODELLED: "perhaps at first",
}


def print_board(
    console: Console,
    *,
    port: str,
    chips: Sequence[Chip],
    named_by: str | None,
    is_simulated: bool,
    description: DeviceDescription,
    identity: BoardIdentity,
    commands: tuple[int, ...],
    protection: Protection,
    cause_of_protection: str | None,
    option_bytes: bytes | None,
    fields_known: bool,
    boots: Mapping[int, BootTarget],
    boots_for_empty_flash: frozenset[int],
) -> None:
    """Print all that is known of a board. `chips` are those that it can be, `named_by` the option that says which it is.

    A simulated board's layout may be predicted; a real one's is its own. `fields_known`: all of the chips call the option bytes
    alike. `boots_for_empty_flash`: the levels of BOOT0 that start so for that alone.
    """
    chip = chips[0]

    def line(label: str, text: str) -> None:
        for index, part in enumerate(wrapped(console, text, beside=LABEL_WIDTH)):
            console.print(("" if index else label).ljust(LABEL_WIDTH) + part, soft_wrap=True)

    ids = f"{description.vendor_id:04x}:{description.product_id:04x}, bcdDevice 0x{description.release:04X}"
    line("port", port)
    line("device", f"{description.product} ({ids})")
    unique = "" if chip.usb.serial_unique else " (the same on every board of this kind)"
    line("serial number", description.serial + unique)
    line("chip", f"{titles_of(chips)}, {_by_what_it_is_known(chips, named_by, description)}")
    if identity.bootloader_id is not None:
        line("bootloader", f"{identity.bootloader_version(*chips)} (id 0x{identity.bootloader_id:02X})")
    if identity.unique_id:
        line("unique id", identity.unique_id)
    if identity.flash_size_bytes:
        line("flash size", format_size(identity.flash_size_bytes))
    line("transfer size", format_size(description.functional.transfer_size_bytes))
    line("commands", format_hex(bytes(commands)))
    for number, alternate in enumerate(description.alternates):
        line("memory" if number == 0 else "", alternate.name)
    if is_simulated and all(one.usb.predicted for one in chips):
        line("", "(as dfurun predicts it: no log of such a board is known to it)")
    line("protection", protection.verdict.value)
    if cause_of_protection:
        line("", cause_of_protection)
    for answer in protection.evidence:
        line("", answer)
    if option_bytes is not None and not fields_known:
        _print_raw(console, option_bytes)
        line("", "(what they are called differs from chip to chip: --chip shows them by name)")
    elif option_bytes is not None:
        console.print()
        print_option_bytes(console, chip, option_bytes)
        console.print()
    for level, target in boots.items():
        why = ": the flash is empty" if level in boots_for_empty_flash else ""
        line(f"BOOT0 {'high' if level else 'low'}", f"starts {target.words}{why}")


def _print_raw(console: Console, raw: bytes) -> None:
    for index, row in enumerate(raw_rows(raw)):
        console.print(("" if index else "option bytes").ljust(LABEL_WIDTH) + row, soft_wrap=True)


def _by_what_it_is_known(chips: Sequence[Chip], named_by: str | None, description: DeviceDescription) -> str:
    if len(chips) > 1:
        return "which it does not tell: its memory layout fits each; --chip says which"
    if named_by is None:
        return "by its memory layout"
    if description.flash_layout is None:
        return f"as {named_by} names it; it tells no memory layout that can be read"
    return f"as {named_by} names it; its memory layout fits"


def print_option_bytes(console: Console, chip: Chip, raw: bytes) -> None:
    """Print option bytes raw, then field by field with what each does; what differs from the factory stands out."""
    from rich.text import Text

    layout = chip.option_bytes
    if not layout.established:
        console.print("option bytes".ljust(LABEL_WIDTH) + NOT_ESTABLISHED, soft_wrap=True)
        return
    usually = USUAL_OF[layout.factory_is]
    _print_raw(console, raw)
    spoiled = layout.spoiled(raw)
    if spoiled:
        where = ", ".join(f"+{offset}" for offset in spoiled)
        words = f"! the complement does not fit at {where}: the chip takes those bytes as 0xFF"
        console.print(words, style="bold yellow", soft_wrap=True)
    values, factory = layout.decode(raw), layout.decode(layout.factory)
    offsets, rows = layout.data_offsets(), [("field", "value", "byte")]
    for name, field in layout.fields.items():
        at = offsets[field.position // 8]
        value, usual = field.show(values[name]), field.show(factory[name])
        rows.append((name, value if value == usual else f"{value}, {usually} {usual}", f"+{at} {raw[at]:02X}"))
    protected = layout.protected_pages(raw, chip.flash)
    if protected:
        unknown = f"some {chip.flash.unit}s, which is not known"
        named = format_pages(chain.from_iterable(protected), chip.flash.unit)
        shown = unknown if chip.moved_pages(values) else named
        console.print("write-protected".ljust(LABEL_WIDTH) + shown, soft_wrap=True)
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(3)]
    for row, means in zip(rows, ["what it does", *(field.means for field in layout.fields.values())], strict=True):
        first, *rest = wrapped(console, means, beside=sum(widths))
        line = Text(row[0].ljust(widths[0]))
        line.append(row[1].ljust(widths[1]), style="bold yellow" if usually in row[1] else "")
        line.append(row[2].ljust(widths[2]) + first)
        console.print(line, style="bold" if row is rows[0] else "", soft_wrap=True)
        for text in rest:
            console.print(" " * sum(widths) + text, soft_wrap=True)
