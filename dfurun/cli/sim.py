"""`dfurun sim`: make, look at and change a simulated board that lives in a file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.chips.index import default_chip_name
from dfurun.cli import completion
from dfurun.cli.bench import chip_called, look_at_state, open_state, port_called
from dfurun.cli.board_options import Reload
from dfurun.cli.failures import UsageFailure, sim_state_failure
from dfurun.cli.holding import hold_file
from dfurun.cli.options import Json
from dfurun.cli.output import Output
from dfurun.cli.serve import attach_command, serve_command
from dfurun.cli.sim_faults import faults_command
from dfurun.clock import VirtualClock
from dfurun.errors import AccessDenied, Code, Refused
from dfurun.steps.files import replace_file
from dfurun.steps.step import did_you_mean
from dfurun.units import in_both_bases

if TYPE_CHECKING:
    from dfurun.chips import Chip, FieldValue, OptionLayout
    from dfurun.image import MemoryImage
    from dfurun.simulator import SimulatedBoard

SETTLE_S = 5.0  # long enough for a board to be back on the bus, and for what it was doing to end

sim_app = typer.Typer(
    help="Make, look at and change a simulated board that lives in a file.",
    no_args_is_help=True,
    suggest_commands=False,
)

StateArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The board's file.", show_default=False, autocompletion=completion.files)
]


@sim_app.command("new")
def new_command(
    context: typer.Context,
    file: StateArgument,
    chip: Annotated[
        str, typer.Option("--chip", metavar="CHIP", help="The board's chip.", autocompletion=completion.chips)
    ] = default_chip_name(),
    port: Annotated[str, typer.Option("--port", metavar="PORT", help="Where the board is plugged in.")] = "1-1",
    option_reload: Annotated[
        Reload | None,
        typer.Option("--option-reload", help="When written option bytes come into force; as the chip has it."),
    ] = None,
    user_dfu: Annotated[
        bool, typer.Option("--user-dfu", help="Run ST's DFU example from user flash, not the ROM.")
    ] = False,
    bootloader_id: Annotated[
        str | None,
        typer.Option("--bootloader-id", metavar="ID", help="Its ROM's version, such as 0xA1; as the chip has it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    json: Json = False,
) -> int:
    """Make a board as it comes from the factory, with BOOT0 held high."""
    from dfurun.simulator import SimulatedBoard, StateFile

    if file.exists() and not force:
        raise sim_state_failure(f"{file} is there already", "another name, or --force")
    path = port_called("--port", port)
    wanted = chip_called(chip)
    board = SimulatedBoard(
        wanted,
        VirtualClock(),
        bus=path.bus,
        port=path.ports,
        option_reload=option_reload,
        user_dfu=user_dfu,
        bootloader_id=None if bootloader_id is None else _bootloader(wanted, bootloader_id),
    )
    try:
        hold_file(file)
        StateFile(file).keep(board)
    except AccessDenied:
        raise
    except OSError as error:
        raise sim_state_failure(f"{file}: {error.strerror}", "a folder that is there and may be written to") from None
    _show(context.obj, board, file)
    return 0


@sim_app.command("show")
def show_command(context: typer.Context, file: StateArgument, json: Json = False) -> int:
    """Show a board: what runs, BOOT0, option bytes stored and in force, flash, wear. Its file stays as it is."""
    _show(context.obj, _look(file), file)
    return 0


@sim_app.command("power-cycle")
def power_cycle_command(
    context: typer.Context,
    file: StateArgument,
    boot0: Annotated[int | None, typer.Option("--boot0", min=0, max=1, help="The level of BOOT0; as it is.")] = None,
    json: Json = False,
) -> int:
    """Take the power away and give it back."""
    board = _load(file)
    board.power_cycle(boot0)
    _show(context.obj, board, file)
    return 0


@sim_app.command("set-option-bytes")
def set_option_bytes_command(
    context: typer.Context,
    file: StateArgument,
    fields: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Fields, or USER=0x77.")] = None,
    raw: Annotated[str | None, typer.Option("--raw", metavar="HEX", help="All bytes, in hex.")] = None,
    json: Json = False,
) -> int:
    """Store option bytes as a debugger would, and load them."""
    board = _load(file)
    layout = board.chip.option_bytes
    try:
        if raw is not None:
            stored = bytes.fromhex(raw)
            if len(stored) != layout.size_bytes:
                raise ValueError(f"{len(stored)} bytes, the chip has {layout.size_bytes}")
        else:
            stored = _with_fields(board.chip, board.option_bytes.stored, fields or [])
    except ValueError as error:
        hint = f"`dfurun chips {board.chip.name}` shows the fields, what they take and the bytes from the factory"
        raise UsageFailure(f"option bytes: {error}", hint) from None
    board.replace_option_bytes(stored)
    _show(context.obj, board, file)
    return 0


@sim_app.command("protect")
def protect_command(
    context: typer.Context,
    file: StateArgument,
    level: Annotated[int, typer.Argument(metavar="LEVEL", min=0, max=2, help="RDP level.")],
    json: Json = False,
) -> int:
    """Set the read protection level as a debugger would; flash stays as it is."""
    board = _load(file)
    board.protect(level)
    _show(context.obj, board, file)
    return 0


@sim_app.command("load")
def load_command(
    context: typer.Context,
    file: StateArgument,
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE",
            help="Firmware; raw binary goes to the start of the flash.",
            autocompletion=completion.files,
        ),
    ],
    json: Json = False,
) -> int:
    """Put an image into flash as a debugger would; the rest of the flash is erased. What does not fit is refused."""
    from dfurun.image import ImageError, read_image

    board = _load(file)
    flash = board.chip.flash
    try:
        try:
            memory = read_image("image", image).memory
        except ImageError as error:
            if error.code is not Code.IMAGE_ADDRESS:
                raise
            memory = read_image("image", image, address=flash.extent.start).memory
    except ImageError as error:
        raise UsageFailure(error.message, error.hint) from None
    _require_inside(memory, board.chip, image)
    board.replace_flash(memory.overlay(flash.extent, bytes([flash.erased]) * flash.extent.size_bytes))
    _show(context.obj, board, file)
    return 0


@sim_app.command("dump")
def dump_command(
    context: typer.Context,
    file: StateArgument,
    output_file: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Where the flash's bytes go.", autocompletion=completion.files)
    ],
    json: Json = False,
) -> int:
    """Save the whole flash to a file, protected or not. The board's file stays as it is."""
    board = _look(file)
    board.settle()
    try:
        if not output_file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if output_file.exists() and not output_file.is_file():  # standard output, a pipe to another program
            output_file.write_bytes(bytes(board.flash.contents))
        else:
            replace_file(output_file, bytes(board.flash.contents))
    except OSError as error:
        raise UsageFailure(f"{output_file}: {error.strerror}") from None
    return 0


