"""A whole simulated board in a JSON file, so that the next process finds it exactly as this one left it, or was killed at.

The file is replaced atomically after everything that may have changed the board. Time stands still while no process holds the
board: what was to happen in 20 ms happens 20 ms after it is loaded. The trace and the faults are not kept.

The last member, `digest`, is the SHA-256 of the text before it, so that a byte that a disk or a power cut has changed is
found and not taken for the board's. It stands in for syncing each of a run's hundreds of saves to the disk. Files of version
1 have none; whoever changes a board by hand takes the digest out and writes that version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from dfurun.chips import Chip, EarlyPoll, Execution, chip_names, load_chip
from dfurun.clock import Clock
from dfurun.dfuse.protocol import LAST_BLOCK, DfuState, DfuStatus, StatusReport
from dfurun.files import read_file
from dfurun.simulator.board import SimulatedBoard
from dfurun.simulator.commands import BlockAddressing, Download
from dfurun.simulator.fault import Fault
from dfurun.simulator.memory import Region
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.rom import Registers
from dfurun.simulator.situation import OptionReload, Running, Situation
from dfurun.units import AddressRange, format_address

FORMAT = "dfurun simulated board"
VERSION = 2
VERSION_WITHOUT_DIGEST = 1
LARGEST_BYTES = 64 * 1024 * 1024
_DIGEST = re.compile(rb',\n "digest": "([0-9a-f]{64})"\n\}\n?')

_REGION_OF_ACTION = {
    Action.WRITE_RAM: Region.RAM,
    Action.WRITE_OTP: Region.OTP,
    Action.WRITE_DEVICE_FEATURE: Region.DEVICE_FEATURE,
    Action.PROGRAM: Region.MAIN_FLASH,
    Action.ERASE_PAGE: Region.MAIN_FLASH,
}

_Choice = TypeVar("_Choice", bound=StrEnum)


class StateFile:
    """One board's file. `load` or `open` it, and it is saved from then on after every change."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._pages: dict[int, tuple[bytes, str]] = {}
        self._flash: tuple[tuple[int, int], dict[str, str]] | None = None
        self._ram: tuple[bytes, str] | None = None

    def open(self, clock: Clock, *, new: Callable[[], SimulatedBoard], faults: Sequence[Fault] = ()) -> SimulatedBoard:
        """Return the board in the file, or, where there is no file, the one that `new` makes."""
        if self.path.exists():
            return self.load(clock, faults=faults)
        board = new()
        board.afflict(faults)
        self.keep(board)
        return board

    def load(self, clock: Clock, *, faults: Sequence[Fault] = ()) -> SimulatedBoard:
        """Return the board in the file and keep it saved.

        Raises OSError where it cannot be read, and ValueError with the place in the file for one that is no board.
        """
        board = self.peek(clock, faults=faults)
        self.keep(board)
        return board

    def peek(self, clock: Clock, *, faults: Sequence[Fault] = ()) -> SimulatedBoard:
        """Return the board in the file, which stays as it is.

        Raises OSError where it cannot be read, and ValueError with the place in the file for one that is no board.
        """
        data = read_file(self.path, LARGEST_BYTES)
        try:
            document = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path}: not a simulated board, or cut short: {error}") from None
        try:
            board = _board(_checked(_Part(document, ""), data), clock, faults)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        return board

    def keep(self, board: SimulatedBoard) -> None:
        """Save the board now and after every change."""
        board.on_change = lambda: self.save(board)
        self.save(board)

    def save(self, board: SimulatedBoard) -> None:
        """Replace the file by one that holds the board as it is now; a reader sees the old or the new, never a part."""
        board.settle()
        text = json.dumps(self._document(board), indent=1, ensure_ascii=False).encode()
        digest = hashlib.sha256(text).hexdigest()
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")  # two processes may save at once
        temporary.unlink(missing_ok=True)  # of a process that was killed, or a link that leads elsewhere
        try:
            with temporary.open("xb") as file:
                file.write(text[: -len("\n}")] + f',\n "digest": "{digest}"\n}}\n'.encode())
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _document(self, board: SimulatedBoard) -> dict[str, Any]:
        memory, situation, now_s = board.memory, board.situation, board.clock.now()
        bootloader, connects_at_s = board.bootloader, situation.connects_at_s
        device = board.connected_device
        return {
            "format": FORMAT,
            "version": VERSION,
            "chip": board.chip.name,
            "unique_id": memory.unique_id.hex(),
            "bus": board.bus,
            "port": list(board.port),
            "user_dfu": board.user_dfu,
            "option_reload": board.option_reload,
            "addressing": board.model.addressing,
            "execution": board.model.execution,
            **({} if board.bootloader_id is None else {"bootloader_id": board.bootloader_id}),
            "early_poll": board.model.early_poll,
            "tolerates_stray_requests": board.model.tolerates_stray_requests,
            "boot0": situation.boot0,
            "running": situation.running,
            "flash_empty": situation.flash_empty,
            "usb": {
                "address": situation.usb_address,
                "connections": situation.connections,
                "connects_in_s": None if connects_at_s is None else max(0.0, connects_at_s - now_s),
                "configuration": device.configuration if device else 0,
                "alternate": device.alternate if device else 0,
            },
            **_power_document(situation, now_s),
            "bootloader": _registers_document(bootloader.registers, now_s) if bootloader else None,
            "option_bytes": {
                "stored": memory.option_bytes.stored.hex(" "),
                "in_force": memory.option_bytes.in_force.hex(" "),
                "option_error": memory.option_bytes.option_error,
            },
            "transfers": dict(board.transfers),
            "programmed_units": memory.flash.programmed_units,
            "erase_counts": {str(i): count for i, count in enumerate(memory.flash.erase_counts) if count},
            "ram": self._ram_document(board),
            **({"otp": memory.otp.hex()} if memory.otp else {}),
            **({"device_feature": memory.device_feature.hex()} if memory.device_feature else {}),
            "flash": self._flash_document(board),
        }

    def _flash_document(self, board: SimulatedBoard) -> dict[str, str]:
        """Return the pages that are not erased, in hex, which is kept for as long as a page does not change."""
        flash = board.memory.flash
        if self._flash is not None and self._flash[0] == (id(flash), flash.changes):
            return self._flash[1]
        pages: dict[str, str] = {}
        for index in range(flash.layout.page_count):
            contents = flash.page_bytes(index)
            if contents == flash.layout.blank(index):
                continue
            known = self._pages.get(index)
            if known is None or known[0] != contents:
                known = self._pages[index] = (contents, contents.hex())
            pages[str(index)] = known[1]
        self._flash = ((id(flash), flash.changes), pages)
        return pages

    def _ram_document(self, board: SimulatedBoard) -> str:
        """Return the RAM up to its last byte that is not zero, in hex, which is kept for as long as it does not change."""
        ram = bytes(board.memory.ram)
        if self._ram is None or self._ram[0] != ram:
            self._ram = (ram, ram.rstrip(b"\0").hex())
        return self._ram[1]


