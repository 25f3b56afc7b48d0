"""read: save a part of the board's memory to a file, before something changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Self

from dfurun.errors import Code, Finding, RecipePath
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.event import Outcome
from dfurun.steps.files import save
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.units import AddressRange, format_size, parse_range


@dataclass(frozen=True, slots=True)
class Read(Step):
    """`file` is relative to the working directory."""

    keyword: ClassVar[str] = "read"
    extent: AddressRange
    file: str

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for memory that the ROM lets be read."""
        extent = _readable_extent(body["range"], (*head.path, "range"), scope)
        file = PurePosixPath(body["file"].replace("\\", "/"))
        if file.is_absolute() or ".." in file.parts or ":" in body["file"]:
            message = "a backup is written below the working directory"
            scope.report(Code.BAD_VALUE, message, (*head.path, "file"), hint="a relative path without `..`")
            return None
        return None if extent is None else cls(head, extent, str(file))

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Change nothing."""
        return board, self.needs_open_flash(board)

    def execute(self, context: Context) -> Result:
        """Read until two reads agree, and save; a file that is there already is kept, unless it is the same."""
        if self.extent == context.chip.option_bytes.extent:
            context.require_rom("read of option bytes")
        context.require_readable("read")
        data = context.session.read_stable(self.extent, context.progress("read", self.extent.size_bytes))
        path = context.output_folder / Path(self.file)
        if not save(path, data, overwrite=context.overwrite_files):
            return Result(Outcome.OK, f"{self.file} holds these {format_size(len(data))} already")
        return Result(Outcome.OK, f"{format_size(len(data))} saved to {self.file}")


def _readable_extent(text: str, path: RecipePath, scope: Scope) -> AddressRange | None:
    try:
        extent = parse_range(text)
    except ValueError as error:
        scope.report(Code.BAD_VALUE, str(error), path)
        return None
    chip = scope.chip
    readable = [chip.flash.extent, chip.system_memory, *([chip.ram_window] if chip.ram_window else [])]
    if extent == chip.option_bytes.extent or any(r.contains(extent) for r in readable):
        return extent
    hint = "the ROM reads " + ", ".join(str(r) for r in readable)
    hint += f", and the option bytes as a whole ({chip.option_bytes.extent})"
    scope.report(Code.OUTSIDE_FLASH, f"{extent} cannot be read", path, hint=hint)
    return None
