"""The situations in which dfurun and dfu-util are put side by side, and what each is asked to do in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from dfurun.dfuse.protocol import (
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    STATUS_LENGTH,
    Request,
    erase_page_payload,
    mass_erase_payload,
)
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.transfer import Setup, Stall
from tests.system.firmware import image, recipe
from tests.system.guest_bench import CHIP

FLASH, OPTIONS = CHIP.flash.extent, CHIP.option_bytes
ERASED = bytes([CHIP.flash.erased])
OLD_FIRMWARE = image(CHIP, FLASH.size_bytes, seed=100)
NEW_FIRMWARE = image(CHIP, 20 * 1024, seed=101)
WANTED_OPTIONS = bytes.fromhex("AA55FF005AA5FF00FF00FF00FF00FF00")  # factory but for DATA0
PROTECTED_SECTOR = bytes.fromhex("AA55FF00FF00FF00FE01FF00FF00FF00")  # WRP0 bit 0: the first 4 KiB

Words = tuple[object, ...]

SWEEPS = {
    "a transfer is stalled": "stall:skip={n}",
    "a transfer is lost on its way": "timeout:skip={n}",
    "a transfer's answer is lost": "lost-reply:skip={n}",
    "a transfer ends in an I/O error": "io-error:skip={n}",
    "a transfer ends in an overflow": "overflow:skip={n}",
    "the board is gone for two seconds": "vanish:at={n},back=2",
}
"""Faults that are tried at places spread over a program's own control transfers; `{n}` is the number of one."""


class Job(Enum):
    """What is asked for, in both programs' words."""

    FLASH = "flash"
    READ = "read"
    OPTIONS = "option bytes"

    @property
    def means(self) -> str:
        """What it is, for people."""
        return {
            Job.FLASH: f"mass erase and write {len(NEW_FIRMWARE) // 1024} KiB",
            Job.READ: f"save the {FLASH.size_bytes // 1024} KiB of flash to a file",
            Job.OPTIONS: "set the option byte DATA0 to 0x5A",
        }[self]

    def dfurun(self, folder: Path) -> tuple[Path]:
        """Return dfurun's command line, after its name; its recipe is written into `folder`."""
        steps = {
            Job.FLASH: "  - mass-erase\n  - write: {image: application}\n  - verify: {image: application}\n",
            Job.READ: f"  - read: {{range: '0x{FLASH.start:08X}+128K', file: flash.bin}}\n",
            Job.OPTIONS: "  - set-option-bytes: {fields: {DATA0: 0x5A}}\n",
        }[self]
        application = NEW_FIRMWARE if self is Job.FLASH else None
        return (recipe(folder, f"  - connect\n{steps}", application=application),)

    def dfu_util(self, folder: Path) -> Words:
        """Return dfu-util's command line, after its name; its images are written into `folder`."""
        start = f"0x{FLASH.start:08X}"
        (folder / "new.bin").write_bytes(NEW_FIRMWARE)
        (folder / "options.bin").write_bytes(WANTED_OPTIONS)
        return {
            Job.FLASH: ("-a", 0, "-s", f"{start}:mass-erase:force", "-D", folder / "new.bin"),
            Job.READ: ("-a", 0, "-s", f"{start}:{FLASH.size_bytes}", "-U", "flash.bin"),
            Job.OPTIONS: ("-a", 1, "-s", f"0x{OPTIONS.address:08X}:will-reset", "-D", folder / "options.bin"),
        }[self]


@dataclass(frozen=True)
class Situation:
    """One row: how the board and its link are, and what is to be done there.

    `prepare` acts on the board when the host has enumerated it, past the host; `board` is how it is made.
    """

    title: str
    job: Job
    source: str
    faults: tuple[str, ...] = ()
    board: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[SimulatedBoard], None] | None = None


def _out(board: SimulatedBoard, request: Request, value: int = 0, data: bytes = b"") -> None:
    board.control(Setup(REQUEST_TYPE_OUT, request, value, 0, len(data)), data)


def _store_erase(board: SimulatedBoard) -> None:
    """Leave the board as a program that dies between DNLOAD and GETSTATUS."""
    _out(board, Request.DNLOAD, 0, mass_erase_payload())


def _start_erase(board: SimulatedBoard) -> None:
    """Leave it as a program that dies right after it has started to erase the last page."""
    _out(board, Request.DNLOAD, 0, erase_page_payload(FLASH.end - CHIP.flash.page(0).size_bytes))
    board.control(Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH))


def _be_in_error(board: SimulatedBoard) -> None:
    try:
        _out(board, Request.DNLOAD, 1, b"reserved")
    except Stall:
        return


def _be_uploading(board: SimulatedBoard) -> None:
    board.control(Setup(REQUEST_TYPE_IN, Request.UPLOAD, 2, 0, CHIP.usb.transfer_size_bytes))


def _be_leaving(board: SimulatedBoard) -> None:
    _out(board, Request.DNLOAD, 0, b"")