def _power_document(situation: Situation, now_s: float) -> dict[str, Any]:
    """Return what will happen to the power by itself, where something will."""
    times = {"goes_in_s": situation.power_goes_at_s, "returns_in_s": situation.power_returns_at_s}
    coming = {key: max(0.0, at_s - now_s) for key, at_s in times.items() if at_s is not None}
    return {"power": coming} if coming else {}


def _registers_document(registers: Registers, now_s: float) -> dict[str, Any]:
    stored, operation, outcome = registers.stored, registers.operation, registers.outcome
    return {
        "state": registers.state.spelled,
        "status": registers.status.spelled,
        "pointer": f"0x{registers.pointer:08X}",
        "stored": None if stored is None else {"block": stored.block, "data": stored.data.hex()},
        "operation": None if operation is None else _operation_document(operation, now_s),
        "outcome": None if outcome is None else outcome.spelled,
        "last_busy_s": registers.last_busy.poll_timeout_s,
        "programming_failed": registers.programming_failed,
        **({"wedged": True} if registers.wedged else {}),
        **({"hung": True} if registers.hung else {}),
    }


def _operation_document(operation: Operation, now_s: float) -> dict[str, Any]:
    return {
        "action": operation.action,
        "address": f"0x{operation.address:08X}",
        "data": operation.data.hex(),
        "outcome": operation.outcome.spelled,
        "reported_s": operation.reported_s,
        "duration_s": operation.duration_s,
        "began_s_ago": max(0.0, now_s - operation.starts_s),
    }


