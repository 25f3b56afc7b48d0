"""A board's token as people and tools read it: as `info` does, and what a recipe would put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfurun.chips import BootTarget, Chip
from dfurun.chips.page_geometry import moved_in_words
from dfurun.dfuse.token import BoardToken, digest_of
from dfurun.report.board import LABEL_WIDTH, print_option_bytes
from dfurun.report.sheet import print_row
from dfurun.report.words import print_folded
from dfurun.units import format_hex, format_size

if TYPE_CHECKING:
    from rich.console import Console

AS_FROM_FACTORY = "the option bytes are as from the factory: there is nothing to put right"
REPAIR = "This step of a recipe makes them as from the factory; keep out of it what the product sets on purpose:"
STARTS_AS_USUAL = "what decides what starts is as usual; the factory's other bytes are not known to be every board's"
REPAIR_OF_THE_START = "This step of a recipe makes what decides what starts as usual, and leaves everything else:"
OTHER_DATA = "as the chip data had it where the token was made; this dfurun's data has another"


def token_object(token: BoardToken, chip: Chip) -> dict[str, Any]:
    """Return what a token says as JSON values."""
    return {
        "event": "token",
        "chip": token.chip,
        "usb": {
            "vendor_id": token.vendor_id,
            "product_id": token.product_id,
            "release": token.release,
            "product": _product(token, chip),
            "transfer_size": token.transfer_size_bytes,
        },
        "layout": _alternates(token, chip),
        "user_dfu": token.user_dfu,
        "bootloader_id": token.bootloader_id,
        "bootloader": None if token.bootloader_id is None else _version(token.bootloader_id, chip),
        "unique_id": token.unique_id.hex().upper() if token.unique_id else None,
        "flash_size": token.flash_size_bytes,
        "flash_empty": token.flash_empty,
        "commands": list(token.commands),
        "protection": token.verdict.name.lower(),
        "option_bytes": None if token.option_bytes is None else _option_bytes(chip, token.option_bytes),
        "boots": {f"boot0={level}": target.value for level, target in _boots(token, chip).items()},
        "repair": None if token.option_bytes is None else repair(chip, token.option_bytes),
    }


def repair(chip: Chip, raw: bytes) -> dict[str, Any]:
    """Return the body of the `set-option-bytes` that makes a board's option bytes as from the factory: no more than it takes.

    Where a complement does not fit, every field of those bytes is named, as the step wants it; where those have no field, all
    comes from the factory. Where the factory's bytes are not known to be every board's, only what decides what starts, and what
    has to stay as it is. Empty where there is nothing to do.
    """
    layout = chip.option_bytes
    if not layout.factory_known:
        return _as_usual(chip, raw)
    spoiled = [layout.fields_at(at) for at in layout.spoiled(raw)]
    if () in spoiled:
        return {"from": "factory"}
    named = {name for names in spoiled for name in names}
    named |= {change.field.name for change in layout.changes(layout.factory, raw)}
    fields = {name: value for name, value in layout.decode(layout.factory).items() if name in named}
    return {"fields": fields} if fields else {}


def _as_usual(chip: Chip, raw: bytes) -> dict[str, Any]:
    layout = chip.option_bytes
    deciding = {name for rule in chip.boot.rules for name in rule.when}
    deciding |= {name for name, field in layout.fields.items() if field.keep is not None}
    changes = {change.field.name: change.after for change in layout.changes(raw, layout.factory)}
    fields = {name: value for name, value in changes.items() if name in deciding}
    return {"fields": fields} if fields else {}


def print_token(console: Console, token: BoardToken, chip: Chip) -> None:
    """Print what a token says."""
    _print_board(console, token, chip)
    if not token.option_bytes:
        print_row(console, "option bytes", "not read", width=LABEL_WIDTH)
        return
    console.print()
    print_option_bytes(console, chip, token.option_bytes)
    console.print()
    fields = chip.option_bytes.decode(token.option_bytes)
    if moved := moved_in_words(chip.moved_pages(fields), fields):
        print_row(console, f"{chip.flash.unit}s", f"not as dfurun knows them: {moved}", width=LABEL_WIDTH)
    for level, target in _boots(token, chip).items():
        why = "" if chip.starts(fields, boot0=level) is target else ": the flash is empty"
        row = f"starts {target.words}{why}"
        print_row(console, f"BOOT0 {'high' if level else 'low'}", row, width=LABEL_WIDTH)
    console.print()
    _print_repair(console, chip, token.option_bytes)


def _print_board(console: Console, token: BoardToken, chip: Chip) -> None:
    def line(label: str, text: str) -> None:
        print_row(console, label, text, width=LABEL_WIDTH)

    ids = f"{token.vendor_id:04x}:{token.product_id:04x}, bcdDevice 0x{token.release:04X}"
    product = _product(token, chip)
    line("chip", chip.title)
    line("device", f"{product} ({ids})" if product else ids)
    if token.user_dfu:
        line("", "a DFU program in user flash, not the bootloader in ROM")
    if token.bootloader_id is not None:
        line("bootloader", f"{_version(token.bootloader_id, chip)} (id 0x{token.bootloader_id:02X})")
    line("unique id", token.unique_id.hex().upper() if token.unique_id else "left out of the token")
    if token.flash_size_bytes:
        line("flash size", format_size(token.flash_size_bytes))
    line("transfer size", format_size(token.transfer_size_bytes))
    line("commands", format_hex(token.commands))
    for number, name in enumerate(_alternates(token, chip) or [OTHER_DATA]):
        line("" if number else "memory", name)
    if token.texts is not None:
        line("", "this is not what the chip data has")
    line("protection", token.verdict.value)


def _print_repair(console: Console, chip: Chip, raw: bytes) -> None:
    """Print the step that puts the option bytes right, to be pasted: its lines stay whole."""
    if not chip.option_bytes.established:
        return
    known, step = chip.option_bytes.factory_known, repair(chip, raw)
    if not step:
        print_folded(console, AS_FROM_FACTORY if known else STARTS_AS_USUAL)
        return
    print_folded(console, REPAIR if known else REPAIR_OF_THE_START)
    console.print()
    lines = ["  - set-option-bytes:"]
    if "from" in step:
        lines = [f"  - set-option-bytes: {{from: {step['from']}}}"]
    else:
        lines.append("      fields:")
        lines += [
            f"        {name}: {chip.option_bytes.fields[name].show(value)}" for name, value in step["fields"].items()
        ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _option_bytes(chip: Chip, raw: bytes) -> dict[str, Any]:
    layout = chip.option_bytes
    return {
        "raw": raw.hex(),
        "fields": layout.decode(raw),
        "not_as_from_factory": [change.field.name for change in layout.changes(layout.factory, raw)],
        "spoiled": list(layout.spoiled(raw)),
    }


def _version(bootloader_id: int, chip: Chip) -> str:
    return chip.identity.bootloader_versions.get(bootloader_id, "unknown")


def _alternates(token: BoardToken, chip: Chip) -> list[str] | None:
    """Return the alternate settings' names; None where the token left them to chip data that is no longer the same."""
    texts = _texts(token, chip)
    return None if texts is None else list(texts[1:])


def _product(token: BoardToken, chip: Chip) -> str | None:
    texts = _texts(token, chip)
    return None if texts is None else texts[0]


def _texts(token: BoardToken, chip: Chip) -> tuple[str, ...] | None:
    own = (chip.usb.product, *chip.usb.alternates)
    return token.texts or (own if token.texts_digest == digest_of(own) else None)


def _boots(token: BoardToken, chip: Chip) -> dict[int, BootTarget]:
    if not token.option_bytes:
        return {}
    fields = chip.option_bytes.decode(token.option_bytes)
    return {level: chip.starts(fields, boot0=level, flash_empty=token.flash_empty) for level in (0, 1)}