def _load(file: Path) -> SimulatedBoard:
    """Return the board, kept saved and from other processes."""
    return open_state(file, VirtualClock())


def _look(file: Path) -> SimulatedBoard:
    """Return the board as it is in its file, which another process may be changing."""
    return look_at_state(file, VirtualClock())


def _bootloader(chip: Chip, text: str) -> int:
    """Return the id of a bootloader that the chip's data knows; raise UsageFailure for another."""
    known = chip.identity.bootloader_versions
    names = ", ".join(f"0x{number:02X} ({version})" for number, version in known.items()) or "none"
    try:
        number = int(text, 0)
    except ValueError:
        raise UsageFailure(f"--bootloader-id {text!r} is no number", f"{chip.title} has {names}") from None
    if number not in known:
        raise UsageFailure(f"{chip.title} has no bootloader with the id {text}", f"it has {names}")
    return number


def _require_inside(memory: MemoryImage, chip: Chip, image: Path) -> None:
    """Raise Refused where an image holds what the flash has no place for: cut to fit it would be another firmware."""
    outside = memory.without(chip.flash.extent)
    if not outside.pieces:
        return
    in_option_bytes = any(any(outside.within(block)) for block in chip.option_bytes.blocks)
    first, more = outside.pieces[0].extent, len(outside.pieces) - 1
    others = f" and {more} more piece{'' if more == 1 else 's'}" if more else ""
    raise Refused(
        Code.OUTSIDE_FLASH,
        f"{image.name} holds {first}{others}, outside the flash {chip.flash.extent} of {chip.title}",
        consequence="the simulated board is as it was",
        hint="option bytes are set with `dfurun sim set-option-bytes`; build the image without them"
        if in_option_bytes
        else "an image for this chip, or a board with a chip that has room for it: `dfurun sim new --chip`",
    )


def _with_fields(chip: Chip, stored: bytes, words: list[str]) -> bytes:
    """Return stored option bytes with `NAME=VALUE` words applied; USER is the whole user byte, as people report it."""
    if not words:
        raise ValueError("nothing to set: NAME=VALUE, or --raw")
    fields: dict[str, FieldValue] = {}
    layout = chip.option_bytes
    for word in words:
        name, found, text = word.partition("=")
        if not found:
            raise ValueError(f"{word!r} is not NAME=VALUE")
        value: FieldValue = _number(text) if text[:1].isdigit() else text
        if name == "USER":
            fields |= _user_fields(layout, value)
        elif name in layout.fields:
            fields[name] = value
        else:
            hint = did_you_mean(name, ["USER", *layout.fields])
            raise UsageFailure(f"option bytes: {chip.title} has no field {name!r}", hint)
    return layout.encode(stored, fields)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        meanings = in_both_bases(text)
        why = f"begins with a zero: {meanings}" if meanings else "is no number such as 119 or 0x77"
        raise ValueError(f"{text!r} {why}") from None


def _user_fields(layout: OptionLayout, value: FieldValue) -> dict[str, FieldValue]:
    """Return the fields of the user byte, which is the one that several fields share."""
    if not isinstance(value, int) or not 0 <= value <= 0xFF:
        shown = f"0x{value:X}" if isinstance(value, int) else repr(value)
        raise ValueError(f"USER is 0x00 to 0xFF, not {shown}")
    shared = [field.byte for field in layout.fields.values() if field.width < 8]
    if len(set(shared)) != 1:
        raise ValueError("this chip has no single byte USER: name the fields")
    return {
        field.name: value >> field.bit & (1 << field.width) - 1
        for field in layout.fields.values()
        if field.byte == shared[0]
    }


def _show(output: Output, board: SimulatedBoard, file: Path) -> None:
    from dfurun.report.simulated import print_simulated, simulated_object

    board.clock.sleep(SETTLE_S)
    board.settle()
    board.on_change()
    output.write({"event": "simulated-board", "file": str(file), **simulated_object(board)})
    if not output.as_json:
        print_simulated(output.product, board)


# The last three in the list of `dfurun sim --help`.
sim_app.command("faults")(faults_command)
sim_app.command("serve")(serve_command)
sim_app.command("attach")(attach_command)
