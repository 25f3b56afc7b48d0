"""What a look at the computer and its bus means: is there anything that prevents flashing, and what is there to do?

All of it is judged from values that were gathered before, so that every system's case can be tested on any.

# Ref: libusb, FAQ and wiki pages Windows and macOS (which drivers it works with); AN2606 for the ROMs' known faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dfurun.chips import Chip
from dfurun.chips.clones import Clone
from dfurun.chips.errata import known_errata
from dfurun.errors import Code, DfurunError, ExitStatus
from dfurun.usb.hints import ENTER_DFU
from dfurun.usb.host import Host, Plug
from dfurun.usb.libusb import INSTALL_HINT
from dfurun.usb.port import PortPath
from dfurun.usb.udev import INSTALL, install_rule, rule_does_not_help

NO_DRIVER_OF_ITS_OWN = ("", "usbfs")  # none, or a program that talks to the board through libusb


class Verdict(StrEnum):
    """What a check comes to: all is well, something to know, or something that prevents flashing."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, what to do about it and by which command, and more lines of it.

    A problem has a code.
    """

    name: str
    verdict: Verdict
    message: str
    hint: str = ""
    code: Code | None = None
    details: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """One device in DFU mode: where it is, what it tells, the chips that its layout fits or the clone that it
    is, and why it cannot be opened.
    """

    port: PortPath
    vendor_id: int
    product_id: int
    product: str
    plug: Plug
    chips: tuple[Chip, ...] = ()
    clone: Clone | None = None
    problem: DfurunError | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered. `bus_problem` is why the bus could not be listed, `state_problem` why nothing can be kept.

    `enter_dfu` says what brings a board into DFU mode.
    """

    host: Host
    boards: tuple[Board, ...]
    strangers: tuple[str, ...]
    simulated: bool
    state_folder: Path
    state_problem: str = ""
    bus_problem: DfurunError | None = None
    enter_dfu: str = ENTER_DFU


def judge(facts: Facts) -> list[Check]:
    """Return every check, in the order in which a board depends on them."""
    return [
        Check("system", Verdict.OK, facts.host.system, details=(f"Python {facts.host.software.python}",)),
        *_libusb(facts),
        *([] if facts.simulated else _access(facts)),
        _state_folder(facts),
        *_bus(facts),
    ]


def exit_status(checks: list[Check]) -> ExitStatus:
    """Return 0 where nothing prevents flashing; NO_ACCESS before everything else that does."""
    found = [check.code.exit_status for check in checks if check.verdict is Verdict.PROBLEM and check.code]
    return ExitStatus.NO_ACCESS if ExitStatus.NO_ACCESS in found else max(found, default=ExitStatus.DONE)


# The computer ---------------------------------------------------------------------------------------------------------


def _libusb(facts: Facts) -> Iterator[Check]:
    software = facts.host.software
    if software.libusb is not None:
        details = tuple(word for word in (software.libusb.path, f"pyusb {software.pyusb}") if word)
        yield Check("libusb", Verdict.OK, str(software.libusb), details=details)
    elif facts.simulated:
        yield Check("libusb", Verdict.NOTE, "none that works; a simulated board needs none", INSTALL_HINT)
    else:
        message = "none that works: neither the libusb-package wheel's nor the system's starts"
        yield Check("libusb", Verdict.PROBLEM, message, INSTALL_HINT, Code.NO_LIBUSB)


def _access(facts: Facts) -> Iterator[Check]:
    """Yield what this system asks of somebody who opens a USB device."""
    host = facts.host
    if host.platform.startswith("linux"):
        yield from _linux_access(facts)
    elif host.platform == "win32":
        yield Check(
            "driver",
            Verdict.OK,
            "Windows opens a board that has the driver WinUSB",
            "where it has another: Zadig, Options > List All Devices, 'STM32  BOOTLOADER', WinUSB, Replace Driver",
        )
    elif host.platform == "darwin":
        yield Check("access", Verdict.OK, "macOS needs no driver and no permission for a board in DFU mode")


def _linux_access(facts: Facts) -> Iterator[Check]:
    host = facts.host
    if not host.usbfs:
        yield Check(
            "access",
            Verdict.PROBLEM,
            "there is no /dev/bus/usb: this computer, container or virtual machine has no USB",
            "pass the bus in (docker run --device /dev/bus/usb, usbipd attach for WSL), or use another computer; "
            "--sim needs none",
            Code.NO_PERMISSION,
        )
    if host.rule:
        yield Check("udev rule", Verdict.OK, host.rule)
    elif host.is_root:
        message = "none for boards in DFU mode; root needs none, other users do"
        yield Check("udev rule", Verdict.NOTE, message, INSTALL, command=install_rule(host.shipped_rule))
    else:
        message = "none for boards in DFU mode: this user will probably not be let in"
        yield Check("udev rule", Verdict.NOTE, message, INSTALL, command=install_rule(host.shipped_rule))


