"""A simulated board that begins as the board of a token was: who it is, what it tells, its option bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dfurun.chips import BootTarget, Chip, load_chip
from dfurun.cli.failures import UsageFailure
from dfurun.clock import Clock
from dfurun.dfuse.protection import Verdict
from dfurun.dfuse.token import BoardToken, TokenError, parse_token
from dfurun.units import format_hex

if TYPE_CHECKING:
    from dfurun.cli.board_options import Reload
    from dfurun.simulator import SimulatedBoard

THUMB = 1
BEHIND_ITS_VECTORS = 8


def token_called(text: str) -> tuple[BoardToken, Chip]:
    """Return a token with its chip; raise UsageFailure for a damaged or foreign one, with what it says of a strange chip."""
    try:
        token = parse_token(text)
    except TokenError as error:
        raise UsageFailure(str(error), error.hint) from None
    try:
        chip = load_chip(token.chip)
    except KeyError:
        raise _unusable(token, f"the token is of a chip that this dfurun does not know, `{token.chip}`") from None
    for what, told, here in (
        ("option bytes", token.option_bytes, chip.option_bytes.size_bytes),
        ("bytes of unique id", token.unique_id, chip.identity.unique_id_size_bytes),
    ):
        if told is not None and len(told) != here:
            message = f"the token has {len(told)} {what}, and {chip.title} has {here} in this dfurun's data"
            raise _unusable(token, message)
    return token, chip


def board_like(token: BoardToken, chip: Chip, clock: Clock, *, port: int, reload: Reload | None) -> SimulatedBoard:
    """Return a simulated board like that of a token, with its bootloader on the bus.

    What a token does not tell is as from the factory. Option bytes that would not have started the bootloader are stored and
    not in force: the real board had not loaded them either.
    """
    from dfurun.simulator import SimulatedBoard
    from dfurun.simulator.board import DEFAULT_UNIQUE_ID

    told = _chip_as_told(token, chip)
    stored = chip.option_bytes.factory if token.option_bytes is None else token.option_bytes
    level = _level_of_bootloader(chip, stored, flash_empty=token.flash_empty)
    board = SimulatedBoard(
        told,
        clock,
        port=(port,),
        unique_id=token.unique_id or DEFAULT_UNIQUE_ID,
        flash=b"" if token.flash_empty or token.user_dfu else _application(chip),
        option_bytes=stored if level is not None else None,
        option_reload=reload,
        boot0=0 if token.user_dfu else level,
        user_dfu=token.user_dfu,
    )
    if level is None:
        board.memory.option_bytes.replace(stored)
    if token.verdict is Verdict.PROTECTED and token.option_bytes is None:
        board.protect(1)
    return board


def _chip_as_told(token: BoardToken, chip: Chip) -> Chip:
    """Return the chip with the descriptors and the bootloader's version that the token tells."""
    if token.user_dfu:
        return chip
    usb = replace(
        chip.usb,
        vendor_id=token.vendor_id,
        product_id=token.product_id,
        release=token.release,
        transfer_size_bytes=token.transfer_size_bytes,
    )
    if token.texts is not None:
        usb = replace(usb, product=token.texts[0], alternates=token.texts[1:])
    identity, number = chip.identity, token.bootloader_id
    if number is not None:
        identity = replace(identity, bootloader_versions={number: identity.bootloader_versions.get(number, "")})
    return replace(chip, usb=usb, identity=identity)


def _level_of_bootloader(chip: Chip, stored: bytes, *, flash_empty: bool) -> int | None:
    """Return the level of BOOT0 at which these option bytes start the bootloader, high first; None where none does."""
    fields = chip.option_bytes.decode(stored)
    levels = (
        level
        for level in (1, 0)
        if chip.starts(fields, boot0=level, flash_empty=flash_empty) is BootTarget.SYSTEM_MEMORY
    )
    return next(levels, None)


def _application(chip: Chip) -> bytes:
    """Return the least that is an application: a stack pointer, and a reset vector behind it."""
    vectors = (chip.ram.end, chip.flash.extent.start + BEHIND_ITS_VECTORS | THUMB)
    return b"".join(vector.to_bytes(4, "little") for vector in vectors) + bytes(BEHIND_ITS_VECTORS)


def _unusable(token: BoardToken, message: str) -> UsageFailure:
    raw = format_hex(token.option_bytes, group=2) if token.option_bytes is not None else "not read"
    failure = UsageFailure(message, "a newer dfurun may know it; or it is the token of a changed one")
    failure.evidence = (
        f"device {token.vendor_id:04x}:{token.product_id:04x}, bcdDevice 0x{token.release:04X}, {token.verdict.value}",
        f"option bytes {raw}",
    )
    return failure
