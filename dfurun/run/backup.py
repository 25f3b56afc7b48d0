"""Saving a part of a board's memory outside a recipe: what `dfurun read` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from dfurun.chips import Chip
from dfurun.chips.option_bytes import NOT_ESTABLISHED
from dfurun.dfuse.identity import BoardIdentity, read_identity
from dfurun.dfuse.protection import Protection, Verdict
from dfurun.dfuse.session import Session
from dfurun.errors import Code, Refused
from dfurun.steps.file_names import fill_in, values
from dfurun.steps.files import reserve, save
from dfurun.steps.read import is_readable, readable_hint, readable_memories
from dfurun.units import AddressRange, format_address
from dfurun.usb.connection import Connection
from dfurun.usb.recognise import require_named_chip

CONNECT_TIMEOUT_S = 1.0

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be saved: from `address` on (None: from the start of flash) `size_bytes` (None: to the end of its memory).

    `option_bytes` asks for those instead, as a whole.
    """

    address: int | None = None
    size_bytes: int | None = None
    option_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """What was saved: from which board and where, in which file, and the hash of it.

    `written` is False where the file held exactly that already.
    """

    port: str
    chip: Chip
    unique_id: str | None
    extent: AddressRange
    file: Path
    sha256: str
    written: bool


def back_up(
    connection: Connection,
    chip: Chip,
    wanted: Wanted,
    file: str,
    *,
    overwrite: bool,
    explain_protection: Callable[[str], str],
    on_progress: OnProgress,
) -> Backup:
    """Read until two reads agree, and save it: whole, or not at all.

    `file` may have the variables of `dfurun.steps.file_names`; `explain_protection` says for a port how a chip came to be
    protected; `on_progress` hears what is done, bytes so far, and of how many. Raises DfurunError.
    """
    session = connection.open(CONNECT_TIMEOUT_S)
    require_named_chip(chip, session.description)
    port = str(connection.port)
    protection = session.protection()
    protection.require_verdict()
    if protection.verdict is Verdict.PROTECTED:
        raise _protected(protection, explain_protection(port))
    identity = _identity(session, chip)
    extent = extent_of(wanted, chip, identity)
    if extent in chip.option_bytes.blocks and session.description.is_user_dfu:
        raise Refused(
            Code.NOT_A_ROM,
            "this is a DFU program in user flash (bcdDevice 0x0200): it reads no option bytes",
            consequence="nothing was saved",
            hint="hold BOOT0 high and power-cycle the board to reach the bootloader in ROM",
        )
    names = values(port=port, chip=chip, unique_id=identity.unique_id, when=datetime.now().astimezone())
    path = Path(fill_in(file, names))
    reserve(path, extent.size_bytes, overwrite=overwrite)
    data = session.read_stable(extent, _twice(extent, on_progress))
    written = save(path, data, overwrite=overwrite)
    return Backup(port, chip, identity.unique_id, extent, path, sha256(data).hexdigest(), written)


def extent_of(wanted: Wanted, chip: Chip, identity: BoardIdentity) -> AddressRange:
    """Return what is to be read of this board; raise Refused where its ROM does not read that."""
    if wanted.option_bytes and not chip.option_bytes.established:
        raise _unreadable(f"{chip.title}: {NOT_ESTABLISHED}", chip)
    if wanted.option_bytes:
        return chip.option_bytes.blocks[0]
    flash = _flash(chip, identity)
    start = flash.start if wanted.address is None else wanted.address
    memories = [flash, *readable_memories(chip), *chip.option_bytes.blocks]
    memory = next((memory for memory in memories if memory.start <= start < memory.end), None)
    if memory is None:
        raise _unreadable(f"{format_address(start)} lies in no memory that can be read", chip)
    size_bytes = memory.end - start if wanted.size_bytes is None else wanted.size_bytes
    extent = AddressRange(start, size_bytes)
    if not is_readable(chip, extent):
        raise _unreadable(f"{extent} cannot be read", chip)
    return extent


def _flash(chip: Chip, identity: BoardIdentity) -> AddressRange:
    """Return main flash, of the size that the chip itself reports; never more than its kind has."""
    told = identity.flash_size_bytes or chip.flash.extent.size_bytes
    return AddressRange(chip.flash.extent.start, min(told, chip.flash.extent.size_bytes))


def _identity(session: Session, chip: Chip) -> BoardIdentity:
    layout = session.description.flash_layout
    if not session.description.is_user_dfu:
        return read_identity(session, chip)
    return BoardIdentity(flash_size_bytes=layout.size_bytes if layout else None)


def _twice(extent: AddressRange, on_progress: OnProgress) -> Callable[[int], None]:
    """Return what tells the two reads apart, by the count that begins again."""
    last, activity = 0, "reading"

    def tell(done: int) -> None:
        nonlocal last, activity
        if done <= last:
            activity = "reading again"
        last = done
        on_progress(activity, done, extent.size_bytes)

    return tell


def _protected(protection: Protection, cause: str) -> Refused:
    return Refused(
        Code.PROTECTED,
        "the chip is read-protected (RDP level 1): nothing can be read from it",
        consequence="all flash is as it was, and no file was written",
        hint=f"{cause}; an `unprotect` step opens the chip and erases all of its flash: what is on it cannot be saved",
        evidence=protection.evidence,
    )


def _unreadable(message: str, chip: Chip) -> Refused:
    return Refused(
        Code.USAGE,
        message,
        consequence="no file was written, and the board was only looked at",
        hint=readable_hint(chip),
    )
