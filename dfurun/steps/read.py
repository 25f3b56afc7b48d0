"""read: save a part of the board's memory to a file, before something changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Self

from dfurun.chips import Chip
from dfurun.errors import Code, Finding, RecipePath
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.file_names import VARIABLES, fill_in, objection, values, wrong_variable
from dfurun.steps.files import place_inside, reserve, save
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step, did_you_mean
from dfurun.units import AddressRange, format_address, format_size, parse_range

GIT = ".git"


@dataclass(frozen=True, slots=True)
class Read(Step):
    """`file` is relative to the working directory, and may have the variables of `dfurun.steps.file_names`."""

    keyword: ClassVar[str] = "read"
    extent: AddressRange
    file: str

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for memory that the ROM lets be read."""
        extent = _extent(body["range"], (*head.path, "range"), scope)
        unknown = wrong_variable(body["file"])
        if unknown is not None:
            message = f"a file's name has no variable {unknown!r}"
            scope.report(Code.BAD_VALUE, message, (*head.path, "file"), hint=did_you_mean(unknown, VARIABLES))
            return None
        if (why := objection(body["file"])) is not None:
            hint = "for example `backup-${port}-${date}.bin`"
            scope.report(Code.BAD_VALUE, why, (*head.path, "file"), hint=hint)
            return None
        file = PurePosixPath(body["file"].replace("\\", "/"))
        if file.is_absolute() or ".." in file.parts or ":" in body["file"]:
            message = "a backup is written below the working directory"
            scope.report(Code.BAD_VALUE, message, (*head.path, "file"), hint="a relative path without `..`")
            return None
        if any(part.casefold() == GIT for part in file.parts):
            message = f"nothing is written into `{GIT}`, whose files git obeys"
            scope.report(Code.BAD_VALUE, message, (*head.path, "file"), hint="another folder, such as `backups/`")
            return None
        return None if extent is None else cls(head, extent, str(file))

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Change nothing."""
        return board, self.needs_open_flash(board)

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Save a part of the memory; the board stays as it is."""
        words = f"reads {format_size(self.extent.size_bytes)} at {format_address(self.extent.start)} into {self.file}"
        return board, Effect(Will.READ, words, acts=(Act(ActKind.READ, self.extent),) * 2)

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Refuse a file that a link leads out of the working directory."""
        place_inside(context.output_folder / self._file(context), context.output_folder)
        return forecast

    def execute(self, context: Context) -> Result:
        """Read until two reads agree, and save; a file that is there already is kept, unless it is the same."""
        if self.extent in context.chip.option_bytes.blocks:
            context.require_rom("read of option bytes")
        context.require_readable("read")
        file, folder, overwrite = self._file(context), context.output_folder, context.overwrite_files
        reserve(place_inside(folder / file, folder), self.extent.size_bytes, overwrite=overwrite)
        data = context.session.read_stable(self.extent, context.progress("read", self.extent.size_bytes))
        path = place_inside(folder / file, folder)  # a long read ago there was perhaps no link
        if not save(path, data, overwrite=overwrite):
            return Result(Outcome.OK, f"{file} holds these {format_size(len(data))} already")
        return Result(Outcome.OK, f"{format_size(len(data))} saved to {file}")

    def _file(self, context: Context) -> Path:
        unique_id, port = context.identity.unique_id, context.port
        return Path(fill_in(self.file, values(port=port, chip=context.chip, unique_id=unique_id, when=context.began)))


def readable_memories(chip: Chip) -> list[AddressRange]:
    """Return the memories of which the ROM reads any part; the option bytes are read only as a whole."""
    return [chip.flash.extent, chip.system_memory, *([chip.ram_window] if chip.ram_window else [])]


def is_readable(chip: Chip, extent: AddressRange) -> bool:
    """Say whether the ROM reads `extent`."""
    return extent in chip.option_bytes.blocks or any(memory.contains(extent) for memory in readable_memories(chip))


def readable_hint(chip: Chip) -> str:
    """Say what the ROM reads."""
    memories = ", ".join(str(memory) for memory in readable_memories(chip))
    blocks = " and ".join(str(block) for block in chip.option_bytes.blocks)
    return f"the ROM reads {memories}, and the option bytes as a whole ({blocks})"


def _extent(text: str, path: RecipePath, scope: Scope) -> AddressRange | None:
    try:
        extent = parse_range(text)
    except ValueError as error:
        scope.report(Code.BAD_VALUE, str(error), path)
        return None
    if is_readable(scope.chip, extent):
        return extent
    scope.report(Code.OUTSIDE_FLASH, f"{extent} cannot be read", path, hint=readable_hint(scope.chip))
    return None
