"""Transfers told as the operations that they are: Set Address, erase, write, read, what was asked and what was answered.

It only watches: it knows of an operation what the transfers show, and takes no part in it.

# Ref: AN3156 rev 18, section 3 (commands), 3.1 (block addressing).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dfurun.dfuse.protocol import COMMAND_BLOCK, FIRST_DATA_BLOCK, Command, DfuState, Request, StatusReport
from dfurun.dfuse.trace import Transfer
from dfurun.units import format_address, format_duration, format_size

_UNDER_WAY = (DfuState.DNBUSY, DfuState.DNLOAD_SYNC, DfuState.MANIFEST, DfuState.MANIFEST_SYNC)
_SHOWN_ANSWERS = 6
_COMMAND_LENGTH = 5  # the command's byte and an address


@dataclass(slots=True)
class _Operation:
    """One operation, or a run of blocks that follow one another without anything to tell about each."""

    name: str
    began_s: float
    ended_s: float
    answers: list[str] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    blocks: int = 0
    size_bytes: int = 0
    where: int | None = None
    ended: bool = False

    def __str__(self) -> str:
        words = self.name
        if self.blocks:
            where = f" at {format_address(self.where)}" if self.where is not None else ""
            words += f" {format_size(self.size_bytes)}{where}"
            words += f": {self.blocks} block{'' if self.blocks == 1 else 's'}"
        parts = [] if self.blocks > 1 and not self.failures else self._answers()
        if self.polls > 2 or (self.blocks > 1 and self.polls):
            parts.append(f"{self.polls} polls")
        parts += [f"{count} x {what}" if count > 1 else what for what, count in self.failures.items()]
        parts.append(format_duration(self.ended_s - self.began_s))
        return words + (", " if self.blocks else ": ") + ", ".join(parts)

    def _answers(self) -> list[str]:
        if len(self.answers) <= _SHOWN_ANSWERS:
            return self.answers
        half = _SHOWN_ANSWERS // 2
        return [*self.answers[:half], "...", *self.answers[-half:]]


class Narrator:
    """Hears transfers in order, and tells each operation in one line when it has ended.

    An ABORT that succeeds is told only after trouble: between two operations that went well it only changes direction.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._open: _Operation | None = None
        self._pointer: int | None = None
        self._in_trouble = False

    def transfer(self, transfer: Transfer) -> None:
        """Hear a transfer."""
        match transfer.request:
            case Request.DNLOAD:
                self._begin(transfer, _name_of_download(transfer))
            case Request.UPLOAD:
                self._begin(transfer, "Get Commands" if transfer.value == COMMAND_BLOCK else "read")
            case Request.GETSTATUS:
                self._status(transfer)
            case Request.GETSTATE:
                self._single(transfer, f"state {_state_of(transfer)}")
            case Request.ABORT | Request.CLRSTATUS | Request.DETACH:
                self._single(transfer, f"{transfer.request.name}: taken")

    def flush(self) -> None:
        """Tell what is still open: it will not go on."""
        if self._open is not None:
            self._in_trouble = bool(self._open.failures) or not self._open.ended
            self._tell(str(self._open))
            self._open = None

    def _begin(self, transfer: Transfer, name: str) -> None:
        size = transfer.length if transfer.request is Request.DNLOAD else len(transfer.data)
        is_block = transfer.value >= FIRST_DATA_BLOCK and name in ("read", "write")
        operation = self._open
        if not (operation and is_block and operation.name == name and operation.ended and not operation.failures):
            self.flush()
            where = self._address_of(transfer) if is_block else None
            operation = self._open = _Operation(name, transfer.began_s, transfer.began_s, where=where)
        operation.ended = False
        operation.ended_s = transfer.began_s + transfer.duration_s
        if is_block:
            operation.blocks += 1
            operation.size_bytes += size
        if transfer.failure is not None:
            operation.failures[f"{transfer.request.name} {transfer.failure.label}"] += 1
            self.flush()
        elif transfer.request is Request.UPLOAD:
            operation.ended = True
            if not is_block:
                operation.answers.append(transfer.data[:16].hex(" ").upper() or "nothing")
                self.flush()
            elif len(transfer.data) < transfer.length:
                operation.failures[f"{len(transfer.data)} of {transfer.length} bytes"] += 1
                self.flush()
        elif name.startswith("Set Address"):
            self._pointer = int.from_bytes(transfer.data[1:_COMMAND_LENGTH], "little")

    def _status(self, transfer: Transfer) -> None:
        operation = self._open
        if operation is None or operation.ended:
            self._single(transfer, f"status {_report_of(transfer)}")
            return
        operation.polls += 1
        operation.ended_s = transfer.began_s + transfer.duration_s
        if transfer.failure is not None:
            operation.failures[f"GETSTATUS {transfer.failure.label}"] += 1
            return
        operation.answers.append(_report_of(transfer))
        report = _unpack(transfer)
        operation.ended = report is None or report.state not in _UNDER_WAY
        if operation.ended and not operation.blocks:
            self.flush()

    def _single(self, transfer: Transfer, words: str) -> None:
        self.flush()
        failure = transfer.failure
        if transfer.request is Request.ABORT and failure is None and not self._in_trouble:
            return
        self._in_trouble |= failure is not None
        self._tell(words if failure is None else f"{transfer.request.name}: {failure.label}")

    def _address_of(self, transfer: Transfer) -> int | None:
        if self._pointer is None:
            return None
        return self._pointer + (transfer.value - FIRST_DATA_BLOCK) * transfer.length