class _Part:
    """One object of the file, read key by key with words for whatever does not fit."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where or 'the file'} is not an object")
        self._value = value
        self._where = where

    def get(self, key: str) -> Any:
        """Return a value; ValueError where it is missing."""
        if key not in self._value:
            raise ValueError(f"{self.name(key)} is missing")
        return self._value[key]

    def has(self, key: str) -> bool:
        """Say whether there is such a key, for one that older files lack."""
        return key in self._value

    def name(self, key: str) -> str:
        """Return where a key is: `usb.address`."""
        return f"{self._where}.{key}" if self._where else key

    def names(self) -> Iterable[str]:
        """Return the keys, for an object whose keys are data."""
        return tuple(self._value)

    def part(self, key: str) -> _Part:
        """Return an object."""
        return _Part(self.get(key), self.name(key))

    def optional_part(self, key: str) -> _Part | None:
        """Return an object, or None for null."""
        return None if self.get(key) is None else self.part(key)

    def integer(self, key: str, *, maximum: int = 0xFFFF_FFFF) -> int:
        """Return a number from 0 to `maximum`."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
            raise ValueError(f"{self.name(key)} is {value!r}, not a number from 0 to {maximum}")
        return value

    def seconds(self, key: str) -> float:
        """Return a duration."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"{self.name(key)} is {value!r}, not a number of seconds")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise ValueError(f"{self.name(key)} is {value!r}, not true or false")
        return value

    def raw(self, key: str, *, minimum: int = 0, maximum: int) -> bytes:
        """Return from `minimum` to `maximum` bytes, written in hex."""
        value = self.get(key)
        try:
            found = bytes.fromhex(value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name(key)} is not a string of hex digits") from None
        if not minimum <= len(found) <= maximum:
            wanted = f"{minimum}" if minimum == maximum else f"{minimum} to {maximum}"
            raise ValueError(f"{self.name(key)} has {len(found)} bytes, not {wanted}")
        return found

    def exactly(self, key: str, length: int) -> bytes:
        """Return `length` bytes, written in hex."""
        return self.raw(key, minimum=length, maximum=length)

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        """Return a member of an enumeration."""
        value = self.get(key)
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(kind)
            raise ValueError(f"{self.name(key)} is {value!r}, not one of {allowed}") from None

    def address(self, key: str) -> int:
        """Return an address written as 0x08000000."""
        value = self.get(key)
        try:
            found = int(value, 16)
        except (TypeError, ValueError):
            found = -1
        if not 0 <= found <= 0xFFFF_FFFF:
            raise ValueError(f"{self.name(key)} is {value!r}, not an address")
        return found

    def spelled(self, key: str, kind: type[DfuState] | type[DfuStatus]) -> Any:
        """Return a state or a status by the specification's spelling."""
        value = self.get(key)
        for member in kind:
            if member.spelled == value:
                return member
        raise ValueError(f"{self.name(key)} is {value!r}, not a DFU state or status")


def _checked(document: _Part, data: bytes) -> _Part:
    """Return the document of a file whose format and version are known, and whose digest fits. Raise ValueError."""
    if document.get("format") != FORMAT:
        raise ValueError(f"format is {document.get('format')!r}, not {FORMAT!r}")
    version = document.get("version")
    if isinstance(version, bool) or version not in (VERSION, VERSION_WITHOUT_DIGEST):
        raise ValueError(f"version is {version!r}; this dfurun knows {VERSION_WITHOUT_DIGEST} and {VERSION}")
    at = data.rfind(b',\n "digest"')
    found = _DIGEST.fullmatch(data, max(at, 0))
    if version == VERSION_WITHOUT_DIGEST and not document.has("digest"):
        return document
    if found is None or hashlib.sha256(data[:at] + b"\n}").hexdigest() != found[1].decode():
        raise ValueError("damaged, or changed by something else than dfurun: the digest is not that of what it holds")
    return document


def _board(document: _Part, clock: Clock, faults: Sequence[Fault]) -> SimulatedBoard:
    chip = _chip(document)
    board = SimulatedBoard(
        chip,
        clock,
        bus=document.integer("bus", maximum=255),
        port=_port(document),
        unique_id=document.exactly("unique_id", chip.identity.unique_id_size_bytes),
        boot0=document.integer("boot0", maximum=1),
        option_reload=document.choice("option_reload", OptionReload),
        addressing=document.choice("addressing", BlockAddressing),
        execution=document.choice("execution", Execution) if document.has("execution") else None,
        early_poll=document.choice("early_poll", EarlyPoll),
        tolerates_stray_requests=document.flag("tolerates_stray_requests"),
        user_dfu=document.flag("user_dfu"),
        bootloader_id=document.integer("bootloader_id", maximum=0xFF) if document.has("bootloader_id") else None,
    )
    _restore_memory(board, document)
    usb, registers = document.part("usb"), document.optional_part("bootloader")
    board.resume(
        _situation(document, usb, clock.now()),
        _registers(registers, board) if registers else None,
        configuration=usb.integer("configuration", maximum=1),
        alternate=usb.integer("alternate", maximum=255),
    )
    counts = document.part("transfers")
    board.transfers.update({name: counts.integer(name) for name in counts.names()})
    board.afflict(faults)
    return board