_TOO_SHORT = "poll-time:ms=1"
_EARLY = "openmv#1508; dfu-util's note on L4 parts whose poll time is too short"
_LINK = "AN2606 rev 70 table 42"
_LEFTOVER = "AN3156 rev 18: a DNLOAD is stored, the next GETSTATUS executes it"
_VERDICT = "ST community 772965, 844573"

SITUATIONS = (
    Situation("clean", Job.FLASH, "AN3156"),
    Situation("clean", Job.READ, "AN3156"),
    Situation("clean", Job.OPTIONS, "AN3156"),
    Situation("poll time too short, answered busy", Job.FLASH, _EARLY, (_TOO_SHORT, "early-poll:answer=busy")),
    Situation("poll time too short, stalled", Job.FLASH, _EARLY, (_TOO_SHORT, "early-poll:answer=stall")),
    Situation(
        "poll time too short, stalled with dfuERROR", Job.FLASH, _EARLY, (_TOO_SHORT, "early-poll:answer=stall-error")
    ),
    Situation("GETSTATUS is held until the end", Job.FLASH, "ST's USB device library", ("execution:mode=held",)),
    Situation("runs inside, deaf until the end", Job.FLASH, "usbd-dfu; fwupd#2696", ("execution:mode=inside",)),
    Situation("missed service, p = 0.7", Job.FLASH, _LINK, ("missed-service:p=0.7,seed=1",)),
    Situation(
        "missed service, p = 0.7, early poll busy",
        Job.FLASH,
        _LINK,
        ("missed-service:p=0.7,seed=1", "early-poll:answer=busy"),
    ),
    Situation("missed service, p = 0.7", Job.OPTIONS, _LINK, ("missed-service:p=0.7,seed=2",)),
    Situation("one GETSTATUS is stalled", Job.FLASH, "ST community 122749", ("stall:request=GETSTATUS,skip=5",)),
    Situation("one block is stalled", Job.FLASH, "ST community 122749", ("stall:request=DNLOAD,data=1,skip=3",)),
    Situation("one upload is stalled", Job.READ, "ST community 122749", ("stall:request=UPLOAD,data=1,skip=3",)),
    Situation("one block's answer is lost", Job.FLASH, "USB 2.0, 8.5.3", ("lost-reply:request=DNLOAD,data=1,skip=3",)),
    Situation("one block is acknowledged and lost", Job.FLASH, _LINK, ("lost-program:skip=3",)),
    Situation("one bit is programmed wrong", Job.FLASH, "a cell or a buffer that is wrong", ("flip-program:skip=3",)),
    Situation("a mass erase is acknowledged and not done", Job.FLASH, "AN2606 table 136 (H74x V13.3)", ("lost-erase",)),
    Situation("one upload arrives short", Job.READ, "betaflight's usbdfu.js", ("short-upload:skip=20",)),
    Situation("one bit of an upload is wrong", Job.READ, "a buffer behind the wire's CRC", ("corrupt-upload:skip=20",)),
    Situation("one false errVENDOR", Job.READ, _VERDICT, ("false-errvendor:skip=3",)),
    Situation("three false errVENDOR in a row", Job.READ, _VERDICT, ("false-errvendor:skip=3,count=3",)),
    Situation("one false errTARGET", Job.FLASH, _VERDICT, ("false-errtarget",)),
    Situation("a mass erase is stored (dfuDNLOAD-SYNC)", Job.READ, _LEFTOVER, prepare=_store_erase),
    Situation("a page erase was started and not asked after", Job.FLASH, _LEFTOVER, prepare=_start_erase),
    Situation("an error is latched (dfuERROR)", Job.FLASH, "dfu-util's device logs", prepare=_be_in_error),
    Situation("an upload was left open (dfuUPLOAD-IDLE)", Job.FLASH, "DFU 1.1, appendix A", prepare=_be_uploading),
    Situation("a leave is stored (dfuMANIFEST-SYNC)", Job.FLASH, _LEFTOVER, prepare=_be_leaving),
    Situation("unplugged in the middle of the write", Job.FLASH, "any cable", ("vanish:at=45,back=2",)),
    Situation("the supply dips in the middle of the write", Job.FLASH, "any supply", ("power-cut:at=45,back=2",)),
    Situation("stalls whatever is illegal", Job.FLASH, "STM32C5, betaflight-configurator#5300", ("strict",)),
    Situation("errFIRMWARE at first contact", Job.FLASH, "dfu-util's device logs of F1, F4, F7", ("first-error",)),
    Situation("strings that control a terminal", Job.FLASH, "what a device may send", ("strings:kind=control",)),
    Situation("a layout that claims too much", Job.FLASH, "what a device may send", ("strings:kind=sizes",)),
    Situation("read protection, level 1", Job.FLASH, "RM0091 section 4", board={"protection": 1}),
    Situation("read protection, level 1", Job.READ, "RM0091 section 4", board={"protection": 1}),
    Situation(
        "the first 4 KiB are write-protected",
        Job.FLASH,
        "AN3156 table 4: acknowledged and not done",
        board={"option_bytes": PROTECTED_SECTOR},
    ),
    Situation("does not come back after the reset", Job.OPTIONS, "RM0091: BOOT0 may be low", ("no-return",)),
)