def _state_folder(facts: Facts) -> Check:
    if facts.state_problem:
        return Check(
            "state folder",
            Verdict.PROBLEM,
            f"{facts.state_folder} cannot be written: {facts.state_problem}; no journal, no flashing",
            "let this user write there, or name another folder in DFURUN_STATE_DIR",
            Code.FILE_UNWRITABLE,
        )
    return Check("state folder", Verdict.OK, str(facts.state_folder))


# The bus --------------------------------------------------------------------------------------------------------------


def _bus(facts: Facts) -> Iterator[Check]:
    if facts.bus_problem is not None:
        problem = facts.bus_problem
        yield Check("bus", Verdict.PROBLEM, problem.message, problem.hint, problem.code)
    elif not facts.boards and facts.host.software.libusb is None and not facts.simulated:
        yield Check("bus", Verdict.NOTE, "not looked at: that needs a libusb")
    elif all(board.clone for board in facts.boards):
        yield Check(
            "bus", Verdict.NOTE, "no board in DFU mode is on it, which is no problem by itself", facts.enter_dfu
        )
    for stranger in facts.strangers:
        message = f"{stranger} is in DFU mode, and has ids that the chip data does not know"
        yield Check("bus", Verdict.NOTE, message, "no STM32 bootloader has these: dfurun leaves it alone")
    for board in facts.boards:
        yield from _board(facts, board)


def _board(facts: Facts, board: Board) -> Iterator[Check]:
    name = f"board {board.port}"
    ids = f"{board.vendor_id:04x}:{board.product_id:04x}"
    details = tuple(_where(board, simulated=facts.simulated))
    if board.problem is not None:
        yield _closed(facts, name, f"{ids}: {board.problem.message}", board.problem, board.plug, details)
        return
    if board.clone is not None:
        yield _clone(name, ids, board.clone)
        return
    titles = " or ".join(chip.title for chip in board.chips)
    words = f"{ids} {board.product}, " + (
        f"{titles} by its memory layout" if titles else "a chip that is not in the data"
    )
    if titles:
        yield Check(name, Verdict.OK, f"{words}; it can be opened", details=details)
    else:
        yield Check(name, Verdict.NOTE, words, "`dfurun info --chip NAME` where you know better", details=details)
    if board.plug.driver not in NO_DRIVER_OF_ITS_OWN:
        message = f"the kernel's driver {board.plug.driver} has its DFU interface"
        yield Check(name, Verdict.NOTE, message, "dfurun takes it away while it works; unbind it where that fails")
    yield from _errata(name, board)


def _closed(facts: Facts, name: str, message: str, problem: DfurunError, plug: Plug, details: tuple[str, ...]) -> Check:
    """Return the check of a board that cannot be opened."""
    host, hint, command = facts.host, problem.hint, ""
    if problem.code is Code.NO_PERMISSION and host.platform.startswith("linux"):
        if host.rule and not facts.simulated:
            hint = rule_does_not_help(host.rule, plug.node)
        else:
            hint, command = INSTALL, install_rule(host.shipped_rule)
    return Check(name, Verdict.PROBLEM, message, hint, problem.code, details, command)


def _clone(name: str, ids: str, clone: Clone) -> Check:
    """Return the check of a device that is no STM32."""
    details = (clone.known, clone.source) if clone.known else ()
    advice = "dfurun does not touch it: use its vendor's tool"
    return Check(name, Verdict.NOTE, f"{ids}: {clone}, a clone and no STM32", advice, details=details)


def _errata(name: str, board: Board) -> Iterator[Check]:
    """Yield the known faults of the chips that this may be, with what to do where it is plugged in."""
    behind_hub = len(board.port.ports) > 1
    names = sorted({erratum for chip in board.chips for erratum in chip.errata})
    for erratum in (known_errata()[name] for name in names if name in known_errata()):
        advice = erratum.advice_hub if behind_hub else erratum.advice_direct
        yield Check(name, Verdict.NOTE, erratum.means, advice, details=(erratum.source,))


def _where(board: Board, *, simulated: bool) -> Iterator[str]:
    """Yield where a board is plugged in, as far as this system tells."""
    plug, depth = board.plug, len(board.port.ports) - 1
    if simulated:
        yield "simulated"
        return
    if depth:
        hubs = "a hub" if depth == 1 else f"{depth} hubs"
        yield f"behind {hubs}" + (f" ({plug.hub})" if plug.hub else "")
    else:
        yield "at a port of the computer itself, no hub between"
    if plug.controller:
        yield f"host controller: {plug.controller}"
    if plug.speed:
        yield f"{plug.speed} Mbit/s"
    if plug.node:
        yield plug.node + ("" if plug.may_open in (None, True) else ", which this user may not read and write")