def _chip(document: _Part) -> Chip:
    name = document.get("chip")
    if name not in chip_names():
        raise ValueError(f"chip is {name!r}; there are {', '.join(chip_names())}")
    return load_chip(name)


def _port(document: _Part) -> tuple[int, ...]:
    port = document.get("port")
    if not isinstance(port, list) or not port or not all(isinstance(n, int) and 0 < n < 256 for n in port):
        raise ValueError(f"port is {port!r}, not a list of port numbers")
    return tuple(port)


def _restore_memory(board: SimulatedBoard, document: _Part) -> None:
    memory, layout = board.memory, board.chip.flash
    options = document.part("option_bytes")
    length = board.chip.option_bytes.size_bytes
    memory.option_bytes.restore(
        stored=options.exactly("stored", length),
        in_force=options.exactly("in_force", length),
        option_error=options.flag("option_error"),
    )
    contents, pages = bytearray([layout.erased]) * layout.extent.size_bytes, document.part("flash")
    for key in pages.names():
        page = layout.page(_page_index(pages, key, layout.page_count))
        start = page.start - layout.extent.start
        contents[start : start + page.size_bytes] = pages.exactly(key, page.size_bytes)
    memory.flash.replace(bytes(contents))
    memory.flash.programmed_units = document.integer("programmed_units")
    counts = document.part("erase_counts")
    for key in counts.names():
        memory.flash.erase_counts[_page_index(counts, key, layout.page_count)] = counts.integer(key)
    ram = document.raw("ram", maximum=len(memory.ram))
    memory.ram[:] = ram.ljust(len(memory.ram), b"\0")
    if document.has("otp"):
        memory.otp[:] = document.exactly("otp", len(memory.otp))
    if document.has("device_feature"):
        memory.device_feature = document.exactly("device_feature", len(memory.device_feature))


def _page_index(part: _Part, key: str, page_count: int) -> int:
    if not key.isdecimal() or int(key) >= page_count:
        raise ValueError(f"{part.name(key)}: the flash has the pages 0 to {page_count - 1}")
    return int(key)


def _situation(document: _Part, usb: _Part, now_s: float) -> Situation:
    connects = None if usb.get("connects_in_s") is None else now_s + usb.seconds("connects_in_s")
    power = document.part("power") if document.has("power") else _Part({}, "power")
    return Situation(
        boot0=document.integer("boot0", maximum=1),
        running=document.choice("running", Running),
        flash_empty=document.flag("flash_empty") if document.has("flash_empty") else False,
        usb_address=usb.integer("address", maximum=127),
        connections=usb.integer("connections"),
        connects_at_s=connects,
        power_goes_at_s=now_s + power.seconds("goes_in_s") if power.has("goes_in_s") else None,
        power_returns_at_s=now_s + power.seconds("returns_in_s") if power.has("returns_in_s") else None,
    )


def _registers(part: _Part, board: SimulatedBoard) -> Registers:
    stored, operation = part.optional_part("stored"), part.optional_part("operation")
    return Registers(
        pointer=part.address("pointer"),
        state=part.spelled("state", DfuState),
        status=part.spelled("status", DfuStatus),
        stored=_download(stored, board) if stored else None,
        operation=_operation(operation, board) if operation else None,
        outcome=None if part.get("outcome") is None else part.spelled("outcome", DfuStatus),
        last_busy=StatusReport(DfuStatus.OK, part.seconds("last_busy_s"), DfuState.DNBUSY),
        programming_failed=part.flag("programming_failed"),
        wedged=part.has("wedged") and part.flag("wedged"),
        hung=part.has("hung") and part.flag("hung"),
    )


def _download(part: _Part, board: SimulatedBoard) -> Download:
    data = part.raw("data", minimum=1, maximum=board.model.transfer_size_bytes)
    return Download(part.integer("block", maximum=LAST_BLOCK), data)


def _operation(part: _Part, board: SimulatedBoard) -> Operation:
    operation = Operation(
        action=part.choice("action", Action),
        reported_s=part.seconds("reported_s"),
        duration_s=part.seconds("duration_s"),
        address=part.address("address"),
        data=part.raw("data", maximum=board.model.transfer_size_bytes),
        outcome=part.spelled("outcome", DfuStatus),
        starts_s=board.clock.now() - part.seconds("began_s_ago"),
    )
    region = _REGION_OF_ACTION.get(operation.action)
    extent = board.memory.extent(region) if region else None
    if region is Region.OPTION_BYTES:
        extent = board.memory.extent_at(operation.address) or extent
    if extent and not extent.contains(AddressRange(operation.address, max(1, len(operation.data)))):
        raise ValueError(f"{part.name('address')} is {format_address(operation.address)}, outside {region}")
    return operation