def _name_of_download(transfer: Transfer) -> str:
    """Return what a DNLOAD asks for."""
    data = transfer.data
    if transfer.value != COMMAND_BLOCK:
        return "write" if data else "leave"
    if not data:
        return "DNLOAD of nothing"
    address = format_address(int.from_bytes(data[1:_COMMAND_LENGTH], "little"))
    match data[0]:
        case Command.SET_ADDRESS:
            return f"Set Address {address}"
        case Command.ERASE:
            return f"erase {address}" if len(data) >= _COMMAND_LENGTH else "mass erase"
        case Command.READ_UNPROTECT:
            return "Read Unprotect"
    return f"command 0x{data[0]:02X}"


def _unpack(transfer: Transfer) -> StatusReport | None:
    try:
        return StatusReport.unpack(transfer.data)
    except ValueError:
        return None


def _report_of(transfer: Transfer) -> str:
    """Return a GETSTATUS's answer in words: `dfuDNBUSY (40 ms)`, `dfuERROR, errVENDOR`."""
    report = _unpack(transfer)
    if report is None:
        return f"nonsense ({transfer.data.hex(' ').upper()})"
    words = report.state.spelled if not report.status else str(report)
    return f"{words} ({report.poll_timeout_s * 1000:.0f} ms)" if report.state in _UNDER_WAY else words


def _state_of(transfer: Transfer) -> str:
    try:
        return DfuState(transfer.data[0]).spelled if transfer.data else "not told"
    except ValueError:
        return f"0x{transfer.data[0]:02X}, which the protocol does not have"


def in_words(transfer: Transfer) -> str:
    """Return one transfer as a line: request, wValue, wLength, the answer and what it means, how long it took."""
    words = f"{transfer.request.name.ljust(9)} wValue={transfer.value} wLength={transfer.length}"
    if transfer.failure is not None:
        result = f"{transfer.failure.label} ({transfer.failure})"
    elif transfer.request is Request.GETSTATUS:
        result = f"{transfer.data.hex(' ').upper()}  {_report_of(transfer)}"
    elif transfer.request is Request.GETSTATE:
        result = f"{transfer.data.hex(' ').upper()}  {_state_of(transfer)}"
    else:
        shown = transfer.data[:16].hex(" ").upper()
        result = shown + (" ..." if len(transfer.data) > 16 else "") or "ok"
        if len(transfer.data) != transfer.length:
            result += f"  {len(transfer.data)} bytes"
    return f"{words}: {result}  [{transfer.duration_s * 1000:.1f} ms]"
